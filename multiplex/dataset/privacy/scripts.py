"""Names in scripts that have no capitals: only the words beside a name, and the gazetteer, tell it."""

import re
from collections.abc import Iterator, Sequence

from multiplex.dataset.privacy.contexts import NATIVE
from multiplex.dataset.privacy.gazetteer import Gazetteer
from multiplex.dataset.privacy.tokens import UNCASED, Name, Token

__all__ = ["spaced_names", "unspaced_names"]

_BEFORE = 80
_END_OF_NATIVE = frozenset(
    ["है", "हैं", "हूँ", "है।", "ہے", "است", "هستم", "میں", "و", "وأعمل", "ნ", "არის", "ነው", "ነኝ"]
)
_HAN = r"[\u3005\u3400-\u9fff]"
_ZH_INTRODUCED = re.compile(rf"(?:我叫|我的名字(?:是|叫)|名叫|姓名[:：]\s*|我是)({_HAN}{{2,4}})")
_ZH_TITLED = re.compile(rf"({_HAN}{{2,4}}?)(?=先生|女士|小姐|太太|老师|医生|教授|同学|经理|师傅|阿姨)")
_ZH_STOPS = frozenset("今是我在来住想的和有岁说也就都很年你他她们这那不了着被把跟与因，")
_JA_INTRODUCED = re.compile(
    r"(?:名前は|私は|わたしは)([\u3005\u3040-\u30ff\u3400-\u9fff・ ]{2,10}?)(?=です|と申します|といいます|と言います)"
)
_JA_CALLED = re.compile(
    r"名前は([\u3005\u3040-\u30ff\u3400-\u9fff・ ]{2,10}?)(?=です|と申します|といいます|と言います)"
)
_JA_BESIDE = re.compile(rf"の({_HAN}{{2,5}}(?:[\u3041-\u309f]{{2,4}})?)(?=さん|様|くん|ちゃん|氏)")
_JA_PEOPLE = (
    "奥",
    "娘",
    "息子",
    "患者",
    "業者",
    "学生",
    "皆",
    "母",
    "父",
    "兄",
    "姉",
    "医者",
    "隣",
    "近所",
    "店員",
    "運転手",
    "看護師",
)
_JA_TITLED = re.compile(rf"({_HAN}{{2,6}}|[\u30a0-\u30ff]{{2,8}})(?=さん|様|君|くん|ちゃん|氏|先生)")
_KO_INTRODUCED = re.compile(r"(?:이름은|저는|나는)\s?([가-힣]{2,4}?)(?=입니다|이에요|예요|이고|라고|이라고)")
_KO_TITLED = re.compile(r"(?<![가-힣])([가-힣]{2,4}?)(?=\s?(?:씨|선생님|교수님|과장님|님)(?![가-힣]{2}))")
_TH_INTRODUCED = re.compile(
    r"(?:(?:ผม|ฉัน|ดิฉัน|หนู)ชื่อ|ชื่อของ(?:ผม|ฉัน)คือ|คุณ|นาย|นางสาว|"
    r"นาง)\s?([\u0e01-\u0e4e]{2,20})(?:\s([\u0e01-\u0e4e]{2,20}))?"
)
_TH_ENDS = ("ครับ", "ค่ะ", "คะ")


def spaced_names(text: str, tokens: Sequence[Token], names: Gazetteer) -> Iterator[Name]:
    """Find names in scripts without capitals that put spaces between words."""
    for index, token in enumerate(tokens):
        if not UNCASED.match(token.text):
            continue
        following = _spaced(text, tokens, index, 3)
        if NATIVE.search(text[max(0, token.start - _BEFORE) : token.start]):
            if token.text in _END_OF_NATIVE:
                continue
            end = token.end
            for number, other in enumerate(following):
                if other.text in _END_OF_NATIVE or not (number == 0 or names.known(other.folded)):
                    break
                end = other.end
            yield Name(token.start, end, 0.8)
        elif following and token.folded in names.given and following[0].folded in names.family:
            yield Name(token.start, following[0].end, 0.6)


def _spaced(text: str, tokens: Sequence[Token], index: int, most: int) -> list[Token]:
    result: list[Token] = []
    end = tokens[index].end
    for token in tokens[index + 1 : index + 1 + most]:
        if text[end : token.start].strip(" \u200c") or token.start - end > 2:
            break
        result.append(token)
        end = token.end
    return result


def unspaced_names(text: str, names: Gazetteer) -> Iterator[Name]:
    """Find names in Chinese, Japanese, Korean and Thai, where they are introduced or carry a title."""
    for match in [*_ZH_INTRODUCED.finditer(text), *_ZH_TITLED.finditer(text)]:
        yield from _han(match.start(1), match[1], names)
    for match in _JA_INTRODUCED.finditer(text):
        if any(match[1].startswith(name) for name in names.japanese):
            yield Name(match.start(1), match.end(1), 0.8)
    for match in _JA_CALLED.finditer(text):
        yield Name(match.start(1), match.end(1), 0.8)
    for match in _JA_BESIDE.finditer(text):
        if not match[1].startswith(_JA_PEOPLE):
            yield Name(match.start(1), match.end(1), 0.6)
    for match in _JA_TITLED.finditer(text):
        known = [at for at in range(len(match[1])) if any(match[1].startswith(n, at) for n in names.japanese)]
        if known:
            yield Name(match.start(1) + known[0], match.end(1), 0.75)
    for match in [*_KO_INTRODUCED.finditer(text), *_KO_TITLED.finditer(text)]:
        if match[1][:1] in names.hangul_families or match[1][:2] in names.hangul_families:
            yield Name(match.start(1), match.end(1), 0.75)
    for match in _TH_INTRODUCED.finditer(text):
        second = match[2] if match[2] and not match[2].startswith(_TH_ENDS) else None
        if second or any(match[1].startswith(name) for name in names.thai):
            yield Name(match.start(1), match.end(2) if second else match.end(1), 0.7)


def _han(start: int, written: str, names: Gazetteer) -> Iterator[Name]:
    for offset in range(len(written) - 1):
        size = next((s for s in (2, 1) if written[offset : offset + s] in names.han_families), 0)
        if not size:
            continue
        given = written[offset + size : offset + size + 2]
        for cut, letter in enumerate(given):
            if letter in _ZH_STOPS:
                given = given[:cut]
                break
        if given:
            yield Name(start + offset, start + offset + size + len(given), 0.75)
        return
