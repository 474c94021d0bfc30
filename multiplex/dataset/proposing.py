"""Prompts that nobody has written: a diversity agent asked, cell by cell, for questions that divide the panel.

A cell is a topic and a choice context. The contexts of a topic are clusters of what the panel's commitments
on it attend to (their policies, as embeddings), each named by the policy in its middle. A cell is asked with
pairs of commitments of different personas: both attend to something near to the context and to each other,
and their statements lie apart. That is as far as embeddings go: they do not know a contradiction.
"""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from multiplex.acts import Held, Performed, ProposeQuestions, Questions, Responder, Tension
from multiplex.background import in_background
from multiplex.content.panels import Panel
from multiplex.content.scenarios import Scenario
from multiplex.content.topics import TOPICS, Topic
from multiplex.dataset.coverage import clusters_of
from multiplex.dataset.prompts import Prompt, Skipped, prompt_of
from multiplex.dataset.rows import BadRow
from multiplex.embedding import Vectors
from multiplex.errors import ContentError, ModelError, near_miss
from multiplex.responders.extractive.wording import attention, fitted
from multiplex.responders.relevance import wording
from multiplex.seeds import derive_seed

__all__ = ["divisive", "propose_prompts"]

Embed = Callable[[Sequence[str]], Vectors]

_SAME = 0.9
"""The cosine from which a question counts as one that has been asked."""

_CONTEXTS, _PAIRS = 8, 60
"""How many choice contexts a topic has, and how many pairs of commitments a context, at the most."""

_EACH, _AT_ONCE = 3, 16
"""How many questions are asked for in one request, and how many requests make a round, at the most."""

_ON_TOPIC = 0.4
"""The share of the policies of a topic's commitments that contexts are made of: those that bear on it most."""

_BEARING = 3.0
"""What it weighs that a pair of commitments bears on the context, against how far the two lie apart."""

_BARREN = 3
"""How many rounds in a row may bring nothing new."""

_SHOWN = 6
"""How many of the questions asked already a request shows: the nearest to its context."""


async def propose_prompts(
    n: int,
    *,
    panel: Panel,
    responder: Responder,
    embed: Embed,
    seed: int,
    topics: Sequence[str] | None = None,
) -> AsyncIterator[Prompt | Skipped]:
    """Yield `n` new prompts on topics that divide the panel, or as many as can be found.

    The cells that are covered least are asked first, up to 16 at a time; a question at a cosine of 0.9 or
    more to one that is kept is skipped, as is a request that failed. The same seed, panel and answers give
    the same prompts. Prompts of one cell share a group. After three rounds in a row without anything new, the
    last thing to come is a `Skipped` of kind `exhausted` that says how many there are, and why.

    Raises:
        ContentError: `n` is below 1, a topic is unknown, or no topic has two personas with a word on it.
        ModelError: not one question could be had.
    """
    if n < 1:
        raise ContentError(f"generate: {n} prompts cannot be proposed; ask for 1 or more")
    cells = await in_background(_cells, divisive(panel, topics), embed, seed)
    kept = _Kept()
    each = min(_EACH, math.ceil(n / len(cells)))
    found = barren = requests = 0
    skipped: Counter[str] = Counter()
    last = ""
    while found < n and barren < _BARREN:
        before = found
        wanted = math.ceil((n - found) / each) * 4**barren  # wider, where the last round brought nothing
        acts = _round(cells, kept, min(_AT_ONCE, wanted), each)
        asked = [
            responder.perform(act, seed=derive_seed(seed, act.name, requests + place))
            for place, (_, act) in enumerate(acts)
        ]
        requests += len(acts)
        answers = await asyncio.gather(*asked)
        entries = [
            (cell, entry)
            for (cell, _), performed in zip(acts, answers, strict=True)
            for entry in _entries(performed, cell)
        ]
        vectors = await in_background(embed, [_question(entry) for _, entry in entries])
        for (cell, entry), vector in zip(entries, vectors, strict=True):
            if found == n:
                break
            if isinstance(entry, Prompt) and kept.has(vector):
                reason = "is nearly a question that was kept before"
                entry = Skipped(origin="generated", kind="near_duplicate", reason=reason)
            if isinstance(entry, Prompt):
                kept.keep(entry.scenario.question, vector)
                cell.found += 1
                found += 1
            else:
                skipped[entry.kind] += 1
                last = entry.reason
            yield entry
        if failed := [performed.failure.reason for performed in answers if performed.failure is not None]:
            last = failed[-1]  # for who generates alone: it may quote an endpoint
        barren = 0 if found > before else barren + 1
    if not found:
        raise ModelError(f"generate: none of {requests} requests brought a question; the last: {last}")
    if found < n:
        why = ", ".join(f"{count} {kind}" for kind, count in skipped.most_common())
        reason = f"{n} prompts were asked for and {found} found: {barren} rounds in a row brought nothing new ({why})"
        yield Skipped(origin="generated", kind="exhausted", reason=reason)


