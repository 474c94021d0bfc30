"""Assembling: the same pairs in every form, what is left out is told, and topics of one's own are balanced over."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from multiplex.content.scenarios import Scenario
from multiplex.dataset.assembling import Assembly, assemble
from multiplex.dataset.material import Material
from multiplex.dataset.prompts import Prompt
from multiplex.dataset.store import Store
from multiplex.dataset.summary import covered, left_out, told
from multiplex.embedding import Vectors
from multiplex.responders.extractive.moderator import NOTHING
from tests.dataset.made import NAMES, material, text
from tests.table import Words

WORDS = (
    "amber",
    "birch",
    "cedar",
    "dune",
    "ember",
    "fjord",
    "grove",
    "heath",
    "islet",
    "jetty",
    "knoll",
    "lagoon",
)
"""A word for every prompt, so that texts of different prompts are far apart."""

Found = dict[str, list[dict[str, Any]]]


def of(number: int, *, label: str | None = None, **changes: Any) -> Material:
    """Return what a deliberation on one prompt left: the rules make six pairs of it."""
    word = WORDS[number]

    def said(kind: str) -> str:
        return " ".join(f"{word}{kind}{n}" for n in range(40)) + "."

    given = {"community": "community"}.get(str(label))
    scenario = Scenario(name=f"q{number}", question=f"What of the {word}?", domain=given)
    texts = [
        text("overton", votes=(6, 6, 6), carried=(1.0, 1.0, 1.0), said=said("all")),
        text("alone", votes=(2, 3, 3), carried=(0.0, 0.0, 0.5), objects=("miller",), said=said("alone")),
        text("consensus", votes=(6, 5, 6), carried=(0.5, 0.5, 0.5), said=said("agreed")),
        text("draft", votes=(3, 5, 5), carried=(0.5, 0.5, 0.5), said=said("draft")),
    ]
    for place, name in enumerate(NAMES):
        own = [1.0 if other == place else 0.0 for other in range(len(NAMES))]
        texts.append(text("steered", persona=name, carried=own, said=said(name)))
    made = material(*texts, scenario=scenario, prompt=f"p{number}", **changes)
    prompt = Prompt(
        id=f"p{number}",
        scenario=scenario,
        group=f"p{number}",
        origin=f"here:{number}",
        label=None if given else label,
    )
    return made.model_copy(update={"prompt": prompt})


class Made:
    """Assembles materials: the rows by config, and the report."""

    def __init__(self, folder: Path, materials: list[Material], **options: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        assembly = Assembly(**{"shares": {"train": 1.0, "validation": 0.0, "test": 0.0}, **options})
        with Store(folder) as store:
            for place, each in enumerate(materials, start=1):
                store.add_prompt(each.prompt)
                store.done(place, each.model_dump_json())
            _, made = assemble(store, folder, assembly, embedder=Words(), masks=None)
            self.report = {"left_out": store.counts(), **made}
            self.rows: Found = {
                config: [columns for _, columns in store.columns(config)] for config in assembly.configs
            }
            self.counts = store.counts()


def pairs_in(rows: list[dict[str, Any]]) -> set[tuple[str, str, str | None]]:
    return {(row["prompt_id"], row["rule"], row["persona"]) for row in rows}


TIGHT = {"perspective": 1.0, "topics": 1.0, "schwartz": 1.0}


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Ten prompts on one topic and two on another, with room for half of what there is."""
    materials = [of(n, label="community" if n < 10 else "housing law") for n in range(12)]
    return Made(tmp_path_factory.mktemp("balanced"), materials, balance=TIGHT)


def test_dpo_reward_and_kto_hold_the_same_pairs_when_balance_left_some_out(balanced: Made) -> None:
    dpo, kto = balanced.rows["dpo"], balanced.rows["kto"]
    curated = balanced.report["curation"]["pairs"]
    assert curated["over"] > 10
    assert len(dpo) == curated["kept"] == balanced.report["made"]["pairs"] - curated["over"]
    assert pairs_in(balanced.rows["reward"]) == pairs_in([row for row in dpo if row["margin"] is not None])
    wanted = {(str(row["prompt"]), row["chosen"][0]["content"], True) for row in dpo}
    wanted |= {(str(row["prompt"]), row["rejected"][0]["content"], False) for row in dpo}
    assert {(str(row["prompt"]), row["completion"][0]["content"], row["label"]) for row in kto} == wanted
    assert len(kto) == len(wanted)


def test_an_answer_that_two_pairs_reject_stands_once_as_long_as_either_is_kept(balanced: Made) -> None:
    # Without a system turn the answer without the panel is rejected by coverage and by ratified alike.
    halves = balanced.report["halves"]
    assert halves["shared"] > 0
    assert len(balanced.rows["kto"]) == 2 * len(balanced.rows["dpo"]) - halves["shared"] - halves["torn"]
    one = {p for p, rule, _ in pairs_in(balanced.rows["dpo"]) if rule in {"coverage", "ratified"}}
    alone = [row["prompt_id"] for row in balanced.rows["kto"] if row["kind"] == "alone"]
    assert sorted(alone) == sorted(one)


