"""What a run would take, against what runs take."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import (
    Act,
    Ballot,
    MergeCards,
    Merger,
    ProposeTransition,
    Ratify,
    Rejoinder,
    Respond,
)
from multiplex.api import deliberate
from multiplex.content.panels import Panel, seat
from multiplex.content.protocols import Protocol, load_protocol, protocol_names
from multiplex.content.scenarios import Scenario, load_scenario
from multiplex.errors import ContentError
from multiplex.estimate import ASSUMPTIONS, estimate
from multiplex.responders.choose import model_names
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Run
from tests.endpoint import endpoint
from tests.table import (
    MILLER,
    NURSE,
    OPEN_QUESTION,
    PANEL,
    SAILOR,
    SCENARIO,
    Words,
    answer,
    panel_of,
    proposal,
    protocol,
)

WHOLE = protocol(
    "open",
    {"exchange": {"rounds": 3}},
    {"poll": {"orders": 2}},
    {"articulate": {"cards": 2}},
    {"compare": {"pairs_per_persona": 4}},
    {"synthesise": {"candidates": 2}},
    {"ratify": {"revise": 2}},
    "observe",
)
MANY_PAIRS = protocol("articulate", {"compare": {"pairs_per_persona": 20}})
PROTOCOLS = {
    "whole": WHOLE,
    "pairs": MANY_PAIRS,
    "short": protocol("open", "synthesise"),
    "alone": protocol({"answer": {"told": "multiplex"}}, "observe"),
    **{name: load_protocol(name) for name in protocol_names()},
}
PANELS = {"two": panel_of(MILLER, NURSE), "three": PANEL}


def estimated(
    stages: Protocol, panel: Panel = PANEL, model: str = "extractive", scenario: Scenario = SCENARIO
) -> dict[str, Any]:
    models = model_names(scenario, panel, model)
    return asyncio.run(estimate(scenario, panel, stages, models=models)).as_dict()


def conducted(
    stages: Protocol, panel: Panel, model: Any, scenario: Scenario = SCENARIO, **options: Any
) -> Run:
    return deliberate(
        scenario, personas=panel, protocol=stages, model=model, embedder=Words(), scores=False, **options
    )


def encloses(found: Mapping[str, Any], run: Run) -> None:
    def within(ends: Sequence[int], count: int, what: str) -> None:
        assert ends[0] <= count <= ends[1], (what, ends, count)

    within(found["acts"], run.usage["acts"], "acts")
    for stage, account in run.usage["by_stage"].items():
        within(found["by_stage"][stage]["acts"], account["acts"], stage)


def ring(act: Act[Any], seed: int) -> BaseModel:
    """Answer as the table does, but propose for every card the one after it: as many pairs as there can be."""
    if isinstance(act, ProposeTransition):
        ids = sorted([act.card.id, *(card.id for card in act.others)])
        to = ids[(ids.index(act.card.id) + 1) % len(ids)]
        return proposal(act, to)
    return answer(act, seed)


def restless(act: Act[Any], seed: int) -> BaseModel:
    """Move in every round, object to everything."""
    reply = ring(act, seed)
    if isinstance(act, Respond):
        assert isinstance(reply, Rejoinder)
        return reply.model_copy(update={"moved": True})
    return Ballot(endorsement=2, objection="Not so.") if isinstance(act, Ratify) else reply


def merging(act: Act[Any], seed: int) -> BaseModel:
    """Take half of the cards for the other half."""
    if isinstance(act, MergeCards):
        ids = [card.id for card in act.cards]
        return Merger(groups=tuple(zip(ids[::2], ids[1::2], strict=False)))
    return answer(act, seed)


# --- acts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "seated", "script"),
    [
        *((name, "three", answer) for name in PROTOCOLS),
        ("whole", "two", merging),
        ("whole", "three", restless),
        ("pairs", "three", merging),
        ("whole", "two", restless),
        ("pairs", "three", restless),
        ("multiplex", "two", restless),
    ],
)
def test_the_range_of_acts_encloses_what_a_scripted_panel_takes(name: str, seated: str, script: Any) -> None:
    stages, panel = PROTOCOLS[name], PANELS[seated]
    encloses(estimated(stages, panel), conducted(stages, panel, ScriptedResponder(script)))


@pytest.mark.parametrize("scenario", [SCENARIO, OPEN_QUESTION], ids=["options", "open"])
def test_the_range_encloses_what_the_extractive_panel_takes_at_no_tokens(scenario: Scenario) -> None:
    found = estimated(WHOLE, scenario=scenario)
    encloses(found, conducted(WHOLE, PANEL, "extractive", scenario))
    for key in ("calls", "prompt_tokens", "distinct_prompt_tokens", "completion_tokens"):
        assert found[key] == [0, 0]
    assert "poll" not in found["by_stage"]


def test_a_panel_of_its_own_range_is_as_long_as_its_rounds_allow() -> None:
    few, many = (
        estimated(protocol("open", {"exchange": {"rounds": rounds}}))["by_stage"]["exchange"]["acts"]
        for rounds in (1, 5)
    )
    assert few == [3, 3]
    assert many == [3, 15]


def test_a_panel_that_is_too_small_is_refused() -> None:
    with pytest.raises(ContentError, match="needs a panel of 2 or more"):
        estimated(WHOLE, panel_of(SAILOR))


# --- tokens ----------------------------------------------------------------------------------


def test_a_served_run_lies_within_the_range_and_its_prompts_within_a_sane_factor() -> None:
    with endpoint() as server:
        run = conducted(WHOLE, PANEL, "openai:test", base_url=server.base_url, cache=False)
        first = [body["messages"] for body in server.requests if len(body["messages"]) <= 2]
    found = estimated(WHOLE, model="openai:test")
    encloses(found, run)
    assert found["calls"] == found["acts"]
    assert "poll" in found["by_stage"]
    real = sum(len(message["content"]) for messages in first for message in messages) / 4
    least, most = found["prompt_tokens"]
    assert least / 2 <= real <= most
    assert found["completion_tokens"][0] < found["completion_tokens"][1]


def test_of_many_cards_as_many_are_counted_as_the_moderator_is_shown() -> None:
    crowd = panel_of(*(MILLER.model_copy(update={"name": f"miller_{i}"}) for i in range(14)))
    stages = protocol("articulate", {"compare": {"pairs_per_persona": 1}})
    with endpoint() as server:
        run = conducted(stages, crowd, "openai:test", base_url=server.base_url, cache=False)
        proposing = [b["messages"] for b in server.requests if "`mapping`" in b["messages"][1]["content"]]
    found = estimated(stages, crowd, model="openai:test")
    encloses(found, run)
    assert len(proposing) == 14
    assert {messages[1]["content"].count("<card ") for messages in proposing} == {14}
    real = sum(len(message["content"]) for b in server.requests for message in b["messages"]) / 4
    least, most = found["prompt_tokens"]
    assert least / 2 <= real <= most <= 3 * real


def test_what_a_prefix_cache_leaves_is_less_than_the_prompts_and_more_than_nothing() -> None:
    found = estimated(WHOLE, model="openai:test")
    for distinct, all_of_them in zip(found["distinct_prompt_tokens"], found["prompt_tokens"], strict=True):
        assert 0 < distinct < 0.6 * all_of_them


def test_only_those_with_a_language_model_take_tokens() -> None:
    mixed = SCENARIO.model_copy(update={"models": {"nurse": "openai:x"}})
    stages = protocol("open", "poll", "synthesise")
    found = estimated(stages, scenario=mixed)
    assert found["acts"] == [6, 6]
    assert found["calls"] == [3, 3]  # the nurse's opening, and her letter in two orders
    assert found["by_stage"]["synthesise"]["prompt_tokens"] == [0, 0]
    assert found["by_stage"]["open"]["prompt_tokens"][0] > 0


def test_a_longer_case_takes_more_tokens_and_as_many_acts() -> None:
    short, long = (
        estimated(WHOLE, model="openai:x", scenario=SCENARIO.model_copy(update={"context": context}))
        for context in ("Short.", "A long story. " * 300)
    )
    assert short["acts"] == long["acts"]
    assert short["prompt_tokens"][0] + 4000 < long["prompt_tokens"][0]


def test_stages_sum_to_the_whole() -> None:
    found = estimated(WHOLE, model="openai:test")
    for key in ("acts", "prompt_tokens", "completion_tokens"):
        for end in (0, 1):
            assert sum(stage[key][end] for stage in found["by_stage"].values()) == found[key][end]


def test_an_estimate_is_the_same_each_time_and_asks_nobody() -> None:
    assert estimated(WHOLE, model="openai:nowhere") == estimated(WHOLE, model="openai:nowhere")
    assert all("\n" not in line for line in ASSUMPTIONS)


def test_a_shipped_scenario_with_shipped_personas_can_be_estimated() -> None:

    found = estimated(
        load_protocol("multiplex"), seat(["hindu", "western"]), "openai:x", load_scenario("eldercare")
    )
    assert found["scenario"] == "eldercare"
    assert found["acts"][0] < found["acts"][1]
    assert 10_000 < found["prompt_tokens"][0] < found["prompt_tokens"][1] < 500_000
