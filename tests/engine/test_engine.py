"""A model in this process: what vLLM really does with schemas, seeds, prefixes, choices and long prompts."""

import asyncio
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from multiplex.acts import Act, Rank, Ranking
from multiplex.api import adeliberate
from multiplex.content.scenarios import Scenario
from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.engine import Engine, parse_options
from tests.engine.conftest import OPTIONS, check_run
from tests.table import OPEN_QUESTION, PERSONAS, SCENARIO, Words, every_act

CHAT: list[Message] = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "What should be done?"},
]
VERDICT = {
    "type": "object",
    "properties": {
        "verdict": {"enum": ["wiser", "not_wiser"]},
        "reason": {"type": "string", "minLength": 40, "maxLength": 60},
        "about": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 2, "maxItems": 3},
        "sure": {"anyOf": [{"type": "null"}, {"type": "boolean"}]},
    },
    "required": ["verdict", "reason", "about", "sure"],
    "additionalProperties": False,
}


def said(words: int) -> list[Message]:
    return [{"role": "user", "content": " ".join(f"word{n}" for n in range(words))}]


@pytest.mark.parametrize("act", every_act(), ids=lambda act: act.name)
def test_random_weights_answer_every_act_with_a_reply_that_fits_its_schema(
    act: Act[Any], engine: Engine, runner: asyncio.Runner
) -> None:
    async def ask() -> list[Completion]:
        return await asyncio.gather(
            *(
                engine.complete(CHAT, sampling=Sampling(seed=seed, max_tokens=2000), schema=act.schema())
                for seed in range(4)
            )
        )

    completions = runner.run(ask())
    for completion in completions:
        assert completion.finish_reason == "stop"
        act.reply.model_validate_json(completion.text)


@pytest.mark.parametrize("number", [2, 4, 6])
def test_random_weights_order_as_many_statements_as_there_are_few_of_them_for_certain(
    number: int, engine: Engine, runner: asyncio.Runner
) -> None:
    statements = tuple(f"Statement {n}." for n in range(number))
    act = Rank(scenario=SCENARIO, persona=PERSONAS[0], statements=statements)

    async def ask() -> list[Completion]:
        samplings = (Sampling(seed=seed, temperature=1.5, max_tokens=200) for seed in range(24))
        return await asyncio.gather(
            *(engine.complete(CHAT, sampling=s, schema=act.schema()) for s in samplings)
        )

    orders = [Ranking.model_validate_json(completion.text) for completion in runner.run(ask())]
    assert {len(ranking.order) for ranking in orders} == {number}
    assert {place for ranking in orders for place in ranking.order} <= set(range(1, number + 1))
    if number <= 4:
        for ranking in orders:
            act.check(ranking)
        assert len({ranking.order for ranking in orders}) > 1


def test_lengths_enumerations_and_nulls_of_a_schema_are_kept(engine: Engine, runner: asyncio.Runner) -> None:
    async def ask() -> list[Completion]:
        samplings = (Sampling(seed=seed, temperature=1.5, max_tokens=600) for seed in range(40))
        return await asyncio.gather(*(engine.complete(CHAT, sampling=s, schema=VERDICT) for s in samplings))

    seen = set()
    for completion in runner.run(ask()):
        reply = json.loads(completion.text)
        assert completion.finish_reason == "stop"
        assert reply.keys() == {"verdict", "reason", "about", "sure"}
        assert reply["verdict"] in {"wiser", "not_wiser"}
        assert 40 <= len(reply["reason"]) <= 60
        assert 2 <= len(reply["about"]) <= 3
        assert "\n" not in completion.text
        assert reply["sure"] in {True, False, None}
        seen.add(type(reply["sure"]))
    assert seen == {bool, type(None)}


def test_the_same_seed_says_the_same_and_another_seed_something_else(
    engine: Engine, runner: asyncio.Runner
) -> None:
    one, again, other = (
        runner.run(engine.complete(CHAT, sampling=Sampling(seed=seed, max_tokens=40))).text
        for seed in (1, 1, 2)
    )
    assert one == again != other


