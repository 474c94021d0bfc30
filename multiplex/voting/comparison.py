"""The winner under every rule: no rule is neutral, so the one that decides is declared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from multiplex.voting.beat_paths import schulze
from multiplex.voting.outcome import Outcome
from multiplex.voting.profile import Ranking, read_rankings
from multiplex.voting.rules import approval, approved_by_rank, borda, copeland, instant_runoff, minimax

__all__ = ["Comparison", "Rule", "winners_under_every_rule"]

Rule = Literal[
    "schulze",
    "borda",
    "approval",
    "instant run-off",
    "copeland",
    "minimax by winning votes",
    "minimax by margins",
]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What every rule makes of the same ballots.

    `outcomes` maps each rule to its outcome, ties left as they are. `chosen` is the declared rule's
    winner, drawn by lot where several are level; None without a ballot, or where they are level and no
    seed was given. `agreed` is whether every rule has the same winners as the declared one, and
    `sentence` says so or names who differs. Where `agreed` is None, `reason` says why.
    """

    declared: Rule
    outcomes: Mapping[Rule, Outcome]
    chosen: int | None
    agreed: bool | None
    sentence: str
    reason: str | None = None

    @property
    def winners(self) -> dict[Rule, tuple[int, ...]]:
        """The winners under each rule."""
        return {rule: outcome.winners for rule, outcome in self.outcomes.items()}


def winners_under_every_rule(
    rankings: Iterable[Ranking | None],
    *,
    declared: Rule,
    seed: int | None = None,
    top: int | None = None,
    names: Sequence[str] | None = None,
) -> Comparison:
    """Return the declared rule's winner, and the winners under every other rule.

    Position in a ranking is the candidate, the number its rank, lower is better, equal is a tie; None is
    an abstention. Approval takes the `top` ranks of a ballot, by default the better half of the
    candidates (rounded down, at least one): rankings alone do not say whom a voter approves. `names`
    are the candidates' for the sentence, else their numbers from 0. `seed` draws among winners who are
    level under the declared rule. Undefined without a ballot.

    That no voting rule is neutral, and that the rule should be stated openly: AI Alignment and Social
    Choice, arXiv 2310.16048.

    Raises ValueError for a malformed ballot, an unknown rule, or names that do not fit the candidates.
    """
    if declared not in get_args(Rule):
        raise ValueError(f"no rule named {declared!r}; the rules are {', '.join(get_args(Rule))}")
    asked = list(rankings)
    profile = read_rankings(asked)
    n = profile.candidates
    if profile.ballots and names is not None and len(names) != n:
        raise ValueError(f"{len(names)} names for {n} candidates")
    outcomes: dict[Rule, Outcome] = {
        "schulze": schulze(asked),
        "borda": borda(asked),
        "approval": approval(
            approved_by_rank(asked, top=max(1, n // 2) if top is None else top), candidates=max(n, 1)
        ),
        "instant run-off": instant_runoff(asked),
        "copeland": copeland(asked),
        "minimax by winning votes": minimax(asked, strength="winning votes"),
        "minimax by margins": minimax(asked, strength="margins"),
    }
    if profile.reason:
        return Comparison(
            declared, outcomes, None, None, f"No rule has a winner: {profile.reason}.", profile.reason
        )
    winners = outcomes[declared].winners
    others = {rule: outcome.winners for rule, outcome in outcomes.items() if outcome.winners != winners}
    chosen = winners[0] if len(winners) == 1 else None
    if chosen is None and seed is not None:
        chosen = int(np.random.default_rng(seed).choice(winners))
    return Comparison(declared, outcomes, chosen, not others, _sentence(declared, winners, others, names))


def _sentence(
    declared: Rule,
    winners: tuple[int, ...],
    others: Mapping[Rule, tuple[int, ...]],
    names: Sequence[str] | None,
) -> str:
    def shown(candidates: tuple[int, ...]) -> str:
        return " and ".join(str(x) if names is None else names[x] for x in candidates)

    if not others:
        return f"Every rule chooses {shown(winners)}."
    by_winners: dict[tuple[int, ...], list[str]] = {}
    for rule, chosen in others.items():
        by_winners.setdefault(chosen, []).append(rule)
    differ = "; ".join(f"{', '.join(rules)}: {shown(chosen)}" for chosen, rules in by_winners.items())
    return f"The declared rule, {declared}, chooses {shown(winners)}; others differ ({differ})."
