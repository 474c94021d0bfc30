"""The examples in README and docs run, and say what they are said to say."""

import json
import re
import shlex
from importlib import import_module
from operator import attrgetter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from multiplex.cli.app import app
from multiplex.sentences import sentences

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PART = "\n## Scores and moral graphs of your own\n"
"""The part of the README whose commands run after those of docs/scores.md."""


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.slow
def test_the_six_lines_of_python_in_the_readme_run_and_print_what_stands_below_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = ROOT / "README.md"
    code = blocks(readme, "python")[0]
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) == 6
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 (it is what the README asks its reader to do)
    assert capsys.readouterr().out.strip() == blocks(readme, "text")[0].strip()


@pytest.mark.slow
def test_the_run_that_the_readme_begins_with_prints_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    [shown] = blocks(ROOT / "README.md", "text output")
    # What stands for lines that are left out may say what they are; time and place are of that run.
    shown = re.sub(r"^\[\.\.\. .*\]$", "[...]", shown, flags=re.MULTILINE)
    shown = re.sub(r"^(\d+ acts); .*$", "[...]", shown, flags=re.MULTILINE)
    done = CliRunner().invoke(app, ["run", "eldercare"], catch_exceptions=False)
    assert reads(shown, done.stdout), done.stdout


@pytest.mark.slow
def test_the_commands_of_the_example_run_run_in_order_and_what_it_quotes_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "example-run.md"
    commands = [
        line.removeprefix("$ ")
        for block in blocks(page, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    assert len(commands) >= 5
    for command in commands:
        words = shlex.split(command.replace("RUN", _latest(tmp_path)))
        assert words[0] == "multiplex"
        done = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        assert done.exit_code == 0, f"{command}: {done.stderr}"
    run = min((tmp_path / "runs").glob("*-eldercare-*"))
    edges = json.loads((run / "moral_graph.json").read_text(encoding="utf-8"))["edges"]
    assert json.loads(blocks(page, "json")[-1]) in edges
    acts = [json.loads(line) for line in (run / "transcript.jsonl").read_text(encoding="utf-8").splitlines()]
    scenario = json.loads((run / "run.json").read_text(encoding="utf-8"))["content"]["scenario"]
    said = " ".join(json.dumps(each, ensure_ascii=False) for each in (scenario, acts)).replace("\\n", " ")
    quoted = [line[2:] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("> ")]
    assert len(quoted) >= 5
    assert [each for line in quoted for each in sentences(line) if each not in said] == []
    [stance] = re.findall(r"return (\d+), stay (\d+), share (\d+)", page.read_text(encoding="utf-8"))
    [opened] = [
        a["reply"]["stance"] for a in acts if (a["act"], a["speaker"]) == ("take_position", "confucian")
    ]
    assert [opened[key] for key in ("return", "stay", "share")] == [int(each) for each in stance]


def _latest(folder: Path) -> str:
    runs = sorted(p.name for p in (folder / "runs").iterdir()) if (folder / "runs").is_dir() else []
    return runs[-1] if runs else "none"


def session(text: str) -> list[tuple[str, str, str]]:
    """Return what a page does, in order: (language, code, what it is said to print).

    A block of Python prints the block of text right after it, or nothing; a command of a console block
    prints the lines up to the next command.
    """
    steps: list[tuple[str, str, str]] = []
    after = ""
    for found in re.finditer(r"^```(\w*)[^\n]*\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL):
        language, code = found.groups()
        if language == "python":
            steps.append(("python", code, ""))
        elif language == "text" and after == "python":
            steps[-1] = ("python", steps[-1][1], code)
        elif language == "console":
            steps += [
                ("console", *_command(part)) for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]
            ]
        after = language
    return steps


def _command(part: str) -> tuple[str, str]:
    """Divide a command from its output; the file that `<<'END'` begins belongs to the command."""
    if "<<'END'\n" in part:
        assert part.endswith("END\n"), part
        return part, ""
    command, _, output = part.partition("\n")
    return command, output


def said_by(language: str, code: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run one step in the current folder, and return what it prints."""
    if language == "python":
        exec(compile(code, "example", "exec"), {"__name__": "example"})  # noqa: S102 (an example of a page)
        return capsys.readouterr().out
    if "<<'END'\n" in code:
        command, _, text = code.removesuffix("END\n").partition(" <<'END'\n")
        assert command.startswith("cat > "), command
        Path(command.removeprefix("cat > ")).write_text(text, encoding="utf-8")
        return ""
    words = shlex.split(code.replace("RUN", f"runs/{_latest(Path())}"), comments=True)
    assert words[0] == "multiplex"
    done = CliRunner().invoke(app, words[1:], catch_exceptions=False)
    assert done.exit_code == (1 if code.endswith("# exits with 1") else 0), f"{code}: {done.output}"
    return done.output


def reads(shown: str, said: str) -> bool:
    """Tell whether a page shows what was said, but for the lines that `[...]` stands for."""
    lines = (
        r"(?:.*\n)*" if line.strip() == "[...]" else re.escape(line.rstrip()) + r"\n"
        for line in shown.splitlines()
    )
    return (
        re.fullmatch("".join(lines), "".join(f"{line.rstrip()}\n" for line in said.splitlines())) is not None
    )


@pytest.mark.slow  # some thirty commands; `make slow` and so every landing runs them
@pytest.mark.parametrize(
    "pages",
    [["docs/scores.md", "README.md"], ["docs/moral-graph.md"], ["docs/dataset.md"], ["docs/python.md"]],
    ids=" ".join,
)
def test_the_examples_of_these_pages_run_in_order_and_print_what_stands_there(
    pages: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for page in pages:
        text = (ROOT / page).read_text(encoding="utf-8")
        if page == "README.md":  # of which the rest has tests of its own; this part goes on with the same run
            text = text.partition(PART)[2].partition("\n## ")[0]
        steps = session(text)
        assert len(steps) >= 3
        for language, code, shown in steps:
            said = said_by(language, code, capsys)
            assert reads(shown, said), f"{page}: {code}\nprinted\n\n{said}\nand not\n\n{shown}"


def test_every_score_in_the_tables_of_scores_is_in_the_module_that_they_name() -> None:
    rows = re.findall(
        r"^\| function in `([\w.]+)` .*\n\|[-|]+\n((?:\|.*\n)+)",
        (ROOT / "docs" / "scores.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) >= 10
    for package, table in rows:
        for named in re.findall(r"^\| `([\w.]+)`", table, re.MULTILINE):
            module, _, name = f"{package}.{named}".rpartition(".")
            if module.rpartition(".")[2][0].isupper():  # of a class
                module, _, owner = module.rpartition(".")
                name = f"{owner}.{name}"
            attrgetter(name)(import_module(module))  # raises, and names it, where there is no such thing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_holds_a_gap_still_to_be_filled(page: Path) -> None:
    assert "@@" not in page.read_text(encoding="utf-8")
