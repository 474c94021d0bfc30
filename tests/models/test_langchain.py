"""A LangChain chat model, seen as one of ours: what it is given, what is read, and how it fails."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, FakeListChatModel, FakeMessagesListChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.utils.function_calling import convert_to_openai_tool

from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.langchain import LangChain

CHAT: list[Message] = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What should be done about {this}?"},
]
SCHEMA = {"type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"]}


def ask(
    chat: BaseChatModel,
    *,
    schema: Mapping[str, Any] | None = None,
    sampling: Sampling = Sampling(seed=7),  # noqa: B008 (frozen)
) -> Completion:
    return asyncio.run(LangChain(chat).complete(CHAT, sampling=sampling, schema=schema))


def answer_on(message: AIMessage) -> Completion:
    return ask(FakeMessagesListChatModel(responses=[message]))


class Telling(BaseChatModel):
    """A chat model that tells what it was set to and what it was asked."""

    seed: int | None = None
    temperature: float | None = None
    num_predict: int | None = None
    top_p: float | None = None

    @property
    def _llm_type(self) -> str:
        return "telling"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        told = [
            self.seed,
            self.temperature,
            self.num_predict,
            self.top_p,
            [(m.type, m.content) for m in messages],
            kwargs,
        ]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(json.dumps(told)))])


class Calling(FakeMessagesListChatModel):
    """A chat model that says what is wanted through a tool call."""

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, AIMessage]:
        """Call the first of the tools."""
        name = convert_to_openai_tool(tools[0])["function"]["name"]
        call = {"name": name, "args": {"verdict": "wiser ü"}, "id": "1", "type": "tool_call"}
        return RunnableLambda(lambda _: AIMessage("", tool_calls=[call]))


class Constrained(FakeListChatModel):
    """A chat model with structured output of its own."""

    def with_structured_output(self, schema: Any, *, include_raw: bool = False, **kwargs: Any) -> Any:
        """Answer with what was asked for."""
        assert include_raw
        assert kwargs == {"method": "json_schema"}
        raw = AIMessage(json.dumps(schema["title"]))
        return RunnableLambda(lambda _: {"raw": raw, "parsed": schema["title"], "parsing_error": None})


class Failing(FakeListChatModel):
    """A chat model that fails as it is told to."""

    error: Exception

    def _call(self, *args: Any, **kwargs: Any) -> str:
        raise self.error


def test_messages_reach_the_chat_model_as_they_are() -> None:
    said = [["system", "Answer briefly."], ["human", "What should be done about {this}?"]]
    assert json.loads(ask(Telling()).text)[4:] == [said, {}]


def test_sampling_is_set_in_the_fields_that_the_chat_model_has() -> None:
    chat = Telling(seed=1, top_p=0.3)
    told = json.loads(ask(chat, sampling=Sampling(seed=9, temperature=0.2, max_tokens=50)).text)
    assert told[:4] == [9, 0.2, 50, 0.3]
    assert json.loads(ask(chat, sampling=Sampling(seed=9, top_p=0.9)).text)[3] == 0.9
    assert (chat.seed, chat.temperature) == (1, None)


def test_a_chat_model_without_such_fields_is_asked_without_them() -> None:
    assert ask(FakeListChatModel(responses=["Yes."])).text == "Yes."


def test_a_schema_goes_through_structured_output_where_there_is_any() -> None:
    assert ask(Constrained(responses=[]), schema={**SCHEMA, "title": "Verdict"}).text == '"Verdict"'
    assert ask(Constrained(responses=[]), schema=SCHEMA).text == '"reply"'


def test_what_is_said_through_a_tool_call_is_its_arguments() -> None:
    assert ask(Calling(responses=[]), schema=SCHEMA).text == '{"verdict": "wiser ü"}'


def test_a_chat_model_without_structured_output_is_asked_all_the_same() -> None:
    assert (
        ask(FakeListChatModel(responses=['{"verdict": "wiser"}']), schema=SCHEMA).text
        == '{"verdict": "wiser"}'
    )


def test_token_counts_and_the_reason_to_finish_are_read() -> None:
    message = AIMessage(
        "Cut",
        usage_metadata={
            "input_tokens": 9,
            "output_tokens": 4,
            "total_tokens": 13,
            "input_token_details": {"cache_read": 6},
        },
        response_metadata={"finish_reason": "length"},
    )
    wanted = Completion("Cut", finish_reason="length", prompt_tokens=9, cached_tokens=6, completion_tokens=4)
    assert answer_on(message) == wanted
    assert answer_on(AIMessage("Done.")) == Completion("Done.")


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"stop_reason": "max_tokens"}, "length"),
        ({"done_reason": "length"}, "length"),
        ({"finish_reason": "MAX_TOKENS"}, "length"),
        ({"stop_reason": "end_turn"}, "stop"),
        ({"finish_reason": "STOP"}, "stop"),
    ],
)
def test_every_way_to_say_that_an_answer_was_cut_off_is_understood(told: dict[str, str], wanted: str) -> None:
    assert answer_on(AIMessage("Text.", response_metadata=told)).finish_reason == wanted


@pytest.mark.parametrize(
    "message",
    [
        AIMessage([{"type": "reasoning", "reasoning": "Who?"}, {"type": "text", "text": "Nobody."}]),
        AIMessage("Nobody.", additional_kwargs={"reasoning_content": "Who?"}),
        AIMessage("<think>Who?</think>Nobody."),
    ],
)
def test_what_was_thought_is_told_apart(message: AIMessage) -> None:
    assert answer_on(message) == Completion("Nobody.", reasoning="Who?")


def test_an_answer_without_text_is_empty() -> None:
    with pytest.raises(ModelError, match=r"^answered with no text$") as caught:
        answer_on(AIMessage(" "))
    assert caught.value.kind == "empty"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError("too\nlate"), "timeout"),
        (ConnectionRefusedError("nobody there"), "refused"),
        (RuntimeError("broken " * 100), "failed"),
    ],
)
def test_whatever_a_chat_model_raises_is_a_model_error_in_one_short_sentence(
    error: Exception, kind: str
) -> None:
    with pytest.raises(ModelError) as caught:
        ask(Failing(responses=[], error=error))
    assert caught.value.kind == kind
    assert str(caught.value).startswith(f"{type(error).__name__}: ")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 200


def test_an_error_without_a_message_is_told_by_its_name() -> None:
    with pytest.raises(ModelError, match=r"^RuntimeError$"):
        ask(Failing(responses=[], error=RuntimeError()))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (FakeListChatModel(responses=[]).bind(stop=["."]), "_ChatModelBinding"),
        (FakeListChatModel(responses=[]).with_retry(), "RunnableRetry"),
        (FakeListChatModel, "FakeListChatModel"),
        ("gpt", "str"),
    ],
)
def test_what_is_no_chat_model_is_refused_before_anything_is_asked(given: Any, what: str) -> None:
    with pytest.raises(ContentError, match=rf"^LangChain\({what}\): takes a chat model of LangChain"):
        LangChain(given)


def test_the_name_is_the_one_it_was_given_or_what_the_chat_model_calls_itself() -> None:
    class Named(FakeListChatModel):
        """A chat model that says which model it asks."""

        model_name: str = "large"

    assert LangChain(Named(responses=[])).name == "langchain:large"
    assert LangChain(FakeListChatModel(responses=[])).name == "langchain:FakeListChatModel"
    assert LangChain(FakeListChatModel(responses=[]), name="mine").name == "mine"


def test_closing_leaves_the_chat_model_usable() -> None:
    model = LangChain(FakeListChatModel(responses=["One.", "Two."]))
    asyncio.run(model.aclose())
    asyncio.run(model.aclose())
    assert asyncio.run(model.complete(CHAT, sampling=Sampling(seed=1))).text == "One."
