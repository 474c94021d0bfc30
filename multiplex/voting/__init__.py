"""Rules of choice: how a panel's rankings of statements become one.

Read in this order: profile (ballots as a matrix, duels), outcome (what a rule returns), beat_paths (Schulze), rules
(Borda, approval, instant run-off, Copeland, minimax), comparison (the winner under every rule). Every
rule is a pure function over rankings: position is the candidate, the number its rank, lower is better,
equal is a tie, None an abstention. No rule is neutral, so the one that decides is declared.
"""

from multiplex.voting.beat_paths import SchulzeOutcome, Ties, schulze, strongest_paths
from multiplex.voting.comparison import Comparison, Rule, winners_under_every_rule
from multiplex.voting.outcome import Outcome
from multiplex.voting.rules import (
    Round,
    RunOff,
    approval,
    approved_by_endorsement,
    approved_by_rank,
    borda,
    copeland,
    instant_runoff,
    minimax,
)

__all__ = [
    "Comparison",
    "Outcome",
    "Round",
    "Rule",
    "RunOff",
    "SchulzeOutcome",
    "Ties",
    "approval",
    "approved_by_endorsement",
    "approved_by_rank",
    "borda",
    "copeland",
    "instant_runoff",
    "minimax",
    "schulze",
    "strongest_paths",
    "winners_under_every_rule",
]
