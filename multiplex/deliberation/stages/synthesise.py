"""Synthesise: the moderator writes the Overton answer and the consensus statement.

With several candidates the panel ranks them, each persona in an order of its own, and Schulze's
method chooses.
"""

from multiplex.acts import Rank
from multiplex.acts import Synthesise as SynthesiseAct
from multiplex.content.protocols import Synthesise
from multiplex.deliberation.stages.step import (
    Step,
    ask_panel,
    heard,
    last_round,
    order_shown,
    ranks_of,
    replies,
)
from multiplex.deliberation.state import Context, State, Task, Update, turns_of
from multiplex.voting import schulze

__all__ = ["steps"]

_DRAFT = "synthesise.draft"

_TRIES = 3
"""How often the moderator is asked before a deliberation goes on without a statement."""


def steps(stage: Synthesise) -> list[Step]:
    """Return the stage's steps: draft, and rank where there is more than one candidate."""

    def to_draft(state: State, context: Context) -> list[Task]:
        round = last_round(state, _DRAFT) + 1
        return [Task(speaker="moderator", round=round, about=str(i)) for i in range(stage.candidates)]

    def again(state: State, context: Context) -> str | None:
        tried = last_round(state, _DRAFT)
        return _DRAFT if not state.get("drafts") and tried < _TRIES else None

    draft = Step(
        stage.name,
        "draft",
        to_draft,
        _draft,
        _drafted,
        reads=("turns",),
        again=again,
        back=(_DRAFT,),
    )
    if stage.candidates == 1:
        return [draft]
    return [draft, Step(stage.name, "rank", _to_rank, _rank, _ranked, reads=("turns", "drafts"))]


def _draft(task: Task, state: State, context: Context) -> SynthesiseAct:
    return SynthesiseAct(
        scenario=context.scenario,
        panel=heard(state, context),
        transcript=turns_of(state),
        candidate=int(task["about"]),
    )


def _drafted(state: State, context: Context, round: int) -> Update:
    drafts = [reply for _, reply in replies(state, _DRAFT, round)]
    return Update(drafts=drafts, chosen=0) if drafts else Update()


def _to_rank(state: State, context: Context) -> list[Task]:
    return ask_panel(state, context, 1) if len(state.get("drafts", [])) > 1 else []


def _rank(task: Task, state: State, context: Context) -> Rank:
    drafts = state["drafts"]
    shown = order_shown(len(drafts), task["speaker"], context.seed)
    return Rank(
        scenario=context.scenario,
        persona=context.persona(task["speaker"]),
        statements=tuple(drafts[i]["consensus"] for i in shown),
        own=turns_of(state, task["speaker"]),
    )


def _ranked(state: State, context: Context, round: int) -> Update:
    drafts = state.get("drafts", [])
    ballots = {
        result["speaker"]: list(ranks_of(reply["order"], result["speaker"], context.seed))
        for result, reply in replies(state, "synthesise.rank", round)
    }
    if not ballots:
        return Update()
    # Ties go to the draft that was written first, which is arbitrary, and the same on every run.
    ranking = list(schulze(list(ballots.values())).ranks or ())
    winner = min(range(len(drafts)), key=lambda i: (ranking[i], i))
    return Update(chosen=winner, ranking={"method": "schulze", "ballots": ballots, "ranks": ranking})
