"""`multiplex dataset build` as it is typed: what is wrong told in one sentence, what is built printed as asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from multiplex.cli.app import app
from tests.endpoint import endpoint
from tests.files import write_table


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("prompts.jsonl").write_text(
        '{"question": "Should the village keep its night ferry?"}\n'
        '{"question": "May a baker sell bread that is a day old?", "options": ["she may", "she may not"]}\n'
    )


def typed(*words: str) -> Result:
    return CliRunner().invoke(app, ["dataset", "build", *words], catch_exceptions=False)


def left() -> list[str]:
    return sorted(path.name for path in Path().iterdir() if path.name != "cache")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name files of prompts, or --generate N to have prompts written; one of the two"),
        (("prompts.jsonl", "--generate", "3"), "name files of prompts, or --generate N"),
        (
            ("prompts.jsonl", "--topic", "work"),
            "--topic is for prompts that are written: give --generate N with it",
        ),
        (("prompt.jsonl",), "prompt.jsonl: no such file; did you mean 'prompts.jsonl'?"),
        (
            ("notes.md",),
            "notes.md: prompts are read from .csv, .jsonl, ",
        ),
        (("prompts.jsonl", "--model", "gpt"), "gpt"),
        (("prompts.jsonl", "--model", "openai:x", "--base-url", "nowhere"), "base"),
        (("prompts.jsonl", "--personas", "civilisations"), "did you mean 'civilizations'?"),
        (
            ("prompts.jsonl", "--protocol", "mediate"),
            "no protocol named 'mediate'; did you mean 'mediation'?",
        ),
        (
            ("prompts.jsonl", "--config", "dop"),
            "--config 'dop': no such kind of records; did you mean 'dpo'?",
        ),
        (("prompts.jsonl", "--balance", "much"), "--balance much: 'much' is no number"),
        (("prompts.jsonl", "--balance", "0.5"), "--balance 0.5: needs a number of 1 or more, or none"),
        (("prompts.jsonl", "--balance", "nan"), "--balance nan: 'nan' is no number"),
        (
            ("prompts.jsonl", "--splits", "0.9,0.1"),
            "--splits 0.9,0.1: needs three shares of train, validation, test",
        ),
        (("prompts.jsonl", "--splits", "0.9,0.1,0.1"), "--splits 0.9,0.1,0.1: needs three shares"),
        (("prompts.jsonl", "--splits", "1.2,-0.1,-0.1"), "--splits 1.2,-0.1,-0.1: needs three shares"),
        (("prompts.jsonl", "--splits", "a,b,c"), "--splits a: 'a' is no number"),
        (("prompts.jsonl", "--splits", "0,0.5,0.5"), "--splits 0,0.5,0.5: leaves nothing to train on"),
        (("prompts.jsonl", "--price", "0.1"), "--price 0.1: needs two prices"),
        (("prompts.jsonl", "--price", "0.1,-2"), "--price 0.1,-2: needs two prices"),
        (("prompts.jsonl", "--engine", "rey"), "--engine 'rey': no such engine; did you mean 'ray'?"),
        (("prompts.jsonl", "--workers", "3"), "--ray-address and --workers are for --engine ray"),
        (("prompts.jsonl", "--engine-arg", "novalue"), "novalue"),
        (("prompts.jsonl", "--out", "prompts.jsonl"), "prompts.jsonl: is a file; name a folder with --out"),
        (("prompts.jsonl", "--out", "."), "is not empty (it holds "),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_1(words: tuple[str, ...], said: str) -> None:
    Path("notes.md").write_text("Should we?\n")
    before = left()
    result = typed(*words, "--no-mask")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert left() == before


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--generate", "0"),
        ("--seed", "-1"),
        ("--seed", str(2**63)),
        ("--least-margin", "2"),
        ("--least-margin", "few"),
        ("--shard-rows", "0"),
        ("--timeout", "0"),
        ("--retries", "11"),
        ("--concurrency", "0"),
        ("--workers", "0"),
    ],
)
def test_a_number_out_of_its_range_is_a_usage_error(option: str, value: str) -> None:
    result = typed("prompts.jsonl", option, value)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Invalid value for '{option}'" in " ".join(result.stderr.split())
    assert left() == ["prompts.jsonl"]


def test_help_tells_of_every_option() -> None:
    result = CliRunner().invoke(app, ["dataset", "build", "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0
    for option in (
        "--out",
        "--generate",
        "--config",
        "--conditions",
        "--no-contrast",
        "--splits",
        "--engine",
        "--json",
    ):
        assert option in result.stdout
    for command in ("build", "check", "stats", "audit", "push"):
        assert command in CliRunner().invoke(app, ["dataset", "--help"]).stdout


@pytest.mark.slow
def test_names_by_a_pipeline_that_is_not_installed_are_told() -> None:
    result = typed("prompts.jsonl", "--names", "spacy:nowhere_core_web_sm")
    assert result.exit_code == 1
    assert "nowhere_core_web_sm" in result.stderr
    assert left() == ["prompts.jsonl"]


@pytest.mark.slow
@pytest.mark.heavy
def test_a_build_prints_a_table_an_object_or_the_folder_alone() -> None:
    write_table(Path(), "open", "synthesise", "ratify")
    with endpoint() as server:
        given = (
            *("prompts.jsonl", "--personas", "./table", "--protocol", "./trial.yaml", "--no-mask"),
            *("--model", "openai:test", "--base-url", server.base_url, "--out", "made", "--splits", "1,0,0"),
        )
        first = typed(*given, "--price", "1,2")
        assert first.exit_code == 0, first.stderr
        asked = server.count
        assert asked > 0
        assert first.stdout.split()[:4] == ["config", "train", "validation", "test"]
        assert "made: read made/README.md first" in " ".join(first.stdout.split())
        for phase in ("reading the prompts", "deliberating: 2 prompts", "making rows", "writing files"):
            assert phase in first.stderr
        told = typed(*given, "--json")
        found: dict[str, Any] = json.loads(told.stdout)
        assert (found["path"], told.stderr) == ("made", "")
        assert found["counts"].keys() <= {
            "sft",
            "dpo",
            "kto",
            "reward",
            "grpo",
            "distribution",
            "transcripts",
        }
        assert found["counts"]["transcripts"] == {"train": 2}
        quiet = typed(*given, "--quiet")
        assert (quiet.stdout, quiet.stderr) == ("made\n", "")
        other = typed(*given, "--config", "grpo", "--json")
        assert json.loads(other.stdout)["counts"] == {"grpo": {"train": 2}}
        assert server.count == asked
        refused = typed(*given, "--seed", "1")
        assert refused.exit_code == 1
        assert refused.stderr.startswith("error: made: was begun with another seed (--seed) (0, and now 1); ")
    checked = CliRunner().invoke(app, ["dataset", "check", "made"])
    assert (checked.exit_code, checked.stdout) == (0, "made: sound\n")
