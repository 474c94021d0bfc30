"""The topics that scenarios and commitments are filed under."""

from typing import Literal, get_args

__all__ = ["TOPICS", "Topic"]

Topic = Literal[
    "family",
    "education",
    "health",
    "mental_health",
    "news",
    "speech",
    "work",
    "economy",
    "government",
    "law",
    "technology",
    "environment",
    "religion",
    "community",
    "peace",
    "death",
]

TOPICS: tuple[Topic, ...] = get_args(Topic)
"""Every topic, in the order in which they are listed to people."""
