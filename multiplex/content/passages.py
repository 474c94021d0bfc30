"""What a classifier of perspectives learns from: what personas say, and lines that speak for nobody."""

from functools import cache
from importlib.resources import files
from typing import NamedTuple

from multiplex.content.personas import GENERIC_PHRASES, Persona
from multiplex.sentences import sentences

__all__ = ["Passage", "neutral_sentences", "passages"]


class Passage(NamedTuple):
    """A sentence of a perspective; all of a `group` go together when some are held out.

    `tested` marks those that a classifier is tried on; paragraphs about a tradition are learned from only.
    """

    perspective: str
    text: str
    group: str
    tested: bool


def passages(persona: Persona) -> list[Passage]:
    """Return what a persona says, sentence by sentence, and what is said of it.

    Titles and policies are left out: policies are worded so that anybody could notice the same thing.
    """
    found = []
    for commitment in persona.commitments:
        group = f"{persona.name} {commitment.key}"
        found += [Passage(persona.perspective, s, group, True) for s in sentences(commitment.statement)]
    for part in ("summary", "ontology", "epistemology", "ethics", "voice", "diversity"):
        said = sentences(getattr(persona, part))
        found += [Passage(persona.perspective, s, f"{persona.name}/{part}", False) for s in said]
    if persona.phrases != GENERIC_PHRASES:
        own = (*persona.phrases.open, *persona.phrases.add, *persona.phrases.close)
        found += [Passage(persona.perspective, phrase, f"{persona.name}/phrases", False) for phrase in own]
    for number, sentence in enumerate(persona.plain_speech):
        found.append(Passage(persona.perspective, sentence, f"{persona.name} {number}", True))
    return found


@cache
def neutral_sentences() -> tuple[str, ...]:
    """Return the shipped sentences of no perspective: reports, procedures and summaries of debates."""
    text = (files("multiplex.content") / "neutral.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())
