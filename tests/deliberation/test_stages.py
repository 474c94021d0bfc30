"""The pieces that stages are made of, called by themselves."""

from typing import Any

import pytest

from multiplex.acts import Ratify, TakePosition
from multiplex.content.protocols import Answer, Compare, Exchange, Observe, Open, Synthesise
from multiplex.content.protocols import Ratify as RatifyStage
from multiplex.deliberation.stages import alone, compare, exchange, observe, opening, ratify, synthesise
from multiplex.deliberation.stages.step import ask_panel, last_round, replies, shares
from multiplex.deliberation.state import Context, State, Task, results_of, turns_of
from multiplex.responders.scripted import ScriptedResponder
from tests.table import MILLER, NURSE, PANEL, SAILOR, SCENARIO, answer, card, turn

CONTEXT = Context(
    scenario=SCENARIO,
    panel=PANEL,
    seed=3,
    responders=dict.fromkeys(["miller", "sailor", "nurse", "moderator"], ScriptedResponder(answer)),
)
NAMES = ("miller", "sailor", "nurse")
ASIDE = Task(speaker="moderator", round=1, about="")


def result(step: str, round: int, speaker: str, reply: dict[str, Any] | None) -> dict[str, Any]:
    failure = None if reply is not None else {"kind": "tired", "reason": "tired"}
    return {
        "step": step,
        "round": round,
        "speaker": speaker,
        "about": "",
        "seed": 1,
        "reply": reply,
        "failure": failure,
    }


def test_shares_sum_to_one() -> None:
    assert shares({"keep": 30, "stop": 10}) == {"keep": 0.75, "stop": 0.25}


@pytest.mark.parametrize("stance", [{}, {"keep": 0}])
def test_a_stance_without_weight_is_no_stance(stance: dict[str, int]) -> None:
    assert shares(stance) is None


def test_the_panel_is_asked_in_its_order() -> None:
    assert ask_panel(State(), CONTEXT, 2, "x") == [
        Task(speaker=name, round=2, about="x") for name in ("miller", "sailor", "nurse")
    ]


def test_once_the_panel_has_opened_only_those_with_an_opening_are_asked() -> None:
    results = [result("open.position", 1, name, {}) for name in ("nurse", "miller")]
    turns = [turn(persona).model_dump(mode="json") for persona in (NURSE, MILLER)]
    turns.append(turn(SAILOR, 1).model_dump(mode="json"))
    state = State(results=results, turns=turns)
    assert [task["speaker"] for task in ask_panel(state, CONTEXT, 2)] == ["miller", "nurse"]


def test_only_those_whose_opening_failed_are_asked_again_and_only_so_often() -> None:
    [step] = opening.steps(Open())
    results = [result("open.position", 1, name, None if name == "sailor" else {}) for name in NAMES]
    assert step.tasks(State(), CONTEXT) == [Task(speaker=name, round=1, about="") for name in NAMES]
    assert step.again(State(results=results), CONTEXT) == "open.position"
    assert step.tasks(State(results=results), CONTEXT) == [Task(speaker="sailor", round=2, about="")]
    results.append(result("open.position", 2, "sailor", None))
    heard = [*results, result("open.position", 3, "sailor", {})]
    assert step.again(State(results=results), CONTEXT) == "open.position"
    assert step.again(State(results=heard), CONTEXT) is None
    assert step.again(State(results=[*results, result("open.position", 3, "sailor", None)]), CONTEXT) is None


def test_results_are_found_by_step_and_round_and_replies_leave_out_failures() -> None:
    state = State(results=[result("a.b", 1, "miller", {}), result("a.b", 2, "nurse", None)])
    assert last_round(state, "a.b") == 2
    assert last_round(state, "a.c") == 0
    assert len(results_of(state, "a.b")) == 2
    assert [r["speaker"] for r, _ in replies(state, "a.b", 1)] == ["miller"]
    assert replies(state, "a.b", 2) == []


