"""The table of `tests.table` as files, for the command line: a pack, a protocol and scenarios."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from multiplex.content.personas import Persona
from tests.table import PERSONAS

__all__ = ["write_scenario", "write_table"]

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # in C where there is one: ten times as quick
OPTIONS = [{"key": "keep", "text": "Keep the ferry"}, {"key": "stop", "text": "Stop it until spring"}]


def write_table(folder: Path, *stages: Any, personas: Sequence[Persona] = PERSONAS) -> None:
    """Write the pack `table` and the protocol `trial`, beside which scenarios can be written."""
    (pack := folder / "table").mkdir()
    head = {
        "name": "table",
        "title": "The table",
        "summary": "For tests.",
        "perspectives": [persona.perspective for persona in personas],
    }
    _write(pack / "pack.yaml", head)
    for persona in personas:
        _write(pack / f"{persona.name}.yaml", persona.model_dump(mode="json", exclude_defaults=True))
    _write(folder / "trial.yaml", {"name": "trial", "summary": "For a test.", "stages": list(stages)})


def write_scenario(folder: Path, name: str, **changes: Any) -> str:
    """Write a scenario for that table, and return the name of its file."""
    usual = {
        "name": name,
        "question": f"Should the village keep the {name}?",
        "personas": "./table",
        "protocol": "./trial.yaml",
        "options": OPTIONS,
    }
    _write(folder / f"{name}.yaml", {**usual, **changes})
    return f"{name}.yaml"


def _write(path: Path, data: dict[str, Any]) -> None:
    text = yaml.dump(data, Dumper=_DUMPER, allow_unicode=True, sort_keys=False)
    path.write_text(text, encoding="utf-8")
