"""What was answered is kept, found again by all that was asked, and never a reason to fail."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.embedding import cache_folder
from multiplex.errors import ContentError, ModelError
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.cached import Cached, Contents, ResponseStore
from multiplex.models.scripted import Scripted
from multiplex.models.served import Served
from tests.endpoint import endpoint

HELLO: list[Message] = [{"role": "user", "content": "Hello."}]
SAMPLING = Sampling(seed=1)
SCHEMA = {"type": "object", "properties": {"why": {"type": "string"}, "verdict": {"enum": ["A", "B"]}}}
KEY = b"k" * 32

ANY_TEXT = st.text(st.characters(exclude_categories=()))  # halves of surrogate pairs included
COMPLETIONS = st.builds(
    Completion,
    text=ANY_TEXT,
    reasoning=st.none() | ANY_TEXT,
    finish_reason=st.sampled_from(["stop", "length"]),
    prompt_tokens=st.integers(0, 10**6),
    cached_tokens=st.integers(0, 10**6),
    completion_tokens=st.integers(0, 10**6),
    logprobs=st.none() | st.dictionaries(ANY_TEXT, st.floats(max_value=0)),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ResponseStore]:
    with closing(ResponseStore(tmp_path / "responses.sqlite")) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResponseStore]:
    with closing(ResponseStore(tmp_path_factory.mktemp("shared") / "responses.sqlite")) as opened:
        yield opened


def put(into: ResponseStore, where: bytes, completion: Completion, *, model: str) -> None:
    asyncio.run(into.keep(where, completion, model=model))


def get(out_of: ResponseStore, where: bytes) -> Completion | None:
    return asyncio.run(out_of.recall(where))


def say(model: Cached, messages: Sequence[Message] = HELLO, sampling: Sampling = SAMPLING) -> Completion:
    return asyncio.run(model.complete(messages, sampling=sampling))


def key(
    *,
    name: str = "m",
    revision: str = "",
    messages: Sequence[Message] = HELLO,
    sampling: Sampling = SAMPLING,
    schema: Mapping[str, Any] | None = SCHEMA,
) -> bytes:
    return Cached(Scripted([], name=name), ResponseStore(), revision=revision)._key(
        messages, sampling, schema
    )


# The store.


@given(completion=COMPLETIONS, where=st.binary(min_size=32, max_size=32))
def test_a_completion_comes_back_as_it_was(
    shared: ResponseStore, completion: Completion, where: bytes
) -> None:
    put(shared, where, completion, model="m")
    assert get(shared, where) == replace(completion, recalled=True)
    assert shared.problem is None


def test_what_was_never_put_is_not_there(store: ResponseStore) -> None:
    assert get(store, KEY) is None
    assert store.problem is None


def test_what_is_put_again_is_replaced(store: ResponseStore) -> None:
    put(store, KEY, Completion("one"), model="m")
    put(store, KEY, Completion("two"), model="m")
    assert get(store, KEY) == Completion("two", recalled=True)
    assert store.contents().answers == 1


def test_a_closed_store_opens_again(store: ResponseStore) -> None:
    put(store, KEY, Completion("one"), model="m")
    store.close()
    store.close()
    assert get(store, KEY) == Completion("one", recalled=True)


def test_the_store_lies_in_the_cache_folder_and_is_made_when_it_is_needed(tmp_path: Path) -> None:
    assert ResponseStore().path == cache_folder() / "responses.sqlite"
    with closing(ResponseStore(tmp_path / "a" / "b.sqlite")) as opened:
        assert opened.contents() == Contents()
        assert opened.clear() == 0
        assert list(tmp_path.iterdir()) == []
        put(opened, KEY, Completion("one"), model="m")
        assert opened.path.exists()


def test_no_test_reads_or_writes_the_answers_of_the_user() -> None:
    assert not cache_folder().is_relative_to(Path.home() / ".cache")
    assert str(cache_folder()) == os.environ["MULTIPLEX_CACHE"]


def test_a_process_that_is_killed_right_after_loses_nothing(store: ResponseStore) -> None:
    program = (
        "import asyncio, os, signal, sys; from pathlib import Path; from multiplex.models.base import Completion; "
        "from multiplex.models.cached import ResponseStore; store = ResponseStore(Path(sys.argv[1]))\n"
        "for n in range(50): asyncio.run(store.keep(b'%d' % n, Completion(str(n)), model='m'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(store.path)])
    assert done.returncode == -signal.SIGKILL
    assert [get(store, b"%d" % n) for n in range(50)] == [
        Completion(str(n), recalled=True) for n in range(50)
    ]


def test_several_processes_write_at_once_from_the_first_moment(store: ResponseStore) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from multiplex.models.base import Completion; "
        "from multiplex.models.cached import ResponseStore; store = ResponseStore(Path(sys.argv[1]))\n"
        "sys.stdin.readline()\n"
        "for n in range(200): asyncio.run(store.keep(f'{sys.argv[2]} {n}'.encode(), Completion('x' * n), model='m'))\n"
        "print(store.problem)"
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(store.path), str(writer)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for writer in range(3)
    ]
    time.sleep(0.5)  # so that all of them wait for the word
    for writer in writers:
        assert writer.stdin
        writer.stdin.write("\n")
        writer.stdin.flush()
    assert [writer.communicate()[0] for writer in writers] == ["None\n"] * 3
    assert store.contents().answers == 600


def test_a_damaged_file_ends_the_use_of_the_store_with_one_note(store: ResponseStore) -> None:
    store.path.write_bytes(b"this is no database" * 100)
    assert get(store, KEY) is None
    assert store.problem == f"answers are not kept: {store.path}: file is not a database"
    put(store, KEY, Completion("one"), model="m")
    assert get(store, KEY) is None
    assert store.path.read_bytes() == b"this is no database" * 100
    for use in (store.contents, store.clear):
        with pytest.raises(ContentError, match=r"file is not a database; if it is damaged, delete it$"):
            use()


def test_a_file_that_is_damaged_further_in_does_no_harm(store: ResponseStore) -> None:
    for n in range(200):
        put(store, b"%032d" % n, Completion("x" * 2000), model="m")
    store.close()
    whole = store.path.read_bytes()
    store.path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    assert [get(store, b"%032d" % n) for n in range(200)].count(None) > 0
    put(store, KEY, Completion("one"), model="m")
    assert "malformed" in (store.problem or "")


def test_a_row_that_cannot_be_read_is_asked_for_again(store: ResponseStore) -> None:
    put(store, KEY, Completion("one"), model="m")
    for wrong in (b"{", b"[]", b'{"text": "one", "unheard_of": 1}', b"\xff"):
        with closing(sqlite3.connect(store.path)) as other, other:
            other.execute("UPDATE responses SET completion = ?", (wrong,))
        assert get(store, KEY) is None
    assert store.problem is None


@pytest.mark.parametrize("where", ["file/below/responses.sqlite", "folder", "file/locked/responses.sqlite"])
def test_a_place_that_cannot_be_written_does_no_harm(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    store = ResponseStore(tmp_path / where)
    model = Cached(Scripted(["one", "two"]), store)
    assert [say(model).text, say(model).text] == ["one", "two"]
    assert store.problem is not None
    assert store.problem.startswith(f"answers are not kept: {tmp_path / where}: ")


def test_a_disk_that_is_full_does_no_harm(store: ResponseStore) -> None:
    put(store, KEY, Completion("one"), model="m")
    store.close()
    program = (
        "import asyncio, resource, sys; from pathlib import Path; from multiplex.models.base import Completion; "
        "from multiplex.models.cached import ResponseStore; store = ResponseStore(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "asyncio.run(store.keep(b'other', Completion('x' * 100000), model='m')); print(store.problem)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(store.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"answers are not kept: {store.path}: ")
    assert get(store, KEY) == Completion("one", recalled=True)


def test_a_file_that_another_holds_for_too_long_does_no_harm(tmp_path: Path) -> None:
    with closing(ResponseStore(tmp_path / "r.sqlite", patience=0.05)) as store:
        put(store, KEY, Completion("one"), model="m")
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert get(store, KEY) == Completion("one", recalled=True)  # who writes keeps nobody from reading
            put(store, b"other", Completion("two"), model="m")
            assert store.problem is None  # it will have done some time
            with pytest.raises(ContentError, match="database is locked"):
                store.clear()
        put(store, b"other", Completion("two"), model="m")
        assert get(store, b"other") == Completion("two", recalled=True)


def test_contents_say_how_many_of_which_model_since_when(store: ResponseStore) -> None:
    before = time.time()
    for n, model in enumerate(["b", "a", "b"]):
        put(store, b"%d" % n, Completion("x"), model=model)
    held = store.contents()
    assert (held.answers, list(held.models.items())) == (3, [("b", 2), ("a", 1)])
    assert held.oldest is not None
    assert held.newest is not None
    assert before <= held.oldest < held.newest <= time.time()
    assert held.size == sum(file.stat().st_size for file in store.path.parent.iterdir())


def test_the_answers_of_one_model_are_cleared_and_their_space_is_freed(store: ResponseStore) -> None:
    for n in range(100):
        put(store, b"%d" % n, Completion("x" * 10_000), model="large" if n else "small")
    before = store.contents().size
    assert store.clear(model="unheard of") == 0
    assert store.clear(model="large") == 99
    assert store.contents().models == {"small": 1}
    assert store.contents().size < before - 900_000
    assert store.clear() == 1
    assert store.contents().answers == 0


def test_answers_older_than_some_days_are_cleared(store: ResponseStore) -> None:
    for n in range(3):
        put(store, b"%d" % n, Completion("x"), model="ab"[n % 2])
    with closing(sqlite3.connect(store.path)) as other, other:
        other.execute("UPDATE responses SET created = created - 86400 * 2 WHERE key IN (?, ?)", (b"0", b"1"))
    assert store.clear(older_than=3) == 0
    assert store.clear(model="a", older_than=1) == 1
    assert store.clear(older_than=1) == 1
    assert [get(store, b"%d" % n) is None for n in range(3)] == [True, True, False]


def test_a_store_can_be_cleared_while_a_run_uses_it(store: ResponseStore) -> None:
    put(store, KEY, Completion("one"), model="m")
    with closing(ResponseStore(store.path)) as other:
        assert other.clear() == 1
    assert get(store, KEY) is None
    put(store, KEY, Completion("two"), model="m")
    assert get(store, KEY) == Completion("two", recalled=True)


def test_a_name_that_is_no_unicode_is_kept_as_well_as_can_be(store: ResponseStore) -> None:
    put(store, KEY, Completion("one"), model="m\udcff")
    assert store.problem is None
    assert store.contents().models == {"m?": 1}


# The key.


@given(
    st.lists(
        st.tuples(ANY_TEXT, st.integers(0, 2**63 - 1), st.floats(0, 2)), min_size=2, max_size=2, unique=True
    )
)
def test_what_is_asked_otherwise_has_another_key(asked: list[tuple[str, int, float]]) -> None:
    one, other = (
        key(
            messages=[{"role": "user", "content": text}],
            sampling=Sampling(seed=seed, temperature=temperature),
        )
        for text, seed, temperature in asked
    )
    assert one != other


def test_every_part_of_a_call_is_part_of_its_key() -> None:
    others: dict[str, Any] = {
        "seed": 2,
        "temperature": 0.2,
        "max_tokens": 5,
        "top_p": 0.5,
        "choices": ("A", "B"),
    }
    assert set(others) == {part.name for part in fields(Sampling)}
    keys = {
        key(),
        key(name="n"),
        key(revision="r"),
        key(messages=[{"role": "system", "content": "Hello."}]),
        key(messages=[{"role": "user", "content": "Hello"}]),
        key(messages=[*HELLO, {"role": "assistant", "content": ""}]),
        key(schema=None),
        key(schema={}),
        key(schema={**SCHEMA, "title": "T"}),
        # Constrained decoding writes the properties in their order, so that another order is another answer.
        key(schema={"type": "object", "properties": dict(reversed(SCHEMA["properties"].items()))}),  # type: ignore[attr-defined]
        *(key(sampling=replace(SAMPLING, **{name: value})) for name, value in others.items()),
    }
    assert len(keys) == 10 + len(others)


def test_the_parts_of_a_call_do_not_run_into_each_other() -> None:
    assert key(name="a", revision="b") != key(name="ab", revision="")
    one: list[Message] = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert key(messages=one) != key(messages=[{"role": "user", "content": "ab"}])


def test_the_same_call_has_the_same_key_in_another_process() -> None:
    program = (
        "from multiplex.models.base import Sampling; from multiplex.models.cached import Cached, ResponseStore; "
        "from multiplex.models.scripted import Scripted; model = Cached(Scripted([], name='m'), ResponseStore()); "
        f"print(model._key({HELLO!r}, Sampling(seed=1), {SCHEMA!r}).hex())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.strip() == key().hex()
    assert key(schema=json.loads(json.dumps(SCHEMA)), messages=tuple(HELLO)) == key()


# The model.


def test_what_was_asked_before_is_recalled_without_a_call(store: ResponseStore) -> None:
    inner = Scripted([Completion("one", prompt_tokens=3), "two"])
    model = Cached(inner, store)
    first, again, other = say(model), say(model), say(model, sampling=Sampling(seed=2))
    assert (first.recalled, first.text) == (False, "one")
    assert again == replace(first, recalled=True)
    assert (other.recalled, other.text) == (False, "two")
    assert len(inner.calls) == 2


def test_another_process_recalls_it_too(store: ResponseStore) -> None:
    say(Cached(Scripted(["one"]), store))
    with closing(ResponseStore(store.path)) as other:
        assert say(Cached(Scripted([]), other)) == Completion("one", recalled=True)


def test_another_model_or_revision_recalls_nothing(store: ResponseStore) -> None:
    say(Cached(Scripted(["one"]), store))
    assert say(Cached(Scripted(["two"], name="other"), store)).text == "two"
    assert say(Cached(Scripted(["three"]), store, revision="2")).text == "three"
    assert store.contents().models == {"scripted": 2, "other": 1}


def test_an_answer_that_was_cut_off_is_kept_and_a_failure_is_not(store: ResponseStore) -> None:
    def script(messages: Sequence[Message], schema: object, sampling: Sampling) -> Completion:
        if sampling.seed:
            raise ModelError("made to fail", kind="status")
        return Completion("cut", finish_reason="length")

    model = Cached(Scripted(script), store)
    with pytest.raises(ModelError, match="made to fail"):
        say(model)
    assert store.contents().answers == 0
    assert say(model, sampling=Sampling(seed=0)).finish_reason == "length"
    assert say(model, sampling=Sampling(seed=0)) == Completion("cut", finish_reason="length", recalled=True)


async def ask_many(model: Cached, calls: int) -> list[Completion | BaseException]:
    try:
        asked = (model.complete(HELLO, sampling=SAMPLING) for _ in range(calls))
        return await asyncio.gather(*asked, return_exceptions=True)
    finally:
        await model.aclose()


def test_calls_that_ask_the_same_at_the_same_time_are_one_call(store: ResponseStore) -> None:
    with endpoint(latency=0.05) as server:
        answers = asyncio.run(ask_many(Cached(Served("m", base_url=server.base_url), store), 5))
        assert server.count == 1
    completions = [answer for answer in answers if isinstance(answer, Completion)]
    assert [answer.recalled for answer in completions] == [False, True, True, True, True]
    assert len({answer.text for answer in completions}) == 1


def test_a_call_whose_forerunner_fails_goes_on_by_itself(store: ResponseStore) -> None:
    with endpoint("status_500", latency=0.05) as server:
        model = Cached(Served("m", base_url=server.base_url, retries=0), store)
        answers = asyncio.run(ask_many(model, 3))
        assert server.count == 3
    assert [type(answer) for answer in answers] == [ModelError] * 3


class Waiting:
    """A model that answers when it is let."""

    name = "waiting"

    def __init__(self) -> None:
        self.let = asyncio.Event()
        self.calls = 0

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Wait, then answer."""
        self.calls += 1
        await self.let.wait()
        return Completion("one")

    async def aclose(self) -> None:
        """Do nothing."""


