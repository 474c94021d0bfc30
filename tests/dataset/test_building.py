"""Datasets built from prompts to folder: gone on with, built anew, and whatever is wrong told in a sentence."""

import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, AnswerAlone, Answered, Failure, Synthesise, TakePosition
from multiplex.dataset.assembling import Assembly
from multiplex.dataset.building import TITLE, Publication
from multiplex.dataset.checking import examine
from multiplex.dataset.masking import Masks, masked
from multiplex.dataset.preferences import Thresholds
from multiplex.dataset.privacy import Masker
from multiplex.dataset.prompts import Prompt, Skipped, prompt_id, read_prompts
from multiplex.dataset.schemas import CONFIGS
from multiplex.dataset.summary import left_out, told
from multiplex.errors import ContentError, ModelError, RunError
from tests.dataset.made import (
    QUESTIONS,
    WORDS,
    Table,
    files_of,
    half_written,
    material,
    report,
    said,
    text,
    write_prompts,
)
from tests.table import PANEL

ALL_STAGES = ("open", "articulate", "compare", "synthesise", "ratify")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Table:
    """A whole dataset, which tests look at and leave as it is."""
    made = Table(tmp_path_factory.mktemp("built"), stages=ALL_STAGES)
    made.build(write_prompts(made.folder / "prompts.jsonl"))
    return made


# --- from prompts to a folder ------------------------------------------------------------------


@pytest.mark.slow
def test_a_built_dataset_is_sound_and_holds_every_kind_of_records(built: Table) -> None:
    assert examine(built.out).problems == []
    manifest = json.loads((built.out / "manifest.json").read_text())
    assert set(manifest["counts"]) == set(CONFIGS)
    assert manifest["sources"][0]["file"] == "file 1"
    assert report(built.out)["prompts"] == {"deliberated": len(QUESTIONS), "failed": 0}
    assert {rule: counts["made"] for rule, counts in report(built.out)["rules"].items()} == {
        "coverage": len(QUESTIONS),
        "in_character": 3 * len(QUESTIONS),
        "after_critique": len(QUESTIONS),
        "ratified": len(QUESTIONS),
    }


@pytest.mark.slow
def test_another_folder_gets_the_same_data_whatever_the_number_at_once(built: Table, tmp_path: Path) -> None:
    other = Table(tmp_path, stages=ALL_STAGES)
    prompts = write_prompts(tmp_path / "prompts.jsonl")
    other.build(prompts, at_once=1, assembly=Assembly(configs=("dpo", "grpo")))
    there = files_of(built.out)
    shards = {
        name: digest for name, digest in files_of(other.out).items() if name.startswith(("data/", "jsonl/"))
    }
    assert len(shards) == 12
    assert shards.items() <= there.items()


def test_to_run_it_again_asks_nobody_and_writes_nothing(table: Table, prompts: Path) -> None:
    phases: list[str] = []
    first = table.build(prompts, assembly=WORDS, on_phase=phases.append)
    assert phases == ["prompts", "deliberations", "rows", "files"]
    times = {path: path.stat().st_mtime_ns for path in (table.out / "data").rglob("*")}
    asked = len(table.responder.acts)
    phases.clear()
    assert table.build(prompts, assembly=WORDS, on_phase=phases.append).sha256 == first.sha256
    assert (len(table.responder.acts), phases) == (asked, ["deliberations"])
    assert {path: path.stat().st_mtime_ns for path in (table.out / "data").rglob("*")} == times


@pytest.mark.parametrize("lost", ["data", "report.json", "README.md", "jsonl", "manifest.json"])
def test_to_run_it_again_brings_back_a_file_that_is_lost(table: Table, prompts: Path, lost: str) -> None:
    first = table.build(prompts, assembly=WORDS)
    before, asked = files_of(table.out), len(table.responder.acts)
    there = table.out / lost
    shutil.rmtree(there) if there.is_dir() else there.unlink()
    assert table.build(prompts, assembly=WORDS).sha256 == first.sha256
    assert files_of(table.out) == before
    assert len(table.responder.acts) == asked


