"""What groups, labels and prompts are called in what is published: no name that tells of somebody."""

import hashlib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import count, filterfalse
from typing import TYPE_CHECKING

from multiplex.dataset.privacy.gazetteer import fold
from multiplex.dataset.prompts import asked_of, by_what_is_asked
from multiplex.dataset.store import Store

if TYPE_CHECKING:
    from multiplex.dataset.masking import Masks
    from multiplex.dataset.privacy import Session

__all__ = ["Names", "by_hash", "tells"]


class Names:
    """What the groups, labels and prompts of a file are called: decided once for each in a build.

    A name that holds personal data, by itself or in any of its prompts, is not published. So groups are linked by
    the hashes of their names, which stay in the work file. Which prompts a group has is known when all are read.
    """

    def __init__(self, store: Store, masks: "Masks | None", *, extends: bool) -> None:
        self._store = store
        self._masks = masks
        self._groups: dict[str, str | None] = {}
        """Names by their hashes, None for what is not published."""
        self._labels: dict[str, bool] = {}
        """Whether a label is published."""
        self._instead: dict[str, str] = (store.fact("labels") or {}) if extends else {}
        """What stands for a label that is not published, by its hash, folded."""
        self.founders: dict[str, str] = (store.fact("founders") or {}) if extends else {}
        """One prompt of each given group, by the hash of its name."""
        self._renamed: dict[str, str] = (store.fact("renamed") or {}) if extends else {}
        """The ids that stand for those that are not published, by the hashes of these."""
        self._telling: set[str] = set()
        """The ids that are found to tell of somebody whom another prompt of their group names; in memory alone."""
        self._personal: set[str] = set()
        """The names of groups that tell of somebody; in memory alone."""
        self._met: dict[str, tuple[str, ...]] = {}
        """Whom a prompt names, folded, by the prompt's id; in memory alone."""

    def group(self, name: str, session: "Session | None") -> str:
        """Return the hash of a group's name, and look at it as it is met in a prompt."""
        key = _hash(name)
        if key not in self._groups:
            self._groups[key] = name if self._clean(name) else None
        if session is not None and tells(name, session):
            self._groups[key] = None
        if self._groups[key] is None:
            self._personal.add(name)
        return key

    def label(self, name: str, session: "Session | None") -> str:
        """Return a label as no stand-in is called that was published, and look at it as it is met in a prompt."""
        while name in self._instead.values():
            name += "_"
        if name not in self._labels:
            self._labels[name] = _hash(fold(name)) not in self._instead and self._clean(name)
        if session is not None and tells(name, session):
            self._labels[name] = False
        return name

    def remember(self, key: str, names: Iterable[str]) -> None:
        """Remember whom a prompt that came in names, until it is known which group it is in."""
        if met := {*self._met.get(key, ()), *names}:
            self._met[key] = tuple(met)

    def called(self, key: str) -> str:
        """Return the id that a prompt has now."""
        return self._renamed.get(_hash(key), key) if self._renamed else key

    def published(self, groups: Mapping[str, str], there: Mapping[str, str]) -> dict[str, str]:
        """Return prompts' groups by the names that are published.

        These, and the prompts' labels and ids, are held against everybody whom any prompt of the group names. A
        group is called as it was given, else by the id of its first prompt, else by that of what this one asks: by
        the first of these that tells of nobody. Those that are `there` keep their names, and prompts their ids.
        """
        members: dict[str, list[str]] = {}
        for key, group in groups.items():
            members.setdefault(group, []).append(key)
        standing: dict[str, list[str]] = {}
        for key, group in there.items():
            if group in members:
                standing.setdefault(group, []).append(key)
        called = {}
        for group, keys in members.items():
            session = self._of_all((*keys, *standing.get(group, ())))
            if session is not None:
                self._look_at(keys, standing.get(group, ()), session)
            if group not in standing:
                called[group] = self._called(group, keys, session)
            elif session is not None and tells(group, session):
                self._personal.add(group)
        return {key: called.get(group, group) for key, group in groups.items()}

    def _of_all(self, keys: Iterable[str]) -> "Session | None":
        """Return what knows everybody whom these prompts name, None where they name nobody."""
        met = {name for key in keys for name in self._met.get(key, ())}
        if not met or self._masks is None:
            return None
        session = self._masks.session()
        session.remember(sorted(met))
        return session

    def _look_at(self, new: Sequence[str], there: Sequence[str], session: "Session") -> None:
        """Look at the labels of a group's prompts, and at the ids that the new ones were given."""
        if len(new) + len(there) == 1:
            return  # done as it was met
        self._telling.update(key for key in new if not by_hash(key) and tells(key, session))
        prompts = filter(None, map(self._store.prompt, (*new, *there)))
        labels = {prompt.label for prompt in prompts} - {None, *self._instead.values()}
        self._labels.update((label, False) for label in labels if label and tells(label, session))

    def _called(self, group: str, keys: Sequence[str], session: "Session | None") -> str:
        name, first = self._groups.get(group), keys[0]
        if name is not None and (session is None or not tells(name, session)):
            return name
        if first not in self._telling:
            return first
        prompt = self._store.prompt(first)
        return asked_of(prompt.scenario) if prompt else first

    def rename(self) -> None:
        """Give prompts whose ids tell of somebody, as far as `published` has found it, the id of what they ask."""
        for key in sorted(self._telling):
            if prompt := self._store.prompt(key):
                named = by_what_is_asked(prompt)
                self._store.rename(key, named.model_copy(update={"group": prompt.group}))
                self._renamed[_hash(key)] = named.id

    def labels(self) -> dict[str, str]:
        """Return what stands for the labels that are not published: `label_1` and so on, if no label is called so.

        Labels that differ in capitals or accents alone are published all or none, and have one stand-in.
        """
        there = self._store.labels()
        taken = there | set(self._instead.values())
        free = filterfalse(taken.__contains__, map("label_{}".format, count(1)))
        hidden = {fold(name) for name, published in self._labels.items() if not published}
        found = {}
        for name in dict.fromkeys((*self._labels, *sorted(there - set(self._instead.values())))):
            if (folded := fold(name)) in hidden:
                if (key := _hash(folded)) not in self._instead:
                    self._instead[key] = next(free)
                found[name] = self._instead[key]
        return found

    def keep(self, groups: Container[str], given: Mapping[str, str], there: Mapping[str, str]) -> None:
        """Keep what prompts that are added later go by, and where groups that are `there` begin whose names tell."""
        for key, group in given.items():
            if key in groups:
                self.founders.setdefault(group, key)
        self._store.keep_fact("founders", {group: self.called(key) for group, key in self.founders.items()})
        self._store.keep_fact("labels", self._instead)
        self._store.keep_fact("renamed", self._renamed)
        # A group that has rows keeps its name, by which its split is drawn, whatever is found out about it now.
        first = {group: key for key, group in reversed([*there.items()]) if group in self._personal}
        if first:
            known = self._store.fact("personal_groups") or []
            self._store.keep_fact("personal_groups", sorted({*known, *first.values()}))

    def _clean(self, name: str) -> bool:
        return self._masks is None or not tells(name, self._masks.session())


