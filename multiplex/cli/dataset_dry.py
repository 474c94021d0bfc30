"""What `multiplex dataset build --dry-run` prints: what a build would take, and what can come of it."""

import asyncio
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table as Printed

from multiplex.api import Session
from multiplex.cli.estimate import ranged
from multiplex.cli.outcome import print_json
from multiplex.cli.text import safe
from multiplex.content.panels import seat
from multiplex.content.scenarios import Scenario
from multiplex.dataset.producing import protocol_of
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.prospects import Table, lacking
from multiplex.dataset.spending import cost_of
from multiplex.deliberation.run import check_panel
from multiplex.errors import ContentError
from multiplex.estimate import ASSUMPTIONS, ASSUMPTIONS_OF_ACTS, estimate
from multiplex.responders.choose import model_names

if TYPE_CHECKING:
    from multiplex.cli.dataset_build import Asked

__all__ = ["print_dry_run"]

_SAMPLE = 5
"""How many prompts of a kind are reckoned through: what one takes is nearly linear in its length."""

_WRITTEN = Scenario(
    name="written",
    question="What do people owe to one another here, and who is to say so, where those whom it concerns most "
    "have not been heard on it so far?",
)
"""What stands for a prompt that is still to be written: about as long as they are."""

_FIGURES = ("acts", "prompt_tokens", "completion_tokens")


@dataclass(slots=True)
class _Kind:
    """Prompts that are deliberated on by the same people and protocol: their lengths, and where they stood."""

    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    places: "array[int]" = field(default_factory=lambda: array("q"))

    def sample(self) -> list[int]:
        """Return the places of prompts that are spread evenly over the lengths, or of all if they are few."""
        order = sorted(range(len(self.lengths)), key=self.lengths.__getitem__)
        number = min(_SAMPLE, len(order))
        return [self.places[order[(2 * i + 1) * len(order) // (2 * number)]] for i in range(number)]


def print_dry_run(
    asked: "Asked",
    configs: Sequence[str],
    *,
    promise: Callable[[Sequence[Table]], object],
    prices: tuple[float, float] | None,
    as_json: bool,
) -> None:
    """Reckon what a build of these prompts in a new folder would take, and print it; nobody is asked.

    `promise` refuses the tables that a build would refuse.
    """
    left_out: Counter[str] = Counter()
    kinds: dict[Any, _Kind] = {}
    for place, scenario in _prompts(asked, left_out):
        key = (repr(asked.personas or scenario.personas), scenario.protocol, bool(scenario.options))
        kind = kinds.setdefault(key, _Kind())
        kind.lengths.append(len(scenario.question) + len(scenario.context or ""))
        kind.places.append(place)
    if not kinds:
        told = ", ".join(f"{number} {kind}" for kind, number in left_out.items())
        raise ContentError(f"there is no prompt to deliberate on: every row was left out ({told})")
    total = asked.generate or sum(len(kind.places) for kind in kinds.values())
    samples = dict(_picked(asked, kinds))
    tables = [_table(asked, samples[kind.sample()[0]]) for kind in kinds.values()]
    promise(tables)
    needs = {config: need for config, need in lacking(tables).items() if config in configs}
    found: dict[str, Any] = {
        "prompts": total,
        "left_out": dict(left_out),
        **asyncio.run(_reckoned(asked, kinds, samples)),
    }
    if prices is not None:
        ends = zip(found["prompt_tokens"], found["completion_tokens"], strict=True)
        found["cost"] = [round(cost_of({"prompt": p, "completion": c}, prices), 6) for p, c in ends]
    found["configs"] = [config for config in configs if config not in needs]
    found["lacking"] = needs
    found["assumptions"] = _assumptions(asked, total, asks=bool(found["prompt_tokens"][1]))
    if as_json:
        print_json(found)
    else:
        _print(found)


def _prompts(asked: "Asked", left_out: Counter[str] | None = None) -> Iterator[tuple[int, Scenario]]:
    """Yield the scenario of every prompt with its place."""
    if asked.generate is not None:
        yield 0, _WRITTEN
        return
    for place, entry in enumerate(asked.read()):
        if isinstance(entry, Prompt):
            yield place, entry.scenario
        elif left_out is not None:
            left_out[entry.kind] += 1


def _picked(asked: "Asked", kinds: dict[Any, _Kind]) -> Iterator[tuple[int, Scenario]]:
    wanted = {place for kind in kinds.values() for place in kind.sample()}
    return ((place, scenario) for place, scenario in _prompts(asked) if place in wanted)


def _table(asked: "Asked", scenario: Scenario) -> Table:
    panel, protocol = seat(asked.personas or scenario.personas), protocol_of(asked.recipe, scenario)
    check_panel(protocol, panel)
    return Table(protocol, len(panel.personas), bool(scenario.options))


async def _reckoned(
    asked: "Asked", kinds: dict[Any, _Kind], samples: dict[int, Scenario]
) -> dict[str, list[int]]:
    """Return each figure's least and most over all prompts: the mean of a kind's sample, as often as it comes."""
    sums = {figure: [0.0, 0.0] for figure in _FIGURES}
    session: Session | None = None
    for kind in kinds.values():
        places = kind.sample()
        number = asked.generate or len(kind.places)
        for place in places:
            scenario = samples[place]
            panel = seat(asked.personas or scenario.personas)
            models = model_names(scenario, panel, asked.model)
            if not any(name.startswith("vllm:") for name in models.values()):  # vLLM need not be there
                session = session or Session(**asked.session_options, cache=False)
                session.check(scenario, panel)
            told = (
                await estimate(scenario, panel, protocol_of(asked.recipe, scenario), models=models)
            ).as_dict()
            for figure, ends in sums.items():
                for end in (0, 1):
                    ends[end] += told[figure][end] * number / len(places)
    return {figure: [round(low), round(high)] for figure, (low, high) in sums.items()}


def _assumptions(asked: "Asked", total: int, *, asks: bool) -> list[str]:
    """Return what the figures assume; `asks` tells whether a language model is asked at all."""
    ours = [
        "the build begins in a new folder: what is in --out already is not reckoned with",
        "near-duplicates are not looked for, which takes embeddings: a build leaves them out, and takes less",
        f"of prompts with the same panel and protocol {_SAMPLE} are reckoned through, evenly spread over their lengths",
    ]
    if asked.generate is not None:
        ours[1:] = [
            f"writing {total:,} prompts takes about {-(-total // 3):,} requests or more beside, which are not counted",
            f"a prompt that is written has about {len(_WRITTEN.question)} characters and no options",
        ]
    return [*ours, *(ASSUMPTIONS if asks else ASSUMPTIONS_OF_ACTS)]


def _print(found: dict[str, Any]) -> None:
    console = Console(highlight=False)
    table = Printed(box=None, pad_edge=False, show_header=False)
    table.add_row("prompts", f"{found['prompts']:,}")
    for kind, number in found["left_out"].items():
        table.add_row(safe(f"left out, {kind}"), f"{number:,}")
    for figure in _FIGURES:
        table.add_row(figure.replace("_", " "), ranged(found[figure]))
    if "cost" in found:
        low, high = found["cost"]
        table.add_row("cost", f"{low:,.2f} to {high:,.2f}")
    console.print(table)
    console.print(f"Records: {', '.join(found['configs'])}", soft_wrap=True)
    for config, need in found["lacking"].items():
        console.print(f"Not {config}: it takes the stage {need}", soft_wrap=True)
    console.print("Assumed:")
    for line in found["assumptions"]:
        console.print(safe(f"- {line}"))
