"""Personal data masked in prompts, and again in all that a deliberation left."""

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from multiplex.content.panels import Panel, seat
from multiplex.content.scenarios import Scenario
from multiplex.dataset.material import Material
from multiplex.dataset.privacy import Found, Masker, Session, public_names
from multiplex.dataset.privacy.masking import apart
from multiplex.dataset.privacy.names import name_parts
from multiplex.dataset.privacy.public import PublicWords
from multiplex.dataset.privacy.spans import Span
from multiplex.errors import ContentError

__all__ = ["Masks", "masked"]

_MOST = 100_000
"""How many pieces of text are remembered as looked at: some 30 MB."""

_SURE = 0.75
"""How sure a name has to be to be looked for in the other texts of its deliberation: as behind a title, or whole."""

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


class Masks:
    """One masker for a whole build: `session` for what people ask, `text` for what models answer.

    A prompt's placeholders are numbered, so that two people in it stay two. What models say is looked at piece
    by piece and remembered, because deliberations say the same thing in many places; there placeholders have
    no number. What stands so, word for word, in the content of the panel that deliberates is public, and stays,
    works and places in them included: of the panel given here, and of the one that a prompt names for itself.
    (In prompts a name has to be one of `public_names`.)
    """

    def __init__(self, masker: Masker, panel: Panel) -> None:
        content = [*_content(panel)]
        self._masker = masker.allowing((), content)
        self._known: OrderedDict[tuple[str, str], tuple[Found, ...]] = OrderedDict()
        self._public = PublicWords(content)
        self._seated: dict[str, tuple[Masker, PublicWords]] = {}

    def describe(self) -> dict[str, Any]:
        """Return what masks, and what it does not find, for the manifest."""
        return self._masker.describe()

    def session(self, scenario: Scenario | None = None) -> Session:
        """Return what masks the texts of one prompt, one after another."""
        return self._of(scenario)[0].session()

    def parts(self, text: str, scenario: Scenario | None = None) -> set[str]:
        """Return the parts, folded, of names that a text surely gives somebody, as behind a title."""
        return {
            part
            for piece in _PIECE.split(text)
            for each in self._found(piece, scenario)
            if each.kind == "NAME" and each.score >= _SURE
            for part in name_parts(piece[each.start : each.end])
        }

    def text(
        self, text: str, scenario: Scenario | None = None, parts: Iterable[str] = ()
    ) -> tuple[str, Counter[str]]:
        """Return what a model said with personal data masked, and how many of each kind there were.

        `scenario` is what was deliberated on; where a part of a name that is known from elsewhere (`parts`)
        stands, it is a name as well.
        """
        told: list[str] = []
        found: Counter[str] = Counter()
        start = 0
        for cut in [*_PIECE.finditer(text), None]:
            end = cut.start() if cut else len(text)
            piece, last = text[start:end], 0
            for each in self._finds(piece, scenario, parts):
                told += [piece[last : each.start], f"[{each.kind}]"]
                last = each.end
                found[each.kind] += 1
            told.append(piece[last:])
            if cut:
                told.append(cut[0])
                start = cut.end()
        return "".join(told), found

    def _finds(self, piece: str, scenario: Scenario | None, parts: Iterable[str]) -> list[Span]:
        """Return what is personal in a piece, in order and apart; of two that overlap the longer one."""
        found = [Span(each.kind, each.start, each.end, each.score) for each in self._found(piece, scenario)]
        if not parts:
            return found
        masker, public = self._of(scenario)
        again = (each for each in masker.again(piece, parts) if not public.hold(piece[each.start : each.end]))
        return apart(piece, (*found, *again))

    def _found(self, piece: str, scenario: Scenario | None) -> tuple[Found, ...]:
        """Return what is personal in a piece by itself, and not public."""
        key = (_named(scenario), piece)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        masker, public = self._of(scenario)
        found = tuple(
            each for each in masker.mask(piece).found if not public.hold(piece[each.start : each.end])
        )
        self._known[key] = found
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return found

    def _of(self, scenario: Scenario | None) -> tuple[Masker, PublicWords]:
        """Return the masker for a scenario's own panel, and the words of that panel's content."""
        named = _named(scenario)
        if scenario is None or not named:
            return self._masker, self._public
        if named not in self._seated:
            try:
                panel = seat(scenario.personas)
            except ContentError:  # whoever deliberates on it says so
                return self._masker, self._public
            content = [*_content(panel)]
            allowing = self._masker.allowing(public_names(panel), content)
            self._seated[named] = allowing, self._public.more(content)
        return self._seated[named]


def _named(scenario: Scenario | None) -> str:
    """Return the panel that a scenario names for itself, as one string; empty where it is the usual one."""
    if scenario is None or scenario.personas == Scenario.model_fields["personas"].default:
        return ""
    return repr(scenario.personas)


def masked(material: Material, masks: Masks) -> tuple[Material, Counter[str]]:
    """Return a material with its models' words masked, and how many of each kind were found in them.

    Whoever is surely named in one text of a deliberation is masked in its other texts too.
    """
    found: Counter[str] = Counter()
    scenario = material.prompt.scenario
    parts: set[str] = set()

    def look(text: str) -> str:
        parts.update(masks.parts(text, scenario))
        return text

    def clean(text: str) -> str:
        done, kinds = masks.text(text, scenario, parts)
        found.update(kinds)
        return done

    data = material.model_dump(mode="json")
    said = {name: part for name, part in data.items() if name not in _SKIPPED}
    _over(said, look)
    told = {**data, **_over(said, clean)}
    return (Material.model_validate(told), found) if found else (material, found)


def _over(value: Any, change: Callable[[str], str], key: str = "") -> Any:
    """Return data with every text that a model wrote as `change` returns it."""
    if key in _WHOLE:
        return value
    if isinstance(value, str):
        return value if key in _LEFT or key in _NAMES or not value else change(value)
    if isinstance(value, dict):
        # What an act is about is an id; what a reply is about, as a transition's, is a model's words.
        ids = _OURS | ({"about"} if "speaker" in value else set())
        return {name: part if name in ids else _over(part, change, name) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_over(part, change, key) for part in value]
    return value


def _content(panel: Panel) -> Iterator[str]:
    """Return every text of a panel and its pack."""
    for persona in (*panel.personas, *panel.pack.personas):
        yield from _strings(persona.model_dump(mode="json"))
        yield from (f"{each.source.work} {each.source.locus}" for each in persona.commitments)
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