def test_the_pairs_are_the_same_whichever_forms_are_asked_for(balanced: Made, tmp_path: Path) -> None:
    materials = [of(n, label="community" if n < 10 else "housing law") for n in range(12)]
    alone = Made(tmp_path, materials, balance=TIGHT, configs=("kto",))
    assert alone.rows["kto"] == balanced.rows["kto"]
    assert set(alone.rows) == {"kto"}
    assert set(left_out(alone.report)) == {"kto"}


class Alike(Words):
    """Takes every text for the same, but for what each persona itself says."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return an array of shape (len(texts), 256), one unit vector a text."""
        return super().embed([each if "miller" in each else "the same for all" for each in texts])


def test_a_pair_that_is_a_near_duplicate_goes_from_every_form(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        for place in (1, 2):
            made = of(place)
            store.add_prompt(made.prompt)
            store.done(place, made.model_dump_json())
        _, report = assemble(store, tmp_path, Assembly(), embedder=Alike(), masks=None)
        rows = {config: [c for _, c in store.columns(config)] for config in ("dpo", "reward", "kto")}
    assert report["near_duplicates"]["pairs"] == report["made"]["pairs"] // 2 - 1
    kept = pairs_in(rows["dpo"])
    assert kept == {(p, r, who) for p, r, who in kept if p == "p1" or who == "miller"}
    assert pairs_in(rows["kto"]) == kept
    assert pairs_in(rows["reward"]) == {
        (row["prompt_id"], row["rule"], row["persona"]) for row in rows["dpo"] if row["margin"] is not None
    }


def test_what_was_left_out_is_a_sentence_a_config_that_names_the_axis(balanced: Made) -> None:
    lines = left_out(balanced.report)
    assert set(lines) == set(balanced.rows)
    curated = balanced.report["curation"]["pairs"]
    assert lines["dpo"].startswith(
        f"{curated['kept']} of {balanced.report['made']['pairs']} pairs; left out: "
    )
    assert f"{curated['over']} for balance (" in lines["dpo"]
    assert f"topics {curated['over_by']['topics']}" in lines["dpo"]
    assert lines["kto"].startswith(f"{len(balanced.rows['kto'])} answers of {curated['kept']} pairs (")
    assert lines["reward"].startswith(
        f"{len(balanced.rows['reward'])} of {curated['kept']} pairs; a pair that"
    )


@pytest.mark.parametrize(
    ("configs", "named"),
    [
        (("sft", "dpo", "kto", "reward"), "dpo, kto and reward: of "),
        (("dpo", "kto"), "dpo and kto: of "),
        (("dpo",), "dpo: of "),
        (("kto", "sft"), "kto: of "),
    ],
)
def test_the_console_names_the_configs_that_were_asked_for_alone(
    configs: tuple[str, ...], named: str, tmp_path: Path
) -> None:
    made = Made(
        tmp_path / "work", [of(n, label="community") for n in range(3)], balance=TIGHT, configs=configs
    )
    (tmp_path / "report.json").write_text(json.dumps(made.report))
    lines = [line for line in told(tmp_path) if " pairs left out: " in line]
    assert [line[: len(named)] for line in lines] == [named]


@pytest.mark.parametrize("report", [None, b"{", b"\xff", b"[]", b"{}"])
def test_of_a_report_that_is_not_there_or_not_of_this_version_nothing_is_told(
    report: bytes | None, tmp_path: Path
) -> None:
    if report is not None:
        (tmp_path / "report.json").write_bytes(report)
    assert told(tmp_path) == []


def test_a_report_of_this_version_that_lacks_something_is_an_error(balanced: Made, tmp_path: Path) -> None:
    lacking = {name: each for name, each in balanced.report.items() if name != "coverage"}
    (tmp_path / "report.json").write_text(json.dumps(lacking))
    with pytest.raises(KeyError):
        told(tmp_path)


def test_ties_give_no_row_in_any_form_of_pairs(tmp_path: Path) -> None:
    def tied(number: int) -> Material:
        made = of(number)
        votes = dict.fromkeys(NAMES, 5)
        even = [each.model_copy(update={"endorsements": votes, "objections": {}}) for each in made.texts]
        return made.model_copy(update={"texts": tuple(e for e in even if e.kind != "steered")})

    made = Made(tmp_path, [tied(0), of(1)])
    assert made.report["rules"]["coverage"] == {"tie": 1, "made": 1}
    assert made.report["rules"]["after_critique"] == {"tie": 1, "made": 1}
    for config in ("dpo", "kto", "reward"):
        assert {row["prompt_id"] for row in made.rows[config]} == {"p1"}


def test_with_conditions_a_pair_whose_scores_are_the_same_is_left_out_of_every_form_and_counted(
    tmp_path: Path,
) -> None:
    votes = {
        "consensus": (6, 6, 5),
        "draft": (5, 5, 5),
    }  # 4 and 4 in steps of a fifth, the mean and the least
    made = of(0)
    texts = [
        each.model_copy(update={"endorsements": dict(zip(NAMES, votes[each.kind], strict=True))})
        if each.kind in votes
        else each
        for each in made.texts
    ]
    near = made.model_copy(update={"texts": tuple(texts)})
    plain = Made(tmp_path / "plain", [near])
    assert plain.report["rules"]["after_critique"] == {"made": 1}
    told_scores = Made(tmp_path / "told", [near], conditions=True)
    assert told_scores.report["rules"]["after_critique"] == {"same_scores": 1}
    assert told_scores.counts["pairs"]["after_critique: same_scores"]["number"] == 1
    for config in ("dpo", "kto", "reward"):
        lost = pairs_in(plain.rows[config]) - pairs_in(told_scores.rows[config])
        assert lost == {("p0", "after_critique", None)}


def test_of_what_nobody_lost_nothing_is_said_to_be_left_out(tmp_path: Path) -> None:
    made = Made(tmp_path, [of(0), of(1)])
    assert left_out(made.report)["sft"] == "10 of 10 rows"


def test_what_the_gate_left_out_is_told_of_beside_the_rows_that_were_made(tmp_path: Path) -> None:
    made = of(0)
    short = made.model_copy(update={"texts": (*made.texts, text("steered", persona=NAMES[0], said="No."))})
    told_of = left_out(Made(tmp_path, [short], configs=("sft",)).report)
    judged = len(made.texts) + 1
    assert told_of == {"texts": f"of {judged} the quality gate left out 1 too short", "sft": "5 of 5 rows"}


def test_where_the_panel_had_nothing_to_say_no_form_holds_what_it_agreed_on(tmp_path: Path) -> None:
    made = of(0)
    texts = [
        each.model_copy(update={"text": f"{each.text} {NOTHING}"}) if each.kind == "overton" else each
        for each in made.texts
    ]
    found = Made(tmp_path, [made.model_copy(update={"texts": tuple(texts)})])
    assert found.counts["texts"]["off_topic"]["number"] == 3
    assert {row["kind"] for row in found.rows["sft"]} == {"steered"}
    assert {row["rule"] for row in found.rows["dpo"]} == {"in_character"}
    assert [each["kind"] for row in found.rows["grpo"] for each in row["answers"]] == ["alone"]
    assert found.rows["distribution"] == []
    assert [row["kind"] for row in Made(tmp_path / "x", [made]).rows["distribution"]] == ["endorsement"]


def test_what_is_no_row_is_not_called_one(tmp_path: Path) -> None:
    report = Made(tmp_path, [of(0)], configs=("sft",)).report
    kinds = {"empty": 1, "exhausted": 1, "not_generated": 2, "passed_over": 3}
    counts = {kind: {"number": number, "examples": []} for kind, number in kinds.items()}
    assert left_out({**report, "left_out": {"prompts": counts}})["prompts"] == (
        "left out 1 empty, 2 requests for questions that brought none, 3 files and folders that are not read"
    )
    del counts["empty"], counts["not_generated"], counts["passed_over"]
    assert set(left_out({**report, "left_out": {"prompts": counts}})) == {"sft"}


def test_a_topic_of_ones_own_is_kept_and_balanced_over(balanced: Made) -> None:
    cells = balanced.report["curation"]["sft"]["axes"]["topics"]["cells"]
    assert set(cells) == {"community", "housing law"}
    assert cells["community"]["after"] < cells["community"]["before"]
    assert {row["domain"] for row in balanced.rows["sft"]} == {"community", "housing law"}


def test_what_prompts_cover_stands_in_the_report_and_in_a_sentence(balanced: Made) -> None:
    found = balanced.report["coverage"]
    assert (found["prompts"], found["clustered"]) == (12, 12)
    assert {name: n for name, n in found["topics"].items() if n} == {"community": 10, "housing law": 2}
    assert sum(each["prompts"] for each in found["clusters"]) == 12
    assert covered(balanced.report).startswith(
        "12 on 1 of 16 topics and 1 of their own (community 10, housing law 2); "
    )
    assert "without a topic" not in covered(balanced.report)


def test_prompts_without_a_topic_are_counted(tmp_path: Path) -> None:
    made = Made(tmp_path, [of(0), of(1, label="community")])
    assert "; 1 without a topic, over which they are not balanced" in covered(made.report)


def _of_nobody(made: Material) -> Iterator[Mapping[str, Any]]:
    for voice in made.voices:
        yield voice.model_dump() | {"system": " "} if voice.name == "miller" else voice.model_dump()


def test_rows_whose_turns_no_trainer_takes_are_left_out_and_counted(tmp_path: Path) -> None:
    made = of(0)
    blank = Material.model_validate(made.model_dump() | {"voices": list(_of_nobody(made))})
    found = Made(tmp_path, [blank])
    schema = found.counts["rows"]["schema"]
    assert schema["number"] == 4  # its own answer in sft, the pair in dpo, and both halves in kto
    assert all("message 1 has no content" in each for each in schema["examples"])
    for config in ("sft", "dpo", "kto", "reward"):
        assert "miller" not in {row["persona"] for row in found.rows[config]}
    assert "schema" not in found.report["gate"]["checks"]