def test_turns_are_read_back_as_they_were_written() -> None:
    turns = [turn(persona, stance={"keep": 1.0, "stop": 0.0}) for persona in PANEL.personas]
    state = State(turns=[each.model_dump(mode="json") for each in turns])
    assert turns_of(state) == tuple(turns)
    assert turns_of(state, "nurse") == (turns[2],)


def test_an_opening_is_round_0() -> None:
    [step] = opening.steps(Open())
    act = step.act(Task(speaker="miller", round=1, about=""), State(), CONTEXT)
    assert act == TakePosition(scenario=SCENARIO, persona=MILLER)
    reply = answer(act, 0).model_dump(mode="json")
    state = State(results=[result("open.position", 1, "miller", reply)])
    [opened] = step.settle(state, CONTEXT, 1)["turns"]
    assert (opened["round"], opened["label"], opened["stance"]) == (0, "Miller", {"keep": 0.8, "stop": 0.2})


def test_a_stance_that_was_silent_for_a_round_is_compared_with_the_last_that_was_stated() -> None:
    [step] = exchange.steps(Exchange(rounds=5, still=0.05))
    said = [
        turn(MILLER, 0, stance={"keep": 0.8, "stop": 0.2}),
        turn(MILLER, 1, stance=None),
        turn(MILLER, 2, stance={"keep": 0.5, "stop": 0.5}),
    ]
    state = State(
        turns=[each.model_dump(mode="json") for each in said],
        results=[result("exchange.reply", round, "miller", {}) for round in (1, 2)],
    )
    assert step.again(state, CONTEXT) == "exchange.reply"


def test_nothing_is_compared_before_there_are_two_cards() -> None:
    _, merge, propose, judge = compare.steps(Compare())
    state = State(values=[card(MILLER).model_dump(mode="json")])
    assert merge.tasks(State(), CONTEXT) == []
    assert propose.tasks(state, CONTEXT) == []
    assert judge.tasks(state, CONTEXT) == []
    assert judge.settle(state, CONTEXT, 0) == {}


def test_one_candidate_needs_no_ranking_step() -> None:
    assert [step.name for step in synthesise.steps(Synthesise())] == ["draft"]
    assert [step.name for step in synthesise.steps(Synthesise(candidates=2))] == ["draft", "rank"]


def test_nothing_is_voted_on_without_a_draft() -> None:
    ballot, revise = ratify.steps(RatifyStage())
    assert ballot.tasks(State(), CONTEXT) == []
    assert ballot.settle(State(), CONTEXT, 0) == {}
    assert revise.tasks(State(), CONTEXT) == []


def test_the_ballot_is_on_the_chosen_draft_and_then_on_the_latest() -> None:
    ballot, _ = ratify.steps(RatifyStage())
    drafts = [{"consensus": text} for text in ("zero", "one", "two")]
    task = Task(speaker="miller", round=1, about="")
    first = ballot.act(task, State(drafts=drafts, chosen=1), CONTEXT)
    later = ballot.act(task, State(drafts=drafts, chosen=1, ballots=[{"draft": 1}]), CONTEXT)
    assert isinstance(first, Ratify)
    assert isinstance(later, Ratify)
    assert (first.statement, later.statement) == ("one", "two")


def test_a_voice_alone_that_fails_leaves_no_answer() -> None:
    [step] = alone.steps(Answer(told="multiplex"))
    assert step.act(ASIDE, State(), CONTEXT).role == "answer_multiplex"
    assert step.settle(State(results=[result("answer.alone", 1, "moderator", None)]), CONTEXT, 1) == {}


def test_the_observer_reads_the_draft_that_stands_or_the_one_answer() -> None:
    [step] = observe.steps(Observe())
    drafts = [{"overton": "first"}, {"overton": "second"}]
    for state, text in [(State(drafts=drafts, chosen=1), "second"), (State(answer="alone"), "alone")]:
        act: Any = step.act(ASIDE, state, CONTEXT)
        assert act.text == text
        assert act.perspectives == ("rural", "maritime", "clinical")
    assert step.tasks(State(), CONTEXT) == []
