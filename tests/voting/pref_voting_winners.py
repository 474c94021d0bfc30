"""Write the winners that pref_voting finds on random profiles, which the tests hold ours against.

pref_voting brings numba, ortools and others, and an older numpy, so that it is not installed with the
tests. Run this in an environment of its own (`pip install pref_voting==1.18.2`):

    python tests/voting/pref_voting_winners.py > tests/voting/pref_voting_winners.json

A ballot is a string of ranks: position is the candidate, the digit its rank, lower is better.
"""

import argparse
import json
from importlib import import_module
from typing import Any

import numpy as np


def main() -> None:
    """Draw profiles, with and without ties, and print them with their winners."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profiles", type=int, default=160)
    options = parser.parse_args()
    draw = np.random.default_rng(options.seed)
    cases = []
    for number in range(options.profiles):
        n, voters, tied = int(draw.integers(2, 7)), int(draw.integers(1, 13)), number % 2 == 1
        rows = [(draw.integers(0, n, n) if tied else draw.permutation(n)).tolist() for _ in range(voters)]
        cases.append(
            {"ballots": " ".join("".join(map(str, row)) for row in rows), **winners(rows, tied, number)}
        )
    lines = ",\n".join(json.dumps(case) for case in cases)
    version = import_module("importlib.metadata").version("pref_voting")
    print(f'{{"pref_voting": "{version}", "cases": [\n{lines}\n]}}')  # noqa: T201


def winners(rows: list[list[int]], tied: bool, seed: int) -> dict[str, Any]:
    """Return the winners of one profile under every rule, and the seed of the lot."""
    margin = import_module("pref_voting.margin_based_methods")
    iterative = import_module("pref_voting.iterative_methods")
    scoring = import_module("pref_voting.scoring_methods")
    grades = import_module("pref_voting.grade_methods")
    n = len(rows[0])
    if tied:
        profile = import_module("pref_voting.profiles_with_ties").ProfileWithTies(
            [dict(enumerate(row)) for row in rows], candidates=list(range(n))
        )
        borda = scoring.borda_for_profile_with_ties(profile)
    else:
        profile = import_module("pref_voting.profiles").Profile(
            [sorted(range(n), key=row.__getitem__) for row in rows]
        )
        borda = scoring.borda(profile)
    top = max(1, n // 2)
    approved = [[int(sum(y < x for y in row) < top) for x in row] for row in rows]
    graded = import_module("pref_voting.grade_profiles").GradeProfile(
        [dict(enumerate(row)) for row in approved], [0, 1], candidates=list(range(n))
    )
    lot = np.random.default_rng(seed).permutation(n).tolist()
    found = {
        "schulze": margin.beat_path(profile, strength_function=profile.support),
        "borda": borda,
        "approval": grades.approval(graded),
        "instant run-off": iterative.instant_runoff(profile),
        "instant run-off, split": iterative.instant_runoff(profile, score_method="split"),
        "instant run-off, lot": iterative.instant_runoff(profile, tie_breaker=lot),
        "copeland": import_module("pref_voting.c1_methods").copeland(profile),
        "minimax by winning votes": margin.minimax(profile, strength_function=profile.support),
        "minimax by margins": margin.minimax(profile),
    }
    return {"seed": seed, "winners": {rule: [int(x) for x in each] for rule, each in found.items()}}


if __name__ == "__main__":
    main()
