"""Whole deliberations with scripted replies: the order of things, who sees what, and what goes wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import (
    Act,
    ArticulateValue,
    Ballot,
    Failure,
    JudgeTransition,
    MergeCards,
    Performed,
    ProposeTransition,
    Rank,
    Ranking,
    Ratify,
    Respond,
    Synthesise,
    TakePosition,
)
from multiplex.content.protocols import load_protocol, protocol_names
from multiplex.deliberation.build import build, recursion_limit
from multiplex.deliberation.events import ActFinished, ActStarted, StepFinished
from multiplex.deliberation.state import results_of
from multiplex.errors import NoQuorumError
from multiplex.seeds import derive_seed
from tests.deliberation.made import NAMES, WHOLE, asked, failing
from tests.table import (
    MILLER,
    NURSE,
    OPEN_QUESTION,
    PANEL,
    PERSONAS,
    SAILOR,
    SCENARIO,
    Script,
    answer,
    panel_of,
    play,
    protocol,
)

# --- the order of things ---------------------------------------------------------------------


@pytest.mark.parametrize("name", protocol_names())
def test_every_shipped_protocol_runs_to_its_end(name: str) -> None:
    state, responder, _ = play(load_protocol(name))
    assert len(state["results"]) == len(responder.acts) > 0
    assert all(result["failure"] is None for result in state["results"])
    assert state.get("drafts") or state["answer"]


def test_the_record_is_in_the_order_in_which_acts_were_sent() -> None:
    state, _, _ = play(WHOLE)
    steps = list(dict.fromkeys(result["step"] for result in state["results"]))
    assert steps == [
        "open.position",
        "exchange.reply",
        "articulate.card",
        "compare.merge",
        "compare.propose",
        "compare.judge",
        "synthesise.draft",
        "synthesise.rank",
        "ratify.ballot",
        "observe.mark",
    ]
    for step in ("open.position", "exchange.reply", "synthesise.rank", "ratify.ballot"):
        assert [result["speaker"] for result in results_of(state, step, 1)] == NAMES
    assert [result["about"] for result in results_of(state, "synthesise.draft")] == ["0", "1", "2"]


def test_the_record_keeps_its_order_whoever_answers_first() -> None:
    stages = protocol("open", "exchange", "articulate", "compare")
    swift, _, _ = play(stages)
    state, _, events = play(stages, pauses={"miller": 0.03, "sailor": 0.015})
    assert state == swift
    heard = [event.speaker for event in events if isinstance(event, ActFinished)]
    assert heard[:3] == list(reversed(NAMES))


def test_events_tell_of_every_act_and_every_step() -> None:
    state, _, events = play(WHOLE)
    started = [event for event in events if isinstance(event, ActStarted)]
    finished = [event for event in events if isinstance(event, ActFinished)]
    assert len(started) == len(finished) == len(state["results"])
    assert all(event.reply and event.failure is None for event in finished)
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert steps[0] == StepFinished("open", "open.position", 1, 3, 3)
    assert sum(step.asked for step in steps) == len(state["results"])


def test_a_step_that_has_nobody_to_ask_counts_nobody_twice() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Ratify) and "draft 0" in act.statement and act.persona is NURSE:
            return Ballot(endorsement=2, objection="Say who sits up at night.")
        return answer(act, seed)

    state, _, events = play(protocol("open", "synthesise", "ratify"), script)
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert [step.step for step in steps if step.asked] == [
        "open.position",
        "synthesise.draft",
        "ratify.ballot",
        "ratify.revise",
        "ratify.ballot",
    ]
    assert sum(step.asked for step in steps) == len(state["results"])


def test_two_runs_of_one_seed_leave_the_same_record() -> None:
    assert play(WHOLE)[0] == play(WHOLE)[0]


# --- who sees what ---------------------------------------------------------------------------


def test_a_position_is_stated_before_anything_is_heard() -> None:
    _, responder, _ = play(WHOLE)
    positions = asked(responder, TakePosition)
    assert [act.persona for act in positions] == list(PERSONAS)
    assert all(not hasattr(act, "transcript") for act in positions)
    assert responder.acts[:3] == positions


def test_replies_carry_what_was_said_before_their_round_and_nothing_of_it() -> None:
    stages = protocol("open", {"exchange": {"rounds": 2, "still": 0}})
    _, responder, _ = play(stages, swaying(rounds=2))
    for act in asked(responder, Respond):
        assert {turn.round for turn in act.transcript} == set(range(act.round))
        assert [turn.speaker for turn in act.transcript] == NAMES * act.round


def test_cards_are_written_without_sight_of_other_cards() -> None:
    _, responder, _ = play(WHOLE)
    acts = asked(responder, ArticulateValue)
    assert len(acts) == 6
    for number, act in enumerate(acts):
        assert len(act.earlier) == number // 3
        assert all(card.authors == (act.persona.name,) for card in act.earlier)


def test_verdicts_are_given_without_sight_of_any_tally() -> None:
    _, responder, _ = play(WHOLE)
    acts = asked(responder, JudgeTransition)
    assert acts
    for act in acts:
        shown = f"{act.transition} {act.source} {act.wiser}"
        assert "It goes deeper." not in shown
        assert "verdict" not in shown
        assert "likelihood" not in shown


def test_ballots_and_rankings_carry_ones_own_words_only() -> None:
    _, responder, _ = play(WHOLE)
    for act in (*asked(responder, Ratify), *asked(responder, Rank)):
        assert {turn.speaker for turn in act.own} == {act.persona.name}


def test_failed_acts_are_recorded_and_nobody_reads_of_them() -> None:
    everything = (Respond, ArticulateValue, JudgeTransition, Rank, Ratify)
    state, responder, events = play(WHOLE, failing(*everything, of="sailor"))
    failures = [result for result in state["results"] if result["failure"]]
    assert {result["speaker"] for result in failures} == {"sailor"}
    assert {result["act"] for result in failures} == {kind.name for kind in everything}
    assert all(result["reply"] is None for result in failures)
    assert failures[0]["failure"] == {"kind": "tired", "reason": "sailor is LOST FOR WORDS"}
    assert not any("LOST FOR WORDS" in repr(act) for act in responder.acts)
    assert [turn["round"] for turn in state["turns"] if turn["speaker"] == "sailor"] == [0]
    assert [event.failure for event in events if isinstance(event, ActFinished) and event.failure] == [
        "sailor is LOST FOR WORDS"
    ] * len(failures)


SENSELESS: dict[type[Act[Any]], Callable[[Any], BaseModel]] = {
    ProposeTransition: lambda reply: reply.model_copy(update={"to": "nobody"}),
    Rank: lambda reply: reply.model_copy(update={"order": (9, 8, 7)}),
    MergeCards: lambda reply: reply.model_copy(update={"groups": (("x", "y"),)}),
    TakePosition: lambda reply: reply.model_copy(update={"stance": {"nowhere": 100}}),
    Ratify: lambda reply: Ranking(order=(1,)),
}


@pytest.mark.parametrize("act", SENSELESS)
def test_a_reply_that_makes_no_sense_is_a_failure_whoever_gives_it(act: type[Act[Any]]) -> None:
    class Careless:
        """A responder of somebody's own, who looks at nothing before it answers."""

        name = "careless"

        async def perform(self, asked: Act[Any], *, seed: int) -> Performed[Any]:
            reply = answer(asked, seed)
            senseless = isinstance(asked, act) and asked.speaker in {"miller", "moderator"}
            return Performed(reply=SENSELESS[act](reply) if senseless else reply)

    state, _, _ = play(WHOLE, responder=Careless())
    failures = [result["failure"] for result in state["results"] if result["failure"]]
    assert {failure["kind"] for failure in failures} == {"invalid_reply"}
    assert all(failure["reason"].startswith("careless: ") for failure in failures)
    assert state["drafts"]


