"""What the default classifier learns from: what personas say, and lines that speak for nobody."""

from collections.abc import Sequence
from importlib.resources import files

import numpy as np

from multiplex.content.personas import Persona
from multiplex.scoring.text_model import Labels
from multiplex.sentences import sentences

__all__ = ["folds_of", "neutral_sentences", "passages"]

_FOLDS = 5


def passages(persona: Persona) -> list[tuple[str, str, bool]]:
    """Return text, group, and whether it is one of the sentences that the control is computed on."""
    found: list[tuple[str, str, bool]] = []
    for commitment in persona.commitments:
        group = f"{persona.name} {commitment.key}"
        found += [
            (text, group, False) for text in (commitment.title, commitment.statement, *commitment.attends_to)
        ]
        found += [(sentence, group, True) for sentence in sentences(commitment.statement)]
    for part in ("summary", "ontology", "epistemology", "ethics", "voice", "diversity"):
        found += [
            (sentence, f"{persona.name}/{part}", False) for sentence in sentences(getattr(persona, part))
        ]
    return found


def folds_of(groups: Sequence[str]) -> Labels:
    """Return the fold of each text, 0 to 4: all texts of a group in one, and always the same."""
    distinct = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    shuffled = np.random.default_rng(0).permutation(len(distinct)) % _FOLDS
    return np.asarray(shuffled[[distinct[group] for group in groups]], dtype=np.intp)


def neutral_sentences() -> tuple[str, ...]:
    """Return the shipped sentences of no perspective: reports, procedures and summaries of debates."""
    text = (files("multiplex.scoring") / "neutral.txt").read_text(encoding="utf-8")
    return tuple(line.strip() for line in text.splitlines() if line.strip())
