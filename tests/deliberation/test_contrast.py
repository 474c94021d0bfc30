"""Contrast: who votes does not know which of the two texts is the panel's, and nothing of it reaches the answers."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from multiplex.acts import Act, AnswerAlone, Failure, Ratify
from multiplex.api import deliberate
from multiplex.content.protocols import Protocol
from multiplex.dataset.material import with_contrast
from multiplex.deliberation.stages.step import order_shown
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Run
from tests.table import NURSE, PERSONAS, SCENARIO, Script, Words, answer, protocol

PLAIN = protocol("open", "synthesise", "ratify")
WITH = with_contrast(PLAIN)
OVERTON, ALONE = "The spectrum, draft 0.", "One voice answers."


def held(stages: Protocol = WITH, script: Script = answer, seed: int = 5) -> tuple[Run, ScriptedResponder]:
    responder = ScriptedResponder(script)
    given: dict[str, Any] = {"personas": PERSONAS, "protocol": stages, "seed": seed, "scores": False}
    return deliberate(SCENARIO, **given, model=responder, embedder=Words(), cache=False), responder


def of_step(run: Run, step: str) -> list[dict[str, Any]]:
    return [result for result in run.transcript if result["step"] == step]


def without_times(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in result.items() if key != "usage"} for result in results]


def ballots(responder: ScriptedResponder) -> list[Ratify]:
    return [act for act in responder.acts if isinstance(act, Ratify) and act.statement in {OVERTON, ALONE}]


def test_one_model_answers_alone_and_hears_nobody() -> None:
    run, responder = held()
    [act] = [act for act in responder.acts if isinstance(act, AnswerAlone)]
    assert act == AnswerAlone(scenario=SCENARIO, told="plain")
    [result] = of_step(run, "contrast.alone")
    assert (result["speaker"], result["reply"]) == ("moderator", {"answer": ALONE})


def test_everyone_endorses_both_texts_and_is_asked_alike() -> None:
    run, responder = held()
    asked = ballots(responder)
    assert {(act.persona.name, act.statement) for act in asked} == {
        (persona.name, text) for persona in PERSONAS for text in (OVERTON, ALONE)
    }
    assert len(asked) == len(of_step(run, "contrast.ballot")) == 6
    for (
        persona
    ) in PERSONAS:  # the two ballots differ in the statement, and in nothing that tells where it is from
        one, other = (act for act in asked if act.persona is persona)
        assert replace(one, statement=other.statement) == other
        assert [own.speaker for own in one.own] == [persona.name]


def test_each_is_shown_the_two_in_an_order_of_its_own() -> None:
    orders = set()
    for seed in range(6):
        _, responder = held(seed=seed)
        for persona in PERSONAS:
            shown = [act.statement for act in ballots(responder) if act.persona is persona]
            assert shown == [(OVERTON, ALONE)[i] for i in order_shown(2, persona.name, seed)]
            orders.add(tuple(shown))
    assert orders == {(OVERTON, ALONE), (ALONE, OVERTON)}


def test_the_answers_are_those_without_the_contrast() -> None:
    run, _ = held()
    plain, _ = held(PLAIN)
    assert run.answers == plain.answers
    before = [result for result in run.transcript if not result["step"].startswith("contrast.")]
    assert without_times(before) == without_times(plain.transcript)


def test_without_an_answer_alone_the_panels_is_still_voted_on() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        return (
            Failure("timeout", "no answer within 9 s") if isinstance(act, AnswerAlone) else answer(act, seed)
        )

    run, responder = held(script=script)
    [result] = of_step(run, "contrast.alone")
    assert (result["reply"], result["failure"]["kind"]) == (None, "timeout")
    assert {act.statement for act in ballots(responder)} == {OVERTON}
    assert len(of_step(run, "contrast.ballot")) == 3
    assert run.answers == held(PLAIN)[0].answers


def test_ballots_that_fail_are_on_record_and_end_nothing() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Ratify) and act.statement in {OVERTON, ALONE}:
            return Failure("empty", "said nothing")
        return answer(act, seed)

    run, _ = held(script=script)
    failed = of_step(run, "contrast.ballot")
    assert [result["failure"]["kind"] for result in failed] == ["empty"] * 6
    assert run.answers == held(PLAIN)[0].answers


def test_who_never_opened_is_not_asked() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if getattr(act, "persona", None) is NURSE:
            return Failure("timeout", "no answer within 9 s")
        return answer(act, seed)

    _, responder = held(with_contrast(protocol("open", "synthesise", "ratify", quorum=0.5)), script)
    assert {act.persona.name for act in ballots(responder)} == {"miller", "sailor"}


def test_it_stands_after_a_synthesis_and_is_put_at_the_end_where_it_can() -> None:
    assert [stage.name for stage in WITH.stages] == ["open", "synthesise", "ratify", "contrast"]
    assert with_contrast(WITH) is WITH
    assert with_contrast(only := protocol("open", "articulate")) is only
    with pytest.raises(ValidationError, match="contrast"):
        protocol("open", "contrast")
