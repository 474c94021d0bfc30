"""Where a sentence ends, in the scripts that models answer in."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from multiplex.sentences import sentences

ROOT = Path(__file__).parent.parent


def parts(text: str) -> list[str]:
    return list(sentences(text))


@pytest.mark.parametrize(
    "text",
    [
        "水は皆のもの。|順番に分ける。|干ばつの年ほど掟が要る。",
        "本当か？！|そうだ！|次は水．|量は３．１４だ。",
        "「水は皆のもの。」|順番に分ける。",
        "水是大家的。|按顺序分；这样公平！|真的吗？",
        "“水是大家的。”|他说……对，没错。|好",
        "真的吗?|是的!|好。",
        "**水是大家的。**|按顺序分。",
        "هل يجوز؟| نعم يجوز.| لا بأس.",
        "قال: «نعم.»| ثم ذهب!| انتهى",
        "کیا یہ ٹھیک ہے؟| ہاں۔| چلو",
        "क्या यह ठीक है?| हाँ।| ठीक है.| चलो।",
        "מים לכולם.| לפי התור.| כן!",
        "물은 모두의 것이다.| 차례로 나눈다.| 네.| 그렇다.",
        "ውሃ የጋራ ነው።| በተራ።",
        "Ջուրը ընդհանուր է։| Հերթով։",
        "წყალი საერთოა.| რიგით.",
        "ရေသည် အားလုံးပိုင်။| အလှည့်ကျ။",
        "Вода общая.| Делить по очереди.",
        "Oui.| École ouverte.",
        "Sí.| ¿Por qué?| «Él va.»| Ya.",
        "Maji ni ya wote.| Tugawane.",
    ],
)
def test_a_sentence_ends_at_the_stops_of_its_script(text: str) -> None:
    assert parts(text.replace("|", "")) == [part.strip() for part in text.split("|")]


@pytest.mark.parametrize(
    "text",
    [
        "「水は皆のもの。」と長老は言った",
        "「行くのか？」って聞いた",
        "完了！、次へ",
        "量は３．１４だ",
        "قال د. محمد",
        "ดร. สมชาย พูด",
        "तत्त्वमसि ॥ १२ ॥",
        "The end. of it",
        "Вода т. е. река",
        "see ¹. ² and ①. ②",
        "the marks `。` and `؟`",
        "Stop‼ Now⁉ Go",
        "。",
        "！？。。。",
    ],
)
def test_what_looks_like_an_end_and_is_none_splits_nothing(text: str) -> None:
    assert parts(text) == [text]


def in_latin(text: str) -> list[str]:
    end = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]?[A-Z0-9])")
    return [part.strip() for line in text.splitlines() for part in end.split(line) if part.strip()]


@given(st.text(alphabet="aAzZ059 .!?\"'”’“‘()[],;:…—-_*\n\té", max_size=40))
def test_english_is_split_before_a_capital_or_a_digit_after_stop_and_space(text: str) -> None:
    assert parts(text) == in_latin(text)


def test_what_ships_is_split_as_english() -> None:
    paths = [path for folder in ("personas", "scenarios") for path in (ROOT / folder).rglob("*.yaml")]
    texts = [text for path in paths for text in spoken(yaml.safe_load(path.read_text(encoding="utf-8")))]
    assert len(texts) > 1_000
    assert [text for text in texts if parts(text) != in_latin(text)] == []


def spoken(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict | list):
        for each in data.values() if isinstance(data, dict) else data:
            yield from spoken(each)


@given(st.text(alphabet='aAé水あ5५ .!?。！」「』と॥।؟هंด١ა"”«»、\n', max_size=40))
def test_nothing_but_quotes_and_spaces_is_lost(text: str) -> None:
    kept = "".join(parts(text))
    assert re.sub(r"[\"”\s]", "", kept) == re.sub(r"[\"”\s]", "", text)
    assert all(part and part == part.strip() and part in text for part in parts(text))


@pytest.mark.slow  # it asks of every character there is
def test_the_stops_are_those_that_unicode_has() -> None:
    regex = pytest.importorskip("regex")
    ends = [chr(c) for c in range(0x10FFFF) if parts(f"あ{chr(c)}い") == [f"あ{chr(c)}", "い"]]
    assert [c for c in ends if not regex.match(r"\p{STerm}|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]", c)] == []
    assert {"。", "！", "？", "؟", "۔", "।", "॥", "።", "։", "။", "។", "｡", "．"} <= set(ends)


def test_a_long_line_of_stops_is_split_once_over() -> None:
    assert len(parts("د. محمد قال نعم. " * 5_000)) == 5_000
    assert len(parts("水。" * 20_000)) == 20_000
    assert len(parts("。" * 100_000 + "、")) == 1
