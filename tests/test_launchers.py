"""The ways in: the launcher of an uninstalled checkout, the module, and LangGraph's own tools."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from langgraph.graph.state import CompiledStateGraph

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("command", [["cli.py"], ["-m", "multiplex"]])
def test_a_checkout_runs_without_being_installed(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "A panel of culturally situated personas" in done.stdout


def test_langgraph_json_points_at_a_graph() -> None:
    [(name, place)] = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))["graphs"].items()
    path, _, attribute = place.partition(":")
    module = import_module(path.removeprefix("./").removesuffix(".py").replace("/", "."))
    assert name == "multiplex"
    assert isinstance(getattr(module, attribute)(), CompiledStateGraph)
