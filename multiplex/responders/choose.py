"""From the names of models, as people give them, to the responders that answer for a panel."""

from multiplex.acts import Responder
from multiplex.content.panels import Panel
from multiplex.content.scenarios import Scenario
from multiplex.embedding import Embedder
from multiplex.errors import ContentError, near_miss
from multiplex.models.base import Model
from multiplex.models.pool import ModelPool
from multiplex.responders.extractive import ExtractiveResponder
from multiplex.responders.language_model import LanguageModelResponder
from multiplex.responders.relevance import Relevance

__all__ = ["model_names", "responders_for"]


def model_names(scenario: Scenario, panel: Panel, default: str) -> dict[str, str]:
    """Return who is answered for by which model: the scenario's word, else the persona's, else the default.

    Raises:
        ContentError: the scenario names a model for somebody who is not there.
    """
    agents = {persona.name: persona.model for persona in panel.personas}
    agents |= {"moderator": None, "observer": None}
    for name in scenario.models:
        if name not in agents:
            raise ContentError(f"models: nobody named {name!r} takes part; {near_miss(name, agents)}")
    return {name: scenario.models.get(name) or own or default for name, own in agents.items()}


def responders_for(
    scenario: Scenario, panel: Panel, model: str | Model, pool: ModelPool, embedder: Embedder
) -> dict[str, Responder]:
    """Return who answers, by persona name, `moderator` and `observer`; who share a model share a responder.

    Raises:
        ContentError: a model's name is of no known kind, or is given to somebody who is not there.
    """
    corpus = tuple({p.name: p for p in (*panel.pack.personas, *panel.personas)}.values())
    made: dict[str, Responder] = {}

    def responder(name: str) -> Responder:
        if name not in made:
            opened = pool.given(model) if name == "" and not isinstance(model, str) else pool.named(name)
            made[name] = (
                ExtractiveResponder(embedder, corpus)
                if opened is None
                else LanguageModelResponder(opened, relevance=Relevance(embedder, panel.personas))
            )
        return made[name]

    default = model if isinstance(model, str) else ""
    return {agent: responder(name) for agent, name in model_names(scenario, panel, default).items()}
