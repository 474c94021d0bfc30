"""Prompt files: what a row may hold, what is skipped and counted, and what is wrong with the file itself."""

import csv
import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from multiplex.cli.app import app
from multiplex.content.scenarios import load_scenario, scenario_names
from multiplex.dataset.asked_columns import CHATS, COLUMNS, any_of_them
from multiplex.dataset.coverage import Covered
from multiplex.dataset.prompts import Prompt, Skipped, asked_of, prompt_files, prompt_id, read_prompts
from multiplex.errors import ContentError
from tests.table import Words

ASKED = "Should the mill stand still on Sundays?"


def write(folder: Path, name: str, data: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def rows(folder: Path, *given: Mapping[str, Any]) -> Path:
    return write(folder, "asked.jsonl", "".join(f"{json.dumps(row)}\n" for row in given))


def read(*paths: Path, **options: Any) -> list[Prompt | Skipped]:
    return list(read_prompts(paths, **options))


def one(path: Path) -> Prompt:
    [prompt] = read(path)
    assert isinstance(prompt, Prompt)
    return prompt


def questions(*paths: Path) -> list[str]:
    return [entry.scenario.question for entry in read(*paths) if isinstance(entry, Prompt)]


def kinds(*paths: Path, **options: Any) -> list[str]:
    return ["prompt" if isinstance(e, Prompt) else e.kind for e in read(*paths, **options)]


def complaint(*paths: Path, **options: Any) -> str:
    with pytest.raises(ContentError) as caught:
        read(*paths, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- a row -----------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["question", "prompt", "text", "instruction", "query", " Question "])
def test_a_question_may_stand_in_any_column_that_is_usual(tmp_path: Path, column: str) -> None:
    prompt = one(rows(tmp_path, {"about": 3, column: f" {ASKED}\r\n"}))
    assert prompt.scenario.question == ASKED
    assert prompt.id == prompt.group == prompt_id(ASKED)
    assert prompt.scenario.name == f"prompt_{prompt.id}"
    assert prompt.origin == "file 1:1"


@pytest.mark.parametrize(
    "chat",
    [
        [{"role": "user", "content": "Well?"}, {"role": "user", "content": ASKED}, {"role": "assistant"}],
        [{"from": "human", "value": ASKED}, {"from": "gpt", "value": "No."}],
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": ASKED}]}],
        json.dumps([{"role": "user", "content": ASKED}]),
    ],
)
def test_of_a_chat_the_last_turn_of_the_user_is_asked(tmp_path: Path, chat: Any) -> None:
    assert questions(rows(tmp_path, {"messages": chat})) == [ASKED]


def test_what_was_said_before_it_becomes_context(tmp_path: Path) -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "My mill is old."},
        {"role": "assistant", "content": [{"type": "text", "text": "Repair it."}]},
        {"role": "tool", "content": " "},
        {"from": "human", "value": "And then what?"},
        {"role": "assistant", "content": "Rest."},
    ]
    prompt = one(rows(tmp_path, {"messages": chat, "context": "The mill runs dry."}))
    assert prompt.scenario.question == "And then what?"
    assert prompt.scenario.context == (
        "The mill runs dry.\n\nEarlier in this conversation:\n\nUser: My mill is old.\n\nAssistant: Repair it."
    )
    assert prompt.id == prompt_id("And then what?", prompt.scenario.context)


def test_the_first_turn_of_a_chat_brings_no_context(tmp_path: Path) -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": ["user"]},
        {"role": "User", "content": ASKED},
    ]
    prompt = one(rows(tmp_path, {"messages": chat[::2]}))
    assert (prompt.id, prompt.scenario.context) == (prompt_id(ASKED), None)
    assert kinds(rows(tmp_path, {"messages": chat[:2]}, {"text": "Why?"})) == ["malformed", "prompt"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "the earlier turns: 20,037 characters are more than 20,000"),
        ({"context": "y" * 100}, "context: 20,033 characters are more than 20,000"),
    ],
)
def test_a_chat_that_went_on_for_too_long_is_skipped(
    tmp_path: Path, row: Mapping[str, Any], reason: str
) -> None:
    said = "x" * (19_894 if row else 20_000)
    chat = [{"role": "user", "content": said}, {"role": "user", "content": ASKED}]
    [skipped, _] = read(rows(tmp_path, {**row, "messages": chat}, {"text": "Why?"}))
    assert isinstance(skipped, Skipped)
    assert (skipped.kind, skipped.reason) == ("too_long", reason)


