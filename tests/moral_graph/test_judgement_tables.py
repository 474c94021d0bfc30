"""Judgements in tables: CSV and JSON Lines, with every column and line that makes no sense."""

import io
import json
from datetime import datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.moral_graph.formats.tables import Rows, read_judgements


def rows(text: str | bytes, form: Literal["csv", "jsonl"] = "csv") -> Rows:
    data = text.encode() if isinstance(text, str) else text
    return read_judgements(io.BytesIO(data), form=form, known=["ana", "ben", "3"])


HEADER = "from,to,verdict,judge,context,time\n"


def test_judgements_are_read_from_csv_with_the_published_words_as_synonyms() -> None:
    words = ["wiser", "not_wiser", "unsure", "abstained", "upgrade", "no_upgrade", "not_sure"]
    found = rows(
        "\ufeff"
        + HEADER
        + "".join(f'ana,ben,{word},j{i},"at work, late",\r\n' for i, word in enumerate(words))
    )
    assert [each.verdict for each in found.judgements] == [*words[:4], *words[:3]]
    assert {(each.context, each.time) for each in found.judgements} == {("at work, late", None)}
    assert found.repeats == 0


def test_judgements_are_read_from_json_lines_and_repeats_are_counted() -> None:
    row = {"from": "ana", "to": 3, "verdict": "upgrade", "judge": 17}
    times = ("2026-01-31", 20260131, None)
    found = rows("\n\n".join(json.dumps(row | {"time": time}) for time in times), "jsonl")
    assert [(each.source, each.wiser, each.judge, each.time) for each in found.judgements] == [
        ("ana", "3", "17", "2026-01-31"),
        ("ana", "3", "17", "20260131"),
        ("ana", "3", "17", None),
    ]
    assert found.repeats == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no judgements"),
        (HEADER, "holds no judgements"),
        ("from,to,verdikt,judge\n", "line 1: unknown column 'verdikt'; did you mean 'verdict'?"),
        ("from,to,verdict,judges,judge\n", "line 1: unknown column 'judges'; known: context, time"),
        ("from,to,verdict\n", "line 1: the column 'judge' is missing"),
        ("from,from,to,verdict,judge\n", "line 1: the column 'from' stands twice"),
        (HEADER + "ana,ben,wiser\n", "line 2: has 3 cells, and the header has 6"),
        (
            HEADER + "ana,ben,wisser,j,,\n",
            "line 2: the verdict 'wisser' is not known; did you mean 'wiser'?",
        ),
        (HEADER + "\nana,bem,wiser,j,,\n", "line 3: no card has the id 'bem'; did you mean 'ben'?"),
        (HEADER + "ana,ana,wiser,j,,\n", "line 2: a move joins two different cards, and both are 'ana'"),
        (HEADER + "ana,ben,wiser, ,,\n", "line 2: judge is empty"),
        (HEADER + 'ana,ben,wiser,"j\n', "line 2: broken CSV: unexpected end of data"),
        (HEADER + "x" * 10_000_000, "line 2: is longer than 64 KiB, the most a line may hold"),
        (HEADER + '"' + "x\n" * 5_000_000, "line 65538: broken CSV: field larger than field limit (131072)"),
        (b"\xff\xfef\x00", "line 1: is not UTF-8 text; save the file as UTF-8"),
        (HEADER.encode() + b"ana,ben,wiser,\xe9,,\n", "line 2: is not UTF-8 text; save the file as UTF-8"),
    ],
)
def test_a_table_of_judgements_that_makes_no_sense_is_refused_with_its_line(
    text: str | bytes, said: str
) -> None:
    with pytest.raises(ValueError, match=r"judgements|line") as caught:
        rows(text)
    assert str(caught.value) == said


@given(st.datetimes(timezones=st.none() | st.timezones()), st.sampled_from("T "))
def test_a_time_of_iso_8601_is_kept_as_it_is_written(when: datetime, between: str) -> None:
    for text in (
        when.isoformat(between, "seconds"),
        when.date().isoformat(),
        f"{when:%Y%m%dT%H%M}".zfill(13),
    ):
        (judgement,) = rows(HEADER + f"ana,ben,wiser,j,,{text}\n").judgements
        assert judgement.time == text


@pytest.mark.parametrize(
    "time", ["notatime", "31.01.2026", "2026-13-01", "2026-02-30", "2026-01-31x14:05", "2026", "1769868300"]
)
def test_a_time_that_is_none_is_refused_with_its_line(time: str) -> None:
    said = f"line 2: the time '{time}' is no date of ISO 8601, as 2026-01-31 or 2026-01-31T14:05:00Z"
    row = {"from": "ana", "to": "ben", "verdict": "wiser", "judge": "j"}
    for text, form in (
        (HEADER + f"ana,ben,wiser,j,,{time}\n", "csv"),
        (f"{json.dumps(row)}\n{json.dumps(row | {'time': time})}\n", "jsonl"),
    ):
        with pytest.raises(ValueError, match="the time") as caught:
            rows(text, form)  # type: ignore[arg-type]
        assert str(caught.value) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2: is no JSON; every line needs to be one JSON object"),
        ("[" * 60_000, "line 2: is no JSON; every line needs to be one JSON object"),
        ("[1]", "line 2: needs to be a JSON object with the keys from, to, verdict, judge, context, time"),
        ('{"frm": 1}', "line 2: unknown column 'frm'; did you mean 'from'?"),
        ('{"from": "ana"}', "line 2: the column 'to' is missing"),
        ('{"from": "ana", "to": "ben", "from": "ben"}', "line 2: the column 'from' stands twice"),
        (
            '{"from": "ana", "to": "ben", "verdict": NaN, "judge": "j"}',
            "line 2: verdict needs to be text",
        ),
        (
            '{"from": "ana", "to": "ben", "verdict": "wiser", "judge": "\\ud800"}',
            "line 2: judge holds half a character",
        ),
    ],
)
def test_json_lines_that_make_no_sense_are_refused_with_their_line(line: str, said: str) -> None:
    good = '{"from": "ana", "to": "ben", "verdict": "wiser", "judge": "j"}'
    with pytest.raises(ValueError, match="line 2") as caught:
        rows(f"{good}\n{line}\n", "jsonl")
    assert str(caught.value) == said
