"""Generative Social Choice: its participants' ratings give its published means and its best slates."""

import csv
from itertools import combinations
from pathlib import Path

import pytest

from multiplex.scoring.consensus import endorsement
from multiplex.scoring.jury import jury_welfare

MEANS = {
    "generation": {
        "avoid": 2.37,
        "correct": 1.66,
        "optout": 3.21,
        "hyper": 1.37,
        "demographics": 2.83,
        "factual": 2.79,
    },
    "evaluation": {"choice": 2.98, "privacy": 3.16, "false": 2.84, "emphasize": 2.94, "control": 3.00},
}
"""Sample -> statement, by a key of ours -> the published mean of its ratings, in the published order."""

BEST = {"generation": (3.21, 3.46, 3.58), "evaluation": (3.16, 3.46, 3.58)}
"""Sample -> the published mean utility of its best single statement, pair and triple."""

samples = pytest.mark.parametrize("sample", MEANS)


def ratings(sample: str) -> dict[str, dict[str, int]]:
    """Return of a sample's participants how far each statement says what they think: 0 not at all, 4 perfectly.

    The figures alone, without the statements and without what participants wrote.

    Source: Fish, Gölz, Parkes, Procaccia, Rusak, Shapira and Wüthrich, Generative Social Choice (arXiv 2309.01291);
    generative-social-choice/chatbot_personalization_data, chatbot_personalization_data.csv, the rows in which both
    samples rate summary statements, `choice_numeric`.
    """
    with Path(__file__).with_name("gsc.csv").open(newline="") as file:
        rows = {row.pop("participant"): row for row in csv.DictReader(file)}
    return {
        name: {statement: int(row[statement]) for statement in MEANS[sample]}
        for name, row in rows.items()
        if name.startswith(sample)
    }


def endorsed(supports: dict[str, int]) -> float:
    """Return the mean endorsement, 1 to 7, of supports from 0 to 4, on their scale again."""
    mean = endorsement({name: support + 1 for name, support in supports.items()}).value
    assert mean is not None
    return mean - 1


@samples
def test_mean_endorsements_are_the_published_means_of_gsc(sample: str) -> None:
    rows = ratings(sample)
    assert len(rows) == 100
    for statement, published in MEANS[sample].items():
        supports = {name: row[statement] for name, row in rows.items()}
        assert endorsed(supports) == pytest.approx(published)
        assert jury_welfare(supports).value == pytest.approx(published)


@samples
def test_the_best_slates_of_gsc_have_the_published_utilities(sample: str) -> None:
    # What a slate is worth to a participant is the rating of the statement of it that says best what they think.
    rows = ratings(sample)

    def supports(slate: tuple[str, ...]) -> dict[str, int]:
        return {name: max(row[statement] for statement in slate) for name, row in rows.items()}

    for size, published in enumerate(BEST[sample], start=1):
        welfare = {
            slate: jury_welfare(supports(slate)).value or 0 for slate in combinations(MEANS[sample], size)
        }
        best = max(welfare, key=lambda slate: welfare[slate])
        assert welfare[best] == pytest.approx(published)
        assert endorsed(supports(best)) == pytest.approx(published)
        if size == 1:
            assert best == (max(MEANS[sample], key=lambda statement: MEANS[sample][statement]),)