def test_a_chat_may_stand_where_a_prompt_does(tmp_path: Path) -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]
    assert questions(rows(tmp_path, {"prompt": chat})) == [ASKED]


def test_a_row_may_say_more_than_its_question(tmp_path: Path) -> None:
    row = {
        "question": ASKED,
        "id": 17,
        "context": "The mill runs dry.",
        "choice_context": "resting a mill",
        "domain": "Mental Health",
        "options": ["Let it rest", "Let it grind"],
        "group": "mills",
    }
    prompt = one(rows(tmp_path, row))
    assert (prompt.id, prompt.group, prompt.scenario.name) == ("17", "mills", "prompt_17")
    assert prompt.scenario.context == "The mill runs dry."
    assert prompt.scenario.choice_context == "resting a mill"
    assert prompt.scenario.domain == "mental_health"
    assert [(o.key, o.text) for o in prompt.scenario.options] == [
        ("option_1", "Let it rest"),
        ("option_2", "Let it grind"),
    ]


def test_options_may_have_keys_and_a_strange_domain_is_passed_over(tmp_path: Path) -> None:
    options = [{"key": "Rest It", "text": "Let it rest"}, {"key": "grind", "text": "Let it grind"}]
    prompt = one(rows(tmp_path, {"question": ASKED, "options": options, "domain": "mills"}))
    assert [o.key for o in prompt.scenario.options] == ["rest_it", "grind"]
    assert prompt.scenario.domain is None


def test_a_key_that_none_of_ours_can_be_made_of_gives_way_to_the_number_of_its_option(tmp_path: Path) -> None:
    own = ("是", "Rest It", "option_1", "...", "x" * 61)
    options = [{"key": key, "text": f"Let it {place}"} for place, key in enumerate(own)]
    prompt = one(rows(tmp_path, {"question": ASKED, "options": options}))
    keys = ["option_1_", "rest_it", "option_1", "option_4", "option_5"]
    assert [o.key for o in prompt.scenario.options] == keys
    assert prompt.keys == own


@pytest.mark.parametrize("domain", ["none", "None", " NONE ", "", None])
def test_a_domain_that_says_none_is_no_label_of_its_own(tmp_path: Path, domain: str | None) -> None:
    prompt = one(rows(tmp_path, {"question": ASKED, "domain": domain}))
    assert prompt.domain is None
    covered = Covered(1)
    covered.add(prompt)
    found = covered.coverage(Words().embed)
    assert (found.topics["none"], found.different["own topics"]) == (1, 0)


def test_an_id_that_can_stand_in_no_name_is_kept_as_it_is(tmp_path: Path) -> None:
    first, second = read(rows(tmp_path, {"id": "A-1", "text": "One?"}, {"id": "a_1", "text": "Two?"}))
    assert isinstance(first, Prompt)
    assert isinstance(second, Prompt)
    assert (first.id, second.id) == ("A-1", "a_1")
    assert first.scenario.name != second.scenario.name == "prompt_a_1"


def test_an_id_depends_on_all_that_is_asked(tmp_path: Path) -> None:
    path = rows(
        tmp_path, {"text": ASKED}, {"text": ASKED, "context": "Dry."}, {"text": ASKED, "options": "[]"}
    )
    assert kinds(path) == ["prompt", "prompt", "duplicate"]
    assert len({entry.id for entry in read(path) if isinstance(entry, Prompt)}) == 2