def divisive(panel: Panel, topics: Sequence[str] | None) -> dict[Topic, list[tuple[str, Held]]]:
    """Return which of these topics (None: all) personas of different perspectives have a word on, with who holds what.

    Raises:
        ContentError: a topic is unknown, or there is none of these on which two have a word.
    """
    for topic in topics or ():
        if topic not in TOPICS:
            raise ContentError(f"no topic named {topic!r}; {near_miss(topic, TOPICS)}")
    chosen = [topic for topic in TOPICS if topics is None or topic in topics]
    found = {
        topic: [
            (persona.perspective, Held(label=persona.label, commitment=c))
            for persona in panel.personas
            for c in persona.commitments
            if topic in c.topics
        ]
        for topic in chosen
    }
    if found := {
        topic: held for topic, held in found.items() if len({perspective for perspective, _ in held}) > 1
    }:
        return found
    raise ContentError(
        f"generate: no two personas of the panel have commitments on {', '.join(chosen) or 'any topic'}; "
        "seat others, or name other topics"
    )


@dataclass(slots=True)
class _Cell:
    """A topic and a choice context, the pairs to ask it with, and what has come of it so far."""

    topic: Topic
    context: str
    group: str
    vector: NDArray[np.float32]
    tensions: tuple[Tension, ...]
    asked: int = 0
    found: int = 0

    @property
    def covered(self) -> int:
        """Return how far it is covered; one that brings nothing is not asked for ever."""
        return max(self.asked, self.found)


class _Kept:
    """The questions that are kept, and their vectors in an array that doubles as it fills."""

    def __init__(self) -> None:
        self._questions: list[str] = []
        self._vectors = np.zeros((0, 0), dtype=np.float32)

    def keep(self, question: str, vector: NDArray[np.float32]) -> None:
        count = len(self._questions)
        if count == len(self._vectors):
            grown = np.zeros((max(64, 2 * count), len(vector)), dtype=np.float32)
            grown[:count] = self._vectors[:count] if count else 0
            self._vectors = grown
        self._vectors[count] = vector
        self._questions.append(question)

    def has(self, vector: NDArray[np.float32]) -> bool:
        """Return whether a question is kept that this one is nearly."""
        if not self._questions:
            return False
        return bool((self._vectors[: len(self._questions)] @ vector).max() >= _SAME)

    def around(self, vector: NDArray[np.float32], count: int) -> tuple[str, ...]:
        """Return the kept questions that lie nearest."""
        if not self._questions:
            return ()
        cosines = self._vectors[: len(self._questions)] @ vector
        return tuple(self._questions[i] for i in np.argsort(-cosines, kind="stable")[:count])


def _round(cells: list[_Cell], kept: _Kept, most: int, each: int) -> list[tuple[_Cell, ProposeQuestions]]:
    """Return what to ask of the cells covered least, topics evenly; the next pairs of each come in turn."""
    by_topic: Counter[str] = Counter()
    for cell in cells:
        by_topic[cell.topic] += cell.covered
    acts = []
    for cell in _least_covered(cells, by_topic, most):
        start = cell.asked * each
        pairs = cell.tensions
        acts.append(
            (
                cell,
                ProposeQuestions(
                    scenario=Scenario(
                        name="proposing",
                        question="Which questions would people who all mean well answer differently here?",
                        choice_context=cell.context,
                        domain=cell.topic,
                    ),
                    topic=cell.topic,
                    tensions=tuple(pairs[(start + i) % len(pairs)] for i in range(min(each, len(pairs)))),
                    count=each,
                    asked=kept.around(cell.vector, _SHOWN),
                ),
            )
        )
        cell.asked += 1
    return acts


