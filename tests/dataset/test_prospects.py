"""What is said to come of a protocol is what does come of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from multiplex.api import Session
from multiplex.content.panels import seat
from multiplex.content.protocols import load_protocol, protocol_names
from multiplex.content.scenarios import Option, Scenario
from multiplex.dataset.material import Material
from multiplex.dataset.preferences import Pair, pairs_of
from multiplex.dataset.producing import Producer, Recipe, protocol_of
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.prospects import Table, lacking
from multiplex.dataset.records import rows_of
from multiplex.dataset.schemas import CONFIGS
from multiplex.responders.scripted import ScriptedResponder
from tests.dataset.made import said
from tests.files import write_table
from tests.table import Words

OPTIONS = (Option(key="keep", text="Keep it"), Option(key="stop", text="Stop it"))


def made(recipe: Recipe, options: tuple[Option, ...]) -> tuple[set[str], Table]:
    """Return the configs that a deliberation gives rows to where every rule has something to prefer."""
    scenario = Scenario(name="ferry", question="Should the village keep its night ferry?", options=options)

    async def deliberated() -> tuple[Material, Table]:
        async with Session(model=ScriptedResponder(said), embedder=Words(), cache=False) as session:
            producer = Producer(session, Words(), recipe)
            prompt = Prompt(id="p", scenario=scenario, group="p", origin="here:1")
            found = await producer.produce(prompt)
            return Material.model_validate_json(found.material), producer.table(prompt)

    material, table = asyncio.run(deliberated())
    pairs = [each for each in pairs_of(material, seed=0) if isinstance(each, Pair)]
    return {row.config for row in rows_of(material, pairs, configs=CONFIGS)}, table


@pytest.mark.parametrize("options", [(), OPTIONS], ids=["open", "closed"])
@pytest.mark.parametrize("contrast", [False, True], ids=["", "contrast"])
@pytest.mark.parametrize(
    "stages",
    [
        ("open",),
        ("open", "synthesise"),
        ("open", "synthesise", {"ratify": {"revise": 0}}),
        ("open", {"synthesise": {"candidates": 2}}, "ratify"),
        ("open", "articulate"),
        ("open", "articulate", "compare"),
        ({"answer": {"told": "multiplex"}},),
    ],
)
def test_what_is_not_lacking_comes(
    tmp_path: Path, stages: tuple[Any, ...], contrast: bool, options: tuple[Option, ...]
) -> None:
    write_table(tmp_path, *stages)
    recipe = Recipe(
        personas=(str(tmp_path / "table"),), protocol=str(tmp_path / "trial.yaml"), contrast=contrast
    )
    come, table = made(recipe, options)
    assert come == set(CONFIGS) - lacking([table]).keys()


def test_a_panel_of_one_has_nobody_to_be_out_of_character_for(tmp_path: Path) -> None:
    write_table(tmp_path, "open")
    for other in ("nurse", "sailor"):
        (tmp_path / "table" / f"{other}.yaml").unlink()
    recipe = Recipe(personas=(str(tmp_path / "table"),), protocol=str(tmp_path / "trial.yaml"))
    come, table = made(recipe, ())
    assert table.seats == 1
    assert come == {"sft", "grpo", "transcripts"} == set(CONFIGS) - lacking([table]).keys()


def test_of_the_shipped_protocols_those_with_a_panel_give_everything_that_is_for_training() -> None:
    panel = seat("civilizations")
    needs = {
        name: set(
            lacking([Table(protocol_of(Recipe(protocol=name), Scenario(name="a", question="b")), 8, False)])
        )
        for name in protocol_names()
    }
    assert len(panel.personas) == 8
    assert needs == {
        "multiplex": set(),
        "mediation": {"moral_graph"},
        "contextual": set(CONFIGS) - {"transcripts"},
        "uniplex": set(CONFIGS) - {"transcripts"},
    }


def test_what_one_of_several_protocols_gives_is_not_lacking() -> None:
    tables = [Table(load_protocol(name), 8, False) for name in ("uniplex", "mediation")]
    assert set(lacking(tables)) == {"moral_graph"}
    assert "compare" in lacking(tables)["moral_graph"]