def tells(name: str, session: "Session") -> bool:
    """Return whether a name that a user gave holds personal data, as it stands or with its words apart.

    So it does where it is made of words of somebody's name alone, whatever else these mean. The session is shown
    the name in both forms in any case, for what it learns from the one decides about other names.
    """
    # A number is left in the name as it stands alone: with words apart, any would read as a telephone number.
    words = re.sub(r"[\W\d_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip()
    masked = [session.mask(each).text for each in (name, words)] != [name, words]
    own = fold(words).split()
    # Whoever the words may be of has one of them in the name; of many people most need no closer look.
    return masked or any(
        _is_of(own, person) for person in session.names if any(word in person for word in own)
    )


def _is_of(words: Sequence[str], person: str) -> bool:
    """Return whether words, folded, hold a person's name as a whole, or are nothing but parts of it."""
    own = {word for word in words if len(word) > 1}
    whole = re.sub(r"\W+", " ", person).split()
    held = len(whole) > 1 and f" {' '.join(whole)} " in f" {' '.join(words)} "
    return held or (bool(own) and own <= {*whole})


def by_hash(key: str) -> bool:
    """Return whether an id is the hash of what its prompt asks; no id of a file's own is called so."""
    return bool(re.fullmatch("[0-9a-f]{16}", key))


def _hash(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
