"""Personas and the packs they belong to.

A persona is a culturally situated participant: a worldview in multiplexity's three layers
(ontology, epistemology, ethics), the commitments it stands on, each with a source that a reader
can look up, its voice, where its tradition disagrees with itself, and what it cannot speak for.
It is a simulation, and no substitute for asking people.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from multiplex.content.files import (
    Text,
    check_name,
    is_path,
    model_from_yaml,
    named_files,
    read_path,
    read_text,
    shipped,
)
from multiplex.content.schwartz import SchwartzValue
from multiplex.content.topics import Topic
from multiplex.errors import ContentError, near_miss
from multiplex.sentences import is_without_case

__all__ = [
    "GENERIC_PHRASES",
    "Commitment",
    "ModelName",
    "Pack",
    "PackFile",
    "Persona",
    "Phrases",
    "Source",
    "load_pack",
    "load_persona",
]

Name = Annotated[str, AfterValidator(check_name)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]
Paragraph = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


def _policy(text: str) -> str:
    noun = text.split(maxsplit=1)[0].strip(",")
    if is_without_case(noun):
        return text
    if len(noun) < 3 or noun != noun.upper() or " " not in text:
        raise ValueError(
            f"{text!r} needs to begin with a capitalised plural noun, as in 'MOMENTS when ...', "
            "or with a word of a script without capitals"
        )
    return text


Policy = Annotated[Line, AfterValidator(_policy)]
"""An attentional policy: a capitalised plural noun and a qualifier; any words where the script has no capitals."""


def _term(text: str) -> str:
    if not any(c.isalnum() for c in text):
        raise ValueError(f"{text!r} is no term; a term holds a letter or a digit")
    return text


Term = Annotated[Line, AfterValidator(_term)]


def _known_kind(name: str) -> str:
    kind, _, rest = name.partition(":")
    if name != "extractive" and (kind not in {"openai", "vllm"} or not rest.strip()):
        raise ValueError(f"{name!r} needs to be extractive, openai:NAME or vllm:NAME")
    return name


ModelName = Annotated[str, StringConstraints(max_length=400), AfterValidator(_known_kind)]
"""A model as `--model` takes it."""


def _not_reserved(name: str) -> str:
    if name in {"moderator", "observer"}:
        raise ValueError(f"{name!r} is the name of an agent of every deliberation; choose another name")
    return name


class _Content(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Content):
    """Where a reader can look a commitment up: a work, and a place in it."""

    work: Line
    locus: Line

    def __str__(self) -> str:
        """Return the citation whole: work and place."""
        return _citation(self.work, self.locus)

    @property
    def brief(self) -> str:
        """Return the citation as it stands inside a sentence: what follows a semicolon is left out."""
        return _citation(self.work.split(";")[0].strip(), self.locus.split(";")[0].strip())


def _citation(work: str, locus: str) -> str:
    return f"{work} {locus}" if locus[:1].isdigit() or locus.startswith("(") else f"{work}, {locus}"


class Commitment(_Content):
    """One thing a persona stands for, in the first person, with its source."""

    key: Name
    title: Line
    statement: Annotated[str, StringConstraints(strip_whitespace=True, min_length=20, max_length=700)]
    attends_to: tuple[Policy, ...] = Field(min_length=3, max_length=7)
    schwartz: tuple[SchwartzValue, ...] = Field(min_length=1, max_length=4)
    topics: tuple[Topic, ...] = Field(min_length=1, max_length=6)
    source: Source


def _names_the_speaker(text: str) -> str:
    if text.count("{speaker}") != 1 or text.count("{") != 1 or text.count("}") != 1:
        raise ValueError(f"{text!r} needs to hold {{speaker}} once, and no other braces")
    return text


def _plain(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(f"{text!r} may hold no braces")
    return text


PlainLine = Annotated[Line, AfterValidator(_plain)]
SpeakerLine = Annotated[Line, AfterValidator(_names_the_speaker)]


class Phrases(_Content):
    """Turns of phrase in the persona's own voice, for speaking without a language model.

    `open`, `add` and `close` lead in to a statement of its own; `concede` and `object` lead in to
    another's point and name its `{speaker}`.
    """

    open: tuple[PlainLine, ...] = Field(min_length=1)
    add: tuple[PlainLine, ...] = Field(min_length=1)
    close: tuple[PlainLine, ...] = Field(min_length=1)
    concede: tuple[SpeakerLine, ...] = Field(min_length=1)
    object: tuple[SpeakerLine, ...] = Field(min_length=1)


GENERIC_PHRASES = Phrases(
    open=("I begin with this.", "This comes first for me."),
    add=("There is more.", "I would add this."),
    close=("So, in practice:",),
    concede=("I grant {speaker} this:", "{speaker} is right about one thing:"),
    object=("Where I cannot follow {speaker} is this:", "I would ask {speaker} to look again at this:"),
)
"""What a persona says that has no turns of phrase of its own."""


class Persona(_Content):
    """A culturally situated participant of a deliberation."""

    name: Annotated[Name, AfterValidator(_not_reserved)]
    label: Line
    perspective: Name
    region: Line
    model: ModelName | None = None
    """The model that speaks for it; None for the one that speaks for all."""
    summary: Paragraph
    ontology: Paragraph
    epistemology: Paragraph
    ethics: Paragraph
    voice: Paragraph
    diversity: Paragraph
    limits: Paragraph
    phrases: Phrases = GENERIC_PHRASES
    plain_speech: tuple[Line, ...] = Field(default=(), max_length=1000)
    """Sentences that only this worldview would say, without its names and terms: a classifier learns from them."""
    commitments: tuple[Commitment, ...] = Field(min_length=3)

    @model_validator(mode="after")
    def _keys_differ(self) -> "Persona":
        seen: set[str] = set()
        for index, commitment in enumerate(self.commitments):
            if commitment.key in seen:
                raise ValueError(f"commitments[{index}].key: {commitment.key!r} stands twice")
            seen.add(commitment.key)
        return self

    def commitment(self, key: str) -> Commitment:
        """Return the commitment of that key; KeyError if there is none."""
        for commitment in self.commitments:
            if commitment.key == key:
                return commitment
        raise KeyError(key)


class PackFile(_Content):
    """What `pack.yaml` holds: the pack's name, and the fixed list of perspectives it is scored against."""

    name: Name
    title: Line
    summary: Paragraph
    perspectives: tuple[Name, ...] = Field(min_length=1)
    lexicon: dict[Name, tuple[Term, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _lexicon_fits(self) -> "PackFile":
        if len(set(self.perspectives)) != len(self.perspectives):
            raise ValueError("perspectives: one stands twice")
        for key in self.lexicon:
            if key not in self.perspectives:
                raise ValueError(f"lexicon.{key}: is no perspective; {near_miss(key, self.perspectives)}")
        return self


@dataclass(frozen=True, slots=True)
class Pack:
    """A folder of personas and the perspectives they are scored against."""

    name: str
    title: str
    summary: str
    perspectives: tuple[str, ...]
    lexicon: Mapping[str, tuple[str, ...]]
    personas: tuple[Persona, ...]
    hashes: Mapping[str, str] = field(default_factory=dict)

    def persona(self, name: str) -> Persona:
        """Return the persona of that name; a `ContentError` names the near miss."""
        for persona in self.personas:
            if persona.name == name:
                return persona
        raise ContentError(
            f"no persona named {name!r} in the pack {self.name!r}; "
            f"{near_miss(name, (p.name for p in self.personas))}"
        )

    @property
    def sha256(self) -> str:
        """Return one hash for all of the pack's files."""
        joined = "\n".join(f"{name} {digest}" for name, digest in sorted(self.hashes.items()))
        return hashlib.sha256(joined.encode()).hexdigest()


def load_pack(reference: str | Path) -> Pack:
    """Load a pack by bare name (shipped) or by path (a folder with a `pack.yaml`).

    Raises:
        ContentError: the pack is unknown, or one of its files is wrong.
    """
    if isinstance(reference, Path) or is_path(reference):
        folder = Path(reference)
        if not folder.is_dir():
            raise ContentError(f"{reference}: no such folder; a pack is a folder with a pack.yaml")
        return _read_pack(folder, str(reference))
    packs = {e.name for e in shipped("personas").iterdir() if (e / "pack.yaml").is_file()}
    if reference not in packs:
        raise ContentError(f"no pack named {reference!r}; {near_miss(reference, packs)}")
    return _shipped_pack(reference)


def load_persona(path: str | Path) -> Persona:
    """Load one persona from a file of its own.

    Raises:
        ContentError: the file is missing or wrong.
    """
    path = Path(path)
    return _persona_from(read_path(path), path.name.removesuffix(".yaml"))


@cache
def _shipped_pack(name: str) -> Pack:
    return _read_pack(shipped("personas") / name, f"personas/{name}")


def _read_pack(folder: Traversable, where: str) -> Pack:
    if not (folder / "pack.yaml").is_file():
        raise ContentError(f"{where}: holds no pack.yaml; a pack is a folder with one")
    head_text = read_text(folder / "pack.yaml", where=f"{where}/pack.yaml")
    head = model_from_yaml(PackFile, head_text)
    hashes = {"pack.yaml": head_text.sha256}
    personas = []
    for name, file in named_files(folder).items():
        if name == "pack":
            continue
        text = read_text(file, where=f"{where}/{file.name}")
        persona = _persona_from(text, name)
        if persona.perspective not in head.perspectives:
            raise ContentError(
                f"{text.where}: perspective: {persona.perspective!r} is not in the pack's list; "
                f"{near_miss(persona.perspective, head.perspectives)}"
            )
        hashes[file.name] = text.sha256
        personas.append(persona)
    if not personas:
        raise ContentError(f"{where}: holds no persona")
    order = {p: i for i, p in enumerate(head.perspectives)}
    personas.sort(key=lambda p: (order[p.perspective], p.name))
    return Pack(
        name=head.name,
        title=head.title,
        summary=head.summary,
        perspectives=head.perspectives,
        lexicon=head.lexicon,
        personas=tuple(personas),
        hashes=hashes,
    )


def _persona_from(text: Text, name: str) -> Persona:
    persona = model_from_yaml(Persona, text)
    if persona.name != name:
        raise ContentError(f"{text.where}: name: is {persona.name!r}, but the file is named {name!r}")
    return persona
