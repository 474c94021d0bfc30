"""`multiplex run`: what it prints and writes, and what it says of bad input."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from multiplex.cli.app import app
from multiplex.runs import load_run
from tests.endpoint import Fault, endpoint

pytestmark = pytest.mark.heavy
SLOW = pytest.mark.slow

GOOD = "name: oak\nquestion: Should the old oak on the square be felled?\n"
KEYS = [
    "run",
    "path",
    "scenario",
    "protocol",
    "model",
    "seed",
    "personas",
    "answers",
    "moral_graph",
    "scores",
    "usage",
]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def multiplex(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), catch_exceptions=False)


def refused(*words: str) -> str:
    """Run a command that must be refused: exit code 1, one line on stderr, nothing on stdout or on disk."""
    before = sorted(Path().rglob("*"))
    result = multiplex(*words, "--quiet")
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert sorted(p for p in Path().rglob("*") if p != Path("runs")) == before
    [line] = result.stderr.strip().splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def scenario(text: str = GOOD, name: str = "oak") -> str:
    Path(f"{name}.yaml").write_text(text, encoding="utf-8")
    return f"{name}.yaml"


def printed(*words: str) -> dict[str, Any]:
    result = multiplex("run", *words, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def eldercare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The shipped scenario as it ships, deliberated once with seed 3, and what was printed of it as JSON."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("eldercare"))
        run = printed("eldercare", "--seed", "3")
        return {**run, "path": str(Path(run["path"]).absolute())}


def test_json_prints_one_object_with_the_documented_keys_and_the_folder_holds_the_same(
    eldercare: dict[str, Any],
) -> None:
    run = eldercare
    assert list(run) == KEYS
    assert list(run["answers"])[:4] == ["overton", "consensus", "steered", "distribution"]
    assert len(run["personas"]) == 8
    assert run["usage"]["failures"] == 0
    assert {"acts", "failures", "tokens", "seconds"} <= set(run["usage"])
    folder = Path(run["path"])
    assert json.loads((folder / "answers.json").read_text(encoding="utf-8")) == run["answers"]
    assert json.loads((folder / "scores.json").read_text(encoding="utf-8")) == run["scores"]
    assert json.loads((folder / "moral_graph.json").read_text(encoding="utf-8")) == run["moral_graph"]
    assert (folder / "report.md").read_text(encoding="utf-8").startswith("# Who cares for ageing parents?")
    assert len((folder / "transcript.jsonl").read_text(encoding="utf-8").splitlines()) == run["usage"]["acts"]


def test_the_same_seed_gives_byte_identical_answers_graph_and_scores_and_people_see_them(
    eldercare: dict[str, Any],
) -> None:
    result = multiplex("run", "eldercare", "--seed", "3")
    assert result.exit_code == 0
    for part in (
        "The spectrum of views",
        "What the panel can say together",
        "How the panel leans",
        "One answer for each persona",
        "Winning values",
        "Perspective entropy",
        "no substitute for asking people",
    ):
        assert part in " ".join(result.stdout.split())
    assert "exchange" in result.stderr
    [again] = Path("runs").iterdir()
    for name in ("answers.json", "moral_graph.json", "scores.json"):
        assert (again / name).read_bytes() == (Path(eldercare["path"]) / name).read_bytes()


def test_another_seed_gives_another_wording(eldercare: dict[str, Any]) -> None:
    other = printed("eldercare", "--seed", "4", "--no-scores")
    assert other["answers"]["steered"].keys() == eldercare["answers"]["steered"].keys()
    assert other["answers"]["steered"] != eldercare["answers"]["steered"]


def test_quiet_prints_the_folder_and_nothing_else() -> None:
    result = multiplex("run", "eldercare", "--protocol", "uniplex", "--quiet")
    assert result.exit_code == 0
    assert (Path(result.stdout.strip()) / "run.json").is_file()
    assert result.stderr == ""


def test_several_scenarios_are_printed_as_one_object_of_runs() -> None:
    found = printed("eldercare", "organ_donation", "--protocol", "uniplex")
    assert [run["scenario"] for run in found["runs"]] == ["eldercare", "organ_donation"]


def test_personas_can_be_named_one_by_one() -> None:
    assert printed("eldercare", "--personas", "confucian", "--personas", "western")["personas"] == [
        "confucian",
        "western",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: oak\nquestion: [\n", "oak.yaml: line 3, column 1: broken YAML"),
        (GOOD + "quetsion: again\n", "oak.yaml: quetsion: unknown key; did you mean 'question'?"),
        ("name: oak\nquestion: '  '\n", "oak.yaml: question: "),
        ("name: oak\n", "oak.yaml: question: is missing"),
        (
            GOOD + "personas: civilisations\n",
            "oak.yaml: no persona or pack named 'civilisations'; did you mean 'civilizations'?",
        ),
        (GOOD + "personas: [confucius]\n", "no persona or pack named 'confucius'; did you mean 'confucian'?"),
        (GOOD + "personas: [hindu, hindu]\n", "personas: 'hindu' is seated twice; name each persona once"),
        (
            GOOD + "personas: [hindu]\n",
            "the protocol 'multiplex' needs a panel of 2 or more, and 1 is seated",
        ),
        (GOOD + "protocol: multiplax\n", "no protocol named 'multiplax'; did you mean 'multiplex'?"),
        (GOOD + "protocol: ./mine.yaml\n", "mine.yaml: no such file"),
        (GOOD + "seed: seven\n", "oak.yaml: seed: "),
        (
            GOOD + "options: [{key: a, text: One}, {key: a, text: Two}]\n",
            "oak.yaml: options[1].key: 'a' stands twice; give each option a key of its own",
        ),
        (GOOD + f"context: {'x' * 1_000_000}\n", "oak.yaml: is larger than 512 KiB"),
    ],
)
def test_a_scenario_that_is_wrong_is_refused_in_one_sentence(text: str, said: str) -> None:
    file = scenario(text)
    assert said in refused("run", file)


def test_a_protocol_with_an_unknown_stage_is_refused() -> None:
    Path("mine.yaml").write_text("name: mine\nsummary: Mine.\nstages: [open, excange]\n", encoding="utf-8")
    assert "stages[1]: no stage named 'excange'; did you mean 'exchange'?" in refused(
        "run", "eldercare", "--protocol", "./mine.yaml"
    )


def test_text_that_is_not_utf_8_is_refused() -> None:
    Path("oak.yaml").write_bytes("name: oak\nquestion: Wer pflegt die Mutter für uns?\n".encode("latin-1"))
    assert refused("run", "oak.yaml") == "oak.yaml: line 2: is not UTF-8 text; save it as UTF-8"


def test_a_missing_file_and_an_unknown_name_are_told_apart() -> None:
    scenario()
    assert refused("run", "oka.yaml") == "oka.yaml: no such file; did you mean 'oak.yaml'?"
    assert refused("run", "nope.yaml") == "nope.yaml: no such file; known: oak.yaml"
    assert refused("run", "oak") == "no scenario named 'oak'; did you mean './oak.yaml'?"
    assert refused("run", "eldercar") == "no scenario named 'eldercar'; did you mean 'eldercare'?"


def test_an_unknown_model_is_refused() -> None:
    assert "no model named 'extractiv'; did you mean 'extractive'?" in refused(
        "run", "eldercare", "--model", "extractiv"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_refused() -> None:
    Path("locked").mkdir(mode=0o500)
    assert "locked: runs cannot be written there" in refused("run", "eldercare", "--out", "locked")


def test_an_output_folder_that_is_a_file_is_refused() -> None:
    scenario()
    assert refused("run", "eldercare", "--out", "oak.yaml") == (
        "oak.yaml: runs cannot be written there: it is a file; name a folder"
    )


@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_empty_question_is_told(nothing: str) -> None:
    assert refused("run", nothing) == "question: is empty"


def test_a_served_model_deliberates_end_to_end() -> None:
    with endpoint() as server:
        run = printed("eldercare", "--model", "openai:test", "--base-url", server.base_url)
    assert run["model"] == "openai:test"
    assert run["usage"]["failures"] == 0
    assert run["usage"]["tokens"]["prompt"] > 0
    assert run["answers"]["overton"]
    assert len(run["answers"]["steered"]) == 8


@pytest.mark.parametrize(
    "fault",
    [
        "invalid_json",
        "truncated",
        *(pytest.param(f, marks=SLOW) for f in ("status_500", "schema_breaking", "empty")),
    ],
)
def test_a_third_of_the_calls_failing_leaves_a_whole_run_with_every_failure_on_record(fault: Fault) -> None:
    with endpoint(fault=fault, every=3) as server:
        run = printed(
            *("eldercare", "--model", "openai:test", "--base-url", server.base_url, "--retries", "0"),
            *(
                "--personas",
                "confucian",
                "--personas",
                "western",
                "--personas",
                "african",
                "--personas",
                "hindu",
            ),
        )
    failed = run["usage"]["failures"]
    assert 0 < failed < run["usage"]["acts"] * 0.6
    record = [json.loads(line) for line in (Path(run["path"]) / "transcript.jsonl").read_text().splitlines()]
    reasons = [act["failure"]["reason"] for act in record if act["failure"]]
    assert len(reasons) == failed
    assert all(reasons)
    # No error's text is ever read by another agent as speech.
    prompts = "\n".join(message["content"] for body in server.requests for message in body["messages"][:2])
    assert not any(reason in prompts for reason in reasons)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("status_500", "answered with status 500"),
        ("timeout", "no answer within 0.2 s"),
        ("invalid_json", "answered with no valid JSON"),
        ("schema_breaking", "statement: is missing"),
    ],
)
def test_an_endpoint_that_never_answers_well_ends_the_run_with_its_reason(fault: Fault, said: str) -> None:
    with endpoint(fault=fault) as server:
        told = refused(
            *("run", "eldercare", "--model", "openai:test", "--base-url", server.base_url),
            *("--retries", "0", "--timeout", "0.2"),
        )
    assert told.startswith("open: only 0 of 8 personas answered, and the protocol's quorum is 2: ")
    assert said in told


def test_an_endpoint_that_refuses_ends_the_run_with_its_reason() -> None:
    told = refused(
        "run", "eldercare", "--model", "openai:test", "--base-url", "http://127.0.0.1:9/v1", "--retries", "0"
    )
    assert "cannot be reached" in told


def test_a_question_in_words_is_deliberated_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    question = "May a baker sell bread that is a day old" + " and older still" * 30 + "?"
    result = multiplex("run", question, "--protocol", "uniplex", "--no-scores", "--json")
    assert result.exit_code == 0, result.stderr
    [path] = (tmp_path / "runs").iterdir()
    run = load_run(path)
    assert run.scenario == "question"
    assert run.manifest["content"]["scenario"]["question"] == question


@pytest.mark.parametrize(
    "question",
    [
        "独生子女应该放弃海外事业回家照顾年迈的父母吗\uff1f",
        "大型模型如GPT-5.2应否被禁止?",
        "公立図書館は延滞料を取るべきか",
        "ครูควรหยุดงานได้ไหม",
        "Why?",
    ],
)
def test_a_question_without_spaces_is_a_question(question: str) -> None:
    found = printed(question, "--protocol", "uniplex", "--no-scores")
    assert found["scenario"] == "question"
    assert load_run(Path(found["path"])).manifest["content"]["scenario"]["question"] == question


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("Eldercare", "no scenario named 'Eldercare'; did you mean 'eldercare'?"),
        ("organ-donation", "no scenario named 'organ-donation'; did you mean 'organ_donation'?"),
        ("élevage", "no scenario named 'élevage'; known: "),
        ("养老", "no scenario named '养老'; did you mean './养老.yaml'?"),
        ("./养老", "养老: no such file"),
        ("养.yam", "养.yam: no such file"),
    ],
)
def test_a_name_or_path_that_is_misspelt_is_no_question(named: str, said: str) -> None:
    Path("养老.yaml").write_text("", encoding="utf-8")
    assert refused("run", named).startswith(said)


def test_a_path_with_a_space_is_no_question() -> None:
    result = multiplex("run", "no such.yaml")
    assert result.exit_code == 1
    assert "no such.yaml: no such file" in result.stderr
