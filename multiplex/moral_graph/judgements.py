"""Transitions from one card to a wiser one, and what each persona makes of them."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["How", "Judgement", "Opinion", "PolicyMapping", "Transition"]

Opinion = Literal["wiser", "not_wiser", "unsure", "abstained"]
"""A verdict, or `abstained` where none could be had; neither `unsure` nor `abstained` is dropped."""


How = Literal["keeps_what_matters", "drops_a_mixed_motive", "is_more_skilful"]
"""How a wiser value takes up a policy of the one before it.

It keeps the part that matters, it drops a motive that was mixed in, or it attends to the same more
skilfully. Source: arXiv 2404.10636 and its published prompts.
"""


class PolicyMapping(BaseModel):
    """What becomes of one policy of the source, word for word: how the wiser value takes it up, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str
    how: How
    rationale: str


class _Move(BaseModel):
    """A move between two different cards in a choice context; ids are those of the cards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    wiser: str
    context: str

    @model_validator(mode="after")
    def _between_two_cards(self) -> Self:
        if self.source == self.wiser:
            raise ValueError(f"a transition joins two different cards, and both are {self.source!r}")
        return self


class Transition(_Move):
    """A proposed move from `source` to `wiser`.

    `about` is what the source was really about, `story` the case for the move, `proposer` the agent
    that made it; `mapping` has every policy of the source, and is empty where none was asked for.
    """

    id: str
    about: str
    story: str
    proposer: str
    mapping: tuple[PolicyMapping, ...] = ()


class Judgement(_Move):
    """One judge's verdict on one move.

    `transition` is the id of the case that was judged and `seed` that of the reply, where there were
    such; `time` is when, as the source writes it; `run` is the run that it came from, in graphs of many.
    """

    judge: str
    verdict: Opinion
    transition: str = ""
    reason: str = ""
    seed: int | None = None
    time: str | None = None
    run: str = ""
