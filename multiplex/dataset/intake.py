"""Prompts into the work file: masked, near-duplicates left out, and in groups that stay in one split."""

import hashlib
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from multiplex.content.scenarios import Option, Scenario
from multiplex.dataset.material import user_turn
from multiplex.dataset.prompts import Prompt, Skipped, prompt_id
from multiplex.dataset.quality import template_mark
from multiplex.dataset.similarity import DUPLICATE, RELATED, Seen, linked
from multiplex.dataset.store import Store
from multiplex.embedding import Embedder, Vectors
from multiplex.errors import ContentError

if TYPE_CHECKING:
    from multiplex.dataset.masking import Masks
    from multiplex.dataset.privacy import Session

__all__ = ["Likeness", "take_in"]

_BATCH = 256

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
    near-duplicates by the embeddings of question and context; of several the first stays. Prompts that
    are merely close get the same group; where one of them was given a group, it is that one's, so that
    two given groups that hold close prompts become one.

    With `extends` they are added to those that are there, which stay as they are: in their places, groups and
    so splits. A new one that is close to prompts of two groups that are there is left out (`between_groups`),
    for it would make one of them.

    Raises:
        ContentError: what is there was begun by a version that kept too little to extend it.
    """
    like = likeness or Likeness()
    path = folder / "prompts.seen"
    there = store.prompt_groups() if extends else {}
    founders: dict[str, str] = (store.fact("founders") or {}) if extends else {}
    committed = store.fact("seen") if extends else 0
    if committed is None:
        raise ContentError(
            f"{folder.parent}: was begun by an earlier version, which kept too little to extend it; "
            "build all prompts into another folder with --out"
        )
    if not extends:
        path.unlink(missing_ok=True)
        store.clear_prompts()
    seen: Seen | None = None
    given: dict[str, str] = {}
    new: dict[str, str] = {}
    try:
        valid = _unknown(store, _valid(store, prompts, masks), there)
        while batch := list(islice(valid, _BATCH)):
            vectors = _vectors([prompt.scenario for prompt in batch], embedder)
            if seen is None:
                seen = Seen(
                    path,
                    dimensions=vectors.shape[1],
                    committed=committed,
                    threshold=like.duplicate,
                    embedding=embedder.name,
                )
            ids = [prompt.id for prompt in batch]
            for prompt, repeats in zip(batch, seen.add_many(ids, vectors), strict=True):
                if repeats is not None:
                    reason = f"as {repeats.key} (cosine {repeats.cosine:.3f})"
                    store.skip(Skipped(origin=prompt.origin, kind="near_duplicate", reason=reason))
                elif not store.add_prompt(prompt):
                    reason = f"the id {prompt.id} stands twice"
                    store.skip(Skipped(origin=prompt.origin, kind="duplicate_id", reason=reason))
                else:
                    new[prompt.id] = prompt.origin
                    if prompt.group != prompt.id:
                        given[prompt.id] = prompt.group
        if seen is not None:
            if there:
                near: dict[str, list[str]] = {}
                for earlier, later, _ in seen.related(like.related):
                    near.setdefault(later, []).append(earlier)
                groups, between = _joined(new, near, there=there, given=given, founders=founders)
                for key, labels in between.items():
                    reason = f"would link the groups {' and '.join(labels)}, whose splits stand"
                    store.skip(Skipped(origin=new[key], kind="between_groups", reason=reason))
                    store.remove_prompt(key)
            else:
                groups = linked(list(seen.keys()), seen.related(like.related), given=given)
            store.regroup(groups)
            for key, group in given.items():
                if key in groups:
                    founders.setdefault(group, key)
            store.keep_fact("founders", founders)
            store.keep_fact("seen", len(seen))
            seen.flush()
    finally:
        if seen is not None:
            seen.close()


def _unknown(store: Store, prompts: Iterable[Prompt], there: Container[str]) -> Iterator[Prompt]:
    """Yield the prompts that are not there yet, and count the others as `read_prompts` does within one reading."""
    for prompt in prompts:
        known = store.prompt(prompt.id) if prompt.id in there else None
        if known is None:
            yield prompt
        elif _asked(known) == _asked(prompt):
            store.skip(
                Skipped(origin=prompt.origin, kind="duplicate", reason="the same prompt is there already")
            )
        else:
            reason = f"the id {prompt.id!r} is there already, with another text"
            store.skip(Skipped(origin=prompt.origin, kind="duplicate_id", reason=reason))


def _asked(prompt: Prompt) -> str:
    return prompt_id(prompt.scenario.question, prompt.scenario.context, prompt.scenario.options)


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
    standing = set(there.values())
    groups = dict(there)
    first = dict(founders)
    members: dict[str, list[str]] = {}
    between: dict[str, list[str]] = {}
    for key in new:
        close = [groups[other] for other in near.get(key, ()) if other in groups]
        if (founder := first.get(given.get(key, ""))) in groups:
            close.append(groups[founder])
        fixed = sorted(standing.intersection(close))
        if len(fixed) > 1:
            between[key] = fixed
            continue
        loose = [label for label in dict.fromkeys(close) if label not in standing]
        label = fixed[0] if fixed else min(loose, key=list(members).index, default=key)
        bunch = members.setdefault(label, [])
        for other in loose:
            if other != label:
                bunch += members.pop(other)
        bunch.append(key)
        groups.update(dict.fromkeys(bunch, label))
        if key in given:
            first.setdefault(given[key], key)
    for label, bunch in members.items():
        if label not in standing:  # named as `linked` names it
            order = [key for key in given if groups.get(key) == label]
            groups.update(dict.fromkeys(bunch, given[order[0]] if order else label))
    return {key: group for key, group in groups.items() if key not in there}, between


def _valid(store: Store, prompts: Iterable[Prompt | Skipped], masks: "Masks | None") -> Iterator[Prompt]:
    called: dict[str, str] = {}
    for prompt in prompts:
        if isinstance(prompt, Skipped):
            store.skip(prompt)
        elif mark := template_mark(user_turn(prompt.scenario)):
            reason = f"holds {mark!r}, which a chat template would read as its own"
            store.skip(Skipped(origin=prompt.origin, kind="chat_template", reason=reason))
        else:
            if masks is not None:
                session = masks.session(prompt.scenario)
                prompt = _masked(store, _from(prompt, masks, called), session)
            yield prompt


def _from(prompt: Prompt, masks: "Masks", called: dict[str, str]) -> Prompt:
    """Return the prompt with its file's name masked: it may be named for somebody. Files are masked once."""
    file = re.sub(r":\d+$", "", prompt.origin)
    if file not in called:
        called[file] = masks.session().mask(file).text
    return prompt.model_copy(update={"origin": called[file] + prompt.origin.removeprefix(file)})


