"""What a run would take, against what runs take."""

import asyncio
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from functools import cache
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
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.scripted import Scripted
from multiplex.responders.choose import model_names
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Run
from tests.endpoint import endpoint
from tests.table import (
    MILLER,
    NURSE,
    OPEN_QUESTION,
    PANEL,
    PERSONAS,
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
THREE_SHIPPED = seat(["hindu", "western", "confucian"])
PANELS = {"two": panel_of(MILLER, NURSE), "three": PANEL}


def estimated(
    stages: Protocol, panel: Panel = PANEL, model: str = "extractive", scenario: Scenario = SCENARIO
) -> dict[str, Any]:
    models = model_names(scenario, panel, model)
    return asyncio.run(estimate(scenario, panel, stages, models=models)).as_dict()


@cache
def of_every_stage(*, options: bool = True) -> Mapping[str, Any]:
    return estimated(WHOLE, model="openai:test", scenario=SCENARIO if options else OPEN_QUESTION)


@cache
def of_what_ships(name: str) -> Mapping[str, Any]:
    return estimated(load_protocol(name), THREE_SHIPPED, "openai:speaker", load_scenario("eldercare"))


def conducted(
    stages: Protocol, panel: Panel, model: Any, scenario: Scenario = SCENARIO, **options: Any
) -> Run:
    return deliberate(
        scenario, personas=panel, protocol=stages, model=model, embedder=Words(), scores=False, **options
    )


def encloses(found: Mapping[str, Any], run: Run) -> None:
    def within(ends: Sequence[int], count: int, what: str) -> None:
        assert ends[0] <= count <= ends[1], (what, ends, count)

    for key in ("acts", "calls"):
        within(found[key], run.usage[key], key)
    for stage, account in run.usage["by_stage"].items():
        within(found["by_stage"][stage]["acts"], account["acts"], stage)


def encloses_tokens(found: Mapping[str, Any], run: Run) -> None:
    """Check every figure of a run by stage; who answered counts four characters a token."""
    encloses(found, run)
    assert run.usage["failures"] == 0
    for stage, account in run.usage["by_stage"].items():
        for key in ("calls", "prompt_tokens", "completion_tokens"):
            least, most = found["by_stage"][stage][key]
            assert least <= account[key] <= most, (stage, key, (least, most), account[key])


_USUAL = {"statement": 1000, "overton": 2600, "consensus": 800, "answer": 1500, "story": 400, "title": 24}
_WORDS = "Whoever has waited long for help remembers who came and who had other things to do. "


class Speaker:
    """A model that answers by the schema, briefly, as is usual or at length, and counts four characters a token.

    At length, every first reply is cut off at the token limit; as is usual, every ninth.
    """

    def __init__(self, how: str) -> None:
        self.how = how
        self._asked = itertools.count()

    def model(self) -> Scripted:
        """Return the model that speaks so."""
        return Scripted(self._say, name="openai:speaker")

    def _say(
        self, messages: Sequence[Message], schema: Mapping[str, Any] | None, sampling: Sampling
    ) -> Completion:
        dice = random.Random(sampling.seed)  # noqa: S311 (no secret)
        first = len(messages) <= 2
        cut = first and {"short": False, "usual": dice.random() < 0.1, "long": True}[self.how]
        if sampling.choices:
            said = sampling.choices[0]
        elif cut:
            said = ("{" + _WORDS * 200)[: sampling.max_tokens * 4]
        else:
            assert schema is not None
            said = self._fitting(schema, sampling.max_tokens * 4, dice)
        asked = sum(len(message["content"]) for message in messages)
        return Completion(
            text=said,
            finish_reason="length" if cut and not sampling.choices else "stop",
            prompt_tokens=asked // 4,
            completion_tokens=max(1, len(said) // 4),
        )

    def _fitting(self, schema: Mapping[str, Any], room: int, dice: random.Random) -> str:
        share = 1.0
        while True:
            said = json.dumps(self._value(schema, schema, "", share, dice))
            if len(said) <= room:
                return said
            share *= 0.97

    def _value(
        self, part: Mapping[str, Any], whole: Mapping[str, Any], name: str, share: float, dice: random.Random
    ) -> Any:
        if "$ref" in part:
            part = whole["$defs"][part["$ref"].removeprefix("#/$defs/")]
        if "enum" in part:
            return dice.choice(part["enum"])
        if "anyOf" in part:
            nothing = self.how == "short" or (self.how == "usual" and dice.random() < 0.5)
            wanted = [each for each in part["anyOf"] if (each.get("type") == "null") == nothing]
            return self._value(wanted[0], whole, name, share, dice)
        if part["type"] == "object":
            return {
                key: self._value(each, whole, key, share, dice) for key, each in part["properties"].items()
            }
        if part["type"] == "array":
            fewest, most = part.get("minItems", 0), part["maxItems"]
            if name in {"groups", "references"}:
                return []
            number = {"short": fewest, "usual": min(most, max(fewest, 3)), "long": round(most * share)}[
                self.how
            ]
            return [
                self._value(part["items"], whole, f"{name} each", share, dice)
                for _ in range(max(fewest, number))
            ]
        if part["type"] == "string":
            usual = min(part["maxLength"], _USUAL.get(name, 140))
            length = {"short": min(part["maxLength"], 50), "usual": usual, "long": part["maxLength"] * share}[
                self.how
            ]
            number = f"{next(self._asked)} " if name == "title" else ""
            text: str = (number + _WORDS * 200)[: max(1, int(length))].strip()
            return text
        if part["type"] == "null":
            return None
        if part["type"] == "integer":
            return dice.randint(max(1, part["minimum"]), part["maximum"])
        return self.how == "long" or (self.how == "usual" and dice.random() < 0.5)


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


@pytest.mark.parametrize("how", ["short", "usual", "long"])
@pytest.mark.parametrize("name", protocol_names())
def test_real_runs_of_what_ships_lie_within_the_range_stage_by_stage(name: str, how: str) -> None:
    found = of_what_ships(name)
    run = conducted(load_protocol(name), THREE_SHIPPED, Speaker(how).model(), load_scenario("eldercare"))
    encloses_tokens(found, run)
    asked, (least, most) = run.usage["tokens"]["prompt"], found["prompt_tokens"]
    if how == "short":
        assert asked < 2 * least, "the least is a run that there can be"
    if how == "long":
        assert asked > 0.5 * most, "the most is too"


@pytest.mark.parametrize("how", ["short", "long"])
def test_real_runs_of_every_stage_lie_within_the_range_with_and_without_options(how: str) -> None:
    for found, scenario in ((of_every_stage(), SCENARIO), (of_every_stage(options=False), OPEN_QUESTION)):
        encloses_tokens(found, conducted(WHOLE, PANEL, Speaker(how).model(), scenario))


def test_every_reply_may_have_to_be_repaired_and_what_that_takes_is_told_apart() -> None:
    found = of_every_stage()
    polled = found["by_stage"]["poll"]["calls"][1]  # a letter is not asked for again
    assert found["repairs"]["calls"] == found["acts"][1] - polled
    assert found["calls"] == [found["acts"][0], found["acts"][1] + found["repairs"]["calls"]]
    for key in ("prompt_tokens", "completion_tokens"):
        assert 0 < found["repairs"][key] < found[key][1]
        assert found[key][0] < found[key][1] - found["repairs"][key]


def test_a_card_as_long_as_its_schema_allows_is_counted_whole() -> None:
    articulating = estimated(protocol("open", "articulate"), model="openai:speaker")["by_stage"]["articulate"]
    longest = 80 + 800 + 7 * 300
    assert articulating["completion_tokens"][1] > 2 * len(PERSONAS) * longest / 4


def test_the_commitments_of_a_card_are_the_shortest_or_the_longest_it_could_show() -> None:
    scenario, panel = load_scenario("eldercare"), seat(["hindu", "western"])
    assert all(len(persona.commitments) > 12 for persona in panel.personas)
    stages = protocol("open")
    found = estimated(stages, panel, "openai:speaker", scenario)["prompt_tokens"]
    asked = conducted(stages, panel, Speaker("short").model(), scenario).usage["tokens"]["prompt"]
    assert found[0] < asked < found[1] / 2


def test_of_many_cards_that_are_alike_all_requests_for_merging_are_counted() -> None:
    crowd = panel_of(*(MILLER.model_copy(update={"name": f"miller_{i}"}) for i in range(26)))
    stages = protocol("articulate", {"compare": {"pairs_per_persona": 1}})
    run = conducted(stages, crowd, ScriptedResponder(ring))
    asked = [act for act in run.transcript if act["step"] == "compare.merge"]
    assert len(asked) == 2
    encloses(estimated(stages, crowd), run)


def test_a_served_run_lies_within_the_range_and_its_prompts_within_a_sane_factor() -> None:
    with endpoint() as server:
        run = conducted(WHOLE, PANEL, "openai:test", base_url=server.base_url, cache=False)
        first = [body["messages"] for body in server.requests if len(body["messages"]) <= 2]
    found = of_every_stage()
    encloses(found, run)
    assert found["calls"][0] == found["acts"][0]
    assert "poll" in found["by_stage"]
    real = sum(len(message["content"]) for messages in first for message in messages) / 4
    least, most = found["prompt_tokens"]
    assert least <= real <= most
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
    assert least <= real <= most
    longest = conducted(stages, crowd, Speaker("long").model()).usage["tokens"]["prompt"]
    assert longest <= most <= 1.5 * longest


def test_what_a_prefix_cache_leaves_is_less_than_the_prompts_and_more_than_nothing() -> None:
    found = of_every_stage()
    for distinct, all_of_them in zip(found["distinct_prompt_tokens"], found["prompt_tokens"], strict=True):
        assert 0 < distinct < 0.6 * all_of_them


def test_only_those_with_a_language_model_take_tokens() -> None:
    mixed = SCENARIO.model_copy(update={"models": {"nurse": "openai:x"}})
    stages = protocol("open", "poll", "synthesise")
    found = estimated(stages, scenario=mixed)
    assert found["acts"] == [6, 6]
    assert found["calls"] == [3, 4]  # the nurse's opening, maybe repaired, and her letter in two orders
    assert found["by_stage"]["synthesise"]["prompt_tokens"] == [0, 0]
    assert found["by_stage"]["open"]["prompt_tokens"][0] > 0


def test_a_longer_case_takes_more_tokens_and_as_many_acts() -> None:
    short, long = (
        estimated(
            protocol("open", "synthesise"),
            model="openai:x",
            scenario=SCENARIO.model_copy(update={"context": context}),
        )
        for context in ("Short.", "A long story. " * 300)
    )
    assert short["acts"] == long["acts"]
    assert short["prompt_tokens"][0] + 4000 < long["prompt_tokens"][0]


def test_stages_sum_to_the_whole() -> None:
    found = of_every_stage()
    for key in ("acts", "prompt_tokens", "completion_tokens"):
        for end in (0, 1):
            assert sum(stage[key][end] for stage in found["by_stage"].values()) == found[key][end]


def test_an_estimate_is_the_same_each_time_and_asks_nobody() -> None:
    assert estimated(WHOLE, model="openai:test") == of_every_stage()
    assert all("\n" not in line for line in ASSUMPTIONS)


def test_a_shipped_scenario_with_shipped_personas_can_be_estimated() -> None:

    found = estimated(
        load_protocol("multiplex"), seat(["hindu", "western"]), "openai:x", load_scenario("eldercare")
    )
    assert found["scenario"] == "eldercare"
    assert found["acts"][0] < found["acts"][1]
    assert 10_000 < found["prompt_tokens"][0] < found["prompt_tokens"][1] < 500_000
