"""Rows: what a trainer is given of a deliberation, under whose system turn, with which label and margin."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import pytest
from hypothesis import given, settings

from multiplex.acts import AnswerAlone, TakePosition
from multiplex.content.roles import load_roles
from multiplex.dataset.assembling import Assembly, _follow_pairs, assemble
from multiplex.dataset.conditions import conditioned, tokens_of
from multiplex.dataset.intake import take_in
from multiplex.dataset.material import Material, user_turn
from multiplex.dataset.preferences import Thresholds
from multiplex.dataset.prompts import read_prompts
from multiplex.dataset.records import CONSENSUS_TURN, Row, rows_of
from multiplex.dataset.schemas import CONFIGS, check_row
from multiplex.dataset.store import Store
from multiplex.models.scripted import Scripted
from multiplex.responders.language_model import LanguageModelResponder
from tests.dataset.made import NAMES, material, pairs, text
from tests.dataset.test_preferences import MATERIALS
from tests.table import OPEN_QUESTION, PERSONAS, SCENARIO, Words

ASKED = """\
The ferry loses money from November to March. Eleven people use it on most nights.

Should the village keep the night ferry running through the winter?

The choice is about: keeping the night ferry

The options:
- keep: Keep the ferry every night
  Said for it: Nobody is left on the wrong shore.