def test_control_characters_and_marks_of_byte_order_are_taken_out(tmp_path: Path) -> None:
    path = write(tmp_path, "asked.txt", b"\xef\xbb\xbfWho\x00 mends\x1b[1m it?\r\nWhen\x07?\n")
    assert questions(path) == ["Who mends[1m it?", "When?"]


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ({"question": "  \u0000 "}, "empty", "the question is empty"),
        ({"question": None}, "empty", "the question is empty"),
        ({"question": "x" * 4001}, "too_long", "the question: 4,001 characters are more than 4,000"),
        ({"question": "x" * 100_000}, "too_long", "the question: 100,000 characters are more than 4,000"),
        ({"question": 3}, "malformed", "the question: needs to be text, and is a int"),
        (
            {"question": "Half \ud800?"},
            "not_utf8",
            "the question: holds half a character (a surrogate alone)",
        ),
        ({"question": "A?", "options": ["one"]}, "malformed", "one option is no choice"),
        ({"question": "A?", "options": "Yes or no"}, "malformed", "options: is no JSON"),
        ({"question": "A?", "options": {"a": 1}}, "malformed", "options: needs to be a list"),
        ({"question": "A?", "options": ["a", 3]}, "malformed", "options: 2: needs to be text"),
        ({"question": "A?", "options": ["a", ""]}, "malformed", "is empty"),
        ({"question": "A?", "options": ["a"] * 13}, "malformed", "options: may hold at most 12"),
        ({"question": "A?", "choice_context": "x" * 601}, "too_long", "choice_context: 601 characters"),
        ({"question": "A?", "id": ["x"]}, "malformed", "id: needs to be text, and is a list"),
        (
            {"messages": [{"role": "system", "content": "A"}]},
            "malformed",
            "messages: holds no turn of a user",
        ),
        ({"messages": []}, "malformed", "needs to be text"),
        ({"answer": "A."}, "malformed", "has no column that a question is in"),
    ],
)
def test_a_row_that_is_wrong_is_skipped_and_the_next_is_read(
    tmp_path: Path, row: Mapping[str, Any], kind: str, reason: str
) -> None:
    skipped, prompt = read(rows(tmp_path, row, {"question": ASKED}))
    assert isinstance(skipped, Skipped)
    assert isinstance(prompt, Prompt)
    assert (skipped.origin, skipped.kind) == ("file 1:1", kind)
    assert reason in skipped.reason
    assert prompt.origin == "file 1:2"


@pytest.mark.parametrize("length", [1, 40, 20_000])
def test_how_long_a_question_may_be_can_be_said(tmp_path: Path, length: int) -> None:
    path = rows(tmp_path, {"text": "x" * length}, {"text": "y" * (length + 1)})
    assert kinds(path, longest=length) == ["prompt", "too_long"]


NOBODY = "priya.sharma@example.org"


@pytest.mark.parametrize(
    "row",
    [
        {"question": ASKED, "id": "other"},
        {"answer": "A.", NOBODY: "B."},
        {"question": "A?", "options": [{"key": f'{NOBODY} "said" it\'s' * 3, "text": ""}] * 2},
        {"question": "A?", "options": [{"key": NOBODY, "text": "A"}, {"key": NOBODY, "text": "B"}]},
        {"question": "A?", "options": NOBODY},
        {"messages": [{"role": NOBODY, "content": NOBODY}]},
    ],
)
def test_why_a_row_is_left_out_is_told_without_a_word_of_it(tmp_path: Path, row: Mapping[str, Any]) -> None:
    path = rows(tmp_path, {"id": NOBODY, "question": ASKED}, row).rename(tmp_path / f"{NOBODY}.jsonl")
    _, skipped = read(path)
    assert isinstance(skipped, Skipped)
    assert "priya" not in f"{skipped.origin}: {skipped.reason}".lower()


def test_what_is_shown_with_another_choice_is_another_prompt(tmp_path: Path) -> None:
    path = rows(
        tmp_path,
        {"text": ASKED},
        {"text": ASKED, "choice_context": "resting"},
        {"text": ASKED, "choice_context": "milling"},
        {"text": ASKED, "choice_context": "milling"},
    )
    assert kinds(path) == ["prompt", "prompt", "prompt", "duplicate"]
    assert one(rows(tmp_path, {"text": ASKED})).id == prompt_id(ASKED)


# --- what has been seen ----------------------------------------------------------------------


def test_the_same_prompt_is_skipped_in_whatever_file(tmp_path: Path) -> None:
    first = rows(tmp_path, {"id": "a", "text": ASKED}, {"id": "b", "text": ASKED}, {"id": "b", "text": "B?"})
    second = write(tmp_path, "asked.txt", f"{ASKED}\nNew?\n")
    found = read(first, second)
    assert [getattr(each, "kind", "prompt") for each in found] == [
        *("prompt", "duplicate", "prompt", "duplicate", "prompt")
    ]
    assert isinstance(found[2], Prompt)
    assert found[2].id == "b"  # what was skipped took no id


