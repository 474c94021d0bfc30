"""Finding the names of people, by evidence: a capital, the gazetteer, and the words beside the name.

A name needs two of the three, and a word that means something else as well (May, Grace, Jordan) or that
belongs to history (Abraham, Kant) needs the third. Scripts without capitals need words beside the name,
or a given and a family name side by side. There is no model in it: it knows the names of its gazetteer
and the turns of phrase of `contexts`, and misses a rare name in a sentence that does not introduce it.
"""

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import pairwise, zip_longest

from multiplex.dataset.privacy.contexts import AFTER, ASKED, CLOSE, KIN, MY_NAME, SAYS, STRONG
from multiplex.dataset.privacy.gazetteer import Gazetteer, fold, gazetteer
from multiplex.dataset.privacy.scripts import spaced_names, unspaced_names
from multiplex.dataset.privacy.tokens import WORD, Name, Token, tokenise, without_possessive

__all__ = ["calls", "find_names", "name_parts", "name_words", "repeats"]

_JOINT = re.compile(r"[ \t\u00a0]{1,2}|\.[ \t]{0,2}|[ \t]?[-‐][ \t]?")
_WITHIN = re.compile(r"\s{1,2}|\.\s{0,2}")
_BEFORE = 80
_DOUBTFUL = 0.45  # two unknown words with capitals: a rare name, or a place
_SENTENCE = re.compile(r"(?:^|[.!?:;।。！？…]['\"”’)\]]*\s+|\n\s*|[\"“«(\[¿¡]\s*|[-–—•*]\s+|\d[.)]\s+)$")
_ARTICLE = re.compile(
    r"(?<!\w)(?:an?|the|this|that|these|those|some|any|every|each|no|of|for|by|means?|called)\s+$", re.I
)
_PLACED = re.compile(
    r"(?<!\w)(?:in|at|on|near|from|to|into|since|until|till|during|through|across|around|last|next|early|late|mid|new|"
    r"north|south|east|west|lake|mount|port|fort|saint|st\.?|queen|king)[\s-]+$",
    re.I,
)
"""Matches a text that ends where a place or a time is likely to begin."""

_DAY = re.compile(r"\s+\d")
"""Matches a text that begins with a day or a year, behind a month."""

_SPOKEN_ON = re.compile(r"\s*(?:[,.;!?\n)]|$|(?:and|i|but|from|aged?|im)\b)", re.I)


def find_names(text: str) -> list[Name]:
    """Return the names in a text, in their order, without overlaps.

    Raises ContentError where the gazetteer is not installed.
    """
    names = gazetteer()
    tokens = tokenise(text, names)
    found = [*_capitalised(text, tokens, names), *_lower_case(text, tokens, names)]
    if not text.isascii():
        found += [*spaced_names(text, tokens, names), *unspaced_names(text, names)]
    return _apart(found)


def name_words(name: str) -> set[str]:
    """Return the folded words of a name by which the person may be called: Bo and Ng, no van or J."""
    names = gazetteer()
    return {word for word in _folded(name) if len(word) > 1 and word not in names.particles}


def name_parts(name: str) -> set[str]:
    """Return what of a name stands for the person alone, folded: Priya and Sharma, no van or J.

    Where a word of it may be another thing, as in Frank King, or is too short, as in Bo Ng, that is the name as a
    whole, its words apart by spaces.
    """
    ordinary = gazetteer().ordinary
    words = name_words(name)
    parts = {word for word in words if len(word) > 2 and word not in ordinary}
    whole = _folded(name)
    return parts | {" ".join(whole)} if len(whole) > 1 and words - parts else parts


def _folded(name: str) -> list[str]:
    return [fold(match[0]) for match in WORD.finditer(name)]