def test_at_temperature_zero_the_seed_does_not_matter(engine: Engine, runner: asyncio.Runner) -> None:
    one, other = (
        runner.run(engine.complete(CHAT, sampling=Sampling(seed=seed, temperature=0, max_tokens=40))).text
        for seed in (1, 2)
    )
    assert one == other


def test_a_prefix_that_was_seen_before_is_read_from_the_cache(engine: Engine, runner: asyncio.Runner) -> None:
    shared = said(400)[0]["content"]
    first, second = (
        runner.run(
            engine.complete(
                [{"role": "user", "content": f"{shared} {end}"}], sampling=Sampling(seed=1, max_tokens=2)
            )
        )
        for end in ("one", "two")
    )
    assert first.cached_tokens == 0
    assert second.cached_tokens > 0.8 * second.prompt_tokens
    assert second.completion_tokens == 2
    assert second.finish_reason == "length"


def test_a_choice_is_made_with_the_probabilities_before_the_constraint(
    engine: Engine, runner: asyncio.Runner
) -> None:
    async def ask() -> list[Completion]:
        return await asyncio.gather(
            *(
                engine.complete(CHAT, sampling=Sampling(seed=seed, choices=("A", "B", "C, the last")))
                for seed in range(30)
            ),
            engine.complete(CHAT, sampling=Sampling(seed=1, max_tokens=8)),
        )

    *chosen, free = runner.run(ask())
    assert free.logprobs is None
    texts = {completion.text for completion in chosen}
    assert len(texts) > 1
    assert texts <= {"A", "B", "C, the last"}
    for completion in chosen:
        assert completion.finish_reason == "stop"
        assert completion.completion_tokens == 1
        assert completion.logprobs is not None
        assert completion.logprobs.keys() == {"A", "B", "C, the last"}
        total = sum(math.exp(logprob) for logprob in completion.logprobs.values())
        assert 0 < total < 0.1, "three tokens of three thousand"
        assert completion.logprobs == pytest.approx(chosen[0].logprobs, abs=0.1)


def test_choices_that_begin_alike_are_refused(engine: Engine, runner: asyncio.Runner) -> None:
    with pytest.raises(ModelError, match="two of them begin with the same token"):
        runner.run(engine.complete(CHAT, sampling=Sampling(seed=1, choices=("A", "A"))))
    with pytest.raises(ModelError, match="two of them begin with the same token"):
        runner.run(engine.complete(CHAT, sampling=Sampling(seed=1, choices=("7a", "7b"))))


def test_a_prompt_that_is_too_long_says_by_how_much_and_what_to_shorten(
    engine: Engine, runner: asyncio.Runner
) -> None:
    with pytest.raises(ModelError) as caught:
        runner.run(engine.complete(said(8000), sampling=Sampling(seed=1, max_tokens=100)))
    assert caught.value.kind == "too_long"
    message = str(caught.value)
    assert message.startswith("the prompt has ")
    assert "more than the context of 16384; take fewer rounds, a smaller panel or a shorter" in message
    assert "--engine-arg max_model_len=" in message


def test_a_reply_gets_what_the_context_leaves_of_its_room(engine: Engine, runner: asyncio.Runner) -> None:
    prompt = said(3000)
    taken = runner.run(engine.complete(prompt, sampling=Sampling(seed=1, max_tokens=9))).prompt_tokens
    left = 16_384 - taken
    asked = Sampling(seed=1, max_tokens=left + 100)
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    assert runner.run(engine.complete(prompt, sampling=asked, schema=schema)).finish_reason == "stop"
    with pytest.raises(ModelError, match="more than the context"):
        runner.run(engine.complete(prompt, sampling=Sampling(seed=1, max_tokens=5 * left)))


def test_a_cancelled_call_is_aborted_and_leaves_the_engine_well(
    engine: Engine, runner: asyncio.Runner
) -> None:
    async def cancel() -> Completion:
        long = asyncio.create_task(engine.complete(CHAT, sampling=Sampling(seed=1, max_tokens=8000)))
        await asyncio.sleep(0.5)
        long.cancel()
        with pytest.raises(asyncio.CancelledError):
            await long
        return await engine.complete(CHAT, sampling=Sampling(seed=1, max_tokens=3))

    assert runner.run(cancel()).completion_tokens == 3


