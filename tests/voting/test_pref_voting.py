"""Every rule against pref_voting, on random profiles with and without ties."""

import json
import subprocess
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
from tests.voting.pref_voting_winners import drawn

HERE = Path(__file__).parent
ORACLES = HERE.parent.parent / ".venv" / "oracles" / "bin" / "python"

# Written by pref_voting 1.18.2 with the script beside it.
PUBLISHED = json.loads((HERE / "pref_voting_winners.json").read_text(encoding="utf-8"))
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


def differing(rule: str, cases: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return the profiles on which our rule has other winners, with both."""
    found = [(case["ballots"], ours(rule, read(case), case["seed"]), case["winners"][rule]) for case in cases]
    return [each for each in found if each[1] != tuple(each[2])]


@pytest.mark.parametrize("rule", RULES)
def test_pref_voting_found_the_same_winners(rule: str) -> None:
    assert differing(rule, PUBLISHED["cases"]) == []


def asked(profiles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the profiles with the winners that pref_voting finds, which runs in an environment of its own."""
    assert ORACLES.is_file(), f"{ORACLES} is missing: `make slow` installs pref_voting there"
    done = subprocess.run(
        [str(ORACLES), "-I", str(HERE / "pref_voting_winners.py"), "--stdin"],
        input=json.dumps(profiles),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["pref_voting"] == PUBLISHED["pref_voting"]
    cases: list[dict[str, Any]] = told["cases"]
    return cases


@pytest.mark.slow
def test_pref_voting_finds_the_same_winners_of_fresh_profiles_and_those_on_record() -> None:
    fresh = [*drawn(1, 300), *drawn(2, 300)]
    on_record = drawn(0, len(PUBLISHED["cases"]))
    cases = asked([*fresh, *on_record])
    assert cases[len(fresh) :] == PUBLISHED["cases"]
    assert len({case["ballots"] for case in cases}) > 700
    assert {rule: wrong for rule in RULES if (wrong := differing(rule, cases))} == {}


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
