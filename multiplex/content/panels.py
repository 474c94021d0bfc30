"""Panels: who sits at the table, and which fixed list of perspectives the panel is scored against."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from multiplex.content.files import is_path, read_path, shipped
from multiplex.content.personas import Pack, Persona, load_pack, load_persona
from multiplex.errors import ContentError, near_miss

__all__ = ["Panel", "pack_names", "seat"]

_DEFAULT = "civilizations"


@dataclass(frozen=True, slots=True)
class Panel:
    """The personas of one deliberation, in their order, and the pack that they are scored against."""

    personas: tuple[Persona, ...]
    pack: Pack
    hashes: dict[str, str] = field(default_factory=dict)

    def persona(self, name: str) -> Persona:
        """Return the seated persona of that name; KeyError if it is not seated."""
        for persona in self.personas:
            if persona.name == name:
                return persona
        raise KeyError(name)


@cache
def pack_names() -> tuple[str, ...]:
    """Return the names of the packs that ship with Multiplex."""
    return tuple(sorted(e.name for e in shipped("personas").iterdir() if (e / "pack.yaml").is_file()))


def seat(personas: str | Path | Sequence[str | Path | Persona]) -> Panel:
    """Seat a panel: a pack, or a list of persona names, files and inline personas.

    A pack is scored against its own list of perspectives. A list is scored against the shipped
    pack that holds all its perspectives, else against just the perspectives that are seated.

    Raises:
        ContentError: a name is unknown, a file is wrong, or a persona is seated twice.
    """
    if isinstance(personas, str | Path):
        personas = [personas]
    if len(personas) == 1 and _is_pack(personas[0]):
        pack = load_pack(str(personas[0]))
        return Panel(pack.personas, pack, {f"{pack.name}/{k}": v for k, v in pack.hashes.items()})
    packs = {name: load_pack(name) for name in pack_names()}
    seated: list[Persona] = []
    hashes: dict[str, str] = {}
    for entry in personas:
        persona, where, digest = _find(entry, packs)
        if persona.name in {p.name for p in seated}:
            raise ContentError(f"personas: {persona.name!r} is seated twice; name each persona once")
        seated.append(persona)
        if digest:
            hashes[where] = digest
    if not seated:
        raise ContentError("personas: the panel is empty; name a pack or at least one persona")
    return Panel(tuple(seated), _pack_for(seated, packs), hashes)


def _is_pack(entry: str | Path | Persona) -> bool:
    if isinstance(entry, Persona):
        return False
    if isinstance(entry, Path) or is_path(entry):
        path = Path(entry)
        return path.is_dir() or not path.suffix
    return entry in pack_names()


def _find(entry: str | Path | Persona, packs: dict[str, Pack]) -> tuple[Persona, str, str | None]:
    if isinstance(entry, Persona):
        return entry, entry.name, None
    if isinstance(entry, Path) or is_path(entry):
        path = Path(entry)
        return load_persona(path), path.name, read_path(path).sha256
    for pack in sorted(packs.values(), key=lambda p: p.name != _DEFAULT):
        for persona in pack.personas:
            if persona.name == entry:
                where = f"{pack.name}/{entry}.yaml"
                return persona, where, pack.hashes.get(f"{entry}.yaml")
    known = [*packs, *(p.name for pack in packs.values() for p in pack.personas)]
    if entry in packs:
        raise ContentError(f"personas: {entry!r} is a pack; name one pack, or a list of personas")
    raise ContentError(f"no persona or pack named {entry!r}; {near_miss(entry, known)}")


def _pack_for(seated: Sequence[Persona], packs: dict[str, Pack]) -> Pack:
    perspectives = tuple(dict.fromkeys(p.perspective for p in seated))
    for pack in sorted(packs.values(), key=lambda p: p.name != _DEFAULT):
        if set(perspectives) <= set(pack.perspectives):
            return pack
    return Pack(
        name="panel",
        title="The seated panel",
        summary="Made of the perspectives that are seated.",
        perspectives=perspectives,
        lexicon={},
        personas=tuple(seated),
    )