def test_a_prompt_that_came_before_is_told_again_where_it_is_given_another_group(tmp_path: Path) -> None:
    named = {"id": "a", "text": ASKED, "domain": "mills"}
    given = [{**named, "group": "x"}, named, *({**named, "id": "b", "group": each} for each in "xyy")]
    prompt, *skipped = read(rows(tmp_path, *given))
    assert isinstance(prompt, Prompt)
    again = [entry.again for entry in skipped if isinstance(entry, Skipped)]
    assert [each and (each.id, each.group, each.label) for each in again] == [
        *(None, None, ("a", "y", None), None)
    ]
    assert "mills" not in "".join(f"{entry!r} {entry.model_dump_json()}" for entry in skipped)


def test_files_that_number_their_rows_alike_lose_none_of_them(tmp_path: Path) -> None:
    first = write(tmp_path, "a.csv", "id,question,group\n1,One?,x\n2,Two?,\n")
    second = write(tmp_path, "b.csv", "id,question,group\n1,Three?,x\n2,Four?,\n2,Five?,\n3,Six?,\n")
    found = [each for each in read(first, second) if isinstance(each, Prompt)]
    three, four, five = map(prompt_id, ("Three?", "Four?", "Five?"))
    assert [each.id for each in found] == ["1", "2", three, four, five, "3"]
    assert [each.group for each in found] == ["x", "2", "x", four, five, "3"]
    assert [each.origin for each in found][2:4] == ["file 2:2", "file 2:3"]
    assert len({each.scenario.name for each in found}) == len(found)


def test_a_group_that_is_called_as_one_of_its_rows_stays_one(tmp_path: Path) -> None:
    first = write(tmp_path, "a.csv", "id,question,group\n1,One?,1\n2,Two?,1\n")
    second = write(tmp_path, "b.csv", "id,question,group\n1,Three?,1\n2,Four?,1\n")
    found = [each for each in read(first, second) if isinstance(each, Prompt)]
    assert [each.id for each in found] == ["1", "2", prompt_id("Three?"), prompt_id("Four?")]
    assert [each.group for each in found] == ["1"] * 4


def test_an_id_that_is_the_hash_of_what_another_prompt_asks_is_not_kept(tmp_path: Path) -> None:
    taken = {"id": prompt_id("One?"), "question": "Two?"}
    own = {"id": prompt_id("Three?"), "question": "Three?"}
    for order in ({"question": "One?"}, taken, own), (own, taken, {"question": "One?"}):
        found = [each for each in read(rows(tmp_path, *order)) if isinstance(each, Prompt)]
        assert [each.id for each in found] == [prompt_id(str(row["question"])) for row in order]


