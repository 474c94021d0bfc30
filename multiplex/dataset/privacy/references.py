"""Chapters that look like the address of a computer: Shatapatha Brahmana 1.7.2.1-6."""

import re
from collections.abc import Iterable

from multiplex.dataset.privacy.spans import Span

__all__ = ["is_chapter"]

_NUMBERS = re.compile(r"[1-9]\d{0,2}(?:\.[1-9]\d{0,2}){3}")
_MOST_BOOKS = 50
"""No work that is quoted by four numbers has more books than the Digest."""

_ONWARDS = re.compile(
    r"(?:[-–]|:(?!(?:2[0-35]|53|80|110|143|443|445|465|587|993|995)(?!\d)))\d{1,3}(?!\w|\.\d)"
)
"""Up to which verse, or which one; not the commoner ports of three digits or less."""

_TITLE = re.compile(r"[^\s*.!?:;\[\]][^\S\n]+[^\W\d_a-z][\w'’-]+,?[^\S\n]+$")
_NTH = re.compile(r"第\s?$")
_COMPUTERS = re.compile(
    r"(?<!\w)(?:ipv?[46]?s?|address(?:es)?|host\w*|servers?|routers?|gateways?|subnets?|networks?|dns|vpn|vps|lan|wi-?fi|"
    r"ports?|proxy|proxies|ping\w*|ssh|https?|ftp|smtp|url|tcp|udp|log(?:s|ged|gin|in)?|connect\w*|block\w*|ban(?:ned)?|"
    r"firewall\w*|trac(?:e|ed|ert|eroute)|nodes?|clients?|machines?|computers?|devices?|printers?|cameras?|modems?)(?!\w)",
    re.I,
)
_BESIDE, _BEHIND = 60, 20


def is_chapter(text: str, span: Span, named: Iterable[Span] = ()) -> bool:
    """Return whether four numbers are a place in a work and no address: verses follow, or a title or 第 stands before.

    A title is a word with a capital that opens no sentence and is in none of the spans that are `named`. Nothing
    is a chapter that has a 0 or more than fifty books, or beside which a word such as `server` stands.
    """
    written = text[span.start : span.end]
    before, behind = text[max(0, span.start - _BESIDE) : span.start], text[span.end : span.end + _BEHIND]
    if not _NUMBERS.fullmatch(written) or int(written.partition(".")[0]) > _MOST_BOOKS:
        return False
    if _COMPUTERS.search(before) or _COMPUTERS.search(behind):
        return False
    if _ONWARDS.match(behind) or _NTH.search(before):
        return True
    beside = any(0 <= span.start - each.end <= 2 for each in named)
    return not beside and bool(_TITLE.search(before))
