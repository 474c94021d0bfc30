"""Values cards as other people's files hold them."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError

from multiplex.moral_graph.cards import ValuesCard

__all__ = [
    "Id",
    "PublishedCard",
    "checked",
    "instructions_of",
    "lines_of",
    "not_finite",
    "one_line",
    "read_card",
    "read_cards",
    "texts_of",
]

M = TypeVar("M", bound=BaseModel)

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """Return text with a space for every run of line breaks, tabs and control characters."""
    return _BREAKS.sub(" ", text)


def lines_of(texts: Iterable[str]) -> str:
    """Return several texts as one, a line each."""
    return "\n".join(map(one_line, texts))


def texts_of(lines: str) -> tuple[str, ...]:
    """Return what `lines_of` made one; nothing of an empty text."""
    return tuple(lines.split("\n")) if lines else ()


def _id(id_: object) -> object:
    if type(id_) is int:
        return str(id_)
    if isinstance(id_, str) and one_line(id_.strip()) != id_.strip():
        raise ValueError("an id holds no line breaks, tabs or control characters")
    return id_


Id = Annotated[_Text, BeforeValidator(_id)]
"""An id in one line: text, or a whole number (as in databases) that is read as text."""


class PublishedCard(ValuesCard):
    """A card from elsewhere: any number of policies, none included, and what the published shape adds.

    `ValuesCard` stays strict for what is written here; a card from elsewhere that falls short is for
    `multiplex.moral_graph.criteria` to report. `instructions` is `instructionsDetailed` of the published
    shape, `created` and `updated` its times, as they stand there.
    """

    policies: tuple[_Text, ...] = ()
    instructions: str | None = None
    created: str | None = None
    updated: str | None = None


class _Shape(BaseModel):
    """The fields that any of the shapes may have; what else is in a file is not ours to judge."""

    model_config = ConfigDict(extra="ignore")

    id: Id
    title: _Text
    description: str | None = None
    instructionsShort: str | None = None  # noqa: N815 (a name of the published shape)
    instructionsDetailed: str | None = None  # noqa: N815
    evaluationCriteria: tuple[_Text, ...] | None = None  # noqa: N815
    createdAt: str | None = None  # noqa: N815
    updatedAt: str | None = None  # noqa: N815
    policies: tuple[_Text, ...] | None = None
    schwartz: tuple[str, ...] = ()
    context: str | None = None
    choice_context: str | None = None
    authors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def read_card(data: object, *, where: str) -> ValuesCard:
    """Return one card from any of the shapes: this project's, the published DFT one, or that of mgg.

    Only id and title must be there. A card that `ValuesCard` would take is one, unless it has instructions
    or times of the published shape; any other is a `PublishedCard`.

    Raises ValueError, which starts with `where`, where the data are no card.
    """
    if isinstance(data, Mapping) and isinstance(data.get("data"), Mapping):
        data = {**data["data"], "id": data.get("id")}
    shape = checked(_Shape, data, where)
    fields: dict[str, Any] = {
        "id": shape.id,
        "title": shape.title,
        "description": shape.description if shape.description is not None else shape.instructionsShort or "",
        "policies": shape.policies if shape.policies is not None else shape.evaluationCriteria or (),
        "schwartz": shape.schwartz,
        "context": shape.context if shape.context is not None else shape.choice_context or "",
        "authors": shape.authors,
        "sources": shape.sources,
    }
    made = instructions_of(fields["description"], fields["policies"])
    published = {
        "instructions": None if shape.instructionsDetailed == made else shape.instructionsDetailed,
        "created": shape.createdAt,
        "updated": shape.updatedAt,
    }
    if 3 <= len(fields["policies"]) <= 7 and set(published.values()) == {None}:
        return ValuesCard.model_validate(fields)
    return PublishedCard.model_validate(fields | published)


def read_cards(data: object) -> tuple[ValuesCard, ...]:
    """Return the cards of a list, or those under `values` of a moral graph in any shape.

    Raises ValueError where there are none, an entry is no card, or two have the same id.
    """
    if isinstance(data, Mapping):
        data = data.get("values")
    if not isinstance(data, list):
        raise ValueError("holds no cards: needs a list of cards, or a moral graph with `values`")
    if not data:
        raise ValueError("holds no cards: the list is empty")
    cards = tuple(read_card(each, where=f"values[{index}]") for index, each in enumerate(data))
    seen: set[str] = set()
    for index, card in enumerate(cards):
        if card.id in seen:
            raise ValueError(f"values[{index}]: two cards have the id {card.id!r}")
        seen.add(card.id)
    return cards


def instructions_of(description: str, policies: Iterable[str]) -> str:
    """Return what stands as `instructionsDetailed` of a card that has no such text of its own."""
    return "\n".join([description, *(f"- {policy}" for policy in policies)])


def not_finite(data: object, where: str = "") -> Iterator[str]:
    """Yield where in plain data a number is NaN or infinite, which Python's JSON reads and JSON does not have."""
    left = [(where, data)]
    while left:
        place, each = left.pop()
        if isinstance(each, float) and not math.isfinite(each):
            yield place or "the whole"
        elif isinstance(each, Mapping):
            left += [(f"{place}.{key}".lstrip("."), inner) for key, inner in reversed(list(each.items()))]
        elif isinstance(each, list):
            left += [(f"{place}[{index}]", each[index]) for index in reversed(range(len(each)))]


def checked(model: type[M], data: Any, where: str) -> M:
    """Validate data, and say what is wrong first, and where, in one sentence of a ValueError."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join([where, *(str(part) for part in first["loc"])])
        said = "is missing" if first["type"] == "missing" else first["msg"][:1].lower() + first["msg"][1:]
        raise ValueError(f"{place}: {said.removeprefix('value error, ')}") from None
