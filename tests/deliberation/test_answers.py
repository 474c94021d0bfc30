"""The four answers, read off finished states, and the reasons where there is none."""

from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Ballot, Dissent, Failure, Rank, Ratify, Respond, Synthesise
from multiplex.content.protocols import Protocol
from multiplex.content.scenarios import Scenario
from multiplex.deliberation.answers import answers_of
from multiplex.deliberation.state import Context
from multiplex.runs import Answers
from tests.table import NURSE, OPEN_QUESTION, PANEL, SCENARIO, Script, answer, play, protocol


def answers(stages: Protocol, script: Script = answer, *, scenario: Scenario = SCENARIO) -> Answers:
    state, _, _ = play(stages, script, scenario=scenario)
    return answers_of(state, context(scenario), stages, notice=None)


def context(scenario: Scenario = SCENARIO) -> Context:
    return Context(scenario=scenario, panel=PANEL, seed=7, responders={})


RATIFIED = protocol("open", "synthesise", "ratify")


def test_a_whole_deliberation_gives_four_answers_and_no_reasons() -> None:
    found = answers(protocol("open", "exchange", "synthesise", "ratify"))
    assert found.overton == "The spectrum, draft 0."
    assert found.consensus is not None
    assert found.consensus.statement == "The statement, draft 0."
    assert found.consensus.endorsements == {"miller": 5, "sailor": 5, "nurse": 5}
    assert list(found.steered) == ["miller", "sailor", "nurse"]
    assert found.distribution is not None
    assert found.reasons == {}


def test_a_steered_answer_is_what_was_said_unheard_and_its_closing_what_was_said_last() -> None:
    steered = answers(protocol("open", "exchange")).steered["miller"]
    assert steered.answer.startswith("The miller opens.")
    assert steered.closing == "The miller replies in round 1."
    assert steered.claims[0]["commitment"] == "mill_stream"
    assert steered.stance == {"keep": 0.8, "stop": 0.2}
    assert answers(protocol("open")).steered["miller"].closing is None


def swayed(act: Act[Any], seed: int) -> BaseModel | Failure:
    said = answer(act, seed)
    if isinstance(act, Respond) and act.persona is NURSE:
        return said.model_copy(update={"stance": {"keep": 100}, "moved": True})
    if isinstance(act, Respond):
        return Failure(kind="tired", reason="has nothing to say")
    return said


def test_stances_are_those_at_the_end_and_a_silent_one_stays_where_it_was() -> None:
    stages = protocol("open", "exchange", quorum=0.3)
    found = answers(stages, swayed)
    assert {name: steered.final_stance for name, steered in found.steered.items()} == {
        "miller": {"keep": 0.8, "stop": 0.2},
        "sailor": {"keep": 0.6, "stop": 0.4},
        "nurse": {"keep": 1.0},
    }
    assert found.steered["nurse"].stance == {"keep": 0.3, "stop": 0.7}


def test_without_options_there_is_no_distribution_and_the_reason_says_so() -> None:
    found = answers(protocol("open"), scenario=OPEN_QUESTION)
    assert found.distribution is None
    assert found.reasons["distribution"] == "the scenario has no closed options"


@pytest.mark.parametrize("told", ["plain", "multiplex"])
def test_a_voice_alone_gives_one_answer_and_reasons_for_the_rest(told: str) -> None:
    found = answers(protocol({"answer": {"told": told}}))
    assert found.overton == "One voice answers."
    assert found.consensus is None
    assert found.steered == {}
    assert found.reasons == {
        "consensus": "the protocol 'trial' seats no panel",
        "steered": "the protocol 'trial' hears no persona",
        "distribution": "the protocol 'trial' hears no persona",
    }


def test_a_protocol_that_writes_no_statement_is_not_told_to_seat_a_panel() -> None:
    found = answers(protocol("open", "exchange"))
    wanted = "the protocol has no stage that writes it"
    assert found.reasons == {"overton": wanted, "consensus": wanted}


def broken(act: Act[Any], seed: int) -> BaseModel | Failure:
    if isinstance(act, Synthesise):
        return Failure(kind="invalid_reply", reason="scripted: cut off")
    return answer(act, seed)


