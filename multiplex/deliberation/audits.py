"""What a record says of the moderator, of the rule of choice, and of how evenly the panel is served."""

from collections.abc import Mapping
from typing import Any

from multiplex.deliberation.record import Record
from multiplex.deliberation.state import Plain
from multiplex.runs import Answers
from multiplex.scoring.agreement import kendall_w
from multiplex.scoring.discretion import Case, discretion
from multiplex.scoring.inequity import value_inequity
from multiplex.scoring.score import Score, plain
from multiplex.voting import winners_under_every_rule

__all__ = ["choice_of", "discretion_of", "inequity_of"]


def choice_of(record: Record) -> Plain:
    """Return who wins among the candidate statements under every rule, and how far the rankings agree."""
    if not record.rankings:
        return Score.undefined("the panel ranked no candidate statements").as_dict()
    rankings = list(record.rankings.values())
    found = winners_under_every_rule(rankings, declared="schulze")
    return {
        "declared": found.declared,
        "winners": {rule: list(winners) for rule, winners in found.winners.items()},
        "agreed": found.agreed,
        "sentence": found.sentence,
        "reason": found.reason,
        "ballots": {name: None if row is None else list(row) for name, row in record.rankings.items()},
        "kendall_w": kendall_w(rankings).as_dict(),
    }


def discretion_of(record: Record) -> Plain:
    """Return how the moderator's proposals stand to the verdicts on them.

    A case is a transition: whoever proposed it holds the second value to be wiser. A persona that says so
    too is on its side, one that says not wiser is against it, one that is unsure is indifferent.
    """
    proposed: dict[str, dict[str, str | None]] = {}
    for judgement in record.judgements:
        if judgement.verdict != "abstained":
            verdict = None if judgement.verdict == "unsure" else judgement.verdict
            proposed.setdefault(judgement.transition, {})[judgement.judge] = verdict
    cases = [Case("wiser", "not_wiser", verdicts) for verdicts in proposed.values()]
    found: Plain = plain(discretion(cases))
    found["contradicted"] = [list(proposed)[place] for place in found["contradicted"]]
    return found


def inequity_of(record: Record, answers: Answers, representation: Mapping[str, Any]) -> Plain:
    """Return how unequally the panel's members are represented, and how unequally they endorse.

    Every persona is a group of its own, so that each value is the deviation over personas.
    """
    groups = {"persona": {name: name for name in record.speakers}}
    carried = {
        name: (representation.get("personas") or {}).get(name, {}).get("value") for name in record.speakers
    }
    ballots = answers.consensus.endorsements if answers.consensus else {}
    given = {
        name: None if ballots.get(name) is None else float(ballots[name] or 0) for name in record.speakers
    }
    return {
        "representation": value_inequity(carried, groups, unit="mean best match, 0 to 1").as_dict(),
        "endorsement": value_inequity(given, groups, unit="endorsement, 1 to 7").as_dict(),
    }
