"""Prompts into the work file: masked, near-duplicates left out, and in groups that stay in one split."""

import hashlib
import re
import textwrap
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, filterfalse, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from multiplex.content.scenarios import Option, Scenario
from multiplex.dataset.material import user_turn
from multiplex.dataset.origins import file_of
from multiplex.dataset.prompts import Prompt, Skipped, asked_of, by_what_is_asked
from multiplex.dataset.quality import template_mark
from multiplex.dataset.similarity import DUPLICATE, RELATED, Seen, linked
from multiplex.dataset.store import Store
from multiplex.embedding import Embedder, Vectors

if TYPE_CHECKING:
    from multiplex.dataset.masking import Masks
    from multiplex.dataset.privacy import Session

__all__ = ["Likeness", "take_in"]

_BATCH = 256

_THERE = "the same prompt is there already"

_PIECE = 800
"""Characters of a context that are embedded at a time: as many as surely fit into the embedding model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """From which cosine a prompt is left out as a near-duplicate, and from which two share a group."""

    duplicate: float = DUPLICATE
    related: float = RELATED


def take_in(
    store: Store,
    prompts: Iterable[Prompt | Skipped],
    *,
    embedder: Embedder,
    folder: Path,
    masks: "Masks | None",
    likeness: Likeness | None = None,
    extends: bool = False,
) -> None:
    """Read all prompts into the store. The caller commits all of it at once: whoever is killed before begins anew.

    Personal data is masked before anything is deliberated on, so that no model is shown it. Prompts are
    near-duplicates by the embeddings of what is asked and of its context; of several the first stays. Prompts that
    are merely close get the same group; where one of them was given a group, it is that one's, so that
    two given groups that hold close prompts become one.

    With `extends` they are added to those that are there, which stay as they are: in their places, groups and
    so splits. A new one that is close to prompts of two groups that are there is left out (`between_groups`),
    for it would make one of them. What is left out of a file that is read again is counted as the file is now.
    """
    like = likeness or Likeness()
    path = folder / "prompts.seen"
    committed = store.fact("seen") if extends else 0
    if not extends:
        path.unlink(missing_ok=True)
        store.clear_prompts()
    names = _Names(store, masks, extends=extends)
    there = store.prompt_groups() if extends else {}
    intake = _Intake(store, names, there)
    seen: Seen | None = None
    try:
        valid = intake.unknown(intake.valid(prompts, masks))
        while batch := list(islice(valid, _BATCH)):
            vectors = _vectors([each.prompt.scenario for each in batch], embedder)
            if seen is None:
                seen = Seen(
                    path,
                    dimensions=vectors.shape[1],
                    committed=committed,
                    threshold=like.duplicate,
                    embedding=embedder.name,
                )
            intake.add(seen, batch, vectors)
        if seen is not None:
            groups = intake.grouped(seen, like.related, committed, embedder)
            store.regroup(names.published(groups))
            store.relabel(names.labels())
            names.keep(groups, intake.given, there)
            store.keep_fact("seen", len(seen))
            seen.flush()
    finally:
        if seen is not None:
            seen.close()


@dataclass(frozen=True, slots=True)
class _Taken:
    """A prompt whose personal data is masked: what was found in it, and the group that it was given."""

    prompt: Prompt
    found: Counter[str]
    given: str | None
    """The hash of the group's name, None where the file gave none."""