@pytest.mark.parametrize("damaged", ["report.json", "data/transcripts/train-00000-of-00001.parquet"])
def test_to_run_it_again_writes_over_no_file_that_was_changed_and_leaves_an_edited_card(
    table: Table, prompts: Path, damaged: str
) -> None:
    table.build(prompts, assembly=WORDS)
    (card := table.out / "README.md").write_text(card.read_text() + "\nMine.\n")
    before = files_of(table.out)
    table.build(prompts, assembly=WORDS)
    assert files_of(table.out) == before
    (path := table.out / damaged).write_bytes(path.read_bytes()[:-9])
    changed = files_of(table.out)
    with pytest.raises(ContentError, match=rf"{re.escape(damaged)}: is not as it was written; remove it"):
        table.build(prompts, assembly=WORDS)
    assert files_of(table.out) == changed
    path.unlink()
    table.build(prompts, assembly=WORDS)
    assert examine(table.out).problems == []
    assert files_of(table.out)["README.md.bak"] == before["README.md"]


def test_what_is_told_again_as_it_is_by_default_is_told(table: Table, prompts: Path) -> None:
    def card(publication: Publication) -> str:
        table.build(prompts, assembly=WORDS, publication=publication)
        return (table.out / "README.md").read_text(encoding="utf-8")

    assert "pretty_name: Mine\nlanguage:\n- fr\n" in card(Publication(title="Mine", languages=("fr",)))
    assert "pretty_name: Mine\nlanguage:\n- fr\n" in card(Publication())
    assert f"pretty_name: {TITLE}\nlanguage:\n- fr\n" in card(Publication(title=TITLE))
    assert f"pretty_name: {TITLE}\nlanguage:\n- en\n" in card(Publication(languages=("en",)))
    assert f"pretty_name: {TITLE}\nlanguage:\n- en\n" in card(Publication())
    told = json.loads((table.out / "manifest.json").read_text())["options"]["publication"]
    assert (told["title"], told["languages"]) == (TITLE, ["en"])


def test_other_options_of_assembly_ask_nobody_and_give_what_a_new_build_would(
    table: Table, prompts: Path
) -> None:
    table.build(prompts, assembly=WORDS)
    asked = len(table.responder.acts)
    both = replace(WORDS, configs=("grpo", "transcripts"), conditions=True)
    other = Publication(title="Another title", license="cc-by-4.0")
    manifest = table.build(prompts, assembly=both, publication=other)
    assert len(table.responder.acts) == asked
    assert manifest.counts.keys() == {"grpo", "transcripts"}
    assert examine(table.out).problems == []
    anew = Table(table.folder / "anew").build(prompts, assembly=both)
    assert anew.data_sha256 == manifest.data_sha256


def test_what_was_built_with_other_options_is_not_taken_for_it_after_a_kill(
    table: Table, prompts: Path
) -> None:
    table.build(prompts, assembly=WORDS)

    def stop(phase: str) -> None:
        if phase == "files":
            raise KeyboardInterrupt

    other = replace(WORDS, configs=("grpo",))
    with pytest.raises(KeyboardInterrupt):
        table.build(prompts, assembly=other, on_phase=stop)
    assert examine(table.out).problems == []  # the first dataset is still there
    assert table.build(prompts, assembly=other).counts.keys() == {"grpo"}
    assert table.build(prompts, assembly=WORDS).counts.keys() == {"transcripts"}


