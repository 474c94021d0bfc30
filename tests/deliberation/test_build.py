"""Whole deliberations with scripted replies: the order of things, who sees what, and what goes wrong."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from multiplex.acts import (
    Act,
    ArticulateValue,
    Ballot,
    Failure,
    JudgeTransition,
    MergeCards,
    Merger,
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
from multiplex.embedding import Vectors
from multiplex.errors import ModelError, NoQuorumError
from multiplex.responders.scripted import ScriptedResponder
from multiplex.seeds import derive_seed
from tests.table import (
    MILLER,
    NURSE,
    OPEN_QUESTION,
    PANEL,
    PERSONAS,
    SAILOR,
    SCENARIO,
    Script,
    Words,
    answer,
    panel_of,
    play,
    proposal,
    protocol,
)

WHOLE = protocol(
    "open",
    {"exchange": {"rounds": 2}},
    {"articulate": {"cards": 2}},
    {"compare": {"pairs_per_persona": 4}},
    {"synthesise": {"candidates": 3}},
    {"ratify": {"revise": 1}},
    "observe",
)
NAMES = [persona.name for persona in PERSONAS]


def asked(responder: ScriptedResponder, kind: type[Act[Any]]) -> list[Any]:
    return [act for act in responder.acts if isinstance(act, kind)]


def failing(*which: type[Act[Any]], of: str | None = None, first: int = 10**6) -> Script:
    """Answer, but let the first acts of these kinds fail (of one speaker, if named)."""
    left = first

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        nonlocal left
        if isinstance(act, which) and of in {None, act.speaker} and left:
            left -= 1
            return Failure(kind="tired", reason=f"{act.speaker} is LOST FOR WORDS")
        return answer(act, seed)

    return script


# --- the order of things ---------------------------------------------------------------------


by_step_and_by_act = pytest.mark.parametrize("by_act", [False, True], ids=["by step", "by act"])
"""How a graph goes where no checkpoints are kept, and where they are."""


@by_step_and_by_act
@pytest.mark.parametrize("name", protocol_names())
def test_every_shipped_protocol_runs_to_its_end(name: str, by_act: bool) -> None:
    state, responder, _ = play(load_protocol(name), by_act=by_act)
    assert len(state["results"]) == len(responder.acts) > 0
    assert all(result["failure"] is None for result in state["results"])
    assert state.get("drafts") or state["answer"]


@pytest.mark.parametrize("script", [answer, failing(Respond, Ratify, of="sailor")], ids=["all", "some"])
def test_act_by_act_comes_to_the_same_as_step_by_step(script: Script) -> None:
    stages = protocol("open", {"exchange": {"rounds": 2}}, "articulate", "compare", "synthesise", "ratify")
    by_step, _, heard = play(stages, script)
    by_act, _, heard_too = play(stages, script, by_act=True)
    assert by_act == by_step
    assert Counter(map(repr, heard)) == Counter(map(repr, heard_too))


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


@by_step_and_by_act
def test_the_record_keeps_its_order_whoever_answers_first(by_act: bool) -> None:
    stages = protocol("open", "exchange", "articulate", "compare")
    swift, _, _ = play(stages)
    state, _, events = play(stages, pauses={"miller": 0.03, "sailor": 0.015}, by_act=by_act)
    assert state == swift
    heard = [event.speaker for event in events if isinstance(event, ActFinished)]
    assert heard[:3] == list(reversed(NAMES))


@by_step_and_by_act
def test_events_tell_of_every_act_and_every_step(by_act: bool) -> None:
    state, _, events = play(WHOLE, by_act=by_act)
    started = [event for event in events if isinstance(event, ActStarted)]
    finished = [event for event in events if isinstance(event, ActFinished)]
    assert len(started) == len(finished) == len(state["results"])
    assert all(event.reply and event.failure is None for event in finished)
    steps = [event for event in events if isinstance(event, StepFinished)]
    assert steps[0] == StepFinished("open", "open.position", 1, 3, 3)
    assert sum(step.asked for step in steps) == len(state["results"])


@by_step_and_by_act
def test_a_step_that_has_nobody_to_ask_counts_nobody_twice(by_act: bool) -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Ratify) and "draft 0" in act.statement and act.persona is NURSE:
            return Ballot(endorsement=2, objection="Say who sits up at night.")
        return answer(act, seed)

    state, _, events = play(protocol("open", "synthesise", "ratify"), script, by_act=by_act)
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


# --- comparing -------------------------------------------------------------------------------


def test_a_moderator_that_fails_to_merge_merges_nothing() -> None:
    state, _, _ = play(WHOLE, failing(MergeCards))
    assert [value["id"] for value in state["values"]] == [card["id"] for card in state["cards"]]
    assert all(card == into for card, into in state["aliases"].items())


def test_merged_cards_are_compared_as_one() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, MergeCards):
            return Merger(groups=(("sailor.1", "nurse.1"),))
        return answer(act, seed)

    state, responder, _ = play(protocol("open", "articulate", "compare"), script)
    assert state["aliases"] == {"miller.1": "miller.1", "sailor.1": "sailor.1", "nurse.1": "sailor.1"}
    assert [value["authors"] for value in state["values"]] == [["miller"], ["sailor", "nurse"]]
    assert {act.card.id for act in asked(responder, ProposeTransition)} == {"miller.1", "sailor.1"}


def test_one_card_is_compared_with_nothing() -> None:
    state, responder, _ = play(
        protocol("articulate", "compare"), panel=panel_of(MILLER), scenario=OPEN_QUESTION
    )
    assert [value["id"] for value in state["values"]] == ["miller.1"]
    assert state["transitions"] == []
    assert [act.name for act in responder.acts] == ["articulate_value"]


def circling(act: Act[Any], seed: int) -> BaseModel | Failure:
    """Propose pairs in both directions: cards in twos, each the wiser of the other."""
    if isinstance(act, ProposeTransition):
        known = sorted([act.card.id, *(card.id for card in act.others)])
        place = known.index(act.card.id)
        other = known[place + 1 if place % 2 == 0 and place + 1 < len(known) else place - 1]
        return proposal(act, other)
    return answer(act, seed)


def test_nobody_is_asked_both_directions_of_a_pair() -> None:
    stages = protocol("open", {"articulate": {"cards": 2}}, {"compare": {"pairs_per_persona": 100}})
    state, responder, _ = play(stages, circling)
    pairs = [frozenset((t["source"], t["wiser"])) for t in state["transitions"]]
    assert len(pairs) == 6
    assert len(set(pairs)) == 3
    for persona in PERSONAS:
        own = [act.transition for act in asked(responder, JudgeTransition) if act.persona is persona]
        assert len(own) == len({frozenset((t.source, t.wiser)) for t in own}) == 3


def test_a_transition_keeps_what_becomes_of_every_policy() -> None:
    state, _, _ = play(protocol("articulate", "compare"))
    values = {value["id"]: value for value in state["values"]}
    for transition in state["transitions"]:
        assert [each["policy"] for each in transition["mapping"]] == values[transition["source"]]["policies"]
        assert {each["how"] for each in transition["mapping"]} == {"keeps_what_matters"}


def of_a_crowd(script: Script, **options: Any) -> tuple[dict[str, Any], ScriptedResponder]:
    """Let nine millers, nine sailors and nine nurses write a card each, and compare those."""
    crowd = panel_of(*(p.model_copy(update={"name": f"{p.name}_{i}"}) for i in range(9) for p in PERSONAS))
    state, responder, _ = play(protocol("articulate", "compare"), script, panel=crowd, **options)
    return state, responder


def merging_all(act: Act[Any], seed: int) -> BaseModel | Failure:
    """Confirm every cluster."""
    if isinstance(act, MergeCards):
        return Merger(groups=act.clusters)
    return answer(act, seed)


def test_cards_near_to_one_another_are_shown_to_the_moderator_in_clusters_as_many_as_fit() -> None:
    state, responder = of_a_crowd(merging_all, embed=Words().embed)
    acts = asked(responder, MergeCards)
    assert [[{id_.split("_")[0] for id_ in cluster} for cluster in act.clusters] for act in acts] == [
        [{"miller"}, {"sailor"}],
        [{"nurse"}],
    ]
    assert [len(act.cards) for act in acts] == [18, 9]
    assert [result["about"] for result in results_of(state, "compare.merge")] == [
        state["groups"][0][0],
        state["groups"][2][0],
    ]
    assert len(state["values"]) == 3
    assert len(state["aliases"]) == 27
    assert state["aliases"]["nurse_8.1"] == "nurse_0.1"


def test_of_a_few_cards_too_only_those_in_a_cluster_are_asked_about() -> None:
    panel = panel_of(*PERSONAS, *(p.model_copy(update={"name": f"{p.name}_2"}) for p in (MILLER, NURSE)))
    state, responder, _ = play(
        protocol("articulate", "compare"), merging_all, panel=panel, embed=Words().embed
    )
    [act] = asked(responder, MergeCards)
    assert act.clusters == (("miller.1", "miller_2.1"), ("nurse.1", "nurse_2.1"))
    assert "sailor.1" not in {card.id for card in act.cards}
    assert {id_ for id_, into in state["aliases"].items() if id_ != into} == {"miller_2.1", "nurse_2.1"}


def test_nobody_is_asked_to_merge_where_no_cards_lie_near_to_one_another() -> None:
    state, responder, _ = play(protocol("articulate", "compare"), merging_all, embed=Words().embed)
    assert state["groups"] == []
    assert not asked(responder, MergeCards)
    assert [value["id"] for value in state["values"]] == ["miller.1", "sailor.1", "nurse.1"]


def test_a_cluster_can_be_split_or_rejected() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, MergeCards):
            split = [cluster for cluster in act.clusters if cluster[0].startswith("miller")]
            return Merger(groups=tuple(part for each in split for part in (each[:4], each[4:])))
        return answer(act, seed)

    state, _ = of_a_crowd(script, embed=Words().embed)
    kinds = Counter(value["id"].split("_")[0] for value in state["values"])
    assert kinds == {"miller": 2, "sailor": 9, "nurse": 9}


def absent(texts: Sequence[str]) -> Vectors:
    raise ModelError("the embedding model cannot be loaded", kind="embedding")


@pytest.mark.parametrize("embed", [None, absent], ids=["nothing embeds", "no model is there"])
def test_all_cards_are_shown_at_once_where_nothing_is_embedded(embed: Any) -> None:
    state, responder = of_a_crowd(answer, embed=embed)
    assert [len(act.cards) for act in asked(responder, MergeCards)] == [27]
    assert asked(responder, MergeCards)[0].clusters == ()
    assert "groups" not in state
    assert "shortlists" not in state
    assert {len(act.others) for act in asked(responder, ProposeTransition)} == {26}


def test_a_request_to_merge_that_fails_leaves_the_others_merged() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, MergeCards) and "nurse" in act.cards[0].id:
            return Failure(kind="tired", reason="tired")
        return merging_all(act, seed)

    state, _ = of_a_crowd(script, embed=Words().embed)
    assert len(state["values"]) == 11


def test_a_group_too_large_for_one_request_is_shown_in_parts() -> None:
    crowd = panel_of(*(MILLER.model_copy(update={"name": f"miller_{i}"}) for i in range(50)))
    _, responder, _ = play(protocol("articulate", "compare"), panel=crowd, embed=Words().embed)
    assert [len(act.cards) for act in asked(responder, MergeCards)] == [24, 24, 2]
    assert len({card.id for act in asked(responder, MergeCards) for card in act.cards}) == 50


def test_a_wiser_card_is_chosen_from_a_few_of_many() -> None:
    state, responder = of_a_crowd(answer, embed=Words().embed)
    acts = asked(responder, ProposeTransition)
    assert len(acts) == 27
    for act in acts:
        assert len(act.others) == 5
        assert {other.id for other in act.others} == set(state["shortlists"][act.card.id])
        assert act.shown == ()
        assert {other.title for other in act.others} == {act.card.title}
    assert of_a_crowd(answer, embed=Words().embed)[0] == state


@pytest.mark.parametrize("most", [1, 2, 4])
@pytest.mark.parametrize("seed", range(3))
def test_transitions_get_about_as_many_judges(most: int, seed: int) -> None:
    stages = protocol("open", {"articulate": {"cards": 3}}, {"compare": {"pairs_per_persona": most}})
    crowd = panel_of(*PERSONAS, *(p.model_copy(update={"name": f"{p.name}_2"}) for p in PERSONAS))
    state, _, _ = play(stages, panel=crowd, seed=seed)
    judged = results_of(state, "compare.judge")
    load = Counter({t["id"]: 0 for t in state["transitions"]})
    load.update(result["about"] for result in judged)
    assert set(Counter(result["speaker"] for result in judged).values()) == {most}
    assert max(load.values()) - min(load.values()) <= 1


def test_who_judges_what_is_drawn_anew_for_every_seed() -> None:
    stages = protocol("open", {"articulate": {"cards": 3}}, {"compare": {"pairs_per_persona": 2}})
    draws = []
    for seed in range(4):
        state, _, _ = play(stages, seed=seed)
        draws.append([(r["speaker"], r["about"]) for r in results_of(state, "compare.judge")])
    assert len({tuple(draw) for draw in draws}) > 1


# --- synthesis, ranking, ratification --------------------------------------------------------


def test_a_moderator_that_fails_the_draft_is_asked_three_times() -> None:
    state, responder, _ = play(protocol("open", "synthesise", "ratify"), failing(Synthesise))
    assert [result["round"] for result in results_of(state, "synthesise.draft")] == [1, 2, 3]
    assert "drafts" not in state
    assert not asked(responder, Ratify)


def test_a_moderator_that_succeeds_at_last_is_not_asked_again() -> None:
    state, _, _ = play(protocol("open", "synthesise", "ratify"), failing(Synthesise, first=2))
    assert [bool(result["reply"]) for result in results_of(state, "synthesise.draft")] == [False, False, True]
    assert len(state["drafts"]) == 1
    assert state["ballots"]


def test_one_candidate_that_is_left_is_not_ranked() -> None:
    _, responder, _ = play(protocol("open", {"synthesise": {"candidates": 2}}), failing(Synthesise, first=1))
    assert not asked(responder, Rank)


def preferring(wanted: str) -> Script:
    """Rank the statements by how they are worded: the wanted one first, wherever it stands."""

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Rank):
            order = sorted(range(len(act.statements)), key=lambda i: wanted not in act.statements[i])
            return Ranking(order=tuple(i + 1 for i in order))
        return answer(act, seed)

    return script


@pytest.mark.parametrize("wanted", [0, 1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_the_ranking_finds_what_all_prefer_however_it_was_shuffled(wanted: int, seed: int) -> None:
    stages = protocol("open", {"synthesise": {"candidates": 3}})
    state, _, _ = play(stages, preferring(f"draft {wanted}."), seed=seed)
    assert state["chosen"] == wanted
    assert all(ballot[wanted] == 0 for ballot in state["ranking"]["ballots"].values())
    assert state["ranking"]["ranks"][wanted] == 0


def test_statements_are_shown_in_an_order_of_ones_own() -> None:
    stages = protocol("open", {"synthesise": {"candidates": 6}})
    _, responder, _ = play(stages)
    shown = [act.statements for act in asked(responder, Rank)]
    assert len(set(shown)) > 1
    assert len({frozenset(statements) for statements in shown}) == 1


def test_what_the_majority_prefers_stands_against_one_who_does_not() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        wanted = "draft 2." if act.speaker == "nurse" else "draft 1."
        return preferring(wanted)(act, seed)

    state, _, _ = play(protocol("open", {"synthesise": {"candidates": 3}}), script)
    assert state["chosen"] == 1


def test_rankings_that_all_fail_leave_no_quorum() -> None:
    with pytest.raises(NoQuorumError, match=r"^synthesise: only 0 of 3"):
        play(protocol("open", {"synthesise": {"candidates": 2}}), failing(Rank))


def test_the_candidate_that_was_chosen_is_the_one_that_is_ratified() -> None:
    stages = protocol("open", {"synthesise": {"candidates": 3}}, "ratify")
    _, responder, _ = play(stages, preferring("draft 2."))
    assert {act.statement for act in asked(responder, Ratify)} == {"The statement, draft 2."}


def objecting(*endorsements: int) -> Script:
    """Let everyone endorse the drafts so, one after the other, and object below 5."""
    given: dict[str, int] = {}

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Ratify):
            place = given[act.persona.name] = given.get(act.persona.name, -1) + 1
            mark = endorsements[place]
            return Ballot(endorsement=mark, objection="Not yet." if mark < 5 else None)
        if isinstance(act, Synthesise) and act.previous:
            said = answer(act, seed)
            return said.model_copy(update={"consensus": f"{act.previous.consensus} Revised."})
        return answer(act, seed)

    return script


def ratified(revise: int, *endorsements: int) -> dict[str, Any]:
    stages = protocol("open", "synthesise", {"ratify": {"revise": revise}})
    return play(stages, objecting(*endorsements))[0]


def test_without_objections_nothing_is_revised() -> None:
    state = ratified(3, 6)
    assert len(state["drafts"]) == 1
    assert not results_of(state, "ratify.revise")


@pytest.mark.parametrize("revise", [0, 1, 2, 5])
def test_a_statement_is_revised_at_most_so_often(revise: int) -> None:
    state = ratified(revise, *[3] * (revise + 1))
    assert len(state["drafts"]) == revise + 1
    assert len(results_of(state, "ratify.ballot")) == 3 * (revise + 1)


@pytest.mark.parametrize(
    ("endorsements", "stands"), [((3, 6), 1), ((4, 2), 0), ((4, 4), 1), ((2, 4, 3), 1), ((4, 2, 3), 0)]
)
def test_the_better_draft_stands_and_a_tie_goes_to_the_later(
    endorsements: tuple[int, ...], stands: int
) -> None:
    state = ratified(len(endorsements) - 1, *endorsements)
    assert len(state["drafts"]) == len(endorsements)
    assert state["chosen"] == stands


def test_the_moderator_revises_from_the_objections_and_the_draft_that_they_were_made_to() -> None:
    stages = protocol("open", "synthesise", {"ratify": {"revise": 2}})
    _, responder, _ = play(stages, objecting(4, 2, 5))
    revisions = [act for act in asked(responder, Synthesise) if act.previous]
    assert [act.previous.consensus for act in revisions] == [
        "The statement, draft 0.",
        "The statement, draft 0. Revised.",
    ]
    assert [[o.endorsement for o in act.objections] for act in revisions] == [[4, 4, 4], [2, 2, 2]]
    assert [o.persona for o in revisions[0].objections] == NAMES


def test_a_revision_that_fails_leaves_the_draft_as_it_is() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Ratify):
            return Ballot(endorsement=3, objection="Not yet.")
        if isinstance(act, Synthesise) and act.previous:
            return Failure(kind="tired", reason="tired")
        return answer(act, seed)

    state, _, _ = play(protocol("open", "synthesise", {"ratify": {"revise": 3}}), script)
    assert len(state["drafts"]) == 1
    assert state["chosen"] == 0
    assert len(results_of(state, "ratify.ballot")) == 3
    assert len(results_of(state, "ratify.revise")) == 1


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


def test_a_graph_has_a_node_for_every_step_and_two_where_checkpoints_are_kept() -> None:
    def nodes(checkpointer: Any) -> set[str]:
        graph = build(protocol("open", "exchange"), checkpointer=checkpointer).get_graph()
        return {node for node in graph.nodes if not node.startswith("__")}

    assert nodes(None) == {"open.position", "exchange.reply"}
    assert nodes(InMemorySaver()) == {
        "open.position.ask",
        "open.position.settle",
        "exchange.reply.ask",
        "exchange.reply.settle",
    }


def test_while_all_cards_fit_all_are_shown_in_one_order_and_a_few_may_be_named() -> None:
    crowd = panel_of(*(MILLER.model_copy(update={"name": f"miller_{i}"}) for i in range(9)))
    state, responder, _ = play(protocol("articulate", "compare"), panel=crowd, embed=Words().embed)
    acts = asked(responder, ProposeTransition)
    assert {len(act.others) for act in acts} == {5}
    assert {act.shown for act in acts} == {acts[0].shown}
    assert [card.id for card in acts[0].shown] == [value["id"] for value in state["values"]]
