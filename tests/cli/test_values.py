"""The values in texts, transcripts and runs, read from files and printed."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from multiplex.cli import texts, values
from multiplex.cli.texts import read_passages
from multiplex.cli.values import cards_of, values_command
from multiplex.content.personas import load_pack
from multiplex.deliberation.run import conduct
from multiplex.errors import ContentError, ModelError, RunError
from multiplex.models.scripted import Scripted
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import save_run
from tests.endpoint import endpoint
from tests.table import PANEL, PERSONAS, SCENARIO, Words, answer, protocol

PACK = load_pack("civilizations")
OWN = PACK.personas[0].commitments[0]


def printed(capsys: pytest.CaptureFixture[str], *files: Path, **options: Any) -> Any:
    values_command(list(files), as_json=True, embedder=Words(), **options)
    return json.loads(capsys.readouterr().out)


def act(kind: str, speaker: str, **reply: Any) -> str:
    return json.dumps({"act": kind, "speaker": speaker, "reply": reply or None})


def test_a_text_is_mapped_to_the_packs_commitments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answer.txt"
    file.write_text(f"{OWN.statement}\nZzz qqq xxx.", encoding="utf-8")
    found = printed(capsys, file)
    top = {row["card"]: row for row in found["values"]}
    own = f"{PACK.personas[0].name}.{OWN.key}"
    assert own in top
    assert top[own]["schwartz"] == list(OWN.schwartz)
    assert found["none"] >= 1
    assert sum(row["count"] for row in found["values"]) + found["none"] == found["spans"]
    assert found["shown"][0]["where"] == str(file)
    assert sum(row["share"] for row in found["groups"].values()) == pytest.approx(1, abs=1e-3)

    values_command([file], embedder=Words())
    table = capsys.readouterr().out
    assert "Schwartz's groups:" in table
    assert not set("┃│━") & set(table)
    assert "not that the text is for it" in " ".join(table.split())


def test_one_span_is_one_and_texts_in_other_scripts_have_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answer.txt"
    for text, spans in (("We owe care.", "1 span,"), ("水は皆のもの。順番に分ける。", "2 spans,")):
        file.write_text(text, encoding="utf-8")
        values_command([file], embedder=Words())
        assert spans in capsys.readouterr().out


def test_every_commitment_is_a_card_of_its_own() -> None:
    cards = cards_of(PACK)
    assert len({card.id for card in cards}) == len(cards) == sum(len(p.commitments) for p in PACK.personas)
    assert all(card.schwartz for card in cards)


def test_a_transcript_gives_turns_answers_and_the_last_synthesis(tmp_path: Path) -> None:
    file = tmp_path / "transcript.jsonl"
    lines = [
        act("take_position", "western", statement="One.", claims=[]),
        act("judge_transition", "western", verdict="wiser", reason="x"),
        act("respond", "islamic"),
        act("synthesise", "moderator", overton="Draft.", consensus="Old."),
        act("synthesise", "moderator", overton="All.", consensus="New."),
        act("answer", "moderator", answer="Alone."),
        "",
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert [text for _, text in read_passages(file)] == ["One.", "Alone.", "All.", "New."]
    assert read_passages(file)[0][0] == f"{file}: line 1: western, statement"


def test_other_jsonl_gives_texts(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    file.write_text('"One."\n{"text": "Two.", "id": 3}\n{"answer": "Three."}\n', encoding="utf-8")
    assert [text for _, text in read_passages(file)] == ["One.", "Two.", "Three."]


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("a.jsonl", b'"ok"\n{oops}\n', "line 2: is no JSON"),
        ("a.jsonl", b'{"txt": "x"}\n', "line 1: needs a text .* did you mean 'text'"),
        ("a.jsonl", b"[1]\n", "line 1: needs a text"),
        ("a.jsonl", b"[" * 100_000, "line 1: is no JSON"),
        ("a.txt", b"ok\n\xff\xfe", "line 2: is not UTF-8"),
        ("a.txt", b" \n ", "holds no text"),
        ("a.jsonl", b"", "holds no text"),
    ],
)
def test_files_that_cannot_be_read_are_named(tmp_path: Path, name: str, data: bytes, problem: str) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    with pytest.raises(ContentError, match=problem):
        read_passages(file)


def test_large_missing_and_damaged_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "large.txt").write_text("x" * 101)
    monkeypatch.setattr(texts, "_MOST_BYTES", 100)
    with pytest.raises(ContentError, match="is larger than"):
        read_passages(tmp_path / "large.txt")
    with pytest.raises(ContentError, match=r"did you mean 'large\.txt'"):
        read_passages(tmp_path / "largr.txt")
    with pytest.raises(RunError, match="is no run"):
        read_passages(tmp_path)
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(ContentError, match="cannot be read"):
            read_passages(Path(name))
    with pytest.raises(ContentError, match="no file is named"):
        values_command([])


def test_values_that_a_model_extracts_are_mapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.txt"
    file.write_text(f"{OWN.statement}\nThe end.", encoding="utf-8")
    span = OWN.statement.split(".")[0]
    reply = json.dumps({"values": [{"value": "Dignity", "span": span}]})
    found = printed(capsys, file, model=Scripted([reply]))
    assert found["model"] == "scripted"
    assert found["names"] == {"dignity": 1}
    assert found["spans"] == 1
    assert found["shown"][0]["span"] == span
    assert found["failed"] == []


def test_a_served_model_that_fails_is_said_and_shown_as_no_value(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("We owe care.", encoding="utf-8")
    with endpoint("invalid_json") as served, pytest.raises(ModelError, match="no text could be read"):
        values_command([file], model="openai:m", base_url=served.base_url, api_key="k", embedder=Words())
    with pytest.raises(ContentError, match="extractive"):
        values_command([file], model="mystery", embedder=Words())


def test_a_part_that_a_model_could_not_read_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    for file in files:
        file.write_text("We owe care.", encoding="utf-8")
    none = '{"values": []}'
    values_command(files, model=Scripted([none, "oops", "oops"]), embedder=Words())
    shown = " ".join(capsys.readouterr().out.split())
    assert f"not read: {files[1]}"[:20] in shown
    assert "0 spans" in shown


def test_a_long_text_is_read_in_parts_of_whole_sentences() -> None:
    text = " ".join(f"Sentence number {i} stands here." for i in range(800)) + " " + "x" * 13_000
    parts = list(values._chunks(text))
    assert all(len(part) <= values._CHUNK + 300 for part in parts)
    assert "".join(parts).replace("\n", "").count("stands here.") == 800
    assert sum(part.count("x") for part in parts) == 13_000
    assert list(values._chunks("")) == []


def test_a_runs_folder_gives_its_answers_and_turns(tmp_path: Path) -> None:
    names = [*(persona.name for persona in PERSONAS), "moderator", "observer"]
    run = asyncio.run(
        conduct(
            SCENARIO,
            PANEL,
            protocol("open", "synthesise", "ratify"),
            dict.fromkeys(names, ScriptedResponder(answer)),
            seed=1,
            embedder=Words(),
        )
    )
    saved = save_run(run, tmp_path)
    passages = read_passages(tmp_path / saved.run)
    assert [where.rpartition(": ")[2] for where, _ in passages] == [
        "overton",
        "consensus",
        *(f"{persona.name}, statement" for persona in PERSONAS),
    ]
    assert passages[0][1] == run.answers.overton
    (tmp_path / saved.run / "answers.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="is damaged"):
        read_passages(tmp_path / saved.run)
