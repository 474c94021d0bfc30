"""What ends a deliberation before its end, and what that does to those who are still being asked."""

import asyncio
from typing import Any

import pytest

from multiplex.acts import Act, Failure, Performed
from multiplex.dataset.material import with_contrast
from multiplex.errors import ModelError, NoQuorumError
from tests.table import PERSONAS, answer, play, protocol

STAGES = protocol("open", "synthesise", "ratify")


class _Dies:
    """A model that dies under one persona while the others wait for it."""

    name = "dies"

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def perform(self, act: Act[Any], *, seed: int) -> Performed[Any]:
        if act.speaker == PERSONAS[0].name:
            await asyncio.sleep(0.01)
            raise ModelError("the engine died", kind="died")
        try:
            await asyncio.sleep(30)
        finally:
            self.ended.append(act.speaker)
        raise AssertionError("nobody waits so long")


def test_an_act_that_ends_the_run_ends_the_acts_beside_it() -> None:
    responder = _Dies()
    with pytest.raises(ModelError, match="the engine died") as caught:
        play(STAGES, responder=responder)
    assert caught.value.kind == "died"
    assert sorted(responder.ended) == sorted(persona.name for persona in PERSONAS[1:])


@pytest.mark.parametrize("name", ["synthesise", "answer"])
def test_a_run_ends_where_the_endpoint_is_gone_and_is_not_taken_for_complete(name: str) -> None:
    def script(act: Act[Any], seed: int) -> Any:
        return Failure("refused", "test: cannot be reached") if act.name == name else answer(act, seed)

    with pytest.raises(
        NoQuorumError, match=r"^(synthesise|contrast): nobody could be asked: test: cannot be reached"
    ):
        play(STAGES if name == "synthesise" else with_contrast(STAGES), script)


@pytest.mark.parametrize("kind", ["timeout", "status", "empty", "invalid_reply"])
def test_a_moderator_who_was_reached_and_gave_no_answer_is_on_record(kind: str) -> None:
    def script(act: Act[Any], seed: int) -> Any:
        return Failure(kind, "no answer") if act.name == "synthesise" else answer(act, seed)

    state, _, _ = play(STAGES, script)
    failed = [result["failure"] for result in state["results"] if result["step"] == "synthesise.draft"]
    assert failed
    assert {failure["kind"] for failure in failed} == {kind}
