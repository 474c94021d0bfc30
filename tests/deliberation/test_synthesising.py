"""Drafts in whole deliberations: tried again, ranked, ratified and revised."""

from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Ballot, Failure, Rank, Ranking, Ratify, Synthesise
from multiplex.deliberation.state import results_of
from multiplex.errors import NoQuorumError
from tests.deliberation.made import NAMES, asked, failing
from tests.table import Script, answer, play, protocol


def test_a_moderator_that_fails_the_draft_is_asked_three_times() -> None:
    state, responder, _ = play(protocol("open", "synthesise", "ratify"), failing(Synthesise))
    assert [result["round"] for result in results_of(state, "synthesise.draft")] == [1, 2, 3]
    assert "drafts" not in state
    assert not asked(responder, Ratify)


def test_a_moderator_that_succeeds_at_last_is_not_asked_again() -> None:
    state, _, _ = play(protocol("open", "synthesise", "ratify"), failing(Synthesise, first=2))
    assert [bool(result["reply"]) for result in results_of(state, "synthesise.draft")] == [False, False, True]
    assert len(state["drafts"]) == 1
    assert state["ballots"]


def test_one_candidate_that_is_left_is_not_ranked() -> None:
    _, responder, _ = play(protocol("open", {"synthesise": {"candidates": 2}}), failing(Synthesise, first=1))
    assert not asked(responder, Rank)


def preferring(wanted: str) -> Script:
    """Rank the statements by how they are worded: the wanted one first, wherever it stands."""

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Rank):
            order = sorted(range(len(act.statements)), key=lambda i: wanted not in act.statements[i])
            return Ranking(order=tuple(i + 1 for i in order))
        return answer(act, seed)

    return script


@pytest.mark.parametrize("wanted", [0, 1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_ranking_finds_what_all_prefer_however_it_was_shuffled(wanted: int, seed: int) -> None:
    stages = protocol("open", {"synthesise": {"candidates": 3}})
    state, _, _ = play(stages, preferring(f"draft {wanted}."), seed=seed)
    assert state["chosen"] == wanted
    assert all(ballot[wanted] == 0 for ballot in state["ranking"]["ballots"].values())
    assert state["ranking"]["ranks"][wanted] == 0


def test_statements_are_shown_in_an_order_of_ones_own() -> None:
    stages = protocol("open", {"synthesise": {"candidates": 6}})
    _, responder, _ = play(stages)
    shown = [act.statements for act in asked(responder, Rank)]
    assert len(set(shown)) > 1
    assert len({frozenset(statements) for statements in shown}) == 1


def test_what_the_majority_prefers_stands_against_one_who_does_not() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        wanted = "draft 2." if act.speaker == "nurse" else "draft 1."
        return preferring(wanted)(act, seed)

    state, _, _ = play(protocol("open", {"synthesise": {"candidates": 3}}), script)
    assert state["chosen"] == 1


def test_rankings_that_all_fail_leave_no_quorum() -> None:
    with pytest.raises(NoQuorumError, match=r"^synthesise: only 0 of 3"):
        play(protocol("open", {"synthesise": {"candidates": 2}}), failing(Rank))


def test_the_candidate_that_was_chosen_is_the_one_that_is_ratified() -> None:
    stages = protocol("open", {"synthesise": {"candidates": 3}}, "ratify")
    _, responder, _ = play(stages, preferring("draft 2."))
    assert {act.statement for act in asked(responder, Ratify)} == {"The statement, draft 2."}


def objecting(*endorsements: int) -> Script:
    """Let everyone endorse the drafts so, one after the other, and object below 5."""
    given: dict[str, int] = {}

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Ratify):
            place = given[act.persona.name] = given.get(act.persona.name, -1) + 1
            mark = endorsements[place]
            return Ballot(endorsement=mark, objection="Not yet." if mark < 5 else None)
        if isinstance(act, Synthesise) and act.previous:
            said = answer(act, seed)
            return said.model_copy(update={"consensus": f"{act.previous.consensus} Revised."})
        return answer(act, seed)

    return script


def ratified(revise: int, *endorsements: int) -> dict[str, Any]:
    stages = protocol("open", "synthesise", {"ratify": {"revise": revise}})
    return play(stages, objecting(*endorsements))[0]


def test_without_objections_nothing_is_revised() -> None:
    state = ratified(3, 6)
    assert len(state["drafts"]) == 1
    assert not results_of(state, "ratify.revise")


@pytest.mark.parametrize("revise", [0, 1, 2, 5])
def test_a_statement_is_revised_at_most_so_often(revise: int) -> None:
    state = ratified(revise, *[3] * (revise + 1))
    assert len(state["drafts"]) == revise + 1
    assert len(results_of(state, "ratify.ballot")) == 3 * (revise + 1)


@pytest.mark.parametrize(
    ("endorsements", "stands"), [((3, 6), 1), ((4, 2), 0), ((4, 4), 1), ((2, 4, 3), 1), ((4, 2, 3), 0)]
)
def test_the_better_draft_stands_and_a_tie_goes_to_the_later(
    endorsements: tuple[int, ...], stands: int
) -> None:
    state = ratified(len(endorsements) - 1, *endorsements)
    assert len(state["drafts"]) == len(endorsements)
    assert state["chosen"] == stands


def test_the_moderator_revises_from_the_objections_and_the_draft_that_they_were_made_to() -> None:
    stages = protocol("open", "synthesise", {"ratify": {"revise": 2}})
    _, responder, _ = play(stages, objecting(4, 2, 5))
    revisions = [act for act in asked(responder, Synthesise) if act.previous]
    assert [act.previous.consensus for act in revisions] == [
        "The statement, draft 0.",
        "The statement, draft 0. Revised.",
    ]
    assert [[o.endorsement for o in act.objections] for act in revisions] == [[4, 4, 4], [2, 2, 2]]
    assert [o.persona for o in revisions[0].objections] == NAMES


def test_a_revision_that_fails_leaves_the_draft_as_it_is() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Ratify):
            return Ballot(endorsement=3, objection="Not yet.")
        if isinstance(act, Synthesise) and act.previous:
            return Failure(kind="tired", reason="tired")
        return answer(act, seed)

    state, _, _ = play(protocol("open", "synthesise", {"ratify": {"revise": 3}}), script)
    assert len(state["drafts"]) == 1
    assert state["chosen"] == 0
    assert len(results_of(state, "ratify.ballot")) == 3
    assert len(results_of(state, "ratify.revise")) == 1
