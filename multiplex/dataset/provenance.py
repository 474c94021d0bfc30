"""What a dataset's deliberations have in common, for its manifest and its card: gathered in one pass over them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

from multiplex.dataset.card import Seat
from multiplex.dataset.material import Material

__all__ = ["Provenance"]


@dataclass(slots=True)
class Provenance:
    """Who sat, by which protocols, and whose models spoke; each in the order in which it was met first."""

    perspectives: dict[str, None] = field(default_factory=dict)
    seats: dict[str, Seat] = field(default_factory=dict)
    protocols: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The stages of each, by its name."""
    generators: dict[str, None] = field(default_factory=dict)
    models: dict[str, set[str]] = field(default_factory=dict)
    """By speaker."""
    details: dict[str, str] = field(default_factory=dict)
    notices: dict[str, None] = field(default_factory=dict)

    @classmethod
    def of(cls, materials: Iterable[Material]) -> Self:
        """Gather it from what the deliberations left, one at a time."""
        found = cls()
        for material in materials:
            told = material.provenance
            found.perspectives.update(dict.fromkeys(told["perspectives"]))
            found.details.update(told["model_details"])
            found.generators.setdefault(told["model"])
            found.protocols.setdefault(told["protocol"], tuple(chain.from_iterable(told["stages"])))
            for speaker, model in told["models"].items():
                found.models.setdefault(speaker, set()).add(model)
            for voice in material.voices:
                seat = {"label": voice.label, "perspective": voice.perspective, "region": voice.region}
                found.seats.setdefault(voice.name, Seat(name=voice.name, **seat))
            if material.notice:
                found.notices.setdefault(material.notice)
        return found
