"""Personal data masked in prompts, and again in all that a deliberation left."""

import re
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from typing import Any

from multiplex.content.panels import Panel
from multiplex.dataset.material import Material
from multiplex.dataset.privacy import Masker, Session

__all__ = ["Masks", "masked"]

_MOST = 100_000
"""How many pieces of text are remembered as looked at: some 30 MB."""

_LEFT = {
    "name",
    "label",
    "perspective",
    "region",
    "sha256",
    "system",
    "sources",
    "schwartz",
    "id",
    "kind",
    "persona",
}
"""What is the panel's own content or a name in the data, and never a model's words."""

_SKIPPED = {"prompt", "provenance", "shares"}
"""What was masked when it was taken in, or holds no text."""

_NAMES = {
    "step",
    "act",
    "speaker",
    "to",
    "commitment",
    "judge",
    "source",
    "wiser",
    "transition",
    "how",
    "sourceValueId",
    "wiserValueId",
}

_WHOLE = {"sources", "schwartz"}
"""What is left as it is, and all that is in it."""

_OURS = {"winners", "thresholds", "merged"}
"""What no model wrote, within the moral graph."""

_PIECE = re.compile(r"(?<=[^\W\d_]{4}[.!?)])\s+(?=[^\W\d_a-z“\"‘'])|\n+")
"""Where a text is cut into pieces: at line breaks, and after sentences that do not end with a short word, as titles
and initials do."""

_WORD = re.compile(r"\w+")


class Masks:
    """One masker for a whole build: `prompt` for what people ask, `text` for what models answer.

    A prompt's placeholders are numbered, so that two people in it stay two. What models say is looked at piece
    by piece and remembered, because deliberations say the same thing in many places; there placeholders have
    no number. A name whose words stand so, one after another, in the panel's own content is public, and stays.
    """

    def __init__(self, masker: Masker, panel: Panel) -> None:
        self._masker = masker
        self._known: OrderedDict[str, tuple[str, Counter[str]]] = OrderedDict()
        self._public = "\n".join(_run(text) for text in _content(panel))

    def describe(self) -> dict[str, Any]:
        """Return what masks, and what it does not find, for the manifest."""
        return self._masker.describe()

    def session(self) -> Session:
        """Return what masks the texts of one prompt, one after another."""
        return self._masker.session()

    def text(self, text: str) -> tuple[str, Counter[str]]:
        """Return what a model said with personal data masked, and how many of each kind there were."""
        parts: list[str] = []
        found: Counter[str] = Counter()
        start = 0
        for cut in [*_PIECE.finditer(text), None]:
            end = cut.start() if cut else len(text)
            clean, kinds = self._piece(text[start:end])
            parts.append(clean)
            found.update(kinds)
            if cut:
                parts.append(cut[0])
                start = cut.end()
        return "".join(parts), found

    def _piece(self, piece: str) -> tuple[str, Counter[str]]:
        if piece in self._known:
            self._known.move_to_end(piece)
            return self._known[piece]
        kinds: Counter[str] = Counter()
        parts: list[str] = []
        end = 0
        for each in sorted(self._masker.mask(piece).found, key=lambda found: found.start):
            if each.kind != "NAME" or _run(piece[each.start : each.end]) not in self._public:
                parts += [piece[end : each.start], f"[{each.kind}]"]
                end = each.end
                kinds[each.kind] += 1
        done = "".join([*parts, piece[end:]]), kinds
        self._known[piece] = done
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return done


def masked(material: Material, masks: Masks) -> tuple[Material, Counter[str]]:
    """Return a material with its models' words masked, and how many of each kind were found in them."""
    found: Counter[str] = Counter()

    def clean(value: Any, key: str = "") -> Any:
        if key in _WHOLE:
            return value
        if isinstance(value, str):
            if key in _LEFT or key in _NAMES or not value:
                return value
            text, kinds = masks.text(value)
            found.update(kinds)
            return text
        if isinstance(value, dict):
            # What an act is about is an id; what a reply is about, as a transition's, is a model's words.
            ids = _OURS | ({"about"} if "speaker" in value else set())
            return {name: part if name in ids else clean(part, name) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [clean(part, key) for part in value]
        return value

    data = material.model_dump(mode="json")
    told = {name: part if name in _SKIPPED else clean(part, name) for name, part in data.items()}
    return (Material.model_validate(told), found) if found else (material, found)


def _run(text: str) -> str:
    """Return a text's words, parted so that one run of words is found within another only as whole words."""
    return "\x1f".join(("", *_WORD.findall(text), ""))


def _content(panel: Panel) -> Iterator[str]:
    """Return every text of a panel and its pack."""
    for persona in (*panel.personas, *panel.pack.personas):
        yield from _strings(persona.model_dump(mode="json"))
    yield from _strings({name: list(terms) for name, terms in panel.pack.lexicon.items()})


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, Iterable):
        for part in value:
            yield from _strings(part)
