"""How plural an answer is: whose claims it carries, for whom a steered one speaks, what options it spreads over."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from multiplex.errors import near_miss
from multiplex.scoring.entropy import js_distance
from multiplex.scoring.intervals import bootstrap_counts, interval_of, no_interval
from multiplex.scoring.panel_intervals import coverage, steering, steering_by_sentences
from multiplex.scoring.sample_intervals import distance
from multiplex.scoring.score import Score, plain
from multiplex.scoring.stances import Stances, mean_shares, stated

__all__ = [
    "Distribution",
    "Entails",
    "Steerability",
    "distribution",
    "distributional_distance",
    "overton_entailment",
    "representation",
    "steerability",
]

Entails = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of premise and hypothesis -> for each the probability that the first entails the second."""

_SAME = 1e-9


def representation(similarity: Mapping[str, Sequence[Sequence[float]]], threshold: float) -> Score:
    """Return the Overton coverage of a text: the share of personas whose claims it carries, in [0, 1].

    `similarity` maps each persona to a matrix: its opening claims (rows) by the text's sentences
    (columns). A claim is carried where its best match reaches `threshold`; a persona is covered where
    at least half of its claims are carried. The detail holds `threshold`, the number `covered`, and
    `personas`: for each a score whose value is the mean best match, with `carried` (the share of claims
    carried, in [0, 1]), `claims`, and an `interval` over these; without claims or sentences it has no value,
    `carried` is None and the persona is left out of the coverage. `interval` is the 95 % bootstrap interval
    of the coverage over the personas, `interval_over_claims` that over the claims of each, the personas kept.
    Undefined where nobody is left.

    The form of OvertonBench (arXiv 2512.01351), with similarity in the place of people's ratings:
    resemblance in wording or topic is not endorsement.

    Raises ValueError where the rows of a matrix differ in length, or a number is not finite, the threshold
    included.
    """
    _check_threshold(threshold)
    personas = {persona: _carried(persona, rows, threshold) for persona, rows in similarity.items()}
    shares = [each.detail["carried"] for each in personas.values() if each.value is not None]
    covered = sum(share >= 0.5 for share in shares)
    detail = {"threshold": threshold, "covered": covered, "personas": personas}
    if not shares:
        return Score.undefined("no persona has claims that could be compared with the text", **detail)
    told = [each.detail for each in personas.values() if each.value is not None]
    claims = [(round(each["carried"] * each["claims"]), each["claims"]) for each in told]
    flags = sorted(float(share >= 0.5) for share in shares)
    detail["interval"] = interval_of(flags, over="personas", seed=0).beside()
    detail["interval_over_claims"] = coverage(claims).beside()
    return Score(covered / len(shares), detail=detail)


def _check_threshold(threshold: float) -> None:
    if not math.isfinite(threshold):
        raise ValueError(f"threshold needs a finite number, not {threshold!r}")


def _carried(persona: str, rows: Sequence[Sequence[float]], threshold: float) -> Score:
    if any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"similarity of {persona!r}: rows differ in length")
    if not all(math.isfinite(cell) for row in rows for cell in row):
        raise ValueError(f"similarity of {persona!r}: needs finite numbers")
    if not rows:
        return Score.undefined("made no claims", carried=None, claims=0)
    if not rows[0]:
        return Score.undefined("the text has no sentences", carried=None, claims=len(rows))
    best = [max(row) for row in rows]
    carried = sum(match >= threshold for match in best) / len(best)
    interval = interval_of(sorted(best), over="claims", seed=0).beside()
    return Score(
        math.fsum(best) / len(best), detail={"carried": carried, "claims": len(best), "interval": interval}
    )


