"""Ratify: every persona endorses or objects; the statement is revised from the objections.

The draft that stands is the one with the highest mean endorsement; a tie goes to the later one.
"""

from statistics import fmean

from multiplex.acts import Objection, Ratify, Synthesis, Synthesise
from multiplex.content.protocols import Ratify as RatifyStage
from multiplex.deliberation.stages.step import Step, ask_panel, heard, last_round, replies
from multiplex.deliberation.state import Context, Plain, State, Task, Update, results_of, turns_of

__all__ = ["steps"]

_BALLOT, _REVISE = "ratify.ballot", "ratify.revise"


def steps(stage: RatifyStage) -> list[Step]:
    """Return the stage's steps: ballot, then revise, which leads back to the ballot."""

    def to_revise(state: State, context: Context) -> list[Task]:
        round = last_round(state, _BALLOT)
        if round > stage.revise or not _objections(state, context, round):
            return []
        return [Task(speaker="moderator", round=round, about="")]

    def again(state: State, context: Context) -> str | None:
        revised = replies(state, _REVISE, last_round(state, _BALLOT))
        return _BALLOT if revised else None

    return [
        Step(stage.name, "ballot", _to_vote, _vote, _voted, reads=("drafts", "chosen", "ballots", "turns")),
        Step(
            stage.name,
            "revise",
            to_revise,
            _revise,
            _revised,
            reads=("drafts", "ballots", "turns", "chosen"),
            again=again,
            back=(_BALLOT,),
        ),
    ]


def _voted_on(state: State) -> int:
    """Return the index of the draft that the next ballot is on: the chosen one, then each revision."""
    return state.get("chosen", 0) if not state.get("ballots") else len(state["drafts"]) - 1


def _to_vote(state: State, context: Context) -> list[Task]:
    if not state.get("drafts"):
        return []
    return ask_panel(state, context, last_round(state, _BALLOT) + 1)


def _vote(task: Task, state: State, context: Context) -> Ratify:
    return Ratify(
        scenario=context.scenario,
        persona=context.persona(task["speaker"]),
        statement=state["drafts"][_voted_on(state)]["consensus"],
        own=turns_of(state, task["speaker"]),
    )


def _voted(state: State, context: Context, round: int) -> Update:
    if not state.get("drafts"):
        return Update()
    draft = _voted_on(state)
    asked = {result["speaker"]: result for result in results_of(state, _BALLOT, round)}
    ballots: list[Plain] = []
    for name in context.speakers:
        # Who has no position is not asked, and abstains.
        result = asked.get(name, {"reply": None, "failure": {"kind": "no_position"}})
        reply = result["reply"] or {"endorsement": None, "objection": None}
        failure = result["failure"]["kind"] if result["failure"] else None
        ballots.append({"persona": name, "draft": draft, "round": round, **reply, "failure": failure})
    return Update(ballots=ballots, chosen=_standing([*state.get("ballots", []), *ballots], draft))


def _standing(ballots: list[Plain], latest: int) -> int:
    given: dict[int, list[int]] = {}
    for ballot in ballots:
        if ballot["endorsement"] is not None:
            given.setdefault(ballot["draft"], []).append(ballot["endorsement"])
    return max(given, key=lambda draft: (fmean(given[draft]), draft)) if given else latest


def _objections(state: State, context: Context, round: int) -> tuple[Objection, ...]:
    """Return the objections that were made in a round of ballots."""
    return tuple(
        Objection(
            persona=ballot["persona"],
            label=context.persona(ballot["persona"]).label,
            endorsement=ballot["endorsement"],
            text=ballot["objection"],
        )
        for ballot in state.get("ballots", [])
        if ballot["round"] == round and ballot["objection"]
    )


def _revise(task: Task, state: State, context: Context) -> Synthesise:
    voted_on = next(b["draft"] for b in state["ballots"] if b["round"] == task["round"])
    return Synthesise(
        scenario=context.scenario,
        panel=heard(state, context),
        transcript=turns_of(state),
        previous=Synthesis.model_validate(state["drafts"][voted_on]),
        objections=_objections(state, context, task["round"]),
    )


def _revised(state: State, context: Context, round: int) -> Update:
    revised = [reply for _, reply in replies(state, _REVISE, last_round(state, _BALLOT))]
    return Update(drafts=[*state["drafts"], *revised]) if revised else Update()
