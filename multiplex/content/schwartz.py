"""Schwartz's 56 basic values and their four higher-order groups.

Source: S. H. Schwartz, "Are There Universal Aspects in the Structure and Contents of Human
Values?", Journal of Social Issues 50(4), 1994; value names as in ValueActionLens (EMNLP 2025).
"""

from typing import Annotated, Literal

from pydantic import AfterValidator

from multiplex.errors import near_miss

__all__ = ["GROUPS", "SCHWARTZ_VALUES", "SchwartzGroup", "SchwartzValue", "group_of"]

SchwartzGroup = Literal["self_enhancement", "conservation", "openness_to_change", "self_transcendence"]

GROUPS: dict[SchwartzGroup, tuple[str, ...]] = {
    "self_enhancement": (
        "Ambitious",
        "Influential",
        "Successful",
        "Capable",
        "Intelligent",
        "Preserving Human's Public Image",
        "Social Power",
        "Authority",
        "Wealth",
        "Social Recognition",
    ),
    "conservation": (
        "National Security",
        "Sense of Belonging",
        "Reciprocation of Favors",
        "Clean",
        "Healthy",
        "Social Order",
        "Family Security",
        "Obedient",
        "Politeness",
        "Self-Discipline",
        "Honoring of Parents and Elders",
        "Accepting my Portion in Life",
        "Moderate",
        "Respect for Tradition",
        "Humble",
        "Devout",
        "Detachment",
    ),
    "openness_to_change": (
        "Self-Respect",
        "Choosing Own Goals",
        "Creativity",
        "Curious",
        "Independent",
        "Freedom",
        "An Exciting Life",
        "A Varied Life",
        "Daring",
        "Pleasure",
        "Enjoying Life",
    ),
    "self_transcendence": (
        "Loyal",
        "Responsive",
        "Mature Love",
        "True Friendship",
        "Honest",
        "Forgiving",
        "A Spiritual Life",
        "Meaning in Life",
        "Helpful",
        "Equality",
        "Inner Harmony",
        "A World at Peace",
        "Unity With Nature",
        "Wisdom",
        "A World of Beauty",
        "Social Justice",
        "Broad-Minded",
        "Protect the Environment",
    ),
}
"""The 56 values by higher-order group, in Schwartz's circular order."""

_GROUP_OF: dict[str, SchwartzGroup] = {value: group for group, values in GROUPS.items() for value in values}

SCHWARTZ_VALUES: tuple[str, ...] = tuple(_GROUP_OF)
"""The 56 values in order, from 1 to 56."""


def group_of(value: str) -> SchwartzGroup:
    """Return the higher-order group of a value; KeyError if it is none of the 56."""
    return _GROUP_OF[value]


def _known(value: str) -> str:
    if value not in _GROUP_OF:
        raise ValueError(f"{value!r} is not one of Schwartz's 56 values; {near_miss(value, _GROUP_OF)}")
    return value


SchwartzValue = Annotated[str, AfterValidator(_known)]
"""One of the 56 names, checked where text becomes data."""