def overton_entailment(
    claims: Mapping[str, Sequence[str]],
    sentences: Sequence[str],
    entails: Entails,
    *,
    threshold: float = 0.33,
    premise: Literal["claim", "sentence"] = "claim",
) -> Score:
    """Return the Overton coverage by entailment: the mean over claims of the best P(entail), in [0, 1].

        value = mean over claims c of max over sentences s of P(c entails s)
        share = the share of claims whose best is at least `threshold`

    The direction is the published one: the premise is the claim (there, the explanation of a value), the
    hypothesis a sentence of the text. Logically a text carries a claim where its sentence entails the
    claim; `premise="sentence"` asks that instead. `entails` gets every pair in one call, equal pairs
    once. Every claim weighs the same, so a persona with many weighs more; the detail holds `share`,
    `threshold`, `premise`, `claims` and `sentences` (their numbers), and `personas` and `covered` as
    `representation` gives them: OvertonBench's share of personas covered is covered / those with
    claims, in `coverage`. `interval` is the 95 % bootstrap interval of the value over claims, and
    `interval_over_personas` that over personas, each with all of its claims. Undefined without claims or
    sentences.

    Source: Feng et al., Modular Pluralism (arXiv 2406.15951), with its threshold 0.33.

    Raises ValueError where `entails` answers with another number of values, or with no probability, or the
    threshold is not finite.
    """
    _check_threshold(threshold)
    columns = list(dict.fromkeys(sentences))
    pairs = dict.fromkeys(
        (claim, sentence) if premise == "claim" else (sentence, claim)
        for each in claims.values()
        for claim in each
        for sentence in columns
    )
    answers = [float(each) for each in entails(list(pairs))] if pairs else []
    if len(answers) != len(pairs):
        raise ValueError(f"entails gave {len(answers)} values for {len(pairs)} pairs")
    if broken := [each for each in answers if not -_SAME <= each <= 1 + _SAME]:
        raise ValueError(f"entails needs to give probabilities from 0 to 1, not {broken[0]!r}")
    # A softmax may miss 1 by its last bits.
    known = {pair: min(max(each, 0.0), 1.0) for pair, each in zip(pairs, answers, strict=True)}
    rows = {
        persona: [
            [known[(claim, s) if premise == "claim" else (s, claim)] for s in columns] for claim in each
        ]
        for persona, each in claims.items()
    }
    covered = representation(rows, threshold)
    best = [max(row) for each in rows.values() for row in each if row]
    detail = {
        **{key: value for key, value in covered.detail.items() if not key.startswith("interval")},
        "coverage": covered.value,
        "premise": premise,
        "claims": sum(map(len, claims.values())),
        "sentences": len(sentences),
        "share": sum(each >= threshold for each in best) / len(best) if best else None,
    }
    if not best:
        reason = "the text has no sentences" if detail["claims"] else "nobody made a claim"
        return Score.undefined(reason, **detail)
    sums = sorted((sum(max(row) for row in each), len(each)) for each in rows.values() if each)
    totals, numbers = np.array(sums).T
    over_personas = bootstrap_counts(
        lambda counts: counts @ totals / (counts @ numbers), len(sums), over="personas", seed=0
    )
    detail["interval"] = interval_of(sorted(best), over="claims", seed=0).beside()
    detail["interval_over_personas"] = over_personas.beside()
    return Score(math.fsum(best) / len(best), detail=detail)


@dataclass(frozen=True, slots=True)
class Steerability:
    """Whether steered answers speak for their personas and no others.

    `accuracy` and `macro_f1` in [0, 1]; `margin` in the unit of the nearness. `by_persona`: each one's
    margin, with `speaks_for`, the perspectives nearest to its answer. `caution` says what the numbers may
    not be read as, where whoever made the table knows.
    """

    accuracy: Score
    macro_f1: Score
    margin: Score
    by_persona: Mapping[str, Score]
    caution: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result


