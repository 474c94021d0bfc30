"""`multiplex dataset build` as it is typed: what is wrong told in one sentence, what is built printed as asked."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from multiplex.cli import dataset_build
from multiplex.cli.app import app
from multiplex.dataset.spending import Spending
from tests.endpoint import Endpoint, endpoint
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
        (
            ("prompts.jsonl", "--balance", "much"),
            "--balance much: 'much' is no bound; it needs to be a number",
        ),
        (("prompts.jsonl", "--balance", "0.5"), "--balance 0.5: '0.5' is no bound"),
        (("prompts.jsonl", "--balance", "topic=2"), "--balance topic=2: 'topic' is nothing to balance over"),
        (
            ("prompts.jsonl", "--license", "cc-by-40"),
            "--license cc-by-40: no licence that the hub knows (did you",
        ),
        (("prompts.jsonl", "--language", "English"), "--language English: no code of ISO 639; it has two or"),
        (
            ("prompts.jsonl", "--splits", "0.9,0.1"),
            "--splits 0.9,0.1: needs three shares of train, validation, test",
        ),
        (("prompts.jsonl", "--splits", "0.9,0.1,0.1"), "--splits 0.9,0.1,0.1: needs three shares"),
        (("prompts.jsonl", "--splits", "1.2,-0.1,-0.1"), "--splits 1.2,-0.1,-0.1: needs three shares"),
        (("prompts.jsonl", "--splits", "a,b,c"), "--splits a: 'a' is no number"),
        (("prompts.jsonl", "--splits", "0,0.5,0.5"), "--splits 0,0.5,0.5: leaves nothing to train on"),
        (
            ("prompts.jsonl", "--config", "sft", "--config", "dpo", "--protocol", "uniplex"),
            "--config sft: no such record can come of the protocol 'uniplex' (answer): it takes the stage open; ",
        ),
        (
            ("--generate", "3", "--extend"),
            "--extend adds prompts from files: name them, instead of --generate",
        ),
        (
            ("--generate", "3", "--prompt-column", "asked"),
            "--prompt-column is for prompts from files: name them, instead of --generate",
        ),
        (
            ("lines.txt", "--prompt-column", " Asked"),
            "--prompt-column asked: lines of text and scenarios have no columns; leave it out",
        ),
        (("--generate", "3", "--topic", "famly"), "no topic named 'famly'; did you mean 'family'?"),
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
    for name in ("notes.md", "lines.txt"):
        Path(name).write_text("Should we?\n")
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
        ("--longest-prompt", "0"),
        ("--longest-prompt", "20001"),
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


# --- dry runs ----------------------------------------------------------------------------------


def dry(*words: str) -> dict[str, Any]:
    result = typed(*words, "--dry-run", "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_dry_run_asks_nothing_and_writes_nothing(tmp_path: Path) -> None:
    write_table(Path(), "open", "synthesise", "ratify")
    with Path("prompts.jsonl").open("a") as file:
        file.write('\n{"question": "May a baker sell it?"}\n{"text": "May a baker sell it?"}\n')
    at_the_table = ("prompts.jsonl", "--personas", "./table", "--protocol", "./trial.yaml")
    before = left()
    with endpoint() as server:
        given = (*at_the_table, "--model", "openai:test", "--base-url", server.base_url)
        found = dry(*given, "--price", "1,2")
        assert server.count == 0
        printed = typed(*given, "--dry-run").stdout
    assert left() == before
    assert not (tmp_path / "cache").exists()
    assert (found["prompts"], found["left_out"]) == (3, {"empty": 1, "duplicate": 1})
    for figure in ("acts", "prompt_tokens", "completion_tokens", "cost"):
        low, high = found[figure]
        assert 0 < low <= high
    (prompt, _), (completion, _) = found["prompt_tokens"], found["completion_tokens"]
    assert found["cost"][0] == pytest.approx((prompt + 2 * completion) / 1e6)
    assert found["lacking"] == {"moral_graph": "compare"}
    assert "moral_graph" not in found["configs"]
    assert "\nRecords: sft, dpo, kto, reward, grpo, distribution, transcripts\n" in printed
    assert "\nNot moral_graph: it takes the stage compare\n" in printed
    assert "near-duplicates are not looked for" in printed
    without = dry(*at_the_table, "--model", "openai:test", "--no-contrast")
    assert 0 < without["acts"][0] < found["acts"][0]
    assert dry(*at_the_table, "--longest-prompt", "24")["left_out"]["too_long"] == 2


def test_a_dry_run_of_many_prompts_reckons_a_few_of_each_kind() -> None:
    write_table(Path(), "open")
    question = "Should the village keep its night ferry{}?"
    for name, count in (("few", 5), ("many", 50)):
        rows = [{"question": question.format(" or not" * (i % 5))} for i in range(count)]
        rows = [{**row, "context": f"It is year {1000 + i}."} for i, row in enumerate(rows)]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ("--personas", "./table", "--protocol", "./trial.yaml", "--model", "openai:test")
    few, many = dry("few.jsonl", *given), dry("many.jsonl", *given)
    assert many["acts"] == [10 * number for number in few["acts"]]
    assert many["prompt_tokens"] == pytest.approx([10 * number for number in few["prompt_tokens"]], rel=0.01)


def test_a_dry_run_tells_of_prompts_that_are_to_be_written() -> None:
    found = dry("--generate", "40", "--protocol", "mediation", "--model", "vllm:nowhere")
    one = dry("--generate", "1", "--protocol", "mediation", "--model", "vllm:nowhere")
    assert found["acts"] == [40 * number for number in one["acts"]]
    assert found["prompts"] == 40
    assert any(
        "writing 40 prompts takes about 14 requests or more beside" in each for each in found["assumptions"]
    )
    assert any("characters a token" in each for each in found["assumptions"])


def test_a_dry_run_without_a_language_model_assumes_nothing_of_tokens() -> None:
    found = dry("--generate", "40", "--protocol", "mediation")
    assert found["prompt_tokens"] == [0, 0]
    assert not any("token" in each for each in found["assumptions"])
    assert "no act fails" in found["assumptions"]


def test_a_dry_run_is_refused_what_a_build_would_be() -> None:
    Path("empty.jsonl").write_text('{"question": ""}\n')
    Path("one.yaml").write_text("name: one\nquestion: Why?\nprotocol: uniplex\n")
    for words, said in (
        (
            ("one.yaml", "--config", "dpo"),
            "--config dpo: no such record can come of the protocol 'uniplex' (answer)",
        ),
        (("empty.jsonl",), "there is no prompt to deliberate on: every row was left out (1 empty)"),
        (("--generate", "3", "--topic", "famly"), "no topic named 'famly'; did you mean 'family'?"),
        (
            ("prompts.jsonl", "--prompt-column", "asked"),
            "prompts.jsonl: has no column 'asked'; found: 'question'",
        ),
        (("prompts.jsonl", "--model", "extractiv"), "did you mean 'extractive'?"),
        (
            ("prompts.jsonl", "--protocol", "uniplex", "--config", "dpo"),
            "--config dpo: no such record can come",
        ),
    ):
        result = typed(*words, "--dry-run")
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("dry", [False, True])
def test_ctrl_c_says_how_to_go_on_also_before_anything_has_begun(
    monkeypatch: pytest.MonkeyPatch, dry: bool
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset_build, "build_dataset", interrupted)
    result = typed("prompts.jsonl", *(["--dry-run"] if dry else []))
    assert (result.exit_code, result.stdout) == (130, "")
    went_on = "" if dry else "go on with: the same command again\n"
    assert result.stderr == f"{went_on}interrupted\n"


# --- builds ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.heavy
def test_what_cannot_come_is_told_before_anybody_is_asked() -> None:
    Path("one.yaml").write_text("name: one\nquestion: Why?\nprotocol: uniplex\n")
    with endpoint() as server:
        given = (
            "one.yaml",
            "--no-mask",
            "--out",
            "made",
            "--model",
            "openai:test",
            "--base-url",
            server.base_url,
        )
        refused = typed(*given, "--config", "dpo")
        assert (refused.exit_code, server.count) == (1, 0)
        assert "--config dpo: no such record can come of the protocol 'uniplex' (answer)" in refused.stderr
        made = typed(*given)  # nothing hangs on what was refused
        assert made.exit_code == 0, made.stderr
    said = " ".join(made.stderr.split())
    assert (
        "note: of the protocol 'uniplex' (answer) come transcripts alone; sft, grpo would take open; " in said
    )
    assert said.index("note: ") < said.index("deliberating: 1 prompts")
    assert "note: " not in typed(*given, "--config", "transcripts").stderr


@pytest.mark.slow
@pytest.mark.heavy
def test_every_answered_call_is_counted_also_of_what_failed_and_of_prompts_that_were_written() -> None:
    write_table(Path(), "open")
    table = ("--personas", "./table", "--protocol", "./trial.yaml", "--no-mask")
    with endpoint("schema_breaking") as server:
        failed = typed("prompts.jsonl", *table, "--model", "openai:x", "--base-url", server.base_url)
        assert failed.exit_code == 1
        assert re.search(r"2 deliberations, .*2 failed, [\d,]+ tokens", " ".join(failed.stderr.split()))
    panel = ("--personas", "confucian", "--personas", "western", "--protocol", "./trial.yaml", "--no-mask")
    with endpoint() as server:  # it has no question to offer
        order = ("--generate", "18", "--topic", "family", *panel, "--out", "written")
        written = typed(*order, "--model", "openai:x", "--base-url", server.base_url)
        assert "error: generate: none of " in written.stderr
        assert re.search(r"0 deliberations, .*, [\d,]+ tokens", " ".join(written.stderr.split()))
        assert Spending(Path("written/.build")).total()["calls"] == len(asked_for(server)) > 4
    with endpoint() as server:
        given = (
            "prompts.jsonl",
            *table,
            "--model",
            "openai:x",
            "--base-url",
            server.base_url,
            "--out",
            "made",
        )
        result = typed(*given, "--price", "1,2", "--quiet")
        assert result.exit_code == 0, result.stderr
        spent = json.loads(Path("made/report.json").read_text())["spent"]
        calls, tokens = spent["calls"], spent["tokens"]
        assert calls == server.count > 4
        assert spent["prices"] == [1, 2]
        assert spent["cost"] == pytest.approx((tokens["prompt"] + 2 * tokens["completion"]) / 1e6, abs=1e-6)
        again = typed(*given, "--config", "transcripts", "--json")
        assert json.loads(again.stdout)["counts"].keys() == {"transcripts"}
        told = json.loads(Path("made/report.json").read_text())["spent"]
        assert (told, server.count) == ({"calls": calls, "tokens": tokens}, calls)


def asked_for(server: Endpoint) -> set[str]:
    """Return what was asked for, each once."""
    return {json.dumps(request, sort_keys=True) for request in server.requests}


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
        least, most = dry(*given)["acts"]
        first = typed(*given, "--price", "1,2")
        assert first.exit_code == 0, first.stderr
        asked = server.count
        assert least <= asked <= most
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
        empty = typed(*given, "--config", "transcripts", "--config", "reward", "--least-margin", "1")
        assert empty.exit_code == 0, empty.stderr
        assert ["reward", "0", "0", "0"] in [line.split() for line in empty.stdout.splitlines()]
        assert "\nempty: reward: 0 of 0 pairs; no rule made one: " in empty.stdout
        other = typed(*given, "--config", "grpo", "--json")
        assert json.loads(other.stdout)["counts"] == {"grpo": {"train": 2}}
        mine = ("--title", "Mine", "--language", "fr")
        plain = ("--title", "Pluralistic training data", "--language", "en")
        for options, name, language in (
            (mine, "Mine", "fr"),
            ((), "Mine", "fr"),
            (plain, "Pluralistic training data", "en"),
        ):
            titled = typed(*given, *options, "--json")
            publication = json.loads(titled.stdout)["options"]["publication"]
            assert (publication["title"], publication["languages"]) == (name, [language])
        assert server.count == asked
        refused = typed(*given, "--seed", "1")
        assert refused.exit_code == 1
        assert refused.stderr.startswith("error: made: was begun with another seed (--seed) (0, and now 1); ")
        Path("more.txt").write_text("Who mends the bells when the ringer is ill?\n")
        grown = typed("more.txt", *given[1:], "--extend", "--json")
        assert json.loads(grown.stdout)["counts"]["transcripts"] == {"train": 3}
        assert asked < server.count <= asked + most
    checked = CliRunner().invoke(app, ["dataset", "check", "made"])
    assert (checked.exit_code, checked.stdout) == (0, "made: sound\n")
