"""Options that are about models, as people get them wrong, and models that doctor and a run have to see alike."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from multiplex.api import Session
from multiplex.cli.app import app
from multiplex.cli.doctor.served import examine_served
from multiplex.cli.run import endpoints
from multiplex.content.scenarios import load_scenario
from multiplex.deliberation.events import ActFinished, Event
from multiplex.errors import ContentError
from multiplex.unfinished import unfinished_runs
from tests.endpoint import endpoint
from tests.files import write_scenario, write_table
from tests.table import Words


class Stop(BaseException):
    """What ends a process, as far as one process can tell."""


def cut_off(base_url: str) -> str:
    """Begin a run in this folder, end it at its second act, and return its folder."""
    write_table(Path(), "open", "synthesise")
    write_scenario(Path(), "ferry")
    acts = iter(range(2))

    def stop(event: Event) -> None:
        if isinstance(event, ActFinished) and next(acts, None) is None:
            raise Stop

    async def begin() -> None:
        async with Session(model="openai:test", base_url=base_url, embedder=Words(), cache=False) as session:
            await session.deliberate(load_scenario("ferry.yaml"), scores=False, out="runs", on_event=stop)

    with pytest.raises(Stop):
        asyncio.run(begin())
    [left] = unfinished_runs(Path("runs"))
    return str(left.target)


@pytest.mark.parametrize(
    "given", ["small=127.0.0.1:8000/v1", "small=", "small=ftp://a/v1", "openai:small=localhost"]
)
def test_a_named_endpoint_that_is_no_address_is_told_so(given: str) -> None:
    with pytest.raises(ContentError, match="needs to begin with http:// or https://"):
        endpoints(["http://a/v1", given])


def test_a_models_name_may_hold_an_equals_sign() -> None:
    assert endpoints(["a=b=http://a/v1"]) == {"a=b": "http://a/v1"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--base-url", "tset=http://127.0.0.1:9/v1"],
            "--base-url 'tset=http://127.0.0.1:9/v1': nobody speaks through that model; did you mean 'test'?",
        ),
        (
            ["--engine-arg", "max_model_len=9"],
            "--engine-arg: nobody speaks through vLLM in this process; name a model as vllm:NAME",
        ),
    ],
)
def test_what_is_given_to_nobody_is_refused_when_a_run_is_resumed_too(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with endpoint() as server:
        folder = cut_off(server.base_url)
        asked = server.count
        result = CliRunner().invoke(app, ["resume", folder, *words], catch_exceptions=False)
        assert server.count == asked
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == f"error: {said}"
    assert len(unfinished_runs(Path("runs"))) == 1


def test_an_address_where_nothing_is_served_is_refused_unless_it_is_the_environments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", "Fell it, then?", "--protocol", "uniplex", "--no-scores", "--quiet"]
    refused = CliRunner().invoke(app, [*words, "--base-url", "http://127.0.0.1:9/v1"])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[0] == (
        "error: --base-url 'http://127.0.0.1:9/v1': nobody speaks through a served model; "
        "name it as --model openai:NAME"
    )
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1\r")
    assert CliRunner().invoke(app, words).exit_code == 0


@pytest.mark.parametrize("wrong", [{"base_url": "http://127.0.0.1:9"}, {"name": "elm"}])
def test_a_finding_goes_on_after_what_a_server_said_as_one_sentence(wrong: dict[str, Any]) -> None:
    with endpoint("unknown_model") as server:
        asked = {"name": "oak", "base_url": server.base_url, "api_key": None, **wrong}
        found = asyncio.run(examine_served(**asked))
    [bad] = [finding for finding in found if not finding.good]
    assert ".;" not in bad.detail
    assert ";;" not in bad.detail