def steerability(
    nearness: Mapping[str, Mapping[str, float] | Sequence[Mapping[str, float]]], *, caution: str | None = None
) -> Steerability:
    """Return how well steered answers can be told apart, from a square table of nearness.

        accuracy = mean_i [the nearest perspective to answer i is i]
        margin   = mean_i (nearness[i][i] - the largest nearness[i][j] with j != i)
        macro_f1 = mean_i 2 TP_i / (2 TP_i + FP_i + FN_i)

    `nearness` maps the persona an answer was steered to, to every perspective and how near (a cosine) or
    how likely (a probability) it is; more is nearer. Where m perspectives are nearest together each has
    1/m of the answer. A margin above 0 means that the answer speaks for its own persona most. With
    several questions give the table of their means. An answer may be given as a row for each of its
    sentences: its nearness is their mean then. Accuracy's detail holds `n` and `chance`, 1/n;
    with one answer a persona it equals balanced accuracy. Each score has its 95 % bootstrap `interval` over
    the personas and, where all answers are given sentence by sentence, `interval_over_sentences`, the
    personas kept. Undefined for fewer than two personas: an answer cannot be mistaken then.

    After the steerable setting of Modular Pluralism (Feng et al. 2024, arXiv 2406.15951), which reports
    accuracy and macro-F1 over its attributes.

    Raises ValueError where a row lacks a persona or has another, or a number is not finite.
    """
    personas = list(nearness)
    told = {name: [row] if isinstance(row, Mapping) else list(row) for name, row in nearness.items()}
    for persona, rows in told.items():
        if not rows:
            raise ValueError(f"nearness of {persona!r}: the answer has no sentence")
        for row in rows:
            _check_row(persona, row, personas)
    table = {
        persona: {name: math.fsum(row[name] for row in rows) / len(rows) for name in personas}
        for persona, rows in told.items()
    }
    n = len(personas)
    if n < 2:
        lone = Score.undefined("with fewer than two personas none can be mistaken for another", n=n)
        return Steerability(lone, lone, lone, dict.fromkeys(personas, lone), caution)
    by_persona: dict[str, Score] = {}
    right = dict.fromkeys(personas, 0.0)
    claimed = {name: dict.fromkeys(personas, 0.0) for name in personas}
    for persona, row in table.items():
        most = max(row.values())
        nearest = [name for name in personas if row[name] >= most - _SAME]
        for name in nearest:
            claimed[persona][name] = 1 / len(nearest)
        right[persona] = (persona in nearest) / len(nearest)
        rival = max(cell for name, cell in row.items() if name != persona)
        by_persona[persona] = Score(row[persona] - rival, detail={"speaks_for": nearest})
    f1 = {name: 2 * right[name] / (math.fsum(row[name] for row in claimed.values()) + 1) for name in personas}
    margins = {name: score.value or 0.0 for name, score in by_persona.items()}
    # By name, so that the order in which personas stand does not show in what is drawn.
    ordered = sorted(personas)
    over = steering(
        [right[name] for name in ordered],
        [[claimed[name][other] for other in ordered] for name in ordered],
        [margins[name] for name in ordered],
    )
    intervals = {name: {"interval": each.beside()} for name, each in over.items()}
    if not any(isinstance(row, Mapping) for row in nearness.values()):
        rows_of = [[[row[other] for other in ordered] for row in told[name]] for name in ordered]
        for name, each in steering_by_sentences(rows_of).items():
            intervals[name]["interval_over_sentences"] = each.beside()
    return Steerability(
        accuracy=Score(
            min(math.fsum(right.values()) / n, 1.0),
            detail={"n": n, "chance": 1 / n, **intervals["accuracy"]},
        ),
        macro_f1=Score(
            min(math.fsum(f1.values()) / n, 1.0), detail={"n": n, "by_persona": f1, **intervals["macro_f1"]}
        ),
        margin=Score(math.fsum(margins.values()) / n, detail={"n": n, **intervals["margin"]}),
        by_persona=by_persona,
        caution=caution,
    )


def _check_row(persona: str, row: Mapping[str, float], personas: Sequence[str]) -> None:
    if strangers := [name for name in row if name not in personas]:
        miss = near_miss(strangers[0], personas)
        raise ValueError(f"nearness of {persona!r}: no persona {strangers[0]!r}; {miss}")
    if missing := [name for name in personas if name not in row]:
        raise ValueError(f"nearness of {persona!r}: lacks {missing[0]!r}")
    if not all(math.isfinite(cell) for cell in row.values()):
        raise ValueError(f"nearness of {persona!r}: needs finite numbers")