@pytest.mark.parametrize("given", [None, {"reply": "Yes."}])
def test_what_is_no_performed_act_is_a_failure(given: Any) -> None:
    class Careless:
        name = "careless"

        async def perform(self, asked: Act[Any], *, seed: int) -> Any:
            return given if asked.speaker == "miller" else Performed(reply=answer(asked, seed))

    state, _, _ = play(WHOLE, responder=Careless())
    reasons = {result["failure"]["reason"] for result in state["results"] if result["failure"]}
    assert reasons == {"careless: no Performed came back"}


def test_a_persona_that_fails_its_opening_is_asked_again_before_anyone_is_heard() -> None:
    state, responder, events = play(WHOLE, failing(TakePosition, of="sailor", first=2))
    opened = results_of(state, "open.position")
    assert [(r["round"], r["speaker"]) for r in opened] == [
        *((1, name) for name in NAMES),
        (2, "sailor"),
        (3, "sailor"),
    ]
    assert len({result["seed"] for result in opened}) == 5
    assert all(isinstance(act, TakePosition) for act in responder.acts[:5])
    openings = [turn for turn in state["turns"] if turn["round"] == 0]
    assert [turn["speaker"] for turn in openings] == ["miller", "nurse", "sailor"]
    assert [act.speaker for act in asked(responder, Respond)] == NAMES
    steps = [event for event in events if isinstance(event, StepFinished) and event.stage == "open"]
    assert [(step.round, step.asked, step.answered) for step in steps] == [(1, 3, 2), (2, 1, 0), (3, 1, 1)]


