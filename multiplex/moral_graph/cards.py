"""Values cards: what someone attends to, for its own sake, when choosing in a context."""

from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from multiplex.errors import near_miss

__all__ = ["Merged", "ValuesCard", "merge_cards"]

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class ValuesCard(BaseModel):
    """A value in a choice context: a title, and three to seven attentional policies.

    `authors` are the personas that hold it, `sources` the works it was drawn from. A card is a node
    of the moral graph. Source: arXiv 2404.10636, section 4.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Text
    title: Text
    description: str
    policies: Annotated[tuple[Text, ...], Field(min_length=3, max_length=7)]
    schwartz: tuple[str, ...] = ()
    context: str
    authors: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


class Merged(NamedTuple):
    """The cards that are left, in their first order, and every id's survivor."""

    cards: tuple[ValuesCard, ...]
    aliases: dict[str, str]


def merge_cards(cards: Sequence[ValuesCard], groups: Iterable[Iterable[str]]) -> Merged:
    """Make one card of every group of ids that are one value.

    The first card of a group, in the order of `cards`, survives with its own words and context; the
    authors and sources of the others are added to its own, in order and without repetition.
    `aliases` holds every id of `cards`, those that survive included. Merging what is already merged
    changes nothing.

    Raises ValueError where two cards share an id, a group names an unknown id, or an id is named twice.
    """
    place: dict[str, int] = {}
    for index, card in enumerate(cards):
        if card.id in place:
            raise ValueError(f"two cards have the id {card.id!r}")
        place[card.id] = index

    aliases = {card.id: card.id for card in cards}
    members: dict[str, list[ValuesCard]] = {card.id: [card] for card in cards}
    named: set[str] = set()
    for group in groups:
        ids = list(group)
        for id_ in ids:
            if id_ not in place:
                raise ValueError(f"no card has the id {id_!r}; {near_miss(id_, place)}")
            if id_ in named:
                raise ValueError(f"card {id_!r} is named twice; groups may not overlap")
            named.add(id_)
        ids.sort(key=place.__getitem__)
        for id_ in ids[1:]:
            aliases[id_] = ids[0]
            members[ids[0]].extend(members.pop(id_))

    left = tuple(_join(members[card.id]) for card in cards if card.id in members)
    return Merged(left, aliases)


def _join(same: Sequence[ValuesCard]) -> ValuesCard:
    if len(same) == 1:
        return same[0]
    authors = dict.fromkeys(author for card in same for author in card.authors)
    sources = dict.fromkeys(source for card in same for source in card.sources)
    return same[0].model_copy(update={"authors": tuple(authors), "sources": tuple(sources)})
