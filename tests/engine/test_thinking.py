"""A model that thinks first: the schema holds for the answer, and reasoning is told apart; then it dies."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.tiny_model import make_model
from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, EmptyError, Message, Sampling
from multiplex.models.engine import Engine
from multiplex.models.engine.chat import Chat
from tests.engine.conftest import OPTIONS

CHAT: list[Message] = [{"role": "user", "content": "What should be done?"}]
SCHEMA = {
    "type": "object",
    "properties": {"verdict": {"enum": ["wiser", "not_wiser"]}},
    "required": ["verdict"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def thinker(tmp_path_factory: pytest.TempPathFactory, runner: asyncio.Runner) -> Iterator[Engine]:
    folder = make_model(tmp_path_factory.mktemp("models") / "thinker", template="no_system")
    engine = Engine(str(folder), options={**OPTIONS, "reasoning_parser": "deepseek_r1"})
    runner.run(engine.start())
    yield engine
    runner.run(engine.aclose())


def test_what_is_thought_is_free_and_what_is_said_fits_the_schema(
    thinker: Engine, runner: asyncio.Runner
) -> None:
    async def ask() -> list[Completion]:
        samplings = [Sampling(seed=seed, temperature=1.0, max_tokens=4000) for seed in range(8)]
        return await asyncio.gather(*(thinker.complete(CHAT, sampling=s, schema=SCHEMA) for s in samplings))

    completions = runner.run(ask())
    assert all(json.loads(c.text)["verdict"] in {"wiser", "not_wiser"} for c in completions)
    thoughts = [completion.reasoning for completion in completions if completion.reasoning]
    assert len(thoughts) > 4
    assert not any("</think>" in thought for thought in thoughts)


def test_a_thought_that_never_ends_is_no_answer(thinker: Engine, runner: asyncio.Runner) -> None:
    with pytest.raises(ModelError, match="answered with no text") as caught:
        runner.run(thinker.complete(CHAT, sampling=Sampling(seed=1, max_tokens=1), schema=SCHEMA))
    assert isinstance(caught.value, EmptyError)
    assert caught.value.completion.completion_tokens == 1


def test_choices_are_made_without_thinking(thinker: Engine, runner: asyncio.Runner) -> None:
    completion = runner.run(thinker.complete(CHAT, sampling=Sampling(seed=1, choices=("A", "B"))))
    assert completion.text in {"A", "B"}
    assert completion.reasoning is None


def test_a_system_message_goes_before_the_question_where_the_template_has_no_place_for_it(
    thinker: Engine, runner: asyncio.Runner
) -> None:
    sampling = Sampling(seed=1, choices=("A", "B"))
    apart: list[Message] = [{"role": "system", "content": "Be brief."}, *CHAT]
    merged: list[Message] = [{"role": "user", "content": f"Be brief.\n\n{CHAT[0]['content']}"}]
    one, other = (runner.run(thinker.complete(chat, sampling=sampling)) for chat in (apart, merged))
    assert one.prompt_tokens == other.prompt_tokens
    assert one.logprobs == pytest.approx(other.logprobs, abs=0.1)


def test_an_engine_that_dies_says_so_and_fails_every_call(thinker: Engine, runner: asyncio.Runner) -> None:
    async def ask_and_kill() -> list[object]:
        asked = [
            asyncio.create_task(thinker.complete(CHAT, sampling=Sampling(seed=n, max_tokens=9000)))
            for n in range(3)
        ]
        await asyncio.sleep(1)
        for pid in thinker.pids:
            os.kill(pid, signal.SIGKILL)
        return await asyncio.gather(*asked, return_exceptions=True)

    for error in runner.run(ask_and_kill()):
        assert isinstance(error, ModelError)
        assert error.kind == "died"
        assert str(error).startswith("vLLM's engine died")
    with pytest.raises(ModelError, match="vLLM's engine died"):
        runner.run(thinker.complete(CHAT, sampling=Sampling(seed=1)))


def test_a_model_without_a_chat_template_says_what_to_do(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = make_model(tmp_path / "base", template="none", layers=1, hidden=64, heads=1)
    with pytest.raises(ContentError, match="--engine-arg chat_template=FILE"):
        Chat(AutoTokenizer.from_pretrained(folder))
