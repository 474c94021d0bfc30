"""Protocols: a named list of stages with their parameters.

The file says which stages and how; `multiplex.deliberation` knows how to wire them.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    model_validator,
)

from multiplex.content.files import (
    check_name,
    is_path,
    model_from_yaml,
    named_files,
    read_path,
    read_text,
    shipped,
)
from multiplex.errors import ContentError, near_miss

__all__ = [
    "STAGES",
    "Answer",
    "Articulate",
    "Compare",
    "Contrast",
    "Exchange",
    "Observe",
    "Open",
    "Poll",
    "Protocol",
    "Ratify",
    "Stage",
    "Synthesise",
    "load_protocol",
    "protocol_names",
]


class Stage(BaseModel):
    """One phase of a deliberation and its parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum_panel: ClassVar[int] = 1
    """How many personas the stage needs; 0 for none."""
    after: ClassVar[tuple[str, ...]] = ()
    """The stages that have to come before this one."""

    @property
    def name(self) -> str:
        """Return the stage's name as protocol files write it."""
        return type(self).__name__.lower()


class Open(Stage):
    """Every persona states its position before it has seen anyone else's."""


class Exchange(Stage):
    """Personas answer one another, round by round, until positions stop moving."""

    minimum_panel: ClassVar[int] = 2
    after: ClassVar[tuple[str, ...]] = ("open",)
    rounds: StrictInt = Field(default=2, ge=1, le=20)
    still: float = Field(default=0.05, ge=0, le=1)
    """The total variation distance of a stance, 0 to 1, up to which it counts as not having moved."""


class Poll(Stage):
    """Every persona chooses one option in several orders; its model tells how likely each choice was."""

    after: ClassVar[tuple[str, ...]] = ("open",)
    orders: StrictInt = Field(default=2, ge=1, le=12)


class Articulate(Stage):
    """Every persona puts what it cares about here into values cards, before it sees other cards."""

    cards: StrictInt = Field(default=1, ge=1, le=5)


class Compare(Stage):
    """The moderator merges duplicates and proposes wiser values; every persona judges them."""

    after: ClassVar[tuple[str, ...]] = ("articulate",)
    pairs_per_persona: StrictInt = Field(default=6, ge=1, le=100)


class Synthesise(Stage):
    """The moderator writes the Overton answer and the consensus statement.

    With several candidates the panel ranks them and Schulze's method chooses.
    """

    after: ClassVar[tuple[str, ...]] = ("open",)
    candidates: StrictInt = Field(default=1, ge=1, le=16)


class Ratify(Stage):
    """Every persona endorses or objects; the statement is revised from the objections."""

    after: ClassVar[tuple[str, ...]] = ("synthesise",)
    revise: StrictInt = Field(default=1, ge=0, le=5)


class Contrast(Stage):
    """The same model answers without the panel; every persona endorses that answer and the Overton answer."""

    after: ClassVar[tuple[str, ...]] = ("open", "synthesise")


class Answer(Stage):
    """One model answers alone: `plain`, or told to be `multiplex`. No panel is heard."""

    minimum_panel: ClassVar[int] = 0
    told: Literal["plain", "multiplex"] = "plain"


class Observe(Stage):
    """The observer marks which perspectives the Overton answer references, and how it speaks of them."""

    minimum_panel: ClassVar[int] = 0


STAGES: dict[str, type[Stage]] = {
    stage.__name__.lower(): stage
    for stage in (Open, Exchange, Poll, Articulate, Compare, Synthesise, Ratify, Contrast, Answer, Observe)
}
"""Every stage by the name that protocol files use."""

Name = Annotated[str, AfterValidator(check_name)]
Summary = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Protocol(BaseModel):
    """A named list of stages; it compiles to a LangGraph graph."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    summary: Summary
    quorum: float = Field(default=0.25, gt=0, le=1)
    """The share of the panel that has to answer a stage for the deliberation to go on."""
    stages: tuple[Any, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _stages_fit(self) -> "Protocol":
        stages = tuple(_stage(entry, index) for index, entry in enumerate(self.stages))
        seen: list[str] = []
        for index, stage in enumerate(stages):
            if stage.name in seen:
                raise ValueError(f"stages[{index}]: {stage.name!r} stands twice")
            for needed in stage.after:
                if needed not in seen:
                    raise ValueError(f"stages[{index}]: {stage.name!r} needs {needed!r} before it")
            seen.append(stage.name)
        if "answer" in seen and set(seen) - {"answer", "observe"}:
            raise ValueError("stages: 'answer' is one model without a panel; only 'observe' may follow it")
        if "observe" in seen and not {"answer", "synthesise"} & set(seen[: seen.index("observe")]):
            raise ValueError("stages: 'observe' needs 'synthesise' or 'answer' before it")
        object.__setattr__(self, "stages", stages)
        return self

    @property
    def minimum_panel(self) -> int:
        """Return how many personas the protocol needs at least."""
        needed: list[int] = [stage.minimum_panel for stage in self.stages]
        return max(needed)


def _stage(entry: Any, index: int) -> Stage:
    where = f"stages[{index}]"
    if isinstance(entry, Stage):
        return entry
    name: Any = entry
    parameters: Any = {}
    if isinstance(entry, dict) and len(entry) == 1:
        [(name, parameters)] = entry.items()
    if not isinstance(name, str) or not isinstance(parameters, dict):
        raise ValueError(
            f"{where}: needs to be a stage's name, or one name with its parameters, "
            "as in 'exchange: {rounds: 2}'"
        )
    if name not in STAGES:
        raise ValueError(f"{where}: no stage named {name!r}; {near_miss(name, STAGES)}")
    from pydantic import ValidationError

    from multiplex.content.files import explain

    try:
        return STAGES[name].model_validate(parameters)
    except ValidationError as error:
        raise ValueError(f"{where}.{name}: {explain(error, STAGES[name])}") from error


def load_protocol(reference: str | Path) -> Protocol:
    """Load a protocol by bare name (shipped) or by path.

    Raises:
        ContentError: the protocol is unknown, or the file is wrong.
    """
    if isinstance(reference, Path) or is_path(reference):
        path = Path(reference)
        text, name = read_path(path), path.name.removesuffix(".yaml")
    else:
        known = named_files(shipped("graphs"))
        if reference not in known:
            raise ContentError(f"no protocol named {reference!r}; {near_miss(reference, known)}")
        text, name = read_text(known[reference], where=f"graphs/{reference}.yaml"), reference
    protocol = model_from_yaml(Protocol, text)
    if protocol.name != name:
        raise ContentError(f"{text.where}: name: is {protocol.name!r}, but the file is named {name!r}")
    return protocol


def protocol_names() -> tuple[str, ...]:
    """Return the names of the protocols that ship with Multiplex."""
    return tuple(named_files(shipped("graphs")))