def test_near_duplicates_are_left_out_and_what_is_close_stays_in_one_split(table: Table) -> None:
    ferry = "Should the village on the northern shore keep the old night ferry running all winter long?"
    asked = [
        ferry,
        ferry.replace("Should", "should"),
        ferry.replace("all winter long", "in winter"),
        QUESTIONS[1],
    ]
    prompts = write_prompts(table.folder / "prompts.jsonl", asked)
    halves = {"train": 0.5, "validation": 0.25, "test": 0.25}
    table.build(prompts, assembly=replace(WORDS, shares=halves))
    left_out = report(table.out)["left_out"]["prompts"]
    assert left_out["near_duplicate"]["number"] == 1
    assert left_out["near_duplicate"]["examples"][0].startswith("file 1:2: as ")
    rows = [
        json.loads(line)
        for path in (table.out / "jsonl").rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    groups = {row["question"]: row["group"] for row in rows}
    assert len(groups) == 3
    assert len(set(groups.values())) == 2
    assert groups[asked[0]] == groups[asked[2]]


def test_one_deliberation_that_fails_is_counted_and_tried_again_the_next_time(
    table: Table, prompts: Path
) -> None:
    ill = True

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if ill and isinstance(act, TakePosition) and "baker" in act.scenario.question:
            return Failure("timeout", "no answer within 9 s")
        return said(act, seed)

    flaky = Table(table.folder / "flaky", script)
    first = flaky.build(prompts, assembly=WORDS)
    assert first.counts == {"transcripts": {"train": 1}}
    assert report(flaky.out)["prompts"] == {"deliberated": 1, "failed": 1}
    [failure] = report(flaky.out)["failures"]
    assert failure == {"prompt": prompt_id(QUESTIONS[1]), "kind": "no_quorum"}
    again = flaky.build(prompts, assembly=WORDS)  # it fails again: nothing has changed
    assert again.sha256 == first.sha256
    ill = False
    asked = len(flaky.responder.acts)
    whole = flaky.build(prompts, assembly=WORDS)
    assert 0 < len(flaky.responder.acts) - asked < asked
    assert whole.data_sha256 == table.build(prompts, assembly=WORDS).data_sha256


# --- what is refused ---------------------------------------------------------------------------


def test_a_folder_begun_with_another_plan_is_refused(table: Table, prompts: Path) -> None:
    table.build(prompts, assembly=WORDS)
    before = files_of(table.out)
    changes: tuple[tuple[dict[str, Any], str], ...] = (
        ({"model": "openai:other"}, r"another model \(--model\) \('scripted', and now 'openai:other'\)"),
        ({"multiplex": "9.9"}, r"another version of Multiplex \('0', and now '9.9'\)"),
        ({"masker": {"names": "contexts"}}, "another way of masking"),
        ({"content": {"personas/miller": "f" * 64}}, "another state of personas"),
        ({"recipe": replace(table.recipe, seed=1)}, r"another seed \(--seed\) \(0, and now 1\)"),
    )
    for changed, named in changes:
        with pytest.raises(
            ContentError, match=rf"dataset: was begun with {named}.*; give the same to go on with it"
        ):
            table.build(prompts, assembly=WORDS, plan=changed)
    write_prompts(prompts, QUESTIONS[:3])
    with pytest.raises(ContentError, match=r"prompts\.jsonl has changed since; give the same files"):
        table.build(prompts)
    assert files_of(table.out) == before


def test_a_plan_may_change_as_long_as_no_prompt_has_been_taken_in(table: Table, prompts: Path) -> None:
    (wrong := table.folder / "wrong.jsonl").write_text('{"title": "no question here"}\n')
    with pytest.raises(ContentError, match="no column holds the question"):
        table.build(wrong)
    assert not table.out.exists()
    assert table.build(prompts, assembly=WORDS).counts == {"transcripts": {"train": 2}}


def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_is(table: Table, prompts: Path) -> None:
    (file := table.folder / "file").write_text("")
    (foreign := table.folder / "foreign").mkdir()
    (foreign / "thesis.tex").write_text("")
    (finished := table.folder / "finished").mkdir()
    (finished / "manifest.json").write_text("{}")
    for out, why in (
        (file, "file: is a file; name a folder with --out"),
        (foreign, r"foreign: is not empty \(it holds 'thesis\.tex'\); name another folder with --out"),
        (finished, "finished: holds a finished dataset, and not what it was made from; name another folder"),
    ):
        with pytest.raises(ContentError, match=why):
            table.build(prompts, out=out)
    assert table.responder.acts == []
    assert [path.name for path in foreign.iterdir()] == ["thesis.tex"]
    assert [path.name for path in finished.iterdir()] == ["manifest.json"]


def test_a_folder_below_a_file_cannot_be_written(table: Table, prompts: Path) -> None:
    with pytest.raises(RunError, match=r"\.build: cannot be written: Not a directory"):
        table.build(prompts, out=prompts / "dataset")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no rows; put a prompt in each"),
        (
            b"\n\n",
            "no prompt to deliberate on: every row was left out (2 empty), as prompts.jsonl:1: the line is empty",
        ),
        (b'\xff\xfe{\x00"\x00\n', "is UTF-16 text; save it as UTF-8"),
        (b'{"question": ""}\n{"question": 7}\n', "every row was left out (1 empty, 1 malformed)"),
        (b'{"question": "' + b"a " * 50_000 + b'?"}\n', "every row was left out (1 too_long)"),
    ],
)
def test_a_file_without_a_prompt_is_told_with_what_became_of_its_rows(
    table: Table, content: bytes, why: str
) -> None:
    (path := table.folder / "prompts.jsonl").write_bytes(content)
    with pytest.raises(ContentError) as error:
        table.build(path)
    assert why in str(error.value)
    assert not table.out.exists()