- stop: Stop the ferry until spring
  Said for it: The money mends the bridge."""
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
        assert row.columns["origin"] == "here:1"
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


def test_what_was_shown_to_everyone_stands_in_every_prompt() -> None:
    """So it does for the model that answers without the panel, and what the panel endorsed comes after it."""
    for row in rows(WHOLE, "sft", "dpo", "kto", "reward", "grpo", "distribution"):
        for name in ("messages", "prompt", "chosen", "rejected"):
            said = [each["content"] for each in row.columns.get(name, ()) if each["role"] == "user"]
            kind = row.columns.get("kind")
            assert not said or said == [ASKED] or (row.config, kind) == ("distribution", "endorsement")
    for row in rows(WHOLE, "transcripts", "moral_graph"):
        assert row.columns["question"] == ASKED
    bare = material(OVERTON, scenario=OPEN_QUESTION)
    assert [row.columns["messages"][0]["content"] for row in rows(bare, "sft")] == [OPEN_QUESTION.question]


def test_the_user_turn_says_all_that_a_language_model_is_shown_of_a_scenario() -> None:
    shown = load_roles()["common", "scenario"].render(scenario=SCENARIO)
    for said in (
        SCENARIO.question,
        SCENARIO.context,
        SCENARIO.choice_context,
        *(part for option in SCENARIO.options for part in (option.key, option.text, *option.reasons)),
    ):
        assert said is not None
        assert said in shown
        assert said in ASKED
    # Whoever adds to what speakers are shown adds it to what a trainer is given.
    role = load_roles()["common", "scenario"].body
    fields = set(re.findall(r"(?:scenario|option)\.(\w+)", role))
    assert fields == {"question", "context", "choice_context", "options", "key", "text", "reasons"}


def test_the_model_without_the_panel_is_shown_the_same_scenario_as_the_panel() -> None:
    responder = LanguageModelResponder(Scripted(["{}"]))
    of_persona = responder.messages(TakePosition(scenario=SCENARIO, persona=PERSONAS[0]))[-1]["content"]
    alone = responder.messages(AnswerAlone(scenario=SCENARIO))[-1]["content"]
    shown = load_roles()["common", "scenario"].render(scenario=SCENARIO)
    assert of_persona.startswith(shown)
    assert alone.startswith(shown)


def test_what_stands_in_a_prompt_is_masked_wherever_it_stood(tmp_path: Path) -> None:
    given = {
        "question": "May Ada keep the bees?",
        "context": "Ada has bees.",
        "choice_context": "the bees of Ada",
        "options": [{"key": "yes", "text": "Ada may"}, {"key": "no", "text": "Ada may not"}],
    }
    (tmp_path / "letters of Ada.jsonl").write_text(json.dumps(given))
    with Store(tmp_path / "work") as store:
        taken = read_prompts([tmp_path / "letters of Ada.jsonl"])
        take_in(store, taken, embedder=Words(), folder=tmp_path / "work", masks=cast("Any", _Hide()))
        [task] = store.todo()
    asked = user_turn(task.prompt.scenario)
    assert "Ada" not in asked
    assert asked.count("[NAME_1]") == 5
    assert task.prompt.origin == "file 1:1"


class _Hide:
    """Masks one name, as a masker would."""

    names = frozenset[str]()

    def session(self, scenario: object = None) -> "_Hide":
        return self

    def mask(self, text: str) -> "_Hidden":
        return _Hidden(text.replace("Ada", "[NAME_1]"), {"NAME": text.count("Ada")} if "Ada" in text else {})

    def mask_all(self, texts: Sequence[str]) -> "list[_Hidden]":
        return [*map(self.mask, texts)]


@dataclass(frozen=True)
class _Hidden:
    text: str
    counts: dict[str, int]


def test_a_pair_is_the_same_in_dpo_and_in_reward_where_conversations_are_whole() -> None:
    endorsed = [row for row in rows(WHOLE, "dpo") if row.columns["margin"] is not None]
    assert endorsed
    for one, other in zip(endorsed, rows(WHOLE, "reward"), strict=True):
        assert other.columns["chosen"] == one.columns["prompt"] + one.columns["chosen"]
        assert other.columns["rejected"] == one.columns["prompt"] + one.columns["rejected"]
        for name in ("margin", "reason", "rule", "persona", "supporters", "opponents"):
            assert other.columns[name] == one.columns[name]
        assert 0 < other.columns["margin"] <= 1


def test_a_margin_comes_from_endorsement_alone_and_that_of_the_claims_has_a_name_of_its_own() -> None:
    for row in rows(WHOLE, "dpo"):
        columns = row.columns
        votes = [
            {each["persona"]: each["endorsement"] for each in columns[f"{side}_endorsements"]}
            for side in ("chosen", "rejected")
        ]
        both = [
            (votes[0][name], votes[1][name]) for name in NAMES if votes[0].get(name) and votes[1].get(name)
        ]
        if row.columns["rule"] == "in_character":
            assert (columns["margin"], columns["claims_margin"]) == (None, 1.0)
        else:
            assert columns["margin"] == pytest.approx(fmean(a - b for a, b in both) / 6, abs=1e-4)
    assert "in_character" not in {row.columns["rule"] for row in rows(WHOLE, "reward")}


@pytest.mark.parametrize("configs", [("dpo", "reward"), ("dpo",)])
def test_pairs_that_are_not_in_reward_are_counted_where_it_is_asked_for(
    tmp_path: Path, configs: tuple[str, ...]
) -> None:
    with Store(tmp_path) as store:
        store.add_prompt(WHOLE.prompt)
        store.done(1, WHOLE.model_dump_json())
        assemble(store, tmp_path, Assembly(configs=configs), embedder=Words(), masks=None)
        counts = store.counts()["pairs"]
        made = [columns["rule"] for _, columns in store.columns("dpo")]
    assert made.count("in_character") == len(NAMES)
    left_out = counts.get("in_character: not in reward, without a margin from endorsement", {"number": 0})
    assert left_out["number"] == (len(NAMES) if "reward" in configs else 0)


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


def test_what_is_good_by_one_rule_and_bad_by_another_is_left_out(tmp_path: Path) -> None:
    [pair] = [each for each in pairs(WHOLE) if each.rule == "coverage"]
    torn = replace(pair, rule="ratified", chosen=ALONE, rejected=DRAFT)
    with Store(tmp_path) as store:
        store.stage([row for each in (pair, torn) for row in rows_of(WHOLE, [each], configs=["dpo", "kto"])])
        halves = _follow_pairs(store, Assembly(configs=("dpo", "kto")))
        found = [(columns["kind"], columns["label"]) for _, columns in store.columns("kto")]
    assert found == [("overton", True), ("draft", False)]
    assert halves == {"shared": 0, "torn": 2}


def test_judgements_and_claims_are_by_persona() -> None:
    [row] = rows(WHOLE, "grpo")
    columns = row.columns
    assert columns["prompt"] == [{"role": "user", "content": ASKED}]
    assert [each["text"] for each in columns["answers"]] == [each.text for each in TEXTS[:4]]
    assert len(columns["judgements"]) == 4 * len(NAMES)
    mine = [each for each in columns["judgements"] if each["persona"] == "miller"]
    kinds = [each["kind"] for each in columns["answers"]]
    assert {(kinds[each["answer"]], each["endorsement"], each["objection"]) for each in mine} == {
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
    assert stance.columns["prompt"][0]["content"] == ASKED
    assert endorsement.columns["prompt"][0]["content"].startswith(f"{ASKED}\n\nHow far would you endorse")
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
