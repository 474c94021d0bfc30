"""Every rule against pref_voting, on random profiles with and without ties."""

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from multiplex.voting import (
    Outcome,
    approval,
    approved_by_rank,
    borda,
    copeland,
    instant_runoff,
    minimax,
    schulze,
)

# Written by pref_voting 1.18.2 with the script beside it.
PUBLISHED = json.loads((Path(__file__).parent / "pref_voting_winners.json").read_text(encoding="utf-8"))
RULES = sorted(PUBLISHED["cases"][0]["winners"])


def ours(rule: str, rows: list[list[int]], seed: int) -> tuple[int, ...]:
    """Return the winners that our rule finds."""
    n = len(rows[0])
    rules: dict[str, Callable[[], Outcome]] = {
        "schulze": lambda: schulze(rows),
        "borda": lambda: borda(rows),
        "approval": lambda: approval(approved_by_rank(rows, top=max(1, n // 2)), candidates=n),
        "instant run-off": lambda: instant_runoff(rows),
        "instant run-off, split": lambda: instant_runoff(rows, level="split"),
        "instant run-off, lot": lambda: instant_runoff(rows, ties="lot", seed=seed),
        "copeland": lambda: copeland(rows),
        "minimax by winning votes": lambda: minimax(rows),
        "minimax by margins": lambda: minimax(rows, strength="margins"),
    }
    return rules[rule]().winners


def read(case: dict[str, Any]) -> list[list[int]]:
    return [[int(rank) for rank in ballot] for ballot in case["ballots"].split()]


@pytest.mark.parametrize("rule", RULES)
def test_pref_voting_finds_the_same_winners(rule: str) -> None:
    wrong = [
        (case["ballots"], ours(rule, read(case), case["seed"]), case["winners"][rule])
        for case in PUBLISHED["cases"]
        if ours(rule, read(case), case["seed"]) != tuple(case["winners"][rule])
    ]
    assert wrong == []


def test_the_profiles_are_many_and_tell_most_rules_apart() -> None:
    cases = PUBLISHED["cases"]
    assert len(cases) == 160
    same = {
        (one, other)
        for one, other in combinations(RULES, 2)
        if all(case["winners"][one] == case["winners"][other] for case in cases)
    }
    # These two part in one of hundreds of profiles this small; test_voting has published elections.
    assert same <= {("minimax by winning votes", "schulze")}