def repeats(text: str, parts: Iterable[str]) -> list[Name]:
    """Return where a part of a name that is known already stands again, or the whole name; apart from each other.

    A whole name has capitals. In lower case a part is one only where nothing before it, such as an article, makes
    it a word.
    """
    known = set(parts)
    if not known:
        return []
    wholes: dict[str, list[list[str]]] = {}
    for words in sorted((part.split() for part in known if " " in part), key=len, reverse=True):
        wholes.setdefault(words[0], []).append(words)
    found: list[Name] = []
    matches = [*WORD.finditer(text)]
    for place, match in enumerate(matches):
        if found and match.start() < found[-1].end:
            continue
        word = without_possessive(match[0])
        end = match.start() + len(word)
        whole = next(
            (
                ended
                for words in wholes.get(fold(word), ())
                if (ended := _whole(text, matches[place : place + len(words)], words))
            ),
            None,
        )
        if whole:
            found.append(Name(match.start(), whole, 0.6))
        elif fold(word) in known and (
            not word[0].islower()
            or (word.islower() and not _ARTICLE.search(text[max(0, match.start() - 12) : match.start()]))
        ):
            found.append(Name(match.start(), end, 0.6))
    return found


def _whole(text: str, matches: Sequence[re.Match[str]], words: Sequence[str]) -> int | None:
    """Return where a whole name ends that these words of a text are; None where they are not, or have no capital."""
    last = without_possessive(matches[-1][0])
    written = [*(match[0] for match in matches[:-1]), last]
    if [fold(word) for word in written] != words or written[0][0].islower() or last[0].islower():
        return None
    for one, other in pairwise(matches):
        between = text[one.end() : other.start()]
        if not _WITHIN.fullmatch(between) or ("." in between and len(one[0]) > 1):
            return None
    return matches[-1].start() + len(last)


def calls(text: str, words: Container[str]) -> list[Name]:
    """Return where an ordinary word that is a given name, of those that known names hold, calls somebody.

    It has a capital that its sentence does not give it, and stands beside such words as a name does: Frank said, and
    never by Grace. What is a place or a time as well, as Charlotte or May, stands where only people do: asked
    Charlotte, but not met Charlotte; and a faith or a people, as Christian, is never one.
    """
    names = gazetteer()
    tokens = tokenise(text, names)
    found = []
    for token, following in zip_longest(tokens, tokens[1:]):
        before = text[max(0, token.start - _BEFORE) : token.start]
        if (
            token.folded not in words
            or token.kind != "ambiguous"
            or token.folded not in names.given
            or token.folded in names.peoples
            or not token.text.istitle()
            or (following is not None and following.capital and text[token.end : following.start] == " ")
            or _SENTENCE.search(before)
            or _ARTICLE.search(before)
        ):
            continue
        if token.folded in names.capitals:
            says = SAYS.match(text, token.end) and not _PLACED.search(before)
            told = says or (not _DAY.match(text, token.end) and (ASKED.search(before) or KIN.search(before)))
        else:
            after = text[token.end : token.end + 1] != "," and AFTER.match(text, token.end)
            told = after or CLOSE.search(before) or KIN.search(before)
        if told:
            found.append(Name(token.start, token.end, 0.6))
    return found


def _apart(found: Iterable[Name]) -> list[Name]:
    kept: list[Name] = []
    for name in sorted(found, key=lambda n: (n.start, -n.end)):
        if kept and name.start < kept[-1].end:
            last = kept[-1]
            kept[-1] = Name(last.start, max(last.end, name.end), max(last.score, name.score))
        else:
            kept.append(name)
    return kept


def _capitalised(text: str, tokens: Sequence[Token], names: Gazetteer) -> Iterator[Name]:
    index = 0
    while index < len(tokens):
        run = _run(text, tokens, index, names)
        if not run:
            index += 1
            continue
        following = tokens[index + len(run)] if index + len(run) < len(tokens) else None
        previous = tokens[index - 1] if index else None
        index += len(run)
        behind = tokens[max(0, index - len(run) - 3) : index - len(run)]
        ahead = tokens[index : index + 2]
        run = _introduced(text, behind, run, ahead, names)
        name = _judged(text, run, previous, following, names)
        if name:
            yield _with_family(text, name, run, following, names)


def _run(text: str, tokens: Sequence[Token], index: int, names: Gazetteer) -> list[Token]:
    """Return the longest run from here of capitalised words that a name may hold, particles between them."""
    run: list[Token] = []
    for token in tokens[index:]:
        joint = text[run[-1].end : token.start] if run else ""
        if run and not (_JOINT.fullmatch(joint) and ("." not in joint or run[-1].kind == "initial")):
            break
        if (token.kind == "particle" and (run or token.capital)) or (token.capital and token.nameable):
            run.append(token)
        else:
            break
        if len(run) == 8:
            break
    while run and (
        run[-1].kind == "particle"
        or (run[-1].kind == "initial" and len(run) > 1 and not _initial_ends(text, run[-1]))
    ):
        run.pop()
    return run if any(t.kind not in ("particle", "initial") for t in run) else []


