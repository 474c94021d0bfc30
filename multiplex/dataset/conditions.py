"""Scores as tokens in the prompt, so that a trained model can be asked for more or less of each.

After Controllable Preference Optimization (Guo et al. 2024, arXiv 2402.19085), which writes the scores of
a response as tokens before the prompt, as in `<Helpfulness: 5>`; here the scores are a panel's.
"""

from collections.abc import Sequence
from statistics import fmean

from multiplex.dataset.material import Text

__all__ = ["are_told_apart", "conditioned", "tokens_of"]

_STEPS = 5


def tokens_of(text: Text) -> tuple[str, ...]:
    """Return a token for each score that a text has, in steps from 1 to 5.

    `coverage`, the mean share of the personas' claims that it carries; `endorsement`, the panel's mean;
    `least_endorsement`, that of the persona who likes it least; `perspective_entropy`. One that is
    undefined has no token. Coverage and entropy are told of answers to the plain question alone: one persona's own
    answer, or a statement that is to be short, is none the worse for not being a spectrum.
    """
    plural = text.kind in {"overton", "alone"}
    carried = [share for share in text.carried.values() if share is not None]
    given = [each for each in text.endorsements.values() if each is not None]
    scores = {
        "coverage": fmean(carried) if carried and plural else None,
        "endorsement": (fmean(given) - 1) / 6 if given else None,
        "least_endorsement": (min(given) - 1) / 6 if given else None,
        "perspective_entropy": text.entropy if plural else None,
    }
    return tuple(f"<{name}: {_step(value)}>" for name, value in scores.items() if value is not None)


def are_told_apart(chosen: Text, rejected: Text) -> bool:
    """Return whether the chosen text has a token that the rejected one lacks, or none at all.

    Else the rejected text would be rejected under scores that it has.
    """
    stated = tokens_of(chosen)
    return not stated or not set(stated) <= set(tokens_of(rejected))


def conditioned(system: str | None, tokens: Sequence[str]) -> str | None:
    """Return the system turn with the tokens in its first line; None where there is nothing to say."""
    line = " ".join(tokens)
    return "\n\n".join(part for part in (line, system) if part) or None


def _step(share: float) -> int:
    return min(1 + int(share * _STEPS), _STEPS)
