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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_holds_a_gap_still_to_be_filled(page: Path) -> None:
    assert "@@" not in page.read_text(encoding="utf-8")