def _introduced(
    text: str, behind: Sequence[Token], run: list[Token], ahead: Sequence[Token], names: Gazetteer
) -> list[Token]:
    """Return the run with what belongs to it behind an introduction: Mr van der Berg, Mrs Corazon Quick.

    There, small words may come first and ordinary words with a capital be names.
    """
    whole = list(run)
    for token in reversed(behind):
        ordinary = token.capital and token.kind == "other"
        if not (token.kind == "particle" or ordinary) or text[token.end : whole[0].start] != " ":
            break
        whole.insert(0, token)
    while len(whole) > len(run) and not _strong(text, whole[0]):
        whole.pop(0)
    if not _strong(text, whole[0]):
        return run
    for token in ahead:
        ordinary = token.capital and token.kind == "other" and token.folded not in names.institutions
        if not ordinary or text[whole[-1].end : token.start] != " ":
            break
        whole.append(token)
    return whole


def _with_family(
    text: str, name: Name, run: Sequence[Token], following: Token | None, names: Gazetteer
) -> Name:
    """Return a lone given name with the ordinary word behind it, if that has a capital as a family name would."""
    words = [token for token in run if token.kind not in ("particle", "initial")]
    if (
        len(words) == 1
        and words[0].kind == "certain"
        and words[0].folded in names.given
        and following is not None
        and following.capital
        and following.kind == "other"
        and not following.text.isupper()
        and following.folded not in names.institutions
        and following.folded not in names.figures
        and name.end == run[-1].end
        and text[name.end : following.start] == " "
    ):
        return Name(name.start, following.end, name.score)
    return name


def _strong(text: str, token: Token) -> bool:
    return bool(STRONG.search(text[max(0, token.start - _BEFORE) : token.start]))


def _initial_ends(text: str, token: Token) -> bool:
    return text[token.end : token.end + 1] == "."


def _judged(
    text: str, run: list[Token], previous: Token | None, following: Token | None, names: Gazetteer
) -> Name | None:
    before = text[max(0, run[0].start - _BEFORE) : run[0].start]
    strong, kin = STRONG.search(before), KIN.search(before)
    close, after = kin or CLOSE.search(before), AFTER.match(text, run[-1].end)
    if strong:
        whole = [t for t in run if t.kind not in ("particle",)]
        if len(whole) == 1 and _no_name(run[0], names):
            return None
        return Name(run[0].start, run[-1].end, 0.95 if any(t.kind == "certain" for t in run) else 0.8)
    if _belongs_to_a_thing(text, run, previous, following, names):
        return None
    opens = bool(_SENTENCE.search(before))
    words = [t for t in run if t.kind not in ("particle", "initial")]
    spoken = words[0].kind == "unknown" and after
    if (
        opens
        and len(words) > 1
        and words[0].kind in ("ambiguous", "unknown")
        and not (spoken or _given_before_family(words))
    ):
        # the first word may have its capital from the sentence alone
        first = run.index(words[0])
        rest = run[first + 1 :]
        if not any(t.kind == "certain" for t in rest) or words[0].kind == "ambiguous":
            run, words, opens = rest, words[1:], False
            while run and run[0].kind == "particle":
                run = run[1:]
    if not words or (opens and _shouted(text, run)):
        return None
    if len(words) == 1 and words[0].text.isupper() and not close:
        return None  # an abbreviation
    if (
        text[max(0, run[0].start - 3) : run[0].start].strip() == "&"
        or text[run[-1].end : run[-1].end + 2] == " &"
    ):
        return None  # a firm
    related = kin or (after and after[0][:2] in ("'s", "’s"))
    if related and (words[0].kind == "unknown" if len(words) == 1 else "unknown" in {t.kind for t in words}):
        return Name(run[0].start, run[-1].end, 0.55)
    score = _score(
        words,
        names,
        initials=any(t.kind == "initial" for t in run),
        opens=opens,
        close=bool(close),
        after=bool(after),
    )
    return Name(run[0].start, run[-1].end, score) if score else None