def test_a_refused_build_removes_no_folder_and_nothing_that_was_there(table: Table) -> None:
    (wrong := table.folder / "wrong.jsonl").write_text('{"question": ""}\n')
    (there := table.folder / "there").mkdir()
    with pytest.raises(ContentError, match="every row was left out"):
        table.build(wrong, out=there)
    assert [*there.iterdir()] == []
    with pytest.raises(ContentError, match="every row was left out"):
        table.build(wrong, out=table.folder / "one" / "two")
    assert not (table.folder / "one").exists()
    (there / ".build").mkdir()
    (there / ".build" / "lock").touch()
    with pytest.raises(ContentError, match="every row was left out"):
        table.build(wrong, out=there)
    assert (there / ".build" / "work.sqlite").exists()
    paid = table.folder / "paid"

    def asked() -> Iterator[Prompt | Skipped]:
        (paid / ".build" / "responses.sqlite").touch()
        yield from read_prompts([wrong])

    with pytest.raises(ContentError, match="every row was left out"):
        table.build(wrong, out=paid, read=asked)
    assert (paid / ".build" / "responses.sqlite").exists()


def test_rows_that_are_too_long_or_not_utf8_are_counted_and_the_others_are_built(table: Table) -> None:
    path = table.folder / "prompts.jsonl"
    path.write_bytes(
        b'{"question": "'
        + b"why " * 25_000
        + b'?"}\n\xff\xfe\n\n{"question": "Who keeps the bells in order?"}\n'
    )
    assert table.build(path, assembly=WORDS).counts == {"transcripts": {"train": 1}}
    kinds = {kind: each["number"] for kind, each in report(table.out)["left_out"]["prompts"].items()}
    assert kinds == {"too_long": 1, "not_utf8": 1, "empty": 1}
    said = "left out 1 empty, 1 not utf8, 1 too long"
    assert told(table.out)[0] == f"prompts: {said} (see report.json)"
    assert f"- `prompts`: {said}\n" in (table.out / "README.md").read_text(encoding="utf-8")


def test_a_generator_that_refuses_everything_leaves_no_row_and_no_manifest(
    table: Table, prompts: Path
) -> None:
    def refusing(act: Act[Any], seed: int) -> BaseModel | Failure:
        reply = said(act, seed)
        sorry = "I'm sorry, but I can't help with that request, and I would rather not say why."
        if isinstance(act, Synthesise):
            return reply.model_copy(update={"overton": sorry, "consensus": sorry})
        if isinstance(act, TakePosition):
            return reply.model_copy(update={"statement": sorry})
        return Answered(answer=sorry) if isinstance(act, AnswerAlone) else reply

    refused = Table(table.folder / "refused", refusing)
    with pytest.raises(RunError) as error:
        refused.build(prompts, assembly=Assembly(configs=("sft", "dpo", "kto", "reward")))
    assert "dataset: no row is left to write: 2 of 2 deliberations came to something; " in str(error.value)
    assert "; texts: of 12 the quality gate left out 2 too short, 8 refusal" in str(error.value)
    assert half_written(refused.out) == []


