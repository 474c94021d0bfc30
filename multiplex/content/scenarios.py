"""Scenarios: the question, the shared facts, the choice context, the panel, optional closed options."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    ValidationError,
    model_validator,
)

from multiplex.content.files import (
    check_name,
    explain,
    is_path,
    model_from_yaml,
    named_files,
    read_path,
    read_text,
    shipped,
)
from multiplex.content.personas import ModelName, Persona
from multiplex.content.topics import Topic
from multiplex.errors import ContentError, near_miss

__all__ = ["Option", "Scenario", "load_scenario", "scenario_names", "scenario_of"]

Name = Annotated[str, AfterValidator(check_name)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=600)]


class Option(BaseModel):
    """A closed option: its key, its text, and what those who choose it say for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Name
    text: Line
    reasons: tuple[Line, ...] = ()


class Scenario(BaseModel):
    """What a panel deliberates on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    title: Line | None = None
    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20000)]
    context: Annotated[str, StringConstraints(strip_whitespace=True, max_length=20000)] | None = None
    choice_context: Line | None = None
    domain: Topic | None = None
    personas: str | tuple[str | Persona, ...] = "civilizations"
    protocol: str = "multiplex"
    options: tuple[Option, ...] = Field(default=(), max_length=12)
    models: dict[str, ModelName] = Field(default_factory=dict)
    """Models of their own: by persona's name, `moderator` or `observer`."""
    seed: StrictInt | None = Field(default=None, ge=0, lt=2**63)
    sources: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _options_fit(self) -> "Scenario":
        seen: set[str] = set()
        for index, option in enumerate(self.options):
            if option.key in seen:
                raise ValueError(
                    f"options[{index}].key: {option.key!r} stands twice; give each option a key of its own"
                )
            seen.add(option.key)
        if len(self.options) == 1:
            raise ValueError("options: one option is no choice; give two or more, or none")
        return self

    @property
    def label(self) -> str:
        """Return the title, or the question where there is none."""
        return self.title or self.question

    @property
    def setting(self) -> str:
        """Return the choice context that values are elicited in."""
        return self.choice_context or self.label

    def option(self, key: str) -> Option:
        """Return the option of that key; KeyError if there is none."""
        for option in self.options:
            if option.key == key:
                return option
        raise KeyError(key)


def load_scenario(reference: str | Path) -> Scenario:
    """Load a scenario by bare name (shipped) or by path.

    Raises:
        ContentError: the scenario is unknown, or the file is wrong.
    """
    if isinstance(reference, Path) or is_path(reference):
        path = Path(reference)
        text, name = read_path(path), path.name.removesuffix(".yaml")
    else:
        known = named_files(shipped("scenarios"))
        if reference not in known:
            here = f"./{reference}.yaml"
            hint = f"did you mean {here!r}?" if os.path.isfile(here) else near_miss(reference, known)  # noqa: PTH113 (any length)
            raise ContentError(f"no scenario named {reference!r}; {hint}")
        text, name = read_text(known[reference], where=f"scenarios/{reference}.yaml"), reference
    scenario = model_from_yaml(Scenario, text)
    if scenario.name != name:
        raise ContentError(f"{text.where}: name: is {scenario.name!r}, but the file is named {name!r}")
    if isinstance(reference, Path) or is_path(reference):
        return _anchored(scenario, Path(reference).parent)
    return scenario


def scenario_of(question: object) -> Scenario:
    """Return the scenario that a question in words makes, with everything else as it is by default.

    Raises:
        ContentError: it is no text, empty or too long, or names a scenario or its file.
    """
    if isinstance(question, Path) or (isinstance(question, str) and question.endswith((".yaml", ".yml"))):
        named = str(question)
        raise ContentError(f"{named!r} is the path of a file: give load_scenario({named!r})")
    if not isinstance(question, str):
        raise ContentError(
            "question: needs to be a question in words, or a Scenario as load_scenario(...) returns it, "
            f"not {question!r}"
        )
    if question.strip() in scenario_names():
        named = question.strip()
        raise ContentError(f"{named!r} is the name of a scenario: give load_scenario({named!r})")
    try:
        return Scenario(name="question", question=question)
    except ValidationError as error:
        raise ContentError(explain(error, Scenario)) from error


def _anchored(scenario: Scenario, folder: Path) -> Scenario:
    """Read the paths that a scenario names as lying beside its own file."""

    def anchor(entry: str | Persona) -> str | Persona:
        if isinstance(entry, str) and is_path(entry) and not Path(entry).is_absolute():
            return str(folder / entry) if folder.parts else f"./{entry}"
        return entry

    personas = scenario.personas
    changed = {
        "personas": anchor(personas) if isinstance(personas, str) else tuple(anchor(p) for p in personas),
        "protocol": anchor(scenario.protocol),
    }
    return scenario.model_copy(update=changed)


def scenario_names() -> tuple[str, ...]:
    """Return the names of the scenarios that ship with Multiplex."""
    return tuple(named_files(shipped("scenarios")))