def test_a_persona_without_a_position_hears_nobody_and_abstains() -> None:
    state, responder, _ = play(WHOLE, failing(TakePosition, of="sailor"))
    assert [act.name for act in responder.acts if act.speaker == "sailor"] == ["take_position"] * 3
    assert "sailor" not in {turn["speaker"] for turn in state["turns"]}
    assert [ballot["persona"] for ballot in state["ballots"]] == NAMES
    abstained = state["ballots"][1]
    assert abstained == {
        "persona": "sailor",
        "draft": state["chosen"],
        "round": 1,
        "endorsement": None,
        "objection": None,
        "failure": "no_position",
    }
    assert {r["speaker"] for r in results_of(state, "compare.judge")} == {"miller", "nurse"}


def test_values_can_be_articulated_by_everybody_where_nobody_opens() -> None:
    state, _, _ = play(protocol("articulate"))
    assert [result["speaker"] for result in results_of(state, "articulate.card")] == NAMES


def test_a_failed_ballot_is_an_abstention_with_its_kind() -> None:
    state, _, _ = play(WHOLE, failing(Ratify, of="sailor"))
    ballot = next(ballot for ballot in state["ballots"] if ballot["persona"] == "sailor")
    assert (ballot["endorsement"], ballot["failure"]) == (None, "tired")


# --- seeds -----------------------------------------------------------------------------------


def test_every_act_has_a_seed_of_its_own() -> None:
    state, _, _ = play(WHOLE)
    seeds = [result["seed"] for result in state["results"]]
    assert len(set(seeds)) == len(seeds)


def test_a_seed_depends_on_the_runs_seed_and_the_acts_place_alone() -> None:
    seeds: list[dict[tuple[Any, ...], int]] = []
    for seed, panel, scenario in [
        (7, PANEL, SCENARIO),
        (7, panel_of(NURSE, MILLER, SAILOR), OPEN_QUESTION),
        (8, PANEL, SCENARIO),
    ]:
        state, _, _ = play(protocol("open", "exchange"), panel=panel, scenario=scenario, seed=seed)
        seeds.append({(r["step"], r["round"], r["speaker"]): r["seed"] for r in state["results"]})
    assert seeds[0] == seeds[1]
    assert not set(seeds[0].values()) & set(seeds[2].values())
    place = ("exchange.reply", 1, "reply", "nurse", "")
    assert seeds[0]["exchange.reply", 1, "nurse"] == derive_seed(7, *place)


# --- the exchange ----------------------------------------------------------------------------


def swaying(rounds: int, *, says_so: bool = False, by: int = 30) -> Script:
    """Let the nurse shift its stance (or just say so) in each of the first rounds."""

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        said = answer(act, seed)
        if isinstance(act, Respond) and act.persona is NURSE:
            moving = act.round <= rounds
            weight = 30 + (by * (act.round % 2) if not says_so and moving else 0)
            if not says_so and not moving:
                weight = 30 + by * (rounds % 2)
            stance = {"keep": weight, "stop": 100 - weight}
            return said.model_copy(update={"stance": stance, "moved": says_so and moving})
        return said

    return script


def rounds_played(state: dict[str, Any]) -> int:
    return max((int(result["round"]) for result in results_of(state, "exchange.reply")), default=0)


def test_an_exchange_in_which_nobody_moves_ends_after_its_first_round() -> None:
    state, _, _ = play(protocol("open", {"exchange": {"rounds": 5}}))
    assert rounds_played(state) == 1


@pytest.mark.parametrize("says_so", [True, False])
@pytest.mark.parametrize("moves", [1, 2, 3])
def test_an_exchange_goes_on_while_somebody_moves(moves: int, says_so: bool) -> None:
    state, _, _ = play(protocol("open", {"exchange": {"rounds": 6}}), swaying(moves, says_so=says_so))
    assert rounds_played(state) == moves + 1


def test_an_exchange_stops_at_its_rounds() -> None:
    state, _, _ = play(protocol("open", {"exchange": {"rounds": 3}}), swaying(20, says_so=True))
    assert rounds_played(state) == 3


def test_a_move_no_larger_than_still_counts_as_none() -> None:
    stages = protocol("open", {"exchange": {"rounds": 5, "still": 0.35}})
    assert rounds_played(play(stages, swaying(20))[0]) == 1


def test_a_persona_that_falls_silent_does_not_count_as_having_moved() -> None:
    state, _, _ = play(protocol("open", {"exchange": {"rounds": 5}}), failing(Respond, of="nurse"))
    assert rounds_played(state) == 1


def test_without_options_only_what_is_said_of_moving_counts() -> None:
    stages = protocol("open", {"exchange": {"rounds": 4}})
    assert rounds_played(play(stages, scenario=OPEN_QUESTION)[0]) == 1


