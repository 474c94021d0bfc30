"""Rows: what a trainer is given of a deliberation, under whose system turn, with which label and margin."""

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from multiplex.dataset.conditions import conditioned, tokens_of
from multiplex.dataset.material import Material
from multiplex.dataset.preferences import Thresholds
from multiplex.dataset.records import CONSENSUS_TURN, Row, rows_of
from multiplex.dataset.schemas import CONFIGS, check_row
from tests.dataset.made import NAMES, material, pairs, text
from tests.dataset.test_preferences import MATERIALS
from tests.table import OPEN_QUESTION, SCENARIO

ASKED = f"{SCENARIO.context}\n\n{SCENARIO.question}"
ALL, LITTLE = (1.0, 1.0, 1.0), (0.2, 0.2, 0.2)
OVERTON = text("overton", votes=(6, 6, 5), carried=ALL, entropy=0.8)
ALONE = text("alone", votes=(3, 4, 5), carried=LITTLE, entropy=0.1)
CONSENSUS = text("consensus", votes=(5, 5, None), carried=(0.0, 0.5, 0.5), objects=["sailor"])
DRAFT = text("draft", votes=(2, 3, 3), objects=["miller"])
OWN = [
    text("steered", persona=name, carried=[float(place == other) for other in range(3)])
    for place, name in enumerate(NAMES)
]
TEXTS = (OVERTON, CONSENSUS, DRAFT, ALONE, *OWN)
TRANSCRIPT = (
    {
        "step": "open.position",
        "round": 1,
        "act": "position",
        "speaker": "miller",
        "about": "",
        "reply": {"statement": "Grüße"},
        "failure": None,
    },
    {
        "step": "open.position",
        "round": 1,
        "act": "position",
        "speaker": "nurse",
        "about": "",
        "reply": None,
        "failure": "timeout",
    },
)
GRAPH = {
    "values": [
        {"id": name, "title": name, "instructionsShort": "It is so.", "evaluationCriteria": ["STREAMS"]}
        for name in ("a", "b")
    ],
    "edges": [
        {
            "sourceValueId": "a",
            "wiserValueId": "b",
            "contexts": ["at home", "at work"],
            "counts": {"markedWiser": 2, "markedNotWiser": 1, "markedLessWise": 1, "markedUnsure": 3},
            "summary": {"wiserLikelihood": 0.5},
            "kept": False,
        }
    ],
}
SHARES = {
    "overall": {"keep": 0.6, "stop": 0.4},
    "by_persona": {"miller": {"keep": 0.8, "stop": 0.2}, "sailor": None, "nurse": {"keep": 0.4, "stop": 0.6}},
}
WHOLE = material(*TEXTS, shares=SHARES, moral_graph=GRAPH, transcript=TRANSCRIPT)


def rows(found: Material = WHOLE, *configs: str, **options: Any) -> list[Row]:
    return list(rows_of(found, pairs(found), configs=configs or CONFIGS, **options))


def roles(messages: Iterable[dict[str, str]]) -> list[str]:
    return [message["role"] for message in messages]


def of_rule(found: list[Row], rule: str) -> list[Row]:
    return [row for row in found if row.columns["rule"] == rule]


def test_every_config_has_rows_that_fit_its_schema_and_ids_that_stand_once() -> None:
    found = rows()
    assert {row.config for row in found} == set(CONFIGS)
    for row in found:
        check_row(row.config, row.columns)
        assert re.fullmatch(r"[0-9a-f]{16}", row.id)
        assert row.columns["id"] == row.id
        assert (row.columns["prompt_id"], row.columns["group"]) == ("p1", "group of p1")
        assert row.columns["is_simulated"] is True
    assert len({(row.config, row.id) for row in found}) == len(found)
    assert [row.id for row in rows()] == [row.id for row in found]
    other = rows(WHOLE.model_copy(update={"prompt": WHOLE.prompt.model_copy(update={"id": "p2"})}))
    assert not {row.id for row in other} & {row.id for row in found}


def test_an_answer_of_one_persona_stands_under_its_system_turn_and_the_consensus_under_its_own() -> None:
    found = {(row.kind, row.persona): row.columns["messages"] for row in rows(WHOLE, "sft")}
    assert set(found) == {("overton", None), ("consensus", None), *(("steered", name) for name in NAMES)}
    assert roles(found["overton", None]) == ["user", "assistant"]
    assert found["consensus", None][0] == {"role": "system", "content": CONSENSUS_TURN}
    system = found["steered", "nurse"][0]["content"]
    assert system == WHOLE.voice("nurse").system
    assert "speaks for nobody but itself" in system
    assert all(each[-2] == {"role": "user", "content": ASKED} for each in found.values())


