"""Acts: the contract between a deliberation and whoever answers.

An act is one typed request that a stage makes of one agent; it holds everything the agent may see
and nothing else. Its reply is a pydantic model, which is also the JSON schema for constrained
decoding. A responder implements one method, `perform`, and never raises for an answer that failed:
it returns a recorded failure instead.

Read `act` (what an act is), `replies` and `shown` (what goes back and forth), `persona` and
`moderator` (every act of a deliberation), `diversity` (what is asked to find questions for one), and
`performing` (who answers).
"""

from typing import Any

from multiplex.acts.act import Act
from multiplex.acts.diversity import Held, ProposedQuestion, ProposeQuestions, Questions, Tension
from multiplex.acts.moderator import (
    AnswerAlone,
    ClassifyPerspectives,
    MergeCards,
    ProposeTransition,
    Synthesise,
)
from multiplex.acts.performing import Failure, Performed, Responder, Usage
from multiplex.acts.persona import (
    ArticulateValue,
    ChooseOption,
    JudgeTransition,
    Rank,
    Ratify,
    Respond,
    TakePosition,
)
from multiplex.acts.replies import (
    Answered,
    Ballot,
    Choice,
    Claim,
    Dissent,
    Merger,
    Point,
    Position,
    Proposal,
    Ranking,
    Reference,
    References,
    Rejoinder,
    Synthesis,
    TakenUp,
    ValueArticulated,
    Verdict,
)
from multiplex.acts.shown import Objection, Turn

__all__ = [
    "ACTS",
    "Act",
    "AnswerAlone",
    "Answered",
    "ArticulateValue",
    "Ballot",
    "Choice",
    "ChooseOption",
    "Claim",
    "ClassifyPerspectives",
    "Dissent",
    "Failure",
    "Held",
    "JudgeTransition",
    "MergeCards",
    "Merger",
    "Objection",
    "Performed",
    "Point",
    "Position",
    "Proposal",
    "ProposeQuestions",
    "ProposeTransition",
    "ProposedQuestion",
    "Questions",
    "Rank",
    "Ranking",
    "Ratify",
    "Reference",
    "References",
    "Rejoinder",
    "Respond",
    "Responder",
    "Synthesis",
    "Synthesise",
    "TakePosition",
    "TakenUp",
    "Tension",
    "Turn",
    "Usage",
    "ValueArticulated",
    "Verdict",
]

ACTS: dict[str, type[Act[Any]]] = {
    act.name: act
    for act in (
        TakePosition,
        Respond,
        ArticulateValue,
        MergeCards,
        ProposeTransition,
        JudgeTransition,
        Synthesise,
        Ratify,
        Rank,
        ChooseOption,
        ClassifyPerspectives,
        AnswerAlone,
    )
}
"""Every act of a deliberation, by name."""
