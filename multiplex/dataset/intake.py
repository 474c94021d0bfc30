"""Prompts into the work file: masked, near-duplicates left out, and in groups that stay in one split."""

import textwrap
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from multiplex.content.scenarios import Option, Scenario
from multiplex.dataset.material import user_turn
from multiplex.dataset.naming import Names, by_hash, tells
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
    near-duplicates by the embeddings of what is asked and of its context; of several the first stays, and is of the
    groups that any of them was given. Prompts that are merely close get the same group; where one of them was given
    a group, it is that one's, so that two given groups that hold close prompts, or the same, become one.

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
    names = Names(store, masks, extends=extends)
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
            store.regroup(names.published(groups, there))
            names.rename()
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
    given: tuple[str, ...]
    """The hashes of the names of its groups, none where the file gave none."""
    names: frozenset[str] = frozenset()
    """Whom it names, folded; in memory alone."""
    is_again: bool = False
    """Whether it came before, is counted, and only brings its group."""


class _Intake:
    """The prompts of one reading, on their way into the store to those that are there."""

    def __init__(self, store: Store, names: Names, there: Mapping[str, str]) -> None:
        self._store = store
        self._names = names
        self._there = there
        self._new: dict[str, str] = {}
        """The origins of the prompts that came in, by their ids."""
        self.given: dict[str, str] = {}
        """The hashes of the groups that they were given, of each the first."""
        self._also: dict[str, dict[str, None]] = {}
        """The hashes of the other groups that they are of, for what repeats them was given these."""
        self._found: dict[str, Counter[str]] = {}
        self._repeats: dict[str, list[tuple[_Taken, Skipped]]] = {}
        """What repeats a prompt that is new itself, by its id; only where that may yet be left out."""

    def valid(self, prompts: Iterable[Prompt | Skipped], masks: "Masks | None") -> Iterator[_Taken]:
        """Yield what can be asked, masked, and count the rest."""
        files: set[str] = set()
        for prompt in prompts:
            file = prompt.source if isinstance(prompt, Skipped) else file_of(prompt.origin)
            if file not in files:
                files.add(file)
                self._store.forget_skipped(file)
            if isinstance(prompt, Skipped):
                self._store.skip(prompt)
                if prompt.again is not None and not template_mark(user_turn(prompt.again.scenario)):
                    yield replace(_taken(prompt.again, masks, self._names), is_again=True)
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
                continue
            self._give(known.id, each.given)
            self._names.remember(known.id, each.names)
            if each.is_again:
                continue
            if prompt.id in met or file_of(known.origin) != file_of(prompt.origin):
                self._store.skip(Skipped(origin=prompt.origin, kind="duplicate", reason=_THERE))
            else:
                met.add(prompt.id)

    def _known(self, name: str) -> Prompt | None:
        called = self._names.called(name)
        return self._store.prompt(called) if called in self._there else None

    def add(self, seen: Seen, batch: Sequence[_Taken], vectors: Vectors) -> None:
        """Put those into the store that repeat nothing, and give those that stay the groups of what repeats them."""
        own = self._of_their_own(batch)
        nearest = dict(
            zip(own, seen.add_many([batch[place].prompt.id for place in own], vectors[own]), strict=True)
        )
        stays: dict[str, str] = {}
        for place, each in enumerate(batch):
            key = each.prompt.id
            if place not in nearest:  # once masked it asks the same as another
                if not each.is_again:
                    self._store.skip(Skipped(origin=each.prompt.origin, kind="duplicate", reason=_THERE))
            elif (repeats := nearest[place]) is not None:
                stays[key] = self._names.called(repeats.key)
                if not each.is_again:
                    self._count_near(each, stays[key], repeats.cosine)
            else:
                self._store.add_prompt(each.prompt)
                self._new[key] = each.prompt.origin
                if each.found:
                    self._found[key] = each.found
            if key in self._new:
                self._names.remember(key, each.names)
            self._give(stays.get(key, key), each.given)

    def _count_near(self, each: _Taken, stays: str, cosine: float) -> None:
        # An id of its own may yet be found to tell of somebody; where it stands tells of nobody.
        there = self._store.prompt(stays) if not by_hash(stays) else None
        reason = f"as {there.origin if there else stays} (cosine {cosine:.3f})"
        skipped = Skipped(origin=each.prompt.origin, kind="near_duplicate", reason=reason)
        if self._there and stays in self._new:
            self._repeats.setdefault(stays, []).append((each, skipped))
        else:
            self._store.skip(skipped)

    def _give(self, key: str, groups: Iterable[str]) -> None:
        """Let a prompt that stays be of these groups too; where it is published, they are of its group."""
        for group in groups:
            if key in self._there:
                self._names.founders.setdefault(group, key)
            elif self.given.setdefault(key, group) != group:
                self._also.setdefault(key, {})[group] = None

    def _of_their_own(self, batch: Sequence[_Taken]) -> list[int]:
        """Return the places of those whose id no other has."""
        places: dict[str, int] = {}
        for place, each in enumerate(batch):
            if each.prompt.id not in self._new and each.prompt.id not in self._there:
                places.setdefault(each.prompt.id, place)
        return list(places.values())

    def grouped(self, seen: Seen, related: float, committed: int, embedder: Embedder) -> dict[str, str]:
        """Return the group of each prompt that came in, those that would link what is there left out again."""
        if self._there:
            groups = self._joined(seen, related, committed, embedder)
        else:
            pairs = chain(seen.related(related), self._of_one_group())
            groups = linked(list(seen.keys()), pairs, given=self.given)
        for key, also in self._also.items():
            for group in also:
                self._names.founders.setdefault(group, key)
        for key, found in self._found.items():
            origin = self._new[key]
            for kind, number in found.items():
                self._store.count("masked in prompts", kind, origin, number, source=file_of(origin))
        return groups

    def _of_one_group(self) -> Iterator[tuple[str, str, float]]:
        """Yield pairs of prompts that are in one group by what repeats them."""
        one = {group: key for key, group in self.given.items()}
        for key, also in self._also.items():
            for group in also:
                yield one.setdefault(group, key), key, 1.0

    def _close(self, seen: Seen, related: float) -> Iterator[tuple[str, str, float]]:
        """Yield pairs of prompts that are close, by the ids that they have now."""
        for earlier, later, cosine in seen.related(related):
            yield self._names.called(earlier), later, cosine

    def _joined(self, seen: Seen, related: float, committed: int, embedder: Embedder) -> dict[str, str]:
        while True:
            groups, between = _joined(
                self._new,
                _near(self._close(seen, related), self._new, self._there),
                there=self._there,
                given=self.given,
                also=self._also,
                founders=self._names.founders,
            )
            again: list[_Taken] = []
            for key, labels in between.items():
                reason = f"would link the groups {' and '.join(labels)}, whose splits stand"
                self._store.skip(Skipped(origin=self._new.pop(key), kind="between_groups", reason=reason))
                self._store.remove_prompt(key)
                self._found.pop(key, None)
                given = (self.given.pop(key), *self._also.pop(key, ())) if key in self.given else ()
                again += [replace(each, given=given) for each, _ in self._repeats.pop(key, ())]
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


