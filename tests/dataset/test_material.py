"""What is distilled of a deliberation: which texts there were, and who voted on which of them."""

import asyncio
import json
from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Ballot, Failure, Rank, Ranking, Ratify, Synthesise
from multiplex.api import Session
from multiplex.content.protocols import Protocol, load_protocol
from multiplex.content.scenarios import Scenario
from multiplex.dataset.material import Material, material_of, with_contrast
from multiplex.dataset.preferences import Pair, pairs_of
from multiplex.dataset.prompts import Prompt
from multiplex.deliberation.scores import classifier_for
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Run
from tests.table import PANEL, SCENARIO, Script, Words, answer, protocol

MEDIATION = with_contrast(load_protocol("mediation"))
BEST = "The statement, draft 2."


def script(act: Act[Any], seed: int) -> BaseModel | Failure:
    """Rank the third candidate first, object to whatever was not revised, and endorse what was."""
    match act:
        case Rank():
            others = list(range(1, len(act.statements) + 1))
            others.sort(key=lambda number: act.statements[number - 1] != BEST)
            return Ranking(order=tuple(others))
        case Ratify():
            revised = act.statement.endswith(
                "draft 30."
            )  # as the table writes one that meets three objections
            return Ballot(endorsement=6 if revised else 3, objection=None if revised else "It is too short.")
    return answer(act, seed)


def held(stages: Protocol, script: Script) -> tuple[Material, ScriptedResponder]:
    """Hold a real deliberation at the table, and return what is distilled of it."""
    responder = ScriptedResponder(script)
    return distilled(deliberated(stages, responder)), responder


def deliberated(stages: Protocol, responder: ScriptedResponder) -> Run:
    async def run() -> Run:
        async with Session(model=responder, embedder=Words(), cache=False) as session:
            return await session.deliberate(SCENARIO, personas=PANEL, protocol=stages, seed=7, scores=False)

    return asyncio.run(run())


def distilled(run: Run, scenario: Scenario = SCENARIO) -> Material:
    prompt = Prompt(id="p1", scenario=scenario, group="p1", origin="ferry.yaml")
    return material_of(
        prompt, run, PANEL, embed=Words().embed, classifier=classifier_for(PANEL.pack, Words())
    )


def voted_on_first(responder: ScriptedResponder) -> str:
    """Return the statement of the first ballot, as the personas were shown it."""
    return next(act.statement for act in responder.acts if isinstance(act, Ratify))


def after_critique(material: Material) -> Pair | str:
    [found] = [each for each in pairs_of(material, seed=0) if each.rule == "after_critique"]
    return found if isinstance(found, Pair) else found.why


def test_of_several_candidates_the_one_that_was_ranked_first_is_the_draft() -> None:
    material, responder = held(MEDIATION, script)
    draft = material.text("draft")
    assert draft is not None
    assert draft.text == voted_on_first(responder) == BEST
    assert draft.endorsements == dict.fromkeys(("miller", "sailor", "nurse"), 3)
    assert set(draft.objections) == {"miller", "sailor", "nurse"}
    pair = after_critique(material)
    assert isinstance(pair, Pair)
    assert (pair.chosen.text, pair.rejected.text) == ("The statement, draft 30.", BEST)
    assert pair.margin == 0.5


def test_of_candidates_that_tie_the_draft_is_the_one_that_was_written_first() -> None:
    orders = {
        "miller": "3120",
        "sailor": "1230",
        "nurse": "2310",
    }  # round in a circle, and the first comes last

    def divided(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Rank):
            shown = [statement.removesuffix(".")[-1] for statement in act.statements]
            return Ranking(order=tuple(shown.index(number) + 1 for number in orders[act.persona.name]))
        return script(act, seed)

    material, responder = held(MEDIATION, divided)
    draft = material.text("draft")
    assert draft is not None
    assert draft.text == voted_on_first(responder) == "The statement, draft 1."


@pytest.mark.parametrize("lost", [0, 2])
def test_a_candidate_that_was_never_written_takes_no_place_among_the_ranked(lost: int) -> None:
    def partly(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Synthesise) and not act.objections and act.candidate == lost:
            return Failure("timeout", "too late")
        return script(act, seed)

    material, responder = held(MEDIATION, partly)
    draft = material.text("draft")
    assert draft is not None
    assert draft.text == voted_on_first(responder)


def test_one_candidate_is_the_draft_and_what_nobody_revised_has_none() -> None:
    material, responder = held(protocol("open", "synthesise", "ratify"), script)
    draft = material.text("draft")
    assert draft is not None
    assert draft.text == voted_on_first(responder)
    material, _ = held(protocol("open", {"synthesise": {"candidates": 3}}, "ratify"), answer)
    assert material.text("draft") is None  # nobody objected
    assert after_critique(material) == "missing"


def test_what_is_distilled_of_a_model_holds_no_folder_user_or_path() -> None:
    run = deliberated(protocol("open"), ScriptedResponder(answer))
    options = {"tokenizer": ["/home/a da/tok", "34cd"], "hf_config_path": "home/a da/x/y", "seed": 0}
    state = f"files 12ab, vllm 0.9, {json.dumps(options)}"
    local = "vllm:/home/ada/ckpt"
    spoke = {
        "models": {"miller": local, "moderator": "openai:big", "sailor": local},
        "model_details": {local: state, "openai:big": "https://ada:pw@models.example:8000/ada/v1?key=1"},
    }
    told = distilled(run.model_copy(update={"manifest": {**run.manifest, **spoke}})).provenance
    assert told["model"] == "vllm:ckpt + openai:big"
    assert told["models"] == {"miller": "vllm:ckpt", "moderator": "openai:big", "sailor": "vllm:ckpt"}
    assert told["model_details"] == {
        "vllm:ckpt": 'files 12ab, vllm 0.9, {"hf_config_path": "y", "seed": 0, "tokenizer": ["tok", "34cd"]}',
        "openai:big": "https://models.example:8000",
    }


def test_the_hash_of_a_scenario_is_of_what_it_asks_and_hangs_on_no_path() -> None:
    moved = SCENARIO.model_copy(
        update={
            "name": "elsewhere",
            "personas": "/home/ada/table",
            "protocol": "/home/ada/trial.yaml",
            "models": {"moderator": "vllm:/home/ada/ckpt"},
        }
    )
    asked = SCENARIO.model_copy(update={"question": "Should the ferry sail by night?"})
    run = deliberated(protocol("open"), ScriptedResponder(answer))
    first, second, third = (
        distilled(run, scenario).provenance["sha256"]["scenario"] for scenario in (SCENARIO, moved, asked)
    )
    assert first == second != third