class _Names:
    """What the groups and labels of a file are called in what is published: decided once for each in a build.

    A name that holds personal data, by itself or in any of its prompts, is not published. So groups are linked by
    the hashes of their names, which stay in the work file.
    """

    def __init__(self, store: Store, masks: "Masks | None", *, extends: bool) -> None:
        self._store = store
        self._masks = masks
        self._groups: dict[str, str | None] = {}
        """Names by their hashes, None for what is not published."""
        self._labels: dict[str, bool] = {}
        """Whether a label is published."""
        self._instead: dict[str, str] = (store.fact("labels") or {}) if extends else {}
        """What stands for a label that is not published, by its hash."""
        self.founders: dict[str, str] = (store.fact("founders") or {}) if extends else {}
        """One prompt of each given group, by the hash of its name."""
        self._personal: set[str] = set()
        """The names of groups that are not published; in memory alone."""

    def group(self, name: str, session: "Session | None") -> str:
        """Return the hash of a group's name, and look at it as it is met in a prompt."""
        key = _hash(name)
        if key not in self._groups:
            self._groups[key] = name if self._clean(name) else None
        if session is not None and _tells(name, session):
            self._groups[key] = None
        if self._groups[key] is None:
            self._personal.add(name)
        return key

    def label(self, name: str, session: "Session | None") -> str:
        """Return a label as no stand-in is called that was published, and look at it as it is met in a prompt."""
        while name in self._instead.values():
            name += "_"
        if name not in self._labels:
            self._labels[name] = _hash(name) not in self._instead and self._clean(name)
        if session is not None and _tells(name, session):
            self._labels[name] = False
        return name

    def published(self, groups: Mapping[str, str]) -> dict[str, str]:
        """Return prompts' groups by the names that are published: one's own, or the id of its first prompt."""
        first: dict[str, str] = {}
        for key, group in groups.items():
            first.setdefault(group, key)
        return {key: self._groups.get(group, group) or first[group] for key, group in groups.items()}

    def labels(self) -> dict[str, str]:
        """Return what stands for the labels that are not published: `label_1` and so on, if no label is called so."""
        taken = self._store.labels() | set(self._instead.values())
        free = filterfalse(taken.__contains__, map("label_{}".format, count(1)))
        found = {}
        for name, published in self._labels.items():
            if not published:
                if (key := _hash(name)) not in self._instead:
                    self._instead[key] = next(free)
                found[name] = self._instead[key]
        return found

    def keep(self, groups: Container[str], given: Mapping[str, str], there: Mapping[str, str]) -> None:
        """Keep what prompts that are added later go by, and where groups that are `there` begin whose names tell."""
        for key, group in given.items():
            if key in groups:
                self.founders.setdefault(group, key)
        self._store.keep_fact("founders", self.founders)
        self._store.keep_fact("labels", self._instead)
        # A group that has rows keeps its name, by which its split is drawn, whatever is found out about it now.
        first = {group: key for key, group in reversed([*there.items()]) if group in self._personal}
        if first:
            known = self._store.fact("personal_groups") or []
            self._store.keep_fact("personal_groups", sorted({*known, *first.values()}))

    def _clean(self, name: str) -> bool:
        return self._masks is None or not _tells(name, self._masks.session())


