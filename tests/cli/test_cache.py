"""`multiplex cache`: what it shows, and what it removes."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from multiplex.cli.cache import cache_app
from multiplex.models.base import Completion
from multiplex.models.cached import ResponseStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ResponseStore]:
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path))
    with closing(ResponseStore()) as opened:
        for n, model in enumerate(["openai:large", "openai:large", "openai:small"]):
            asyncio.run(opened.keep(b"%d" % n, Completion("x" * 50_000), model=model))
        yield opened


def cache(*words: str) -> Result:
    return CliRunner().invoke(cache_app, list(words), catch_exceptions=False)


def ran(*words: str) -> str:
    result = cache(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def refused(*words: str) -> str:
    result = cache(*words)
    assert (result.exit_code, result.stdout) == (1, "")
    return result.stderr.strip()


def test_info_says_where_what_and_how_large(store: ResponseStore) -> None:
    embeddings = store.path.with_name("embeddings-abc.sqlite")
    embeddings.write_bytes(b"x" * 1500)
    said = ran("info")
    assert said.startswith(f"{store.path}: 3 answers, ")
    assert "\n  openai:large: 2 answers\n  openai:small: 1 answer\n" in said
    assert said.endswith(f"{embeddings}: 1.5 KB\n")
    found = json.loads(ran("info", "--json"))
    assert found["path"] == str(store.path)
    assert (found["answers"], found["models"]) == (3, {"openai:large": 2, "openai:small": 1})
    assert found["bytes"] > 150_000
    assert found["oldest"] <= found["newest"]
    assert found["embeddings"] == {str(embeddings): 1500}


def test_info_on_nothing_says_so_and_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path / "none"))
    assert ran("info") == f"{tmp_path / 'none' / 'responses.sqlite'}: 0 answers, 0 bytes\n"
    assert json.loads(ran("info", "--json"))["oldest"] is None
    assert ran("clear") == "removed 0 answers, freed 0 bytes\n"
    assert not (tmp_path / "none").exists()


def test_clear_says_how_many_answers_were_removed_and_what_was_freed(store: ResponseStore) -> None:
    done = json.loads(ran("clear", "--model", "openai:large", "--json"))
    assert done["removed"] == 2
    assert done["freed"] > 50_000
    assert store.contents().models == {"openai:small": 1}
    assert ran("clear", "--older-than", "1") == "removed 0 answers, freed 0 bytes\n"
    assert ran("clear").startswith("removed 1 answer, freed ")
    assert store.contents().answers == 0


def test_a_model_of_which_nothing_is_kept_names_the_near_miss(store: ResponseStore) -> None:
    wanted = "error: no answers of a model named 'openai:larg' are kept; did you mean 'openai:large'?"
    assert refused("clear", "--model", "openai:larg") == wanted
    assert store.contents().answers == 3


def test_a_damaged_file_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path))
    (tmp_path / "responses.sqlite").write_bytes(b"this is no database" * 100)
    for command in ("info", "clear"):
        said = refused(command)
        assert "file is not a database; if it is damaged, delete it" in said
        assert "\n" not in said


def test_a_number_of_days_below_zero_is_refused(store: ResponseStore) -> None:
    assert cache("clear", "--older-than", "-1").exit_code == 2
