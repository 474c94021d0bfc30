"""Whether a score treats groups of personas alike: the Value Inequity Index."""

import math
from collections import defaultdict
from collections.abc import Mapping
from statistics import fmean, pstdev
from typing import Any

from multiplex.errors import near_miss
from multiplex.scoring.panel_intervals import deviation
from multiplex.scoring.score import Score

__all__ = ["value_inequity"]


def value_inequity(
    scores: Mapping[str, float | Score | None],
    groups: Mapping[str, Mapping[str, str]],
    *,
    unit: str = "score",
) -> Score:
    """Return the Value Inequity Index: the mean over dimensions of the deviation between group means.

        sigma = (1 / |D|) sum_k std({mean score of g : g a group of dimension k})

    std is the population's (divided by the number of groups). `scores` maps each persona to any score,
    None or undefined for none; `groups` maps a dimension (say, region) to persona -> group. A persona
    that a dimension does not place is left out of that dimension. Every group weighs the same, whatever
    its size, and so does every dimension. Lower is more even; 0 where every group has the same mean.

    The value is in the unit of the scores, in [0, (max - min) / 2], and `unit` is only its name in the
    detail. Published figures are of accuracies in per cent: multiply scores in [0, 1] by 100 to compare.
    The detail holds `unit`, `dimensions` (for each its `std`, and by group the `mean` and `n`),
    `left_out` (dimension -> why), and `unscored` personas. A dimension with fewer than two groups that
    have a score is left out and named. `interval` is the 95 % bootstrap interval over the groups, None with
    a `reason` where a dimension has fewer than three. Undefined where none is left.

    Source: Jiang et al., IndieValueCatalog (arXiv 2410.03868). Its repository also holds a function with
    the sample deviation, larger by sqrt(g / (g - 1)) for g groups.

    Raises ValueError where a score is not finite, or a dimension places a persona that `scores` lacks.
    """
    known = {persona: each.value if isinstance(each, Score) else each for persona, each in scores.items()}
    for persona, number in known.items():
        if number is not None and not math.isfinite(number):
            raise ValueError(f"score of {persona!r}: needs a finite number or None, not {number!r}")
    dimensions: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for dimension, placed in groups.items():
        members: defaultdict[str, list[float]] = defaultdict(list)
        for persona, group in placed.items():
            if persona not in known:
                raise ValueError(
                    f"groups[{dimension!r}]: no score of {persona!r}; {near_miss(persona, known)}"
                )
            number = known[persona]
            if number is not None:
                members[group].append(number)
        if len(members) < 2:
            left_out[dimension] = "one group has a score" if members else "no group has a score"
            continue
        means_of = {group: {"mean": fmean(of), "n": len(of)} for group, of in sorted(members.items())}
        dimensions[dimension] = {
            "std": pstdev(each["mean"] for each in means_of.values()),
            "groups": means_of,
        }
    detail = {
        "unit": unit,
        "dimensions": dimensions,
        "left_out": left_out,
        "unscored": sorted(persona for persona, number in known.items() if number is None),
    }
    if not dimensions:
        return Score.undefined("no dimension has two groups with a score", **detail)
    means = [[of["mean"] for of in each["groups"].values()] for each in dimensions.values()]
    detail["interval"] = deviation(means).beside()
    return Score(fmean(each["std"] for each in dimensions.values()), detail=detail)
