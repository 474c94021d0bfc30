"""A language model as the classifier: one letter a sentence, or one list of references a text.

Who is asked, and how, is not known here: `judge` takes a function (`multiplex.acts.observer` has one).
A judge was not calibrated for this; its labels need their controls: `measured.measure`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence

import numpy as np

from multiplex.errors import near_miss
from multiplex.scoring.classifiers import NONE, Recorded, SentenceLabel, Sentiment
from multiplex.sentences import folded

__all__ = ["Weigh", "judge", "labels_from_references"]

Weigh = Callable[[str, tuple[str, ...], int], Awaitable[Mapping[str, float] | str]]
"""A sentence, the options in the order in which they are shown, and a seed in; a weight for each option, at
least 0, out. A text in the place of weights is the reason why there are none."""


async def judge(
    sentences: Sequence[str],
    perspectives: Sequence[str],
    weigh: Weigh,
    *,
    seed: int = 0,
    orders: int = 2,
) -> Recorded:
    """Ask a judge about each different sentence, and return its labels as a classifier.

    Each sentence is put `orders` times, with the perspectives and "none" in an order drawn anew, so
    that a liking for the first letter is spread over all of them. `probabilities` are the mean over
    orders of the weights divided by their sum; the label is the likeliest, the first on the list of
    equal ones. All are asked at once: it is the model that bounds how many calls are in flight. A
    sentence for which every order failed is kept in `Recorded.failed` with its reason, and is no "none".

    Raises ValueError where orders is below 1, the list is empty, or weights are negative, not finite, all
    zero or of an unknown option.
    """
    labels = (*perspectives, NONE)
    if orders < 1:
        raise ValueError(f"orders: needs to be at least 1, not {orders!r}")
    if not perspectives or len(set(labels)) < len(labels):
        raise ValueError("perspectives: the list is empty, names one twice, or holds 'none'")
    different = list(dict.fromkeys(sentences))
    draw = np.random.default_rng(seed)
    asked = []
    for sentence in different:
        for _ in range(orders):
            order = tuple(labels[i] for i in draw.permutation(len(labels)))
            asked.append((sentence, order, int(draw.integers(2**31))))
    answers = await asyncio.gather(*(weigh(*each) for each in asked))

    heard: dict[str, list[Mapping[str, float]]] = {sentence: [] for sentence in different}
    failed: dict[str, str] = {}
    for (sentence, _, _), answer in zip(asked, answers, strict=True):
        if isinstance(answer, str):
            failed[sentence] = answer
        else:
            heard[sentence].append(_shares(answer, labels))
    found = []
    for sentence, given in heard.items():
        if given:
            shares = {name: math.fsum(each[name] for each in given) / len(given) for name in labels}
            label = max(labels, key=lambda name: shares[name])
            found.append(SentenceLabel(sentence, label, False, shares[label], shares))
    silent = {sentence: reason for sentence, reason in failed.items() if not heard[sentence]}
    return Recorded(perspectives, found, failed=silent)


def labels_from_references(
    sentences: Sequence[str],
    references: Sequence[tuple[str, str, Sentiment | None]],
    perspectives: Sequence[str],
) -> list[SentenceLabel]:
    """Return the labels of a text's sentences from references: perspective, span, sentiment (None: not told).

    A reference belongs to every sentence that its span stands in, or that stands in its span; case and
    spacing do not matter. A sentence with references to m perspectives has probability 1/m of each, and
    the first that was given is its label; one without any is "none". Of two sentiments towards one
    perspective in a sentence, the first that was told counts. The sentences are those of the text that was judged.

    Raises ValueError where a perspective is not on the list, or a span stands in no sentence.
    """
    for perspective, _, _ in references:
        if perspective not in perspectives:
            raise ValueError(
                f"references: {perspective!r} is not on the list; {near_miss(perspective, perspectives)}"
            )
    texts = [folded(sentence) for sentence in sentences]
    marked: list[dict[str, Sentiment | None]] = [{} for _ in sentences]
    for perspective, span, sentiment in references:
        place = folded(span)
        inside = [i for i, text in enumerate(texts) if place and (place in text or text in place)]
        if not inside:
            raise ValueError(f"references: the span {span!r} stands in no sentence")
        for i in inside:
            marked[i][perspective] = marked[i].get(perspective) or sentiment
    found = []
    for sentence, sentiments in zip(sentences, marked, strict=True):
        names = tuple(sentiments) or (NONE,)
        shares = dict.fromkeys((*perspectives, NONE), 0.0) | dict.fromkeys(names, 1 / len(names))
        told = {name: sentiment for name, sentiment in sentiments.items() if sentiment is not None}
        found.append(
            SentenceLabel(sentence, names[0], False, 1 / len(names), shares, tuple(sentiments), told)
        )
    return found


def _shares(weights: Mapping[str, float], labels: Sequence[str]) -> dict[str, float]:
    for name, weight in weights.items():
        if name not in labels:
            raise ValueError(f"weights: {name!r} is not on the list; {near_miss(name, labels)}")
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weights: {name!r} needs a finite number of at least 0, not {weight!r}")
    whole = math.fsum(weights.values())
    if not whole:
        raise ValueError("weights: all are zero")
    return {name: weights.get(name, 0.0) / whole for name in labels}