def test_the_column_that_the_question_is_in_may_be_named(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    row = {"text": "An answer.", "Asked of": ASKED, "domain": "work"}
    parquet.write_table(pa.table({name: [value] for name, value in row.items()}), tmp_path / "asked.parquet")
    for path in (rows(tmp_path, row), tmp_path / "asked.parquet"):
        [prompt] = read(path, column="asked of ")
        assert isinstance(prompt, Prompt)
        assert (prompt.scenario.question, prompt.scenario.domain) == (ASKED, "work")
    chat = rows(tmp_path, {"dialog": [{"role": "user", "content": ASKED}]})
    plain = write(tmp_path, "plain.txt", "Who mends it?\n")
    found = [each for each in read(chat, plain, column="dialog") if isinstance(each, Prompt)]
    assert [each.scenario.question for each in found] == [ASKED, "Who mends it?"]
    assert complaint(chat, column=" Dialogue") == (
        f"{chat}: has no column 'Dialogue'; found: 'dialog'; name a column that every file has"
    )


def test_a_chat_in_a_column_that_is_named_may_be_written_as_json(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    chat = json.dumps([{"role": "user", "content": ASKED}, {"role": "assistant", "content": "No."}])
    texts = [chat, "[1] Is this so?", '["Is this?"]', "[]"]
    with (tmp_path / "asked.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["dialog"], *([text] for text in texts)])
    parquet.write_table(pa.table({"dialog": texts}), tmp_path / "asked.parquet")
    for name in ("asked.csv", "asked.parquet"):
        found = [e.scenario.question for e in read(tmp_path / name, column="dialog") if isinstance(e, Prompt)]
        assert found == [ASKED, *texts[1:]]


@pytest.mark.parametrize("column", CHATS)
def test_a_column_that_is_named_may_hold_texts_whatever_it_is_called(tmp_path: Path, column: str) -> None:
    turns = [{"role": "user", "content": "Why?"}]
    said = [ASKED, turns, json.dumps([None, {"role": "user", "content": "When?"}]), "[1] Is this so?"]
    path = rows(tmp_path, *({column: each} for each in said))
    found = [entry for entry in read(path, column=column) if isinstance(entry, Prompt)]
    assert [entry.scenario.question for entry in found] == [ASKED, "Why?", "When?", "[1] Is this so?"]
    assert kinds(path) == ["malformed", "prompt", "prompt", "malformed"]


@pytest.mark.parametrize("column", ["context", "id", "group", "domain", "options"])
def test_a_column_that_is_named_does_not_stand_beside_the_question_too(tmp_path: Path, column: str) -> None:
    [prompt] = read(rows(tmp_path, {column: ASKED, "text": "An answer."}), column=column.upper())
    assert isinstance(prompt, Prompt)
    assert prompt == one(rows(tmp_path, {"question": ASKED}))


def test_a_text_alone_has_no_column_that_could_be_named(tmp_path: Path) -> None:
    alone = write(tmp_path, "alone.jsonl", '"Is this so?"\n"And this?"\n')
    assert questions(alone) == ["Is this so?", "And this?"]
    assert complaint(alone, column="asked") == (
        f"{alone}: its rows are texts without columns, and so none is 'asked'; leave its name out"
    )
    mixed = write(tmp_path, "mixed.jsonl", f'"Is this so?"\n{{"asked": "{ASKED}"}}\n')
    bare, prompt = read(mixed, column="asked")
    assert isinstance(bare, Skipped)
    assert (bare.kind, bare.reason) == ("malformed", "is a text, which has no columns")
    assert isinstance(prompt, Prompt)


# --- lines -----------------------------------------------------------------------------------


def test_lines_that_are_empty_or_not_utf_8_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "asked.txt", b"One?\n\n \t\r\ncaf\xe9?\nTwo?")
    assert kinds(path) == ["prompt", "empty", "empty", "not_utf8", "prompt"]
    assert [e.origin for e in read(path)][-1] == "file 1:5"


@pytest.mark.parametrize(
    "line", ['{"question": ', "[1]", "7", "[" * 100_000, "9" * 5000, '{"question": "a"} x']
)
def test_a_line_that_is_no_json_object_is_malformed(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, "asked.jsonl", f'{line}\n\n"Why?"\n')
    assert kinds(path) == ["malformed", "empty", "prompt"]


@pytest.mark.parametrize("name", ["asked.jsonl", "asked.csv", "asked.txt"])
def test_a_line_of_any_length_takes_bounded_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(b'"question"\n')
        for _ in range(24):
            file.write(b"x" * (1 << 20))
        file.write(b'\n"Why?"\n')
    tracemalloc.start()
    found = kinds(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[-2:] == ["too_long", "prompt"]
    assert peak < 12 << 20


# --- tables ----------------------------------------------------------------------------------


def test_a_table_quotes_what_it_likes(tmp_path: Path) -> None:
    text = 'id,question,options\r\n1,"Said ""so"",\nor not?","[""Yes"", ""No""]"\r\n2,How?,\r\n'
    first, second = read(write(tmp_path, "asked.csv", "\ufeff" + text))
    assert isinstance(first, Prompt)
    assert first.scenario.question == 'Said "so",\nor not?'
    assert [option.text for option in first.scenario.options] == ["Yes", "No"]
    assert (first.origin, second.origin) == ("file 1:2", "file 1:4")


@pytest.mark.parametrize(("name", "mark"), [("asked.csv", ";"), ("asked.csv", "\t"), ("asked.tsv", "\t")])
def test_a_table_may_be_parted_by_semicolons_or_tabs(tmp_path: Path, name: str, mark: str) -> None:
    assert questions(write(tmp_path, name, f"n{mark}Text\n1{mark}Here, or there?\n")) == ["Here, or there?"]


def test_rows_of_a_table_that_are_wrong_are_skipped(tmp_path: Path) -> None:
    huge = f'1,"{"x" * 140_000}\nstill the same, and more\nend of it",z\n'.encode()
    path = write(tmp_path, "asked.csv", b"id,text\n1,a?,3\n,\n2,caf\xe9?\n\n" + huge + b"3,Why?\n")
    assert kinds(path) == ["malformed", "empty", "not_utf8", "empty", "too_long", "prompt"]


def test_a_header_that_is_no_utf_8_is_the_fault_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "asked.csv", b"fr\xe9,text\n1,a?\n")
    assert complaint(path) == f"{path}: line 1: the header: byte 3 of the line is not UTF-8; save it as UTF-8"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30), max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_written_to_a_table_is_read_from_it(tmp_path: Path, texts: list[str]) -> None:
    path = tmp_path / "asked.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["n", "text"], ["-", "first"], *(["-", text] for text in texts)])
    wanted = dict.fromkeys(["first", *(text.replace("\ufeff", "").strip() for text in texts)])
    assert questions(path) == [text for text in wanted if text]


# --- Parquet ---------------------------------------------------------------------------------


def test_parquet_is_read_by_its_columns(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pa.table(
        {
            "Question": [ASKED, None, "Why?"],
            "options": [[{"key": "a", "text": "A"}, {"key": "b", "text": "B"}], [], None],
            "vector": [[0.0], [1.0], [2.0]],
        }
    )
    path = tmp_path / "asked.parquet"
    parquet.write_table(table, path)
    first, second, third = read(path)
    assert isinstance(first, Prompt)
    assert [o.key for o in first.scenario.options] == ["a", "b"]
    assert isinstance(second, Skipped)
    assert (second.kind, third.origin) == ("empty", "file 1:3")
    chat = pa.table({"messages": [[{"role": "user", "content": "Why?"}]]})
    parquet.write_table(chat, path)
    assert questions(path) == ["Why?"]
    raw = pa.array([b"caf\xe9?", b"Why?"], pa.binary()).view(pa.string())
    parquet.write_table(pa.table({"text": raw}), path)
    assert kinds(path) == ["not_utf8", "prompt"]
    parquet.write_table(pa.table({"answer": ["A."], "n": [1]}), path)
    assert "found: 'answer', 'n'; name it with --prompt-column NAME, or" in complaint(path)
    parquet.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert complaint(path) == f"{path}: holds no rows; put a prompt in each"
    path.write_bytes(b"PAR1 and then nothing")
    assert f"{path}: cannot be read as Parquet, behind row 0: " in complaint(path)


# --- scenarios and folders -------------------------------------------------------------------


def test_a_folder_is_read_file_by_file_and_what_is_passed_over_is_told(tmp_path: Path) -> None:
    write(tmp_path, "bells.yaml", "name: bells\nquestion: What about the bells?\n")
    write(tmp_path, "asked.txt", "Who mends it?\n")
    write(tmp_path, "more.jsonl", '{"text": "When?"}\n')
    write(tmp_path, "ferry.yml", "name: ferry\nquestion: What about the ferry?\n")
    write(tmp_path, "notes.md", "Nothing.")
    write(tmp_path, ".hidden.txt", "Nobody?\n")
    write(tmp_path, "_pack.yaml", "Nothing.")
    (tmp_path / "older").mkdir()
    assert questions(tmp_path) == ["Who mends it?", "What about the bells?", "When?"]
    assert [path.name for path in prompt_files([tmp_path])] == ["asked.txt", "bells.yaml", "more.jsonl"]
    told = [entry for entry in read(tmp_path) if isinstance(entry, Skipped)]
    assert {(entry.origin, entry.kind) for entry in told} == {("a folder", "passed_over")}
    ferry, notes, older = (entry.reason for entry in told)
    assert ferry == "holds a file .yml that is not read; rename it to .yaml"
    assert notes.startswith("holds a file that is not read; prompts are read from .csv, ")
    assert older == "holds a folder that is not read; name it by its own path"


def test_one_broken_file_of_a_folder_does_not_end_it_all(tmp_path: Path) -> None:
    broken = write(tmp_path, "bells.yaml", "name: bells\nquestion: [\n")
    write(tmp_path, "ferry.yaml", "name: ferry\nquestion: What about the ferry?\n")
    write(tmp_path, "asked.csv", "answer\nYes.\n")
    empty, _, yaml, prompt = read(tmp_path)
    assert isinstance(empty, Skipped)
    assert isinstance(yaml, Skipped)
    assert isinstance(prompt, Prompt)
    assert (yaml.origin, yaml.kind) == ("file 2", "malformed")
    assert yaml.reason == "the file gives no prompt, or no more; name it by its own path to be told why"
    assert complaint(broken).startswith(f"{broken}: line 3, column 1: broken YAML: ")
    assert kinds(tmp_path) == ["malformed", "malformed", "malformed", "prompt"]


def test_a_folder_of_scenarios_is_read_whole(tmp_path: Path) -> None:
    for name in ("ferry", "bells"):
        write(tmp_path, f"{name}.yaml", f"name: {name}\nquestion: What about the {name}?\n")
    found = read(tmp_path)
    assert [entry.origin for entry in found] == ["file 1", "file 2"]
    assert questions(tmp_path / "ferry.yaml") == ["What about the ferry?"]
    assert kinds(tmp_path, longest=21) == ["prompt", "prompt"]
    assert kinds(tmp_path, longest=20) == ["too_long", "too_long"]


def test_a_scenario_keeps_all_that_it_says(tmp_path: Path) -> None:
    name = scenario_names()[0]
    scenario = load_scenario(name)
    path = write(tmp_path, f"{name}.yaml", json.dumps(scenario.model_dump(mode="json")))
    prompt = one(path)
    assert prompt.scenario == scenario
    assert prompt.id == asked_of(scenario)


# --- what is wrong with a file ---------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 19, 20, 400])
def test_a_file_without_a_question_names_the_columns_that_it_has(tmp_path: Path, count: int) -> None:
    path = rows(tmp_path, *[{"answer": "A.", "score": 1}] * count)
    assert complaint(path) == (
        f"{path}: no column holds the question; found: 'answer', 'score'; "
        "name it with --prompt-column NAME, or call it question, prompt, text, instruction, query, messages, "
        "conversation, conversations or chat"
    )


def test_message_help_and_docs_name_the_same_columns(tmp_path: Path) -> None:
    assert any_of_them() in complaint(rows(tmp_path, {"answer": "A."}))
    shown = CliRunner().invoke(app, ["dataset", "build", "--help"], env={"COLUMNS": "400", "TERM": "dumb"})
    assert f"The column that the prompt is in; else {any_of_them()}." in shown.stdout
    docs = (Path(__file__).parents[2] / "docs/dataset.md").read_text(encoding="utf-8")
    assert f"| {', '.join(f'`{name}`' for name in COLUMNS)} | what is asked" in docs
    for name in CHATS:
        assert one(rows(tmp_path, {name: [{"role": "user", "content": ASKED}]})).scenario.question == ASKED


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("asked.txt", b"", "holds no rows; put a prompt in each"),
        ("asked.csv", b"question\n", "holds no rows; put a prompt in each"),
        ("asked.jsonl", b"", "holds no rows; put a prompt in each"),
        ("asked.txt", bytes(range(256)) * 8, "is binary, not text"),
        ("asked.jsonl", b"\x1f\x8b\x08" + bytes(range(32)) * 9, "is binary, not text"),
        ("asked.txt", "Why?\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("asked.xlsx", b"", "prompts are read from .csv, .jsonl, "),
        ("asked.jsonl.gz", b"\x1f\x8b", "is packed; unpack it, and name the file that comes of it"),
        ("asked", b"", "not from 'a file without a suffix'; convert or rename it"),
        ("asked.yaml", b"name: other\nquestion: Why?\n", "name: is 'other', but the file is named 'asked'"),
    ],
)
def test_what_is_wrong_with_a_file_is_an_error(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = write(tmp_path, name, data)
    assert complaint(path).startswith(f"{path}: ")
    assert said in complaint(path)


def test_paths_are_looked_at_before_anything_is_read(tmp_path: Path) -> None:
    good = rows(tmp_path, {"text": ASKED})
    missing = tmp_path / "asked.json"
    with pytest.raises(ContentError) as caught:
        read_prompts([good, missing])
    assert str(caught.value) == f"{missing}: no such file; did you mean 'asked.jsonl'?"
    (tmp_path / "empty").mkdir()
    assert "holds no file that prompts are read from (.csv, .jsonl, " in complaint(tmp_path / "empty")
    write(tmp_path / "empty", "asked.json", "[]")
    assert "; asked.json is not read: prompts are read from " in complaint(tmp_path / "empty")
    assert complaint() == "prompts: no file is named; name a .jsonl, .csv, .parquet, .txt or .yaml file"
    assert complaint(good, longest=20_001) == "longest: 20001 needs to be from 1 to 20,000 characters"


@given(st.binary(max_size=200), st.sampled_from(["jsonl", "csv", "tsv", "txt"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = write(tmp_path, f"asked.{suffix}", b'text\n"Why?"\n' + data)
    try:
        found = read(path)
    except ContentError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 (it is allowed to come, and not bound to)
    else:
        for entry in found:
            entry.model_dump_json().encode()
