"""The limit on calls in flight."""

import asyncio

import pytest

from multiplex.errors import ModelError
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.limited import Limited
from multiplex.models.scripted import Scripted
from multiplex.models.served import Served
from tests.endpoint import endpoint

HELLO: list[Message] = [{"role": "user", "content": "Hello."}]


async def ask_many(model: Limited, calls: int) -> list[Completion | BaseException]:
    try:
        asked = (model.complete(HELLO, sampling=Sampling(seed=seed)) for seed in range(calls))
        return await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await model.aclose()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_the_limit_is_reached_and_never_exceeded(concurrency: int) -> None:
    with endpoint(latency=0.02) as server:
        model = Limited(Served("m", base_url=server.base_url), concurrency=concurrency)
        answers = asyncio.run(ask_many(model, 9))
        assert all(isinstance(answer, Completion) for answer in answers)
        assert server.count == 9
        assert server.most_at_once == concurrency


def test_a_call_that_fails_gives_its_place_back() -> None:
    answers = asyncio.run(ask_many(Limited(Scripted(["only one"]), concurrency=1), 4))
    assert [type(answer) for answer in answers] == [Completion, ModelError, ModelError, ModelError]


def test_a_call_that_is_cancelled_gives_its_place_back() -> None:
    async def cancel_one_and_ask_again(base_url: str) -> Completion:
        model = Limited(Served("m", base_url=base_url), concurrency=1)
        try:
            first = asyncio.create_task(model.complete(HELLO, sampling=Sampling(seed=1)))
            await asyncio.sleep(0.05)
            first.cancel()
            await asyncio.wait([first])
            return await model.complete(HELLO, sampling=Sampling(seed=2))
        finally:
            await model.aclose()

    with endpoint(latency=0.1) as server:
        assert asyncio.run(cancel_one_and_ask_again(server.base_url)).text


@pytest.mark.parametrize("concurrency", [0, -2])
def test_a_limit_below_one_is_refused(concurrency: int) -> None:
    with pytest.raises(ValueError, match=f"^concurrency needs to be at least 1, not {concurrency}$"):
        Limited(Scripted([]), concurrency=concurrency)


def test_it_goes_by_the_name_of_the_model_within() -> None:
    assert Limited(Scripted([], name="parrot"), concurrency=2).name == "parrot"


def test_closing_twice_is_fine() -> None:
    model = Limited(Scripted([]), concurrency=1)
    asyncio.run(model.aclose())
    asyncio.run(model.aclose())
