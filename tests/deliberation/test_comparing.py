"""Comparing values in whole deliberations: merged, proposed, judged, and shown to as many as fit."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Failure, JudgeTransition, MergeCards, Merger, ProposeTransition
from multiplex.deliberation.state import results_of
from multiplex.embedding import Vectors
from multiplex.errors import ModelError
from multiplex.responders.scripted import ScriptedResponder
from tests.deliberation.made import WHOLE, asked, failing
from tests.table import (
    MILLER,
    NURSE,
    OPEN_QUESTION,
    PERSONAS,
    Script,
    Words,
    answer,
    panel_of,
    play,
    proposal,
    protocol,
)


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


def test_while_all_cards_fit_all_are_shown_in_one_order_and_a_few_may_be_named() -> None:
    crowd = panel_of(*(MILLER.model_copy(update={"name": f"miller_{i}"}) for i in range(9)))
    state, responder, _ = play(protocol("articulate", "compare"), panel=crowd, embed=Words().embed)
    acts = asked(responder, ProposeTransition)
    assert {len(act.others) for act in acts} == {5}
    assert {act.shown for act in acts} == {acts[0].shown}
    assert [card.id for card in acts[0].shown] == [value["id"] for value in state["values"]]