def test_a_generator_that_answers_nothing_is_told_with_its_first_failure(table: Table, prompts: Path) -> None:
    silent = Table(table.folder / "silent", lambda act, seed: Failure("refused", "I will not"))
    with pytest.raises(
        RunError, match=r"0 of 2 deliberations came to something; the first failure was: .*I will not"
    ):
        silent.build(prompts)
    assert half_written(silent.out) == []


def test_after_twenty_failures_and_no_success_the_rest_is_not_tried(table: Table) -> None:
    many = write_prompts(
        table.folder / "many.jsonl", [f"{word} {word} {word}?" for word in map(str, range(60))]
    )
    silent = Table(table.folder / "silent", lambda act, seed: Failure("refused", "I will not"))
    with pytest.raises(
        RunError, match=r"the first 2\d deliberations all failed, so the rest was not tried: "
    ):
        silent.build(many, at_once=2)
    assert len({act.scenario.question for act in silent.responder.acts}) < 25


def test_a_model_that_cannot_be_used_ends_the_build_and_leaves_what_there_was(
    table: Table, prompts: Path
) -> None:
    ill = False

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if ill:
            raise ModelError("openai:x: the key is refused", kind="refused")
        if isinstance(act, TakePosition) and "baker" in act.scenario.question:
            return Failure("timeout", "no answer")
        return said(act, seed)

    flaky = Table(table.folder / "flaky", script)
    flaky.build(prompts, assembly=WORDS)
    before, ill = files_of(flaky.out), True
    with pytest.raises(ModelError, match="the key is refused"):
        flaky.build(prompts, assembly=WORDS)
    assert files_of(flaky.out) == before
    assert examine(flaky.out).problems == []


def test_what_came_out_empty_is_told_with_why(table: Table, prompts: Path) -> None:
    asked = Assembly(
        configs=("dpo", "reward", "transcripts", "moral_graph"), thresholds=Thresholds(margin=1.0)
    )
    made = table.build(prompts, assembly=asked)
    found = report(table.out)
    assert set(made.counts) == {"dpo", "transcripts"} == set(found["configs"])
    pairs = sum(made.counts["dpo"].values())
    why = f"0 of {pairs} pairs; a pair that nobody endorsed both sides of has no margin, and is not here"
    graph = "0 rows; no deliberation came to one, which takes compare"
    assert found["empty"] == {"reward": why, "moral_graph": graph}
    assert {f"empty: reward: {why}", f"empty: moral_graph: {graph}"} < {*told(table.out)}
    card = (table.out / "README.md").read_text(encoding="utf-8")
    assert f"Asked for, and empty:\n\n- `reward`: {why}\n" in card
    assert "- kinds of records: dpo, transcripts\n" in card
    assert examine(table.out).problems == []
    none = {**found, "made": {**found["made"], "pairs": 0}, "rules": {"coverage": {"tie": 2, "missing": 1}}}
    assert left_out(none)["dpo"] == "0 of 0 pairs; no rule made one: coverage (tie 2, missing 1)"


@pytest.mark.parametrize("generated", [False, True])
@pytest.mark.parametrize(("form", "version"), [(0, "an earlier"), (1_000, "a later")])
def test_a_folder_of_another_version_is_refused_and_left_as_it_is(
    table: Table, prompts: Path, generated: bool, form: int, version: str
) -> None:
    written = {"sources": (), "generated": {"prompts": 2, "topics": "all"}} if generated else {}
    table.build(prompts, assembly=WORDS, plan=written)
    with closing(sqlite3.connect(table.out / ".build" / "work.sqlite", isolation_level=None)) as work:
        work.execute("ALTER TABLE left_out DROP COLUMN examples")
        work.execute(f"PRAGMA user_version = {form}")
    before = files_of(table.out)
    for extend in (False, True):
        with pytest.raises(
            ContentError, match=f"work.sqlite: was begun by {version} version of Multiplex, .*--out"
        ):
            table.build(prompts, assembly=WORDS, plan=written, extend=extend)
    assert files_of(table.out) == before