class _Intake:
    """The prompts of one reading, on their way into the store to those that are there."""

    def __init__(self, store: Store, names: _Names, there: Mapping[str, str]) -> None:
        self._store = store
        self._names = names
        self._there = there
        self._new: dict[str, str] = {}
        """The origins of the prompts that came in, by their ids."""
        self.given: dict[str, str] = {}
        """The hashes of the groups that they were given."""
        self._found: dict[str, Counter[str]] = {}
        self._repeats: dict[str, list[tuple[_Taken, Skipped]]] = {}
        """What repeats a prompt that is new itself, by its id; only where that may yet be left out."""

    def valid(self, prompts: Iterable[Prompt | Skipped], masks: "Masks | None") -> Iterator[_Taken]:
        """Yield what can be asked, masked, and count the rest."""
        files: set[str] = set()
        for prompt in prompts:
            if (file := file_of(prompt.origin)) not in files:
                files.add(file)
                self._store.forget_skipped(file)
            if isinstance(prompt, Skipped):
                self._store.skip(prompt)
            elif mark := template_mark(user_turn(prompt.scenario)):
                reason = f"holds {mark!r}, which a chat template would read as its own"
                self._store.skip(Skipped(origin=prompt.origin, kind="chat_template", reason=reason))
            else:
                yield _taken(prompt, masks, self._names)

    def unknown(self, prompts: Iterable[_Taken]) -> Iterator[_Taken]:
        """Yield what is not there yet, and count the rest as `read_prompts` does within one reading.

        What a file that is read again brought before is passed over without a count.
        """
        met: set[str] = set()
        for each in prompts:
            prompt = each.prompt
            asked = asked_of(prompt.scenario)
            known = self._known(prompt.id)
            if (other := known is not None and asked_of(known.scenario) != asked) or asked in self._there:
                prompt, known = by_what_is_asked(prompt), self._known(asked)
            if known is None:
                yield replace(each, prompt=prompt) if other else each
            elif prompt.id in met or file_of(known.origin) != file_of(prompt.origin):
                self._store.skip(Skipped(origin=prompt.origin, kind="duplicate", reason=_THERE))
            else:
                met.add(prompt.id)

    def _known(self, name: str) -> Prompt | None:
        return self._store.prompt(name) if name in self._there else None

    def add(self, seen: Seen, batch: Sequence[_Taken], vectors: Vectors) -> None:
        """Put those into the store that repeat nothing."""
        batch, vectors = self._of_their_own(batch, vectors)
        ids = [each.prompt.id for each in batch]
        for each, repeats in zip(batch, seen.add_many(ids, vectors), strict=True):
            prompt = each.prompt
            if repeats is not None:
                reason = f"as {repeats.key} (cosine {repeats.cosine:.3f})"
                skipped = Skipped(origin=prompt.origin, kind="near_duplicate", reason=reason)
                if self._there and repeats.key in self._new:
                    self._repeats.setdefault(repeats.key, []).append((each, skipped))
                else:
                    self._store.skip(skipped)
            else:
                self._store.add_prompt(prompt)
                self._new[prompt.id] = prompt.origin
                if each.given is not None:
                    self.given[prompt.id] = each.given
                if each.found:
                    self._found[prompt.id] = each.found

    def _of_their_own(self, batch: Sequence[_Taken], vectors: Vectors) -> tuple[list[_Taken], Vectors]:
        """Return those whose id no other has, with their vectors, and count the rest: once masked they ask the same."""
        ids: set[str] = set()
        places = []
        for place, each in enumerate(batch):
            if each.prompt.id in ids or each.prompt.id in self._new or each.prompt.id in self._there:
                self._store.skip(Skipped(origin=each.prompt.origin, kind="duplicate", reason=_THERE))
            else:
                ids.add(each.prompt.id)
                places.append(place)
        return [batch[place] for place in places], vectors[places]

    def grouped(self, seen: Seen, related: float, committed: int, embedder: Embedder) -> dict[str, str]:
        """Return the group of each prompt that came in, those that would link what is there left out again."""
        if self._there:
            groups = self._joined(seen, related, committed, embedder)
        else:
            groups = linked(list(seen.keys()), seen.related(related), given=self.given)
        for key, found in self._found.items():
            origin = self._new[key]
            for kind, number in found.items():
                self._store.count("masked in prompts", kind, origin, number, source=file_of(origin))
        return groups

    def _joined(self, seen: Seen, related: float, committed: int, embedder: Embedder) -> dict[str, str]:
        while True:
            near: dict[str, list[str]] = {}
            for earlier, later, _ in seen.related(related):
                near.setdefault(later, []).append(earlier)
            groups, between = _joined(
                self._new, near, there=self._there, given=self.given, founders=self._names.founders
            )
            again: list[_Taken] = []
            for key, labels in between.items():
                reason = f"would link the groups {' and '.join(labels)}, whose splits stand"
                self._store.skip(Skipped(origin=self._new.pop(key), kind="between_groups", reason=reason))
                self._store.remove_prompt(key)
                self._found.pop(key, None)
                self.given.pop(key, None)
                again += [each for each, _ in self._repeats.pop(key, ())]
            if between:
                seen.forget(between, after=committed)
            if not again:
                break
            for start in range(0, len(again), _BATCH):  # what they repeated is not there
                batch = again[start : start + _BATCH]
                self.add(seen, batch, _vectors([each.prompt.scenario for each in batch], embedder))
        for repeats in self._repeats.values():
            for _, skipped in repeats:
                self._store.skip(skipped)
        return groups


