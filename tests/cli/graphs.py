"""`multiplex graph` as tests call it, and the cards and judgements that they give it."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from multiplex.cli.graph import graph_app

POLICIES = ["MOMENTS when trust grows", "SIGNS of open doors", "PEOPLE who wait outside"]
HEADER = "from,to,verdict,judge,context\n"
MOVES = [("a", "b", "wiser"), ("a", "b", "wiser"), ("b", "c", "wiser"), ("b", "c", "upgrade")]
MOVES += [("c", "a", "not_wiser"), ("c", "d", "not_sure")]


def graph(*words: str | Path) -> Result:
    return CliRunner().invoke(graph_app, [str(word) for word in words], catch_exceptions=False)


def ran(*words: str | Path) -> str:
    result = graph(*words)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def told(*words: str | Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran(*words, "--json"))
    return found


def refused(*words: str | Path) -> str:
    result = graph(*words)
    assert (result.exit_code, result.stdout) == (1, ""), result.stdout
    said = result.stderr.strip()
    assert said.startswith("error: ")
    assert "\n" not in said
    return said.removeprefix("error: ")


def card(id_: str, **changes: Any) -> dict[str, Any]:
    policies = [f"{policy} in {id_}" for policy in POLICIES]
    return {
        "id": id_,
        "title": f"Trust in {id_}",
        "policies": policies,
        "schwartz": ["Equality"],
        **changes,
    }