# --- quorum ----------------------------------------------------------------------------------


def test_a_quorum_that_is_missed_is_told_with_its_reasons() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Respond) and act.persona is not MILLER:
            return Failure(kind="timeout", reason=f"no answer from the {act.persona.name}")
        return answer(act, seed)

    with pytest.raises(NoQuorumError) as caught:
        play(protocol("open", "exchange"), script)
    assert str(caught.value) == (
        "exchange: only 1 of 3 personas answered, and the protocol's quorum is 2: "
        "no answer from the nurse; no answer from the sailor"
    )


def test_a_quorum_that_is_just_met_is_enough() -> None:
    state, _, _ = play(protocol("open", "exchange"), failing(Respond, of="nurse"))
    assert len(results_of(state, "exchange.reply")) == 3


def test_a_quorum_of_all_needs_all() -> None:
    with pytest.raises(NoQuorumError, match=r"only 2 of 3 personas answered, and the protocol's quorum is 3"):
        play(protocol("open", quorum=1.0), failing(TakePosition, of="nurse"))


def test_a_quorum_of_openings_is_counted_when_nobody_is_left_to_ask_again() -> None:
    state, _, _ = play(protocol("open", quorum=1.0), failing(TakePosition, first=4))
    assert [turn["speaker"] for turn in state["turns"]] == ["sailor", "nurse", "miller"]
    with pytest.raises(NoQuorumError, match=r"^open: only 0 of 3"):
        play(protocol("open"), failing(TakePosition))


def test_a_quorum_is_counted_against_the_panel_whoever_was_asked() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        silent = "miller" if isinstance(act, ArticulateValue) else "sailor"
        return Failure(kind="tired", reason="tired") if act.speaker == silent else answer(act, seed)

    with pytest.raises(NoQuorumError, match=r"^articulate: only 1 of 3 .* quorum is 2: tired"):
        play(protocol("open", "articulate"), script)


def test_a_quorum_is_counted_in_whole_personas_whatever_the_last_bits_say() -> None:
    crowd = panel_of(*(MILLER.model_copy(update={"name": f"miller_{i}"}) for i in range(20)))

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        silent = {f"miller_{i}" for i in range(9)}
        return Failure(kind="tired", reason="tired") if act.speaker in silent else answer(act, seed)

    state, _, _ = play(protocol("open", quorum=0.55), script, panel=crowd)  # 0.55 * 20 is a little over 11
    assert len(state["turns"]) == 11


def test_a_moderator_that_fails_breaks_no_quorum() -> None:
    state, _, _ = play(WHOLE, failing(MergeCards, ProposeTransition, Synthesise))
    assert "drafts" not in state
    assert state["transitions"] == []


# --- limits ----------------------------------------------------------------------------------


def test_the_recursion_limit_suffices_for_the_longest_protocol() -> None:
    stages = protocol(
        "open",
        {"exchange": {"rounds": 20}},
        {"articulate": {"cards": 3}},
        "compare",
        {"synthesise": {"candidates": 2}},
        {"ratify": {"revise": 5}},
        "observe",
    )

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Respond):
            return swaying(20, says_so=True)(act, seed)
        return objecting_always(act, seed)

    state, _, _ = play(stages, script)
    assert rounds_played(state) == 20
    assert len(results_of(state, "ratify.revise")) == 5


def objecting_always(act: Act[Any], seed: int) -> BaseModel | Failure:
    return Ballot(endorsement=3, objection="Not yet.") if isinstance(act, Ratify) else answer(act, seed)


def test_the_recursion_limit_covers_five_cards_and_three_tries() -> None:
    five = MILLER.commitments + SAILOR.commitments[:2]
    panel = panel_of(*(p.model_copy(update={"commitments": five}) for p in PERSONAS))
    stages = protocol("open", {"articulate": {"cards": 5}}, "synthesise")
    state, _, _ = play(stages, failing(Synthesise), panel=panel)
    assert len(state["cards"]) == 15
    assert len(results_of(state, "synthesise.draft")) == 3


def test_the_recursion_limit_is_derived_from_the_protocol() -> None:
    short, long = protocol("open"), protocol("open", {"exchange": {"rounds": 20}})
    assert recursion_limit(short) < recursion_limit(long) < 1000


def test_a_graph_has_a_node_for_every_step() -> None:
    graph = build(protocol("open", "exchange")).get_graph()
    assert {node for node in graph.nodes if not node.startswith("__")} == {"open.position", "exchange.reply"}
    assert {(edge.source, edge.target) for edge in graph.edges if edge.conditional} == {
        ("open.position", "open.position"),
        ("open.position", "exchange.reply"),
        ("exchange.reply", "exchange.reply"),
        ("exchange.reply", "__end__"),
    }
