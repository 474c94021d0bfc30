"""What of the panel reaches the answer: representation of claims, and the distribution over options."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiplex.scoring.score import Score, plain
from multiplex.scoring.stances import Stances, mean_shares, stated

__all__ = ["Distribution", "distribution", "representation"]


def representation(similarity: Mapping[str, Sequence[Sequence[float]]], threshold: float) -> Score:
    """Return the Overton coverage of a text: the share of personas whose claims it carries, in [0, 1].

    `similarity` maps each persona to a matrix: its opening claims (rows) by the text's sentences
    (columns). A claim is carried where its best match reaches `threshold`; a persona is covered where
    at least half of its claims are carried. The detail holds `threshold`, the number `covered`, and
    `personas`: for each a score whose value is the mean best match, with `carried` (the share of claims
    carried, in [0, 1]) and `claims`; without claims or sentences it has no value, `carried` is None and
    the persona is left out of the coverage. Undefined where nobody is left.

    The form of OvertonBench (arXiv 2512.01351), with similarity in the place of people's ratings:
    resemblance in wording or topic is not endorsement.

    Raises ValueError where the rows of a matrix differ in length, or a number is not finite.
    """
    personas = {persona: _carried(persona, rows, threshold) for persona, rows in similarity.items()}
    shares = [each.detail["carried"] for each in personas.values() if each.value is not None]
    covered = sum(share >= 0.5 for share in shares)
    detail = {"threshold": threshold, "covered": covered, "personas": personas}
    if not shares:
        return Score.undefined("no persona has claims that could be compared with the text", **detail)
    return Score(covered / len(shares), detail=detail)


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
    return Score(math.fsum(best) / len(best), detail={"carried": carried, "claims": len(best)})


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
