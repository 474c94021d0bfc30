"""Perspectives over many texts: pooled or text by text, counted or only present, and how they are spoken of."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from multiplex.scoring.classifiers import NONE, Controlled, SentenceLabel, Sentiment
from multiplex.scoring.entropy import normalised_entropy
from multiplex.scoring.evenness import (
    above,
    contributions,
    corrected_entropy,
    entropy_of,
    mean_interval,
    resampled,
)
from multiplex.scoring.intervals import no_interval
from multiplex.scoring.sample_intervals import ratio
from multiplex.scoring.score import Score
from multiplex.sentences import sentences

__all__ = [
    "CorpusEntropy",
    "Mode",
    "corpus_entropy",
    "counts_of_labels",
    "perspective_sentiment",
    "pooled_entropy",
]

Mode = Literal["counts", "presence"]
"""What of a text counts: every reference to a perspective, or only whether there is one."""

_SENTIMENTS: tuple[Sentiment, ...] = get_args(Sentiment)


@dataclass(frozen=True, slots=True)
class CorpusEntropy:
    """The entropy over many texts, in two ways: `micro` of the pooled counts, `macro` the mean over texts."""

    micro: Score
    macro: Score


def corpus_entropy(
    texts: Sequence[str],
    classifier: Controlled,
    *,
    mode: Mode = "counts",
    draws: int = 1000,
    corrected_draws: int = 0,
    level: float = 0.95,
    seed: int = 0,
) -> CorpusEntropy:
    """Return `pooled_entropy` of many texts, with the controls that a noisy classifier needs.

    Beside what `pooled_entropy` gives, micro's detail holds `corrected` (the entropy of the mixture that
    explains all sentences together best, with an interval over `corrected_draws` resamples of
    sentences), `noise_floor` (of a text of one perspective with as many sentences as there are),
    `above_floor` (whether micro's interval lies above its `high`; else None with `above_floor_reason`)
    and `control`. Macro's holds `corrected`, the mean of the texts' own corrected entropies with the number
    `undefined` and an `interval` over `draws` resamples of the texts, and `noise_floor` of a text of mean
    length.
    In `presence` mode there is neither correction nor floor: one mistaken sentence is enough for
    presence, so that the mode needs a good classifier or short texts.
    """
    labelled = [classifier.label(sentences(text)) for text in texts]
    counts = [counts_of_labels(labels, classifier.perspectives) for labels in labelled]
    found = pooled_entropy(counts, classifier.perspectives, mode=mode, draws=draws, level=level, seed=seed)
    everything = [label for labels in labelled for label in labels]
    control = {"sentences": len(everything), "control": classifier.control()}
    if mode == "presence" or found.micro.value is None or found.macro.value is None:
        reason = found.micro.reason or "presence is not corrected for errors"
        none = {"corrected": Score.undefined(reason), "noise_floor": None}
        unknown = {"above_floor": None, "above_floor_reason": reason}
        return CorpusEntropy(_with(found.micro, **control, **none, **unknown), _with(found.macro, **none))
    micro_floor = classifier.noise_floor(len(everything))
    corrected = corrected_entropy(
        classifier.likelihoods(everything),
        classifier.perspectives,
        draws=corrected_draws,
        level=level,
        seed=seed,
    )
    spoken = [
        labels
        for labels, value in zip(labelled, found.macro.detail["entropies"], strict=True)
        if value is not None
    ]
    each = [
        corrected_entropy(
            classifier.likelihoods(labels), classifier.perspectives, draws=0, level=level, seed=seed
        )
        for labels in spoken
    ]
    defined = [score.value for score in each if score.value is not None]
    around = mean_interval(np.array(defined), draws=draws, level=level, seed=seed)
    mean = (
        Score(float(np.mean(defined)), detail={"undefined": len(each) - len(defined), "interval": around})
        if defined
        else Score.undefined(str(each[0].reason), undefined=len(each))
    )
    length = round(sum(map(len, spoken)) / len(spoken))
    return CorpusEntropy(
        _with(
            found.micro,
            **control,
            corrected=corrected,
            noise_floor=micro_floor,
            **above(found.micro.detail["interval"], micro_floor),
        ),
        _with(found.macro, corrected=mean, noise_floor=classifier.noise_floor(length)),
    )


def counts_of_labels(labels: Sequence[SentenceLabel], perspectives: Sequence[str]) -> dict[str, float]:
    """Return how often a text references each perspective, and how many of its sentences are "none".

    A sentence that references several perspectives counts in equal parts for each.
    """
    counts = contributions(labels, perspectives).sum(axis=0)
    tally = dict(zip(perspectives, map(float, counts), strict=True))
    return {**tally, NONE: float(sum(each.label == NONE for each in labels))}


def pooled_entropy(
    counts: Sequence[Mapping[str, float]],
    perspectives: Sequence[str],
    *,
    mode: Mode = "counts",
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> CorpusEntropy:
    """Return how evenly many texts reference a fixed list of K perspectives, micro and macro, in [0, 1].

        micro = H(sum over texts of n_t) / ln K        macro = mean over texts of H(n_t) / ln K

    `counts` holds one mapping a text, from perspective to count, and may hold "none", which is kept apart.
    In `presence` mode a count above 0 is 1: n_c is the number of texts that reference c. The two differ:
    texts of one perspective each, evenly shared, score 1 in micro and 0 in macro. WorldView-Bench
    (arXiv 2505.09595) does not say which of them, or which mode, it reports.

    Micro's detail is that of `normalised_entropy` with `none`, `texts`, `mode` and `interval`: over
    resamples of whole texts, since the sentences of one text are no independent
    draws (see `Interval`). Macro's has `texts`, `undefined` (texts that reference no perspective, which are left
    out of the mean), `entropies` (None for those) and `interval`, over resamples of the defined texts. Micro is
    undefined where nothing was referenced or K < 2, macro where no text has a value. In `presence` mode
    "none" is the number of texts with sentences of no perspective.

    Raises ValueError where a perspective is listed twice or is "none", a count is unlisted, negative or
    not finite, the mode is unknown, or draws or level make no sense.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode: needs to be counts or presence, not {mode!r}")
    if NONE in perspectives:
        raise ValueError("perspectives: 'none' is kept apart, and is not on the list")
    each = [
        normalised_entropy({k: _counted(v, mode) for k, v in c.items() if k != NONE}, perspectives)
        for c in counts
    ]
    none = sum(_counted(c.get(NONE, 0), mode) for c in counts)
    if not (math.isfinite(none) and all(c.get(NONE, 0) >= 0 for c in counts)):
        raise ValueError("counts: 'none' needs a finite number of at least 0")
    values = [score.value for score in each]
    known = np.array([value for value in values if value is not None])
    detail = {
        "texts": len(each),
        "undefined": len(values) - len(known),
        "entropies": values,
        "mode": mode,
    }
    rows = np.array([[score.detail["counts"][name] for name in perspectives] for score in each], dtype=float)
    micro = entropy_of(rows.reshape(len(each), len(perspectives)).sum(axis=0), perspectives)
    interval = None if micro.value is None else resampled(rows, draws=draws, level=level, seed=seed)
    pooled = _with(micro, none=none, texts=len(each), mode=mode, interval=interval)
    if not len(known):
        reason = "no text references a perspective" if each else "there are no texts"
        return CorpusEntropy(pooled, Score.undefined(reason, **detail, interval=None))
    mean = float(known.mean())
    around = mean_interval(known, draws=draws, level=level, seed=seed)
    return CorpusEntropy(pooled, Score(mean, detail={**detail, "interval": around}))