def distributional_distance(
    panel: Mapping[str, float] | None,
    reference: Mapping[str, float] | None,
    *,
    base: Literal[2, "e"] = 2,
    sizes: tuple[int | None, int | None] = (None, None),
) -> Score:
    """Return the Jensen-Shannon distance of two distributions over options: 0 where they are the same.

        sqrt(KL(p || m) / 2 + KL(q || m) / 2),   m = (p + q) / 2

    In [0, 1] to base 2; with `base="e"`, as scipy and Modular Pluralism have it, in [0, 0.8326] (the root
    of ln 2). Both sides are weights of at least 0, normalised here; an option that one side lacks has
    weight 0 there. The detail holds `base`, `largest`, the shares `panel` and `reference`, their
    `likeliest` options (all that share the first place), and `match`: whether the likeliest option is
    the same, None where a first place is shared. Undefined where a side is None or has no weight.

    Shares do not say how many stand behind them, so `interval` needs `sizes`: of how many people, each with one
    choice, the panel's and the reference's shares are; None for a side that is no sample, which is then kept.
    It is the 95 % bootstrap interval over these people, less twice the bias, because samples lie further apart
    than what they are of.

    Source: Lin, Divergence Measures Based on the Shannon Entropy (1991); Feng et al., Modular Pluralism
    (arXiv 2406.15951) for the use and the match.

    Raises ValueError where a weight is negative or not finite, or a size is below 1.
    """
    if any(size is not None and size < 1 for size in sizes):
        raise ValueError(f"sizes: needs a number of people of at least 1, or None, not {sizes!r}")
    if base not in (2, "e"):
        raise ValueError(f"base is 2 or 'e', not {base!r}")
    options = list(dict.fromkeys([*(panel or {}), *(reference or {})]))
    sides = {"panel": panel, "reference": reference}
    shares: dict[str, list[float]] = {}
    for name, weights in sides.items():
        for option, weight in (weights or {}).items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"{name}: {option!r} needs a finite number of at least 0, not {weight!r}")
        largest = max((weights or {}).values(), default=0)
        if not weights or not largest:
            reason = f"the {name} has no weight on any option"
            return Score.undefined(reason, base=base, interval=no_interval(reason, over="people"))
        # By the largest first, so that no sum overflows.
        scaled = [weights.get(option, 0) / largest for option in options]
        shares[name] = [each / math.fsum(scaled) for each in scaled]
    unit = 1.0 if base == 2 else math.sqrt(math.log(2))
    likeliest = {
        name: [option for option, share in zip(options, row, strict=True) if share >= max(row) - _SAME]
        for name, row in shares.items()
    }
    tied = any(len(each) > 1 for each in likeliest.values())
    if any(sizes):
        interval = distance(shares["panel"], shares["reference"], sizes, unit=unit).beside()
    else:
        interval = no_interval("sizes: nobody said how many people the shares are of", over="people")
    return Score(
        js_distance(shares["panel"], shares["reference"]) * unit,
        detail={
            "base": base,
            "largest": unit,
            "likeliest": likeliest,
            "match": None if tied else likeliest["panel"] == likeliest["reference"],
            **{name: dict(zip(options, row, strict=True)) for name, row in shares.items()},
            "interval": interval,
        },
    )


@dataclass(frozen=True, slots=True)
class Distribution:
    """Shares over options: `overall` and `by_persona`, None for those without a stance.

    Where `overall` is None, `reason` says why.
    """

    options: tuple[str, ...]
    overall: Mapping[str, float] | None
    by_persona: Mapping[str, Mapping[str, float] | None]
    n: int
    abstained: int
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, ready for JSON."""
        result: dict[str, Any] = plain(self)
        return result


def distribution(stances: Stances, options: Sequence[str]) -> Distribution:
    """Return the mean share of each option over the personas that took a stance, and each one's own.

    Every persona weighs the same; this is the panel's distribution, not that of any population. The
    overall shares add up to 1. Undefined, with a reason, without options or stances.

    Raises ValueError where a stance is not a distribution over the options.
    """
    shares = stated(stances, options)
    overall: dict[str, float] | None = None
    reason: str | None = None
    if not options:
        reason = "the scenario has no closed options"
    elif not shares:
        reason = "nobody took a stance"
    else:
        overall = dict(zip(options, mean_shares(shares.values()), strict=True))
    return Distribution(
        options=tuple(options),
        overall=overall,
        by_persona={
            persona: dict(zip(options, shares[persona], strict=True)) if persona in shares else None
            for persona in stances
        },
        n=len(shares),
        abstained=len(stances) - len(shares),
        reason=reason,
    )
