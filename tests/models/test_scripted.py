"""The scripted model says what it is told to say."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from multiplex.errors import ModelError
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.scripted import Scripted

HELLO: list[Message] = [{"role": "user", "content": "Hello."}]
SAMPLING = Sampling(seed=1)


def say(model: Scripted, messages: Sequence[Message] = HELLO) -> Completion:
    return asyncio.run(model.complete(messages, sampling=SAMPLING))


def test_texts_are_said_in_order() -> None:
    model = Scripted(["one", "two"])
    assert [say(model).text, say(model).text] == ["one", "two"]


def test_a_script_that_has_run_out_is_a_model_error() -> None:
    model = Scripted(["one"])
    say(model)
    with pytest.raises(ModelError, match=r"^the script has run out$") as caught:
        say(model)
    assert caught.value.kind == "script"


def test_a_completion_is_passed_on_as_it_is() -> None:
    completion = Completion(text="cut", finish_reason="length", prompt_tokens=3)
    assert say(Scripted([completion])) is completion


def test_a_function_sees_messages_schema_and_sampling() -> None:
    def script(messages: Sequence[Message], schema: Mapping[str, Any] | None, sampling: Sampling) -> str:
        return f"{messages[0]['content']} {schema} {sampling.seed}"

    answer = asyncio.run(Scripted(script).complete(HELLO, sampling=SAMPLING, schema={"type": "object"}))
    assert answer.text == "Hello. {'type': 'object'} 1"


def test_calls_are_kept_and_do_not_change_with_the_list_that_was_passed() -> None:
    model = Scripted(["one", "two"])
    messages = list(HELLO)
    say(model, messages)
    messages.append({"role": "assistant", "content": "one"})
    say(model, messages)
    assert [len(call) for call in model.calls] == [1, 2]


def test_the_name_is_the_one_it_was_given() -> None:
    assert Scripted([]).name == "scripted"
    assert Scripted([], name="parrot").name == "parrot"


def test_closing_twice_is_fine() -> None:
    model = Scripted(["one"])
    asyncio.run(model.aclose())
    asyncio.run(model.aclose())
    assert say(model).text == "one"