# --- personal data -----------------------------------------------------------------------------


ADA = "ada@example.org"


@pytest.fixture(scope="module")
def masks() -> Masks:
    return Masks(Masker(names="contexts"), PANEL)


@pytest.mark.slow
def test_what_models_say_is_masked_and_names_in_the_data_are_left(masks: Masks) -> None:
    proposal = {
        "to": ADA,
        "about": f"What {ADA} lost.",
        "mapping": {"1": {"how": "left", "rationale": f"Ask {ADA}."}},
    }
    act = {"step": "compare.propose", "round": 1, "act": "propose", "speaker": ADA, "about": ADA}
    graph: dict[str, Any] = {
        "values": [{"id": ADA, "title": f"Of {ADA}", "sources": [ADA], "schwartz": [ADA]}],
        "edges": [{"sourceValueId": ADA, "wiserValueId": ADA}],
    }
    found = material(
        text("overton", said=f"Ask {ADA} first.", votes=(6, 6, 6)),
        transcript=({**act, "reply": proposal, "failure": None},),
        moral_graph=graph,
    )
    sources = tuple(each.model_copy(update={"work": ADA}) for each in found.voices[0].sources)
    changes = {"claims": (f"Ask {ADA}.",), "system": f"You are {ADA}.", "sources": sources}
    voices = (found.voices[0].model_copy(update=changes), *found.voices[1:])
    clean, kinds = masked(found.model_copy(update={"voices": voices}), masks)
    assert dict(kinds) == {"EMAIL": 5}
    assert clean.texts[0].text == "Ask [EMAIL] first."
    assert clean.voices[0].claims == ("Ask [EMAIL].",)
    assert clean.voices[0].system == f"You are {ADA}."
    assert {each.work for each in clean.voices[0].sources} == {ADA}
    [said] = clean.transcript
    assert (said["speaker"], said["about"], said["reply"]["to"]) == (ADA, ADA, ADA)
    assert said["reply"]["about"] == "What [EMAIL] lost."
    assert said["reply"]["mapping"]["1"]["rationale"] == "Ask [EMAIL]."
    assert clean.moral_graph == {**graph, "values": [{**graph["values"][0], "title": "Of [EMAIL]"}]}


@pytest.mark.slow
def test_prompts_are_masked_before_anybody_is_asked_and_answers_before_they_are_written(
    table: Table, masks: Masks
) -> None:
    prompts = write_prompts(table.folder / "prompts.jsonl", [f"May {ADA} keep the bells?"])

    def script(act: Act[Any], seed: int) -> BaseModel:
        reply = said(act, seed)
        if isinstance(act, TakePosition):
            return reply.model_copy(update={"statement": "Write to bell@example.org, who knows the way."})
        return reply

    nosy = Table(table.folder / "nosy", script)
    nosy.build(prompts, assembly=WORDS, masks=masks)
    [asked] = {act.scenario.question for act in nosy.responder.acts}
    assert re.fullmatch(r"May \[EMAIL(_1)?\] keep the bells\?", asked)
    written = "".join(path.read_text() for path in (nosy.out / "jsonl").rglob("*.jsonl"))
    assert "Write to [EMAIL], who" in written
    assert "@" not in written
    left_out = report(nosy.out)["left_out"]
    assert left_out["masked in prompts"]["EMAIL"] == {"number": 1, "examples": ["file 1:1"]}
    assert left_out["masked in texts"]["EMAIL"]["number"] > 0


def test_a_folder_of_that_name_which_others_made_is_no_build_of_ours(table: Table, prompts: Path) -> None:
    (package := table.folder / "package" / ".build").mkdir(parents=True)
    (package / "debug.yaml").write_text("x")
    (package.parent / "data").mkdir()
    (package.parent / "data" / "raw.txt").write_text("mine")
    with pytest.raises(ContentError, match=r"package: is not empty \(it holds '\.build'\)"):
        table.build(prompts, out=package.parent)
    assert (package.parent / "data" / "raw.txt").read_text() == "mine"
