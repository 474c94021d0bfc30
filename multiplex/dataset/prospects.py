"""What can come of a protocol: the kinds of records that its stages can give, known before anything is asked.

It follows from what `material` makes texts of, `preferences` pairs and `records` rows.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from multiplex.content.protocols import Protocol, Ratify, Stage
from multiplex.dataset.schemas import CONFIGS

__all__ = ["Table", "lacking", "needed"]


@dataclass(frozen=True, slots=True)
class Table:
    """A protocol as it is run (with `contrast`, where that is put to it), who sits, and what is asked of them."""

    protocol: Protocol
    seats: int
    options: bool
    """Whether any prompt has options."""

    @property
    def stages(self) -> dict[str, Stage]:
        """Return the stages by name."""
        return {stage.name: stage for stage in self.protocol.stages}


def _revises(table: Table) -> bool:
    ratify = table.stages.get("ratify")
    return isinstance(ratify, Ratify) and ratify.revise > 0


_RULES: Mapping[str, Callable[[Table], bool]] = {
    "coverage": lambda table: {"open", "synthesise", "contrast"} <= table.stages.keys(),
    "in_character": lambda table: "open" in table.stages and table.seats > 1,
    "after_critique": _revises,
    "ratified": lambda table: {"synthesise", "ratify", "contrast"} <= table.stages.keys(),
}

_VOTES = "synthesise with contrast, or with ratify that revises"
_PAIRS = f"open with two personas or more, or {_VOTES}"


def _pairs(table: Table) -> bool:
    return any(rule(table) for rule in _RULES.values())


def _voted(table: Table) -> bool:
    """Return whether there can be a pair with a margin, which takes endorsements of both."""
    return any(rule(table) for name, rule in _RULES.items() if name != "in_character")


_CONFIGS: Mapping[str, tuple[str, Callable[[Table], bool]]] = {
    # The one answer of a protocol without a panel is no row: nothing but its form is checked, and nobody stands for it.
    "sft": ("open", lambda table: "open" in table.stages),
    "dpo": (_PAIRS, _pairs),
    "kto": (_PAIRS, _pairs),
    "reward": (_VOTES, _voted),
    "grpo": ("open", lambda table: "open" in table.stages),
    "distribution": (
        "ratify, or open and a prompt with options",
        lambda table: "ratify" in table.stages or ("open" in table.stages and table.options),
    ),
    "transcripts": ("", lambda table: True),
    "moral_graph": ("compare", lambda table: "compare" in table.stages),
}
"""The stages that a config's rows come of, in words, and whether they are there."""


def needed(config: str) -> str:
    """Return the stages that a config's rows come of, in words; empty where any will do."""
    return _CONFIGS[config][0]


def lacking(tables: Iterable[Table]) -> dict[str, str]:
    """Return the configs that can come of none of these tables, each with the stages that it would need."""
    given = list(tables)
    return {config: _CONFIGS[config][0] for config in CONFIGS if not any(map(_CONFIGS[config][1], given))}
