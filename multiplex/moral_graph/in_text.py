"""Values that a text shows: its spans mapped to values cards, and through them to Schwartz's values.

After Values in the Wild (Huang et al. 2025, arXiv 2504.15236), which has a language model name the values
that a conversation shows and groups the names by embedding. Here the groups are known beforehand: the
cards. Without a model every sentence is a span; with one, what it extracted is.

What nearness can show is that a sentence is about what a card is about, more so than sentences that
anybody could have said (that is what the floor is for). It cannot show that the text is for the value:
"We owe the old nothing" is near to a card on care for the old. It prefers cards worded like the text,
it finds one value a span where there may be two, and a value that no card words is "none", not absent.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multiplex.moral_graph.cards import ValuesCard
from multiplex.sentences import sentences

__all__ = ["Shares", "Shown", "Span", "ValuesInText", "nearness_floor", "spans_of", "values_in_text"]

Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts in, an array of shape (len(texts), d) of unit rows out."""

_AT_ONCE = 4096
"""How many spans are compared with all cards in one matrix."""


@dataclass(frozen=True, slots=True)
class Span:
    """Words of a text, where they stand, and the name that a language model gave to the value in them."""

    text: str
    where: str = ""
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A span and the card that it is nearest to; `card` is None where no card is near enough.

    `nearness` is the cosine to the nearest card, in [-1, 1], whether it is near enough or not.
    """

    span: Span
    card: str | None
    nearness: float


@dataclass(frozen=True, slots=True)
class Shares:
    """Counts, and their shares of `total`; no share where the total is 0."""

    counts: Mapping[str, float]
    shares: Mapping[str, float] | None
    total: float


@dataclass(frozen=True, slots=True)
class ValuesInText:
    """The values that a text shows.

    `cards` counts spans by card, `schwartz` by Schwartz value and `groups` by higher-order group: a span
    counts once, in equal parts where its card has several Schwartz values. Only what was found is listed,
    the most frequent first. `none` is the number of spans that no card is near to, `untagged` of those
    whose card has no Schwartz value; neither is in any share. `reason` says why nothing was found.
    """

    shown: tuple[Shown, ...]
    spans: int
    none: int
    untagged: int
    floor: float
    cards: Shares
    schwartz: Shares
    groups: Shares
    names: Mapping[str, int]
    """How often a language model gave each name to a value, in small letters; empty without one."""
    reason: str | None = None


def spans_of(text: str, *, where: str = "") -> list[Span]:
    """Return a text's sentences as spans."""
    return [Span(sentence, where) for sentence in sentences(text)]


def values_in_text(
    spans: Sequence[Span],
    cards: Sequence[ValuesCard],
    embed: Embed,
    *,
    floor: float,
    groups: Mapping[str, str],
) -> ValuesInText:
    """Return which cards spans are near to, with counts and shares.

    A card is its title and each sentence of its description; nearness is the largest cosine between the
    span (led in by the name that a model gave to it, if one did) and one of these. A span shows the nearest
    card, the first of equal ones, where that nearness is at least `floor`, else "none". `groups` maps
    Schwartz's values to their higher-order groups (`multiplex.content.schwartz.group_of`). The floor depends on
    the embedding and the cards: `nearness_floor` measures one.

    Raises ValueError where there are no cards, two share an id, a card has a Schwartz value that is in no
    group, or the floor is not in [-1, 1].
    """
    if not -1 <= floor <= 1:
        raise ValueError(f"floor: needs to lie between -1 and 1, not {floor!r}")
    by_id = _by_id(cards)
    for card in cards:
        for value in card.schwartz:
            if value not in groups:
                raise ValueError(f"the card {card.id!r}: the Schwartz value {value!r} is in no group")
    said = [f"{span.name}: {span.text}" if span.name else span.text for span in spans]
    shown = tuple(
        Shown(span, cards[best].id if near >= floor else None, near)
        for span, (best, near) in zip(spans, _nearest(said, cards, embed), strict=True)
    )
    found = [by_id[each.card] for each in shown if each.card is not None]
    tagged = [card for card in found if card.schwartz]
    reason = None
    if not found:
        reason = "no card is near to anything in the text" if shown else "no span was found in the text"
    return ValuesInText(
        shown=shown,
        spans=len(shown),
        none=len(shown) - len(found),
        untagged=len(found) - len(tagged),
        floor=floor,
        cards=_shares((card.id, 1.0) for card in found),
        schwartz=_shares((v, 1 / len(c.schwartz)) for c in tagged for v in c.schwartz),
        groups=_shares((groups[v], 1 / len(c.schwartz)) for c in tagged for v in c.schwartz),
        names=dict(Counter(span.name.casefold() for span in spans if span.name).most_common()),
        reason=reason,
    )


def nearness_floor(
    neutral: Sequence[str], cards: Sequence[ValuesCard], embed: Embed, *, exceeded: float = 0.05
) -> float:
    """Return the nearness that a share of sentences which show no value would still exceed, in [-1, 1].

    The quantile at 1 - `exceeded` of the nearness of the neutral sentences to their nearest cards: with
    0.05, one neutral sentence in twenty passes for a value by mistake. It says nothing of how many values
    are missed.

    Raises ValueError without neutral sentences or cards, or where `exceeded` is not in (0, 1).
    """
    if not neutral:
        raise ValueError("neutral: there are no sentences to measure a floor on")
    if not 0 < exceeded < 1:
        raise ValueError(f"exceeded: needs to lie between 0 and 1, not {exceeded!r}")
    _by_id(cards)
    return float(np.quantile([near for _, near in _nearest(neutral, cards, embed)], 1 - exceeded))


def _by_id(cards: Sequence[ValuesCard]) -> dict[str, ValuesCard]:
    if not cards:
        raise ValueError("cards: there are none to map values to")
    by_id = {card.id: card for card in cards}
    if len(by_id) < len(cards):
        raise ValueError("cards: two have the same id")
    return by_id


def _nearest(texts: Sequence[str], cards: Sequence[ValuesCard], embed: Embed) -> list[tuple[int, float]]:
    """Return for each text the place of the nearest card, and how near it is."""
    if not texts:
        return []
    parts = [(card.title, *sentences(card.description)) for card in cards]
    starts = np.cumsum([0, *map(len, parts[:-1])])
    columns = embed([part for of_card in parts for part in of_card])
    rows = embed(texts)
    found: list[tuple[int, float]] = []
    for start in range(0, len(texts), _AT_ONCE):
        near = np.maximum.reduceat(rows[start : start + _AT_ONCE] @ columns.T, starts, axis=1)
        best = near.argmax(axis=1)
        found += zip(best.tolist(), near.max(axis=1).clip(-1, 1).astype(float).tolist(), strict=True)
    return found


def _shares(parts: Iterable[tuple[str, float]]) -> Shares:
    listed: dict[str, list[float]] = {}
    for name, part in parts:
        listed.setdefault(name, []).append(part)
    # fsum: in any order of the spans the sums are the same.
    sums = {name: math.fsum(each) for name, each in listed.items()}
    counts = dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))
    total = math.fsum(counts.values())
    return Shares(counts, {name: count / total for name, count in counts.items()} if total else None, total)