def _near(
    pairs: Iterable[tuple[str, str, float]], new: Container[str], there: Mapping[str, str]
) -> dict[str, set[str]]:
    """Return the earlier prompts that each new one is close to; of those that are there, one of each group."""
    one_of = {group: key for key, group in there.items()}
    near: dict[str, set[str]] = {}
    for earlier, later, _ in pairs:
        if later in new:
            near.setdefault(later, set()).add(one_of[there[earlier]] if earlier in there else earlier)
    return near


def _joined(
    new: Iterable[str],
    near: Mapping[str, Iterable[str]],
    *,
    there: Mapping[str, str],
    given: Mapping[str, str],
    founders: Mapping[str, str],
    also: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the group of each new prompt, and those that would link groups that are there, with these.

    As `linked` does, but for groups that are there: none of them gets another name, and no two become one.
    `near` are the earlier prompts that a later one is close to; `founders` one prompt of each given group; `also`
    the groups that prompts are of beside those that they were given.
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
        own = (given[key], *also.get(key, ())) if key in given else ()
        close = [*near.get(key, ()), *(first[group] for group in own if group in first)]
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
        for group in own:
            first.setdefault(group, key)
    called: dict[str, str] = {}
    for key in places:  # named as `linked` names it
        if key in given:
            called.setdefault(top(key), given[key])
    groups = {key: standing.get(top(key)) or called.get(top(key), top(key)) for key in towards}
    return groups, between


def _taken(prompt: Prompt, masks: "Masks | None", names: Names) -> _Taken:
    found: Counter[str] = Counter()
    session = None if masks is None else masks.session(prompt.scenario)
    told = prompt if session is None else _masked(prompt, session, found)
    label = None if prompt.label is None else names.label(prompt.label, session)
    given = (names.group(prompt.group, session),) if prompt.is_grouped else ()
    met = frozenset[str]() if session is None else session.names
    return _Taken(told.model_copy(update={"group": told.id, "label": label}), found, given, met)


def _masked(prompt: Prompt, session: "Session", found: Counter[str]) -> Prompt:
    """Return the prompt without personal data, and count in `found` what there was of it."""
    scenario = prompt.scenario
    given = [*_texts(scenario)]
    told_of = dict(zip(given, session.mask_all(given), strict=True))

    def clean(text: str) -> str:
        done = told_of[text]
        found.update(done.counts)
        return done.text

    texts = [(clean(each.text), tuple(map(clean, each.reasons))) for each in scenario.options]
    update: dict[str, Any] = {
        name: (text := getattr(scenario, name)) and clean(text)
        for name in ("title", "question", "context", "choice_context")
    }
    keys = _keys(prompt, texts, session)
    update["options"] = tuple(
        Option(key=key, text=text, reasons=reasons) for key, (text, reasons) in zip(keys, texts, strict=True)
    )
    masked = scenario.model_copy(update=update)
    if prompt.id != asked_of(scenario) and not tells(prompt.id, session):
        return prompt.model_copy(update={"scenario": masked})
    # An id that is made of the question would let whoever guesses the question see that it was asked.
    told = asked_of(masked)
    if told != prompt.id and scenario.name.startswith("prompt_"):
        masked = masked.model_copy(update={"name": f"prompt_{told}"})
    return prompt.model_copy(update={"id": told, "scenario": masked})


def _texts(scenario: Scenario) -> Iterator[str]:
    """Yield a scenario's texts in the order in which they are shown, and its title."""
    yield from filter(None, (scenario.context, scenario.question, scenario.choice_context))
    for option in scenario.options:
        yield option.text
        yield from option.reasons
    if scenario.title:
        yield scenario.title


def _keys(prompt: Prompt, texts: Sequence[tuple[str, tuple[str, ...]]], session: "Session") -> list[str]:
    """Return the options' keys; in place of one that tells of somebody, or whose text did, stands its number."""
    options = prompt.scenario.options
    given = prompt.keys or [option.key for option in options]
    hidden = [
        text != (option.text, option.reasons) or tells(key, session)
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
