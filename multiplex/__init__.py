"""Multiplex: a panel of culturally situated personas deliberates on your question.

    from multiplex import deliberate
    run = deliberate("Should schools ban phones?")
    print(run.answers.overton)

To read the code, go the way of a question: `content` (what people write: scenarios, personas,
protocols, roles), `acts` (what an agent can be asked, and its reply), `responders` and `models`
(who answers), `deliberation` (the stages as a LangGraph graph), `moral_graph`, `scoring` and
`voting` (pure functions over what was said), `runs` and `unfinished` (what is left on disk, at the
end and before), `estimate` (what a run will take), `report`, and `cli`. `api` ties them together.
Nothing heavy is imported until it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiplex.api import Session, adeliberate, deliberate, resume
    from multiplex.content.panels import Panel, seat
    from multiplex.content.personas import Commitment, Pack, Persona, load_pack, load_persona
    from multiplex.content.protocols import Protocol, load_protocol
    from multiplex.content.scenarios import Option, Scenario, load_scenario
    from multiplex.errors import ContentError, ModelError, MultiplexError, NoQuorumError, RunError
    from multiplex.models.base import Model
    from multiplex.models.scripted import Scripted
    from multiplex.models.served import Served
    from multiplex.runs import Answers, Run, load_run, save_run

__all__ = [
    "Answers",
    "Commitment",
    "ContentError",
    "Model",
    "ModelError",
    "MultiplexError",
    "NoQuorumError",
    "Option",
    "Pack",
    "Panel",
    "Persona",
    "Protocol",
    "Run",
    "RunError",
    "Scenario",
    "Scripted",
    "Served",
    "Session",
    "adeliberate",
    "deliberate",
    "load_pack",
    "load_persona",
    "load_protocol",
    "load_run",
    "load_scenario",
    "resume",
    "save_run",
    "seat",
]

_HOMES = {
    "multiplex.api": ("Session", "adeliberate", "deliberate", "resume"),
    "multiplex.content.panels": ("Panel", "seat"),
    "multiplex.content.personas": ("Commitment", "Pack", "Persona", "load_pack", "load_persona"),
    "multiplex.content.protocols": ("Protocol", "load_protocol"),
    "multiplex.content.scenarios": ("Option", "Scenario", "load_scenario"),
    "multiplex.errors": ("ContentError", "ModelError", "MultiplexError", "NoQuorumError", "RunError"),
    "multiplex.models.base": ("Model",),
    "multiplex.models.scripted": ("Scripted",),
    "multiplex.models.served": ("Served",),
    "multiplex.runs": ("Answers", "Run", "load_run", "save_run"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'multiplex' has no attribute {name!r}")
    return getattr(import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
