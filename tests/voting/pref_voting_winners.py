"""Write the winners that pref_voting finds on random profiles, which the tests hold ours against.

pref_voting brings numba, ortools and others, and an older numpy, so that it is not installed with the
tests, but by `make slow` in an environment of its own:

    .venv/oracles/bin/python tests/voting/pref_voting_winners.py > tests/voting/pref_voting_winners.json

With `--stdin` it answers about profiles that it is given, as `drawn` makes them in JSON, and draws none.
A ballot is a string of ranks: position is the candidate, the digit its rank, lower is better.
"""

import argparse
import json
import sys
from importlib import import_module
from typing import Any

import numpy as np


def main() -> None:
    """Print profiles, with and without ties, with their winners."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profiles", type=int, default=160)
    parser.add_argument("--stdin", action="store_true", help="answer about the profiles that are given")
    options = parser.parse_args()
    given = json.load(sys.stdin) if options.stdin else drawn(options.seed, options.profiles)
    cases = [{**case, **winners(**case)} for case in given]
    lines = ",\n".join(json.dumps(told(case)) for case in cases)
    version = import_module("importlib.metadata").version("pref_voting")
    print(f'{{"pref_voting": "{version}", "cases": [\n{lines}\n]}}')  # noqa: T201


def drawn(seed: int, profiles: int) -> list[dict[str, Any]]:
    """Return random profiles of two to six candidates and one to twelve voters, every other one with ties."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(profiles):
        n, voters, tied = int(draw.integers(2, 7)), int(draw.integers(1, 13)), number % 2 == 1
        rows = [(draw.integers(0, n, n) if tied else draw.permutation(n)).tolist() for _ in range(voters)]
        ballots = " ".join("".join(map(str, row)) for row in rows)
        found.append({"ballots": ballots, "tied": tied, "seed": number})
    return found


def told(case: dict[str, Any]) -> dict[str, Any]:
    """Return a case as the file of winners has it."""
    return {key: case[key] for key in ("ballots", "seed", "winners")}


def winners(ballots: str, tied: bool, seed: int) -> dict[str, Any]:
    """Return the winners of one profile under every rule; `seed` is that of the lot."""
    margin = import_module("pref_voting.margin_based_methods")
    iterative = import_module("pref_voting.iterative_methods")
    scoring = import_module("pref_voting.scoring_methods")
    grades = import_module("pref_voting.grade_methods")
    rows = [[int(rank) for rank in ballot] for ballot in ballots.split()]
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
    return {"winners": {rule: [int(x) for x in each] for rule, each in found.items()}}


if __name__ == "__main__":
    main()
