"""The examples in README and docs run, and say what they are said to say."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from multiplex.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_six_lines_of_python_in_the_readme_run_and_print_what_stands_below_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    readme = ROOT / "README.md"
    code = blocks(readme, "python")[0]
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) == 6
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 (it is what the README asks its reader to do)
    assert capsys.readouterr().out.strip() == blocks(readme, "text")[0].strip()


def test_the_commands_of_the_example_run_run_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = [
        line.removeprefix("$ ")
        for block in blocks(ROOT / "docs" / "example-run.md", "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    assert len(commands) >= 5
    for command in commands:
        words = shlex.split(command.replace("RUN", _latest(tmp_path)))
        assert words[0] == "multiplex"
        done = CliRunner().invoke(app, words[1:], catch_exceptions=False)
        assert done.exit_code == 0, f"{command}: {done.stderr}"


def _latest(folder: Path) -> str:
    runs = sorted(p.name for p in (folder / "runs").iterdir()) if (folder / "runs").is_dir() else []
    return runs[-1] if runs else "none"


def session(page: Path) -> list[tuple[str, str, str]]:
    """Return what a page does, in order: (language, code, what it is said to print).

    A block of Python prints the block of text right after it, or nothing; a command of a console block
    prints the lines up to the next command.
    """
    steps: list[tuple[str, str, str]] = []
    after = ""
    for found in re.finditer(
        r"^```(\w*)\n(.*?)^```\n", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
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


@pytest.mark.parametrize("name", ["scores", "moral-graph"])
def test_the_examples_of_a_page_run_in_order_and_print_what_stands_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    steps = session(ROOT / "docs" / f"{name}.md")
    assert len(steps) >= 10
    for language, code, shown in steps:
        said = said_by(language, code, capsys)
        assert reads(shown, said), f"{code}\nprinted\n\n{said}\nand not\n\n{shown}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_holds_a_gap_still_to_be_filled(page: Path) -> None:
    assert "@@" not in page.read_text(encoding="utf-8")