def _masked(store: Store, prompt: Prompt, session: "Session") -> Prompt:
    found: Counter[str] = Counter()

    def clean(text: str | None) -> str | None:
        if text is None:
            return None
        done = session.mask(text)
        found.update(done.counts)
        return done.text

    scenario = prompt.scenario
    options = [
        Option(key=o.key, text=clean(o.text) or "", reasons=tuple(clean(r) or "" for r in o.reasons))
        for o in scenario.options
    ]
    update = {
        "title": clean(scenario.title),
        "question": clean(scenario.question),
        "context": clean(scenario.context),
        "choice_context": clean(scenario.choice_context),
        "options": tuple(options),
    }
    masked = scenario.model_copy(update=update)
    label = clean(prompt.label)
    # An id that is made of the question would let whoever guesses the question see that it was asked.
    made = prompt.id == prompt_id(scenario.question, scenario.context, scenario.options)
    told = prompt_id(masked.question, masked.context, masked.options) if made else _hidden(prompt.id, clean)
    group = told if prompt.group == prompt.id else _hidden(prompt.group, clean)
    for kind, number in found.items():
        store.count("masked in prompts", kind, prompt.origin, number)
    if not found:
        return prompt
    if scenario.name == f"prompt_{prompt.id}":
        masked = masked.model_copy(update={"name": f"prompt_{told}"})
    return prompt.model_copy(update={"id": told, "group": group, "scenario": masked, "label": label})


def _hidden(name: str, clean: Callable[[str | None], str | None]) -> str:
    """Return a name that a user gave, or its hash where it holds personal data."""
    return name if clean(name) == name else hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]


def _vectors(scenarios: Sequence[Scenario], embedder: Embedder) -> Vectors:
    """Return a unit vector a scenario, shape (n, 2d): one half for what is asked, one for the facts that go with it.

    A long context would leave no room for the question in the embedding model, and questions about one text
    would all be alike. So the question with its options is embedded by itself, and the context in pieces; a
    scenario without one has its question in both halves.
    """
    asked = ["\n".join((s.question, *(option.text for option in s.options))) for s in scenarios]
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