async def cancel_one_of_two(which: int, store: ResponseStore) -> tuple[Completion, int]:
    """Ask the same twice at the same time, cancel one of both, and return the other's answer and all calls."""
    inner = Waiting()
    model = Cached(inner, store)
    both = [asyncio.create_task(model.complete(HELLO, sampling=SAMPLING)) for _ in range(2)]
    await asyncio.sleep(0)
    assert inner.calls == 1
    both[which].cancel()
    await asyncio.wait([both[which]])
    assert both[which].cancelled()
    inner.let.set()
    return await both[1 - which], inner.calls


def test_a_call_whose_forerunner_is_cancelled_goes_on_by_itself(store: ResponseStore) -> None:
    assert asyncio.run(cancel_one_of_two(0, store)) == (Completion("one"), 2)


def test_a_call_that_is_cancelled_while_it_follows_harms_nobody(store: ResponseStore) -> None:
    assert asyncio.run(cancel_one_of_two(1, store)) == (Completion("one"), 1)


@pytest.mark.parametrize("new", [False, True])
def test_what_another_process_holds_up_is_kept_once_it_is_done_and_the_loop_goes_on(
    store: ResponseStore, new: bool
) -> None:
    inner = Scripted(["one", "two"])
    model = Cached(inner, store)
    if not new:
        say(model, sampling=Sampling(seed=2))

    async def while_another_writes() -> Completion:
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            asked = asyncio.create_task(model.complete(HELLO, sampling=SAMPLING))
            await asyncio.sleep(0.01)
            assert not asked.done()
            other.execute("COMMIT")  # by this very loop, which nobody blocks
        return await asked

    answer = asyncio.run(while_another_writes())
    assert not answer.recalled
    assert say(model) == replace(answer, recalled=True)
    assert store.problem is None


def test_it_goes_by_the_name_of_the_model_within(store: ResponseStore) -> None:
    assert Cached(Scripted([], name="parrot"), store).name == "parrot"


def test_closing_twice_is_fine(store: ResponseStore) -> None:
    model = Cached(Scripted([]), store)
    asyncio.run(model.aclose())
    asyncio.run(model.aclose())
