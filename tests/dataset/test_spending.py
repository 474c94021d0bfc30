"""What a build has taken, from the answers that it keeps."""

from pathlib import Path

import pytest

from multiplex.dataset.spending import Spending, cost_of
from multiplex.models.base import Completion
from multiplex.models.cached import ResponseStore


def test_every_answer_that_is_kept_counts_once_also_where_more_come(tmp_path: Path) -> None:
    path = tmp_path / "responses.sqlite"
    spending = Spending(path)
    assert spending.total() == {"calls": 0, "prompt": 0, "completion": 0}
    store = ResponseStore(path)
    store.put(b"a", Completion(text="One", prompt_tokens=10, completion_tokens=2), model="m")
    store.put(b"b", Completion(text="Half \ud800", prompt_tokens=5, completion_tokens=1), model="m")
    for _ in range(2):
        assert spending.total() == {"calls": 2, "prompt": 15, "completion": 3}
        assert store.get(b"a") is not None  # what is recalled is not paid for
    store.put(b"c", Completion(text="Three", prompt_tokens=100, completion_tokens=7), model="n")
    for counted in (spending, Spending(path)):
        assert counted.total() == {"calls": 3, "prompt": 115, "completion": 10}
    store.close()


def test_a_file_that_holds_no_answers_counts_nothing(tmp_path: Path) -> None:
    (path := tmp_path / "responses.sqlite").write_bytes(b"no database, but something else")
    assert Spending(path).total() == {"calls": 0, "prompt": 0, "completion": 0}


def test_a_cost_is_by_the_million_tokens() -> None:
    assert cost_of({"prompt": 2_000_000, "completion": 500_000}, (0.5, 4.0)) == pytest.approx(3.0)