def test_another_event_loop_is_refused(engine: Engine) -> None:
    with pytest.raises(
        ModelError, match="the engine runs in the event loop that it was started in"
    ) as caught:
        asyncio.run(engine.complete(CHAT, sampling=Sampling(seed=1)))
    assert caught.value.kind == "loop"


@pytest.mark.parametrize("scenario", [SCENARIO, OPEN_QUESTION], ids=["options", "open"])
def test_a_panel_deliberates_from_end_to_end(
    scenario: Scenario, engine: Engine, runner: asyncio.Runner
) -> None:
    run = runner.run(
        adeliberate(scenario, personas=PERSONAS, model=engine, seed=1, embedder=Words(), concurrency=8)
    )
    check_run(run)
    if scenario.options:
        assert run.answers.distribution is not None
        assert run.answers.distribution["logprobs"] is not None


def test_a_call_that_vllm_has_no_room_for_in_its_queue_fails_by_itself(tiny: Path) -> None:
    engine = Engine(str(tiny), options={**OPTIONS, "max_num_queued_reqs": 2})

    async def ask() -> list[Completion | BaseException]:
        try:
            asked = (engine.complete(CHAT, sampling=Sampling(seed=seed, max_tokens=40)) for seed in range(5))
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await engine.aclose()

    answers = asyncio.run(ask())
    refused = [answer for answer in answers if isinstance(answer, BaseException)]
    assert 0 < len(refused) < len(answers)
    for error in refused:
        assert isinstance(error, ModelError)
        assert error.kind == "engine"
        assert "the engine is currently busy" in str(error).casefold()


def test_memory_for_no_deliberation_says_how_much_one_takes(tiny: Path) -> None:
    async def start(**options: object) -> None:
        engine = Engine(str(tiny), options={**OPTIONS, **options})
        try:
            await engine.start()
        finally:
            await engine.aclose()

    with pytest.raises(ModelError, match="too little for any deliberation") as caught:
        asyncio.run(start(kv_cache_memory_bytes=1_000_000))
    given = re.search(r"for (\d+) it takes --engine-arg (kv_cache_memory_bytes=\d+M)", str(caught.value))
    assert given is not None
    asyncio.run(start(**parse_options([given[2]]), max_model_len=int(given[1])))


LONG = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 12_000, "maxLength": 14_000}},
    "required": ["text"],
    "additionalProperties": False,
}


def test_closing_fails_the_calls_in_flight_and_the_next_call_starts_again(tiny: Path) -> None:
    engine = Engine(str(tiny), options=OPTIONS)

    async def fail(calls: list[asyncio.Task[Completion]]) -> None:
        closing = asyncio.create_task(engine.aclose())
        done, waiting = await asyncio.wait(calls, timeout=20)
        await closing
        assert not waiting
        for call in done:
            assert str(call.exception()) == "the engine was closed during the call"
            assert getattr(call.exception(), "kind", None) == "engine"
        assert engine.pids == ()

    def ask(count: int) -> list[asyncio.Task[Completion]]:
        return [
            asyncio.create_task(
                engine.complete(CHAT, sampling=Sampling(seed=seed, max_tokens=16_000), schema=LONG)
            )
            for seed in range(count)
        ]

    async def close_twice() -> None:
        await engine.start()
        calls = ask(3)
        await asyncio.sleep(1)
        assert not any(call.done() for call in calls)
        await fail(calls)
        calls = ask(2)
        await asyncio.sleep(1)
        await fail(calls)  # while it starts

    asyncio.run(close_twice())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float31"}, "dtype: Input should be 'auto', 'half', 'float16'"),
        ({"reasoning_parser": "deepsea_r1"}, "did you mean 'deepseek_r1'?"),
        ({"max_model_len": 10**9}, "max_model_len (1000000000) is greater than"),
    ],
)
def test_an_option_that_vllm_does_not_take_is_the_callers_mistake(
    options: dict[str, object], message: str, tiny: Path
) -> None:
    async def start() -> None:
        engine = Engine(str(tiny), options={**OPTIONS, **options})
        try:
            await engine.start()
        finally:
            await engine.aclose()

    with pytest.raises(ContentError) as caught:
        asyncio.run(start())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