def _no_name(token: Token, names: Gazetteer) -> bool:
    """Return whether a lone word after `Dear` or `Mr` is none: Sir, Editor, Friends."""
    return token.kind in ("other", "title") or (token.kind == "ambiguous" and token.folded not in names.given)


def _given_before_family(words: Sequence[Token]) -> bool:
    return words[0].kind in ("certain", "family") or (
        words[0].kind == "unknown" and any(t.kind in ("certain", "family") for t in words[1:])
    )


def _shouted(text: str, run: Sequence[Token]) -> bool:
    line = text[text.rfind("\n", 0, run[0].start) + 1 : run[0].start + 80]
    return len(line) > 20 and line.upper() == line


def _belongs_to_a_thing(
    text: str, run: Sequence[Token], previous: Token | None, following: Token | None, names: Gazetteer
) -> bool:
    named = following and following.capital and following.folded in names.institutions
    if following and named and not text[run[-1].end : following.start].strip():
        return True
    if any(t.folded in names.institutions for t in run[1:]):
        return True
    if previous and previous.capital and previous.folded in names.titles_of_office:
        return text[previous.end : run[0].start].strip(". ") == ""
    return False


def _score(
    words: Sequence[Token], names: Gazetteer, *, initials: bool, opens: bool, close: bool, after: bool
) -> float:
    """Return how sure a run of capitalised words is a name; 0 where the evidence does not reach."""
    kinds = [t.kind for t in words]
    certain, family = kinds.count("certain"), kinds.count("family")
    beside = close or after
    if len(words) > 1:
        if certain and certain + family > 1:
            return 0.9 if beside else 0.8
        if certain:
            return 0.85 if beside else 0.7
        if family > 1 or (family and kinds[0] in ("ambiguous", "unknown")):
            return 0.8 if beside else 0.6
        introduced = close and words[0].folded in names.given and words[-1].folded in names.family
        # a capital and the words beside it are two of three, if no word of the run means anything else
        if set(kinds) <= {"unknown", "family"}:
            return 0.55 if beside else _DOUBTFUL
        return 0.55 if introduced else 0.0
    if certain:
        return 0.8 if beside else (0.0 if opens else 0.6)
    if family:
        return 0.65 if beside or initials else 0.0
    return 0.0


def _lower_case(text: str, tokens: Sequence[Token], names: Gazetteer) -> Iterator[Name]:
    """Find names in lower case: of the gazetteer and behind words that introduce one, or a given and a family name.

    After `my name is` one or two words that mean nothing else are a name too, if the sentence then goes on.
    """
    for index, token in enumerate(tokens):
        if (
            token.capital
            or token.kind not in ("certain", "family", "unknown")
            or len(token.text) < 3
            or not token.text.islower()
        ):
            continue
        before = text[max(0, token.start - _BEFORE) : token.start]
        own = MY_NAME.search(before)
        if token.kind == "certain" and not (own or STRONG.search(before) or KIN.search(before)):
            if not CLOSE.search(before):
                following = tokens[index + 1] if index + 1 < len(tokens) else None
                if following and _both_halves(text, token, following, names):
                    yield Name(token.start, following.end, 0.5)
                continue
        elif token.kind != "certain" and not own:
            continue
        end, last, met = token.end, token.end, 1
        for other in tokens[index + 1 : index + 6]:
            if text[last : other.start] not in (" ", "-") or other.capital or met == 3:
                break
            last = other.end
            if other.kind in ("certain", "family", "unknown"):
                end, met = other.end, met + 1
            elif other.kind != "particle":
                break
        if token.kind == "certain" or _SPOKEN_ON.match(text, end):
            yield Name(token.start, end, 0.65 if token.kind == "certain" else 0.55)


def _both_halves(text: str, given: Token, family: Token, names: Gazetteer) -> bool:
    """Return whether two words in lower case side by side are a given and a family name, and nothing else."""
    return (
        given.folded in names.given
        and family.folded in names.family
        and family.kind in ("certain", "family")
        and len(family.text) > 2
        and family.text.islower()
        and text[given.end : family.start] == " "
    )