def test_scores_of_a_text_are_means_of_what_was_given() -> None:
    found = {row.kind: row.columns for row in rows(WHOLE, "sft")}
    assert found["overton"]["endorsement"] == pytest.approx(17 / 3, abs=1e-4)
    assert (found["overton"]["coverage"], found["overton"]["perspective_entropy"]) == (1.0, 0.8)
    assert found["consensus"]["endorsement"] == 5.0
    assert found["steered"]["endorsement"] is None


def test_what_is_rejected_in_character_is_anothers_answer_under_the_first_ones_system_turn() -> None:
    answers = {each.text: each.persona for each in OWN}
    found = of_rule(rows(WHOLE, "dpo"), "in_character")
    assert [row.persona for row in found] == list(NAMES)
    for row in found:
        columns = row.columns
        assert columns["prompt"][0]["content"] == WHOLE.voice(row.persona or "").system
        assert answers[columns["chosen"][0]["content"]] == row.persona
        assert answers[columns["rejected"][0]["content"]] not in {row.persona, None}
        assert (columns["supporters"], columns["opponents"]) == ([row.persona], [])
        assert columns["perspective"] == WHOLE.voice(row.persona or "").perspective


def test_a_pair_tells_who_is_on_which_side_and_who_dissents() -> None:
    [row] = of_rule(rows(WHOLE, "dpo"), "coverage")
    columns = row.columns
    assert (columns["supporters"], columns["opponents"]) == (["miller", "sailor"], [])
    assert columns["chosen_endorsements"][2] == {"persona": "nurse", "endorsement": 5}
    assert (columns["chosen_kind"], columns["rejected_kind"]) == ("overton", "alone")
    [row] = of_rule(rows(WHOLE, "dpo"), "after_critique")
    assert row.columns["dissent"] == [{"persona": "sailor", "text": "sailor objects."}]
    assert row.columns["chosen_endorsements"][2] == {"persona": "nurse", "endorsement": None}
    assert (row.columns["supporters"], row.columns["opponents"]) == (["miller", "sailor"], [])


def test_a_pair_is_the_same_in_dpo_and_in_reward_where_conversations_are_whole() -> None:
    for one, other in zip(rows(WHOLE, "dpo"), rows(WHOLE, "reward"), strict=True):
        assert other.columns["chosen"] == one.columns["prompt"] + one.columns["chosen"]
        assert other.columns["rejected"] == one.columns["prompt"] + one.columns["rejected"]
        for name in ("margin", "reason", "rule", "persona", "supporters", "opponents"):
            assert other.columns[name] == one.columns[name]
        assert 0 < other.columns["margin"] <= 1


def labelled(found: list[Row]) -> dict[tuple[str, str], set[bool]]:
    said: dict[tuple[str, str], set[bool]] = {}
    for row in found:
        key = (json.dumps(row.columns["prompt"]), row.columns["completion"][0]["content"])
        said.setdefault(key, set()).add(row.columns["label"])
    return said


def test_each_side_of_a_pair_is_good_or_bad_by_itself() -> None:
    found = rows(WHOLE, "kto")
    assert len(found) == 2 * len(pairs(WHOLE))
    assert all(len(labels) == 1 for labels in labelled(found).values())
    bad = [row for row in found if not row.columns["label"]]
    assert all(row.columns["reason"].startswith("rejected; of the other: ") for row in bad)


def test_what_is_good_by_one_rule_and_bad_by_another_is_left_out() -> None:
    [pair] = [each for each in pairs(WHOLE) if each.rule == "coverage"]
    torn = replace(pair, rule="ratified", chosen=ALONE, rejected=DRAFT)
    found = list(rows_of(WHOLE, [pair, torn], configs=["kto"]))
    assert [(row.kind, row.columns["label"]) for row in found] == [("overton", True), ("draft", False)]


def test_judgements_and_claims_are_by_persona() -> None:
    [row] = rows(WHOLE, "grpo")
    columns = row.columns
    assert columns["prompt"] == [{"role": "user", "content": ASKED}]
    assert len(columns["judgements"]) == 4 * len(NAMES)
    mine = [each for each in columns["judgements"] if each["persona"] == "miller"]
    assert {(each["kind"], each["endorsement"], each["objection"]) for each in mine} == {
        ("overton", 6, None),
        ("consensus", 5, None),
        ("draft", 2, "miller objects."),
        ("alone", 3, None),
    }
    assert [each["persona"] for each in columns["claims"]] == list(NAMES)
    assert row.completion == ""