def _joined(
    new: Iterable[str],
    near: Mapping[str, Sequence[str]],
    *,
    there: Mapping[str, str],
    given: Mapping[str, str],
    founders: Mapping[str, str],
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the group of each new prompt, and those that would link groups that are there, with these.

    As `linked` does, but for groups that are there: none of them gets another name, and no two become one.
    `near` are the earlier prompts that a later one is close to; `founders` one prompt of each given group.
    """
    first = dict(founders)
    towards: dict[str, str] = {}
    """Of each new prompt one that is earlier in its bunch, of the earliest itself."""
    standing: dict[str, str] = {}
    """The group that is there of a bunch that belongs to one, by the earliest of the bunch."""
    places: dict[str, int] = {}
    between: dict[str, list[str]] = {}

    def top(key: str) -> str:
        while towards[key] != key:
            towards[key] = key = towards[towards[key]]
        return key

    for place, key in enumerate(new):
        close = [*near.get(key, ()), first.get(given.get(key, ""), "")]
        bunches = {top(other) for other in close if other in towards}
        fixed = {there[other] for other in close if other in there}
        fixed |= {standing[bunch] for bunch in bunches if bunch in standing}
        if len(fixed) > 1:
            between[key] = sorted(fixed)
            continue
        places[key] = place
        earliest = min(bunches, key=places.__getitem__, default=key)
        towards.update(dict.fromkeys((key, *bunches), earliest))
        if fixed:
            standing[earliest] = fixed.pop()
        if key in given:
            first.setdefault(given[key], key)
    called: dict[str, str] = {}
    for key, group in given.items():  # named as `linked` names it
        if key in towards:
            called.setdefault(top(key), group)
    groups = {key: standing.get(top(key)) or called.get(top(key), top(key)) for key in towards}
    return groups, between


def _taken(prompt: Prompt, masks: "Masks | None", names: _Names) -> _Taken:
    found: Counter[str] = Counter()
    session = None if masks is None else masks.session(prompt.scenario)
    told = prompt if session is None else _masked(prompt, session, found)
    label = None if prompt.label is None else names.label(prompt.label, session)
    given = names.group(prompt.group, session) if prompt.is_grouped else None
    return _Taken(told.model_copy(update={"group": told.id, "label": label}), found, given)


def _masked(prompt: Prompt, session: "Session", found: Counter[str]) -> Prompt:
    """Return the prompt without personal data, and count in `found` what there was of it."""

    def clean(text: str) -> str:
        done = session.mask(text)
        found.update(done.counts)
        return done.text

    scenario = prompt.scenario
    texts = [(clean(each.text), tuple(map(clean, each.reasons))) for each in scenario.options]
    update: dict[str, Any] = {
        name: None if (text := getattr(scenario, name)) is None else clean(text)
        for name in ("title", "question", "context", "choice_context")
    }
    keys = _keys(prompt, texts, session)
    update["options"] = tuple(
        Option(key=key, text=text, reasons=reasons) for key, (text, reasons) in zip(keys, texts, strict=True)
    )
    masked = scenario.model_copy(update=update)
    if prompt.id != asked_of(scenario) and not _tells(prompt.id, session):
        return prompt.model_copy(update={"scenario": masked})
    # An id that is made of the question would let whoever guesses the question see that it was asked.
    told = asked_of(masked)
    if told != prompt.id and scenario.name.startswith("prompt_"):
        masked = masked.model_copy(update={"name": f"prompt_{told}"})
    return prompt.model_copy(update={"id": told, "scenario": masked})


def _keys(prompt: Prompt, texts: Sequence[tuple[str, tuple[str, ...]]], session: "Session") -> list[str]:
    """Return the options' keys; in place of one that tells of somebody, or whose text did, stands its number."""
    options = prompt.scenario.options
    given = prompt.keys or [option.key for option in options]
    hidden = [
        text != (option.text, option.reasons) or _tells(key, session)
        for option, text, key in zip(options, texts, given, strict=True)
    ]
    left = {option.key for option, hide in zip(options, hidden, strict=True) if not hide}
    keys = []
    for number, (option, hide) in enumerate(zip(options, hidden, strict=True), start=1):
        key = f"option_{number}" if hide else option.key
        while hide and key in left:
            key += "_"
        keys.append(key)
    return keys


def _tells(name: str, session: "Session") -> bool:
    """Return whether a name that a user gave holds personal data, as it stands or with its words apart."""
    # A number is left in the name as it stands alone: with words apart, any would read as a telephone number.
    words = re.sub(r"[\W\d_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip()
    return any(session.mask(each).text != each for each in {name, words})


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()


def _vectors(scenarios: Sequence[Scenario], embedder: Embedder) -> Vectors:
    """Return a unit vector a scenario, shape (n, 2d): one half for what is asked, one for the facts that go with it.

    A long context would leave no room for the question in the embedding model, and questions about one text
    would all be alike. So what is asked (question, choice and options) is embedded by itself, and the context in
    pieces; a scenario without one has what is asked in both halves.
    """
    asked = [user_turn(s.model_copy(update={"context": None})) for s in scenarios]
    pieces = [textwrap.wrap(s.context or "", _PIECE) for s in scenarios]
    rows = embedder.embed([*asked, *(piece for each in pieces for piece in each)])
    questions, rest = rows[: len(asked)], iter(rows[len(asked) :])
    contexts = questions.copy()
    for place, each in enumerate(pieces):
        if each:
            mean = np.sum([next(rest) for _ in each], axis=0)
            contexts[place] = mean / (float(np.linalg.norm(mean)) or 1.0)
    vectors: Vectors = np.concatenate([questions, contexts], axis=1) / np.sqrt(2).astype(np.float32)
    return vectors