def _least_covered(cells: list[_Cell], by_topic: Counter[str], most: int) -> list[_Cell]:
    """Return up to so many cells, the least covered of the least covered topic first, each of them once."""
    left = list(cells)
    chosen: list[_Cell] = []
    while left and len(chosen) < most:
        cell = min(
            left, key=lambda c: (by_topic[c.topic], c.covered)
        )  # the first of equals: cells are shuffled
        left.remove(cell)
        chosen.append(cell)
        by_topic[cell.topic] += 1
    return chosen


def _entries(performed: Performed[Questions], cell: _Cell) -> list[Prompt | Skipped]:
    """Return the prompts that an answer holds, or that there is none."""
    if performed.reply is None:
        reason = performed.failure.kind if performed.failure else "there was no reply"
        return [Skipped(origin="generated", kind="not_generated", reason=reason)]
    found: list[Prompt | Skipped] = []
    for each in performed.reply.questions:
        row = {
            "question": each.question,
            "choice_context": each.choice_context,
            "domain": cell.topic,
            "options": list(each.options),
            "group": cell.group,
        }
        try:
            found.append(prompt_of(row, origin="generated"))
        except BadRow as bad:
            found.append(Skipped(origin="generated", kind=bad.kind, reason=str(bad)))
    return found


def _question(entry: Prompt | Skipped) -> str:
    return entry.scenario.question if isinstance(entry, Prompt) else ""


# --- cells -------------------------------------------------------------------------------------


def _cells(held_on: Mapping[Topic, Sequence[tuple[str, Held]]], embed: Embed, seed: int) -> list[_Cell]:
    cells = [cell for topic, held in held_on.items() for cell in _cells_of(topic, held, embed, seed)]
    order = np.random.default_rng(derive_seed(seed, "cells")).permutation(len(cells))
    return [cells[i] for i in order]


def _cells_of(topic: Topic, held: Sequence[tuple[str, Held]], embed: Embed, seed: int) -> list[_Cell]:
    """Return the cells of one topic: clusters of the policies that bear on it most."""
    policies = [policy for _, each in held for policy in each.commitment.attends_to]
    starts = np.cumsum([0, *(len(each.commitment.attends_to) for _, each in held[:-1])])
    vectors = embed(policies)
    statements = embed([wording(each.commitment) for _, each in held])
    named = embed([each.replace("_", " ") for each in TOPICS])
    to_topics = vectors @ named.T
    to_topic = to_topics[:, TOPICS.index(topic)] - to_topics.mean(axis=1)  # nearer to this topic than to any
    bearing = np.flatnonzero(to_topic >= np.quantile(to_topic, 1 - _ON_TOPIC))
    # How near the nearest policies of two commitments are, and how far apart what the two say.
    noticed = np.maximum.reduceat(np.maximum.reduceat(vectors @ vectors.T, starts, axis=0), starts, axis=1)
    apart = noticed - statements @ statements.T
    count = max(1, min(_CONTEXTS, len(bearing) // 4))
    cells = []
    found = clusters_of(vectors[bearing], count, derive_seed(seed, "contexts", topic))
    for number, (_, middle) in enumerate(found, start=1):
        vector = vectors[bearing[middle]]
        near = np.maximum.reduceat(vectors @ vector, starts)
        cells.append(
            _Cell(
                topic=topic,
                context=fitted(f"dealing with {attention(policies[bearing[middle]])}", 300),
                group=f"generated_{topic}_{number}",
                vector=vector,
                tensions=_tensions(held, near, apart),
            )
        )
    return cells


def _tensions(
    held: Sequence[tuple[str, Held]], near: NDArray[np.float32], apart: NDArray[np.float32]
) -> tuple[Tension, ...]:
    """Return the pairs that bear on a context most and lie apart most, no commitment in more than a few."""
    pairs = [
        (round(_BEARING * float(min(near[i], near[j])) + float(apart[i, j]), 6), i, j)
        for i, j in combinations(range(len(held)), 2)
        if held[i][0] != held[j][0]
    ]
    used: Counter[int] = Counter()
    found: list[Tension] = []
    for _, i, j in sorted(pairs, key=lambda pair: (-pair[0], pair[1:])):
        if max(used[i], used[j]) < 1 + len(found) // 8 and len(found) < _PAIRS:
            used.update((i, j))
            found.append(Tension(one=held[i][1], other=held[j][1]))
    return tuple(found)
