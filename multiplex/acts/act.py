"""The act: one typed request that a stage makes of one agent, and the schema of its reply."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel

from multiplex.content.personas import Persona
from multiplex.content.scenarios import Scenario

__all__ = ["Act", "Agent", "among"]

Agent = Literal["persona", "moderator", "observer"]

R = TypeVar("R", bound=BaseModel)

_MOST_SPELT_OUT = 4
"""Up to how many numbers all their orders stand in a schema: 24 of 4, and 120 of 5 would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act(Generic[R]):
    """One typed request that a stage makes of one agent."""

    name: ClassVar[str]
    agent: ClassVar[Agent]
    reply: ClassVar[type[BaseModel]]
    scenario: Scenario

    @property
    def speaker(self) -> str:
        """Return who is asked: a persona's name, `moderator` or `observer`."""
        persona: Persona | None = getattr(self, "persona", None)
        return persona.name if persona else self.agent

    @property
    def role(self) -> str:
        """Return the name of the role file that words this act."""
        return self.name

    def choices(self) -> Mapping[str, Sequence[str]]:
        """Return, for fields of the reply as `Model.field`, the only values that they may take.

        A list of numbers is an order: it takes all of them, each once.
        """
        return {}

    def check(self, reply: BaseModel) -> None:
        """Raise ValueError where a reply that fits the schema still makes no sense for this act."""

    def letters(self) -> Mapping[str, str]:
        """Return, for an act that is answered with one letter, what each letter stands for; else nothing."""
        return {}

    def schema(self) -> dict[str, Any]:
        """Return the reply's JSON schema, narrowed to the values that this act can mean.

        It is shared by all acts that mean the same: read it, and change nothing in it.
        """
        choices = self.choices()
        return _schema(self.reply, tuple((place, tuple(values)) for place, values in choices.items()))


@lru_cache(maxsize=1024)
def _schema(reply: type[BaseModel], choices: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, Any]:
    schema = reply.model_json_schema()
    for place, values in choices:
        model, name = place.split(".")
        target = schema if schema.get("title") == model else schema.get("$defs", {}).get(model)
        if target is None:
            continue
        if values or target["properties"][name].get("type") != "string":
            _narrow(target["properties"][name], list(values))
        else:
            _forbid(schema, model)
    return schema


def _forbid(schema: dict[str, Any], model: str) -> None:
    """Leave lists of a model empty, where one of its fields has no value that it could take."""
    for part in schema["properties"].values():
        if part.get("items") == {"$ref": f"#/$defs/{model}"}:
            part["maxItems"] = 0


def _narrow(field_schema: dict[str, Any], values: list[str]) -> None:
    """Replace every free string below a field's schema by an enumeration, and free keys by these, all of them."""
    if field_schema.get("type") == "object":
        for key in ("propertyNames", "maxProperties"):
            field_schema.pop(key, None)
        each = field_schema["additionalProperties"]
        field_schema |= {"properties": dict.fromkeys(values, each), "required": values}
        field_schema["additionalProperties"] = False
    elif field_schema.get("type") == "string":
        if values:
            for key in ("minLength", "maxLength"):
                field_schema.pop(key, None)
            field_schema["enum"] = values
    elif "anyOf" in field_schema:
        branches = [b for b in field_schema["anyOf"] if b.get("type") != "string" or values]
        for branch in branches:
            _narrow(branch, values)
        field_schema["anyOf"] = branches
    elif field_schema.get("items", {}).get("type") == "integer":
        _order(field_schema, [int(value) for value in values])
    elif "items" in field_schema:
        _narrow(field_schema["items"], values)


def _order(field_schema: dict[str, Any], numbers: list[int]) -> None:
    """Let a list of numbers be an order of these, where they are few; else as many of them as they are.

    That each comes once cannot be said of more: grammars do without `uniqueItems`, and xgrammar refuses it.
    """
    field_schema |= {"minItems": len(numbers), "maxItems": len(numbers)}
    field_schema["items"] |= {"minimum": min(numbers), "maximum": max(numbers)}
    if len(numbers) <= _MOST_SPELT_OUT:
        field_schema["enum"] = [list(order) for order in permutations(numbers)]


def among(value: str | None, known: Sequence[str], what: str) -> None:
    """Raise ValueError if a value is none of those known; None is always fine."""
    if value is not None and value not in known:
        raise ValueError(f"{what} {value!r} is none of: {', '.join(known) or '(there are none)'}")
