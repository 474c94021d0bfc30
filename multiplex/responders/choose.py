"""From the names of models, as people give them, to the responders that answer for a panel."""

from typing import cast

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

__all__ = ["Cast", "model_names"]


def model_names(scenario: Scenario, panel: Panel, default: str) -> dict[str, str]:
    """Return who is answered for by which model: the scenario's word, else the persona's, else the default.

    Raises:
        ContentError: the scenario names a model for somebody who is not there.
    """
    agents = {persona.name: persona.model for persona in panel.personas}
    agents |= {"moderator": None, "observer": None}
    for name in scenario.models:
        if name not in agents:
            raise ContentError(
                f"the scenario {scenario.name!r}: models: nobody named {name!r} takes part; {near_miss(name, agents)}"
            )
    return {name: scenario.models.get(name) or own or default for name, own in agents.items()}


class Cast:
    """Finds who answers for each panel of a session; who share a language model share its responder."""

    def __init__(self, model: str | Model | Responder, pool: ModelPool, embedder: Embedder) -> None:
        self._model = model
        self._pool = pool
        self._embedder = embedder
        self._speaking: dict[str, Responder] = {}

    def model_names(self, scenario: Scenario, panel: Panel) -> dict[str, str]:
        """Return who is answered for by which model; '' is one that was given as an object."""
        return model_names(scenario, panel, self._model if isinstance(self._model, str) else "")

    def responders(self, scenario: Scenario, panel: Panel) -> dict[str, Responder]:
        """Return who answers, by persona name, `moderator` and `observer`.

        Raises:
            ContentError: a model's name is of no known kind, or is given to somebody who is not there.
        """
        names = self.model_names(scenario, panel)
        corpus = tuple({p.name: p for p in (*panel.pack.personas, *panel.personas)}.values())
        silent = ExtractiveResponder(self._embedder, corpus)
        return {agent: self._named(name) or silent for agent, name in names.items()}

    def forget(self) -> None:
        """Forget the responders: their models are being closed."""
        self._speaking.clear()

    def _named(self, name: str) -> Responder | None:
        if name == "" and hasattr(self._model, "perform") and not isinstance(self._model, type):
            return cast("Responder", self._model)
        if name not in self._speaking:
            model = self._pool.given(cast("Model", self._model)) if name == "" else self._pool.named(name)
            if model is None:
                return None
            self._speaking[name] = LanguageModelResponder(model, relevance=Relevance(self._embedder, ()))
        return self._speaking[name]