def test_shares_are_those_of_the_options_and_of_the_seven_levels() -> None:
    stance, endorsement = rows(WHOLE, "distribution")
    assert stance.columns["shares"] == [0.6, 0.4]
    assert [each["persona"] for each in stance.columns["by_persona"]] == ["miller", "nurse"]
    assert "- keep: Keep the ferry every night" in stance.columns["prompt"][0]["content"]
    columns = endorsement.columns
    assert [option["key"] for option in columns["options"]] == list("1234567")
    assert columns["shares"] == [0, 0, 0, 0, 1.0, 0, 0]
    assert columns["entropy"] == 0
    assert [each["persona"] for each in columns["by_persona"]] == ["miller", "sailor"]
    open_ended = material(OVERTON, scenario=OPEN_QUESTION, shares=None)
    assert rows(open_ended, "distribution") == []


def test_a_transcript_keeps_replies_as_json_and_failures_as_failures() -> None:
    [row] = rows(WHOLE, "transcripts")
    turns = row.columns["turns"]
    assert json.loads(turns[0]["reply"]) == {"statement": "Grüße"}
    assert (turns[1]["reply"], turns[1]["failure"]) == (None, "timeout")


def test_an_edge_counts_not_wiser_and_less_wise_together() -> None:
    [row] = rows(WHOLE, "moral_graph")
    [edge] = row.columns["edges"]
    assert (edge["wiser_count"], edge["not_wiser"], edge["unsure"], edge["abstained"]) == (2, 2, 3, 0)
    assert edge["context"] == "at home; at work"
    assert rows(WHOLE.model_copy(update={"moral_graph": {"values": [], "edges": []}}), "moral_graph") == []


def test_values_behind_a_text_are_its_personas_or_those_of_everyone_it_carries() -> None:
    by_text = {(row.kind, row.persona): row.schwartz for row in rows(WHOLE, "sft")}
    assert by_text["steered", "sailor"] == ("Loyal", "Helpful")
    assert by_text["steered", "nurse"] == ("Helpful",)
    assert set(by_text["overton", None]) == {"Helpful", "Loyal"}


# --- conditions --------------------------------------------------------------------------------


def test_scores_become_tokens_from_1_to_5_and_what_is_undefined_has_none() -> None:
    assert tokens_of(OVERTON) == (
        "<coverage: 5>",
        "<endorsement: 4>",
        "<least_endorsement: 4>",
        "<perspective_entropy: 5>",
    )
    assert tokens_of(ALONE) == (
        "<coverage: 2>",
        "<endorsement: 3>",
        "<least_endorsement: 2>",
        "<perspective_entropy: 1>",
    )
    assert tokens_of(text("draft")) == ()
    assert tokens_of(text("draft", votes=(1, None))) == ("<endorsement: 1>", "<least_endorsement: 1>")
    assert tokens_of(text("draft", votes=(7, 7))) == ("<endorsement: 5>", "<least_endorsement: 5>")


def test_tokens_stand_before_the_system_turn_or_are_one() -> None:
    assert (
        conditioned("Speak.", ("<coverage: 5>", "<endorsement: 4>"))
        == "<coverage: 5> <endorsement: 4>\n\nSpeak."
    )
    assert conditioned(None, ("<coverage: 5>",)) == "<coverage: 5>"
    assert conditioned("Speak.", ()) == "Speak."
    assert conditioned(None, ()) is None


def test_with_conditions_both_texts_of_a_pair_stand_under_the_scores_of_the_chosen_one() -> None:
    for config in ("dpo", "kto"):
        for row in of_rule(rows(WHOLE, config, conditions=True), "coverage"):
            system = row.columns["prompt"][0]
            assert system["role"] == "system"
            assert system["content"].splitlines()[0] == " ".join(tokens_of(OVERTON))
    plain = {row.id for row in rows(WHOLE)}
    assert {row.id for row in rows(WHOLE, conditions=True)} == plain


# --- whatever there is -------------------------------------------------------------------------


@settings(max_examples=40)
@given(MATERIALS)
def test_rows_of_anything_fit_their_schemas_and_teach_nothing_both_ways(found: Material) -> None:
    least = Thresholds(margin=0.0, faithful=0.0)
    made = pairs(found, seed=1, thresholds=least)
    for conditions in (False, True):
        every = list(rows_of(found, made, configs=CONFIGS, conditions=conditions))
        for row in every:
            check_row(row.config, row.columns)
        assert len({(row.config, row.id) for row in every}) == len(every)
        assert all(len(labels) == 1 for labels in labelled([r for r in every if r.config == "kto"]).values())
