"""The scripted responder says what its script says, and is held to what an act allows."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Failure, Ranking, TakePosition
from multiplex.responders.scripted import ScriptedResponder
from tests.table import MILLER, SCENARIO, answer, every_act

ACT = TakePosition(scenario=SCENARIO, persona=MILLER)


def test_the_script_sees_the_act_and_its_seed() -> None:
    seen: list[tuple[Act[Any], int]] = []

    def script(act: Act[Any], seed: int) -> BaseModel:
        seen.append((act, seed))
        return answer(act, seed)

    responder = ScriptedResponder(script)
    performed = asyncio.run(responder.perform(ACT, seed=9))
    assert performed.reply == answer(ACT, 9)
    assert performed.failure is None
    assert seen == [(ACT, 9)]


def test_a_failure_is_recorded_and_not_raised() -> None:
    responder = ScriptedResponder(lambda act, seed: Failure(kind="tired", reason="asleep"))
    performed = asyncio.run(responder.perform(ACT, seed=1))
    assert performed.reply is None
    assert performed.failure == Failure(kind="tired", reason="asleep")


def test_acts_are_kept_in_the_order_in_which_they_came() -> None:
    responder = ScriptedResponder(answer)
    acts = every_act()
    for act in acts:
        asyncio.run(responder.perform(act, seed=1))
    assert responder.acts == acts


def test_a_script_that_makes_no_sense_is_told_so() -> None:
    responder = ScriptedResponder(lambda act, seed: Ranking(order=(2, 2)))
    rank = next(act for act in every_act() if act.name == "rank")
    with pytest.raises(ValueError, match="every number from 1 to 2 once"):
        asyncio.run(responder.perform(rank, seed=1))