def perspective_sentiment(labels: Sequence[SentenceLabel], perspectives: Sequence[str]) -> Score:
    """Return how sentences speak of the perspectives that they reference: (positive - negative) / n, in [-1, 1].

    n counts one for every perspective of every sentence whose sentiment the classifier told. The detail
    holds `counts` and `shares` of positive, neutral and negative over all perspectives, `interval`, the 95 %
    bootstrap interval over the sentences in which a sentiment was told, and `perspectives`: for each a score of
    the same form with its `counts`, `shares` and `interval`. Undefined where no sentiment was told; so is a
    perspective's own where nothing was said of it.

    After the cultural sentiment analysis of WorldView-Bench (arXiv 2505.09595), which reports the shares;
    the one number is this project's.

    Raises ValueError where a sentiment is of a perspective that is not on the list, or is none of the three.
    """
    told: dict[str, list[Counter[str]]] = {name: [] for name in perspectives}
    for label in labels:
        for name, sentiment in label.sentiments.items():
            if name not in told:
                raise ValueError(f"sentiments: {name!r} is not on the list")
            if sentiment not in _SENTIMENTS:
                raise ValueError(f"sentiments: {sentiment!r} is none of {', '.join(_SENTIMENTS)}")
            told[name].append(Counter([sentiment]))
    of_each = {name: _balance(counts, f"nothing is said of {name}") for name, counts in told.items()}
    by_sentence = [Counter[str](label.sentiments.values()) for label in labels if label.sentiments]
    overall = _balance(by_sentence, "the classifier told no sentiment")
    return _with(overall, perspectives=of_each)


def _with(score: Score, **more: Any) -> Score:
    return replace(score, detail={**score.detail, **more})


def _balance(by_sentence: Sequence[Counter[str]], reason: str) -> Score:
    """Return (positive - negative) / n of the sentiments that each of some sentences tells."""
    full = {name: sum(each[name] for each in by_sentence) for name in _SENTIMENTS}
    n = sum(full.values())
    if not n:
        nothing = no_interval(reason, over="sentences")
        return Score.undefined(reason, counts=full, shares=None, interval=nothing)
    shares = {name: count / n for name, count in full.items()}
    balances = [each["positive"] - each["negative"] for each in by_sentence]
    interval = ratio(balances, [each.total() for each in by_sentence], over="sentences").beside()
    return Score(
        (full["positive"] - full["negative"]) / n,
        detail={"counts": full, "shares": shares, "interval": interval},
    )


def _counted(count: float, mode: Mode) -> float:
    # What makes no sense is left as it is, to be refused by name.
    return 1.0 if mode == "presence" and count > 0 and count != float("inf") else count
