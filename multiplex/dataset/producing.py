"""One prompt's deliberation, measured: the piece of work that is done here, or by a worker elsewhere."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from multiplex.api import Session
from multiplex.background import in_background
from multiplex.content.panels import Panel, seat
from multiplex.content.protocols import Protocol, load_protocol
from multiplex.content.roles import load_roles
from multiplex.content.scenarios import Scenario
from multiplex.dataset.material import Material, material_of, with_contrast
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.prospects import Table
from multiplex.deliberation.run import check_panel
from multiplex.deliberation.scores import classifier_for
from multiplex.embedding import Embedder
from multiplex.responders.choose import model_names
from multiplex.runs import Run
from multiplex.seeds import derive_seed

__all__ = ["Made", "Producer", "Recipe", "content_hashes", "installed_version", "named_hashes", "protocol_of"]

_MOST_AT_ONCE = 64
"""The most deliberations in progress at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How prompts are deliberated on; plain data, so that it can be sent to a worker.

    `personas` and `protocol` are as `Session.deliberate` takes them; None is each scenario's own. `contrast`
    asks the same model without the panel too.
    """

    personas: tuple[str, ...] | None = None
    protocol: str | None = None
    seed: int = 0
    contrast: bool = True


@dataclass(frozen=True, slots=True)
class Made:
    """What a deliberation left: a `Material` as JSON."""

    material: str


@dataclass(slots=True)
class Producer:
    """Deliberates with one session on as many prompts as you like, also at the same time."""

    session: Session
    embedder: Embedder
    recipe: Recipe
    _panels: dict[str, Panel] = field(default_factory=dict)

    async def produce(self, prompt: Prompt) -> Made:
        """Deliberate on a prompt, and measure what came of it.

        A prompt's seed depends on the recipe's and on its id alone: the same prompt comes to the same,
        in whatever company and on whichever machine.

        Raises:
            MultiplexError: as `Session.deliberate`.
        """
        recipe, scenario = self.recipe, prompt.scenario
        panel = self.panel(prompt)
        run = await self.session.deliberate(
            scenario,
            personas=panel,
            protocol=self.protocol(prompt),
            seed=derive_seed(recipe.seed, prompt.id),
            scores=False,
        )
        material = await in_background(self._measured, prompt, run, panel)
        return Made(_json(material))

    def check(self, prompt: Prompt) -> None:
        """Raise ContentError where a model that speaks for somebody cannot, or the protocol does not fit the panel."""
        panel = self.panel(prompt)
        self.session.check(prompt.scenario, panel)
        check_panel(self.protocol(prompt), panel)

    def at_once(self) -> int:
        """Return how many at once keep the model full: a stage may have but one call in flight, the moderator's."""
        names = model_names(
            Scenario(name="any", question="any"), seat(_personas(self.recipe)), self.session.model
        )
        return min(_MOST_AT_ONCE, self.session.at_once(set(names.values())))

    def panel(self, prompt: Prompt) -> Panel:
        """Return who deliberates on a prompt; a panel is read once."""
        chosen = prompt.scenario.personas if self.recipe.personas is None else self.recipe.personas
        key = repr(chosen)
        if key not in self._panels:
            self._panels[key] = seat(chosen)
        return self._panels[key]

    def protocol(self, prompt: Prompt) -> Protocol:
        """Return the protocol of a prompt, with the stage `contrast` where it is asked for."""
        return protocol_of(self.recipe, prompt.scenario)

    def table(self, prompt: Prompt) -> Table:
        """Return how a prompt is deliberated on, as far as it tells what can come of it."""
        panel = self.panel(prompt)
        return Table(self.protocol(prompt), len(panel.personas), bool(prompt.scenario.options))

    def _measured(self, prompt: Prompt, run: Run, panel: Panel) -> Material:
        classifier = classifier_for(panel.pack, self.embedder)
        return material_of(prompt, run, panel, embed=self.embedder.embed, classifier=classifier)


def content_hashes(recipe: Recipe, model: str) -> dict[str, str]:
    """Return the sha256 of what people wrote and everything depends on: personas, the protocol, and a model's roles.

    Raises:
        ContentError: something that the recipe names is not there, or wrong.
    """
    protocol = load_protocol(recipe.protocol or Scenario.model_fields["protocol"].default)
    hashes = {f"personas/{p.name}": _sha256(p.model_dump_json()) for p in seat(_personas(recipe)).personas}
    hashes[f"graphs/{protocol.name}"] = _sha256(protocol.model_dump_json())
    if model != "extractive":
        roles = load_roles().items()
        hashes.update({f"agents/{agent}/{name}.md": role.sha256 for (agent, name), role in roles})
    return hashes


def named_hashes(recipe: Recipe, prompts: Iterable[Prompt]) -> dict[str, str]:
    """Return the sha256 of the personas and protocols that prompts name for themselves, by where they were named.

    Raises:
        ContentError: something that a prompt names is not there, or wrong.
    """
    hashes: dict[str, str] = {}
    for prompt in prompts:
        scenario = prompt.scenario
        if recipe.personas is None:
            for persona in seat(scenario.personas).personas:
                hashes[f"{scenario.name}/{persona.name}"] = _sha256(persona.model_dump_json())
        if recipe.protocol is None:
            protocol = load_protocol(scenario.protocol)
            hashes[f"{scenario.name}/{protocol.name}"] = _sha256(protocol.model_dump_json())
    return hashes


def protocol_of(recipe: Recipe, scenario: Scenario) -> Protocol:
    """Return the protocol by which a scenario is deliberated on, with the stage `contrast` where it is asked for.

    Raises:
        ContentError: there is no such protocol, or it is wrong.
    """
    chosen = load_protocol(recipe.protocol or scenario.protocol)
    return with_contrast(chosen) if recipe.contrast else chosen


def installed_version() -> str:
    """Return the version of Multiplex, `unknown` where it is not installed."""
    try:
        return version("multiplex-deliberation")
    except PackageNotFoundError:
        return "unknown"


def _personas(recipe: Recipe) -> Any:
    """Return who deliberates on a prompt that names nobody."""
    return recipe.personas or Scenario.model_fields["personas"].default


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _json(material: Material) -> str:
    """Return a material as JSON; half a character, which a model may say, becomes a question mark."""
    text = json.dumps(material.model_dump(mode="json"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace").decode()