def test_a_moderator_that_never_drafts_leaves_no_statement_and_its_reason() -> None:
    found = answers(RATIFIED, broken)
    assert found.overton is None
    assert found.consensus is None
    wanted = "the moderator gave no usable answer in 3 tries: scripted: cut off"
    assert found.reasons == {"overton": wanted, "consensus": wanted}
    assert list(found.steered) == ["miller", "sailor", "nurse"]


def test_a_voice_alone_that_fails_is_told_with_its_reason() -> None:
    found = answers(protocol("answer"), lambda act, seed: Failure(kind="timeout", reason="too slow"))
    assert found.overton is None
    assert found.reasons["overton"] == "the moderator gave no usable answer in 1 try: too slow"


def objecting(act: Act[Any], seed: int) -> BaseModel:
    """Object to a first draft; endorse the revised one."""
    if isinstance(act, Ratify):
        revised = act.statement.endswith("Revised.")
        marks = {"miller": 6, "sailor": 4, "nurse": 2}
        mark = 7 if revised else marks[act.persona.name]
        return Ballot(endorsement=mark, objection=None if mark > 5 else f"The {act.persona.name} objects.")
    said = answer(act, seed)
    if isinstance(act, Synthesise) and act.previous:
        return said.model_copy(update={"consensus": f"{act.previous.consensus} Revised."})
    return said


def test_dissent_is_what_was_objected_to_the_statement_that_stands_the_strongest_first() -> None:
    consensus = answers(protocol("open", "synthesise", {"ratify": {"revise": 0}}), objecting).consensus
    assert consensus is not None
    assert [(d.persona, d.endorsement) for d in consensus.dissent] == [("nurse", 2), ("sailor", 4)]
    assert not consensus.revised
    revised = answers(RATIFIED, objecting).consensus
    assert revised is not None
    assert revised.dissent == ()
    assert (revised.revised, revised.drafts) == (True, 2)


def test_a_statement_that_was_revised_is_told_so_even_where_a_first_draft_had_failed() -> None:
    failed = False

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        nonlocal failed
        if isinstance(act, Synthesise) and not failed:
            failed = True
            return Failure(kind="timeout", reason="too slow")
        return objecting(act, seed)

    consensus = answers(RATIFIED, script).consensus
    assert consensus is not None
    assert consensus.statement.endswith("Revised.")
    assert consensus.revised


def test_the_second_of_several_candidates_is_no_revision() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel:
        if isinstance(act, Rank):
            order = sorted(range(len(act.statements)), key=lambda i: "draft 1" not in act.statements[i])
            return answer(act, seed).model_copy(update={"order": tuple(i + 1 for i in order)})
        return answer(act, seed)

    consensus = answers(protocol("open", {"synthesise": {"candidates": 2}}, "ratify"), script).consensus
    assert consensus is not None
    assert (consensus.statement, consensus.revised) == ("The statement, draft 1.", False)


def test_an_abstention_is_kept_among_the_endorsements() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Ratify) and act.persona is NURSE:
            return Failure(kind="timeout", reason="too slow")
        return answer(act, seed)

    consensus = answers(RATIFIED, script).consensus
    assert consensus is not None
    assert consensus.endorsements == {"miller": 5, "sailor": 5, "nurse": None}


def test_without_a_ballot_dissent_is_the_moderators_account_of_it() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel:
        said = answer(act, seed)
        if isinstance(act, Synthesise):
            return said.model_copy(update={"dissent": (Dissent(persona="nurse", text="Not at night."),)})
        return said

    consensus = answers(protocol("open", "synthesise"), script).consensus
    assert consensus is not None
    assert [(d.label, d.endorsement, d.text) for d in consensus.dissent] == [("Nurse", None, "Not at night.")]
    assert consensus.endorsements == {}


def test_the_notice_goes_with_the_answers() -> None:
    state, _, _ = play(protocol("open"))
    found = answers_of(state, context(), protocol("open"), notice="A script spoke.")
    assert found.notice == "A script spoke."
