"""Licences and languages as a hub knows them: what a card's header may name."""

import re
from collections.abc import Sequence
from difflib import get_close_matches

from multiplex.errors import ContentError

__all__ = ["LANGUAGES", "LICENCES", "check_language", "check_licence", "licence_name"]

_CODES = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy
da de dv dz ee el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu
hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb
lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om
or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg sh si sk sl sm sn so sq sr ss st su sv
sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
"""

LICENCES = frozenset(
    (
        *("afl-3.0", "agpl-3.0", "apache-2.0", "apple-amlr", "apple-ascl", "artistic-2.0"),
        *("bigcode-openrail-m", "bigscience-bloom-rail-1.0", "bigscience-openrail-m", "bsd", "bsd-2-clause"),
        *(
            "bsd-3-clause",
            "bsd-3-clause-clear",
            "bsl-1.0",
            "c-uda",
            "cc",
            "cc0-1.0",
            "cc-by-2.0",
            "cc-by-2.5",
        ),
        *("cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0"),
        *("cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0"),
        *("cc-by-sa-3.0", "cc-by-sa-4.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0"),
        *("creativeml-openrail-m", "deepfloyd-if-license", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0"),
        *("eupl-1.1", "eupl-1.2", "fair-noncommercial-research-license", "gemma", "gfdl", "gpl", "gpl-2.0"),
        *(
            "gpl-3.0",
            "grok2-community",
            "h-research",
            "intel-research",
            "isc",
            "lgpl",
            "lgpl-2.1",
            "lgpl-3.0",
        ),
        *("lgpl-lr", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "lppl-1.3c", "mit"),
        *("mpl-2.0", "ms-pl", "ncsa", "odbl", "odc-by", "ofl-1.1", "openmdw-1.0", "openrail", "openrail++"),
        *("osl-3.0", "other", "pddl", "postgresql", "unknown", "unlicense", "wtfpl", "zlib"),
    )
)
"""The identifiers of the Hugging Face Hub (huggingface.co/docs/hub/repositories-licenses)."""

LANGUAGES = frozenset(_CODES.split())
"""The codes of two letters (ISO 639-1)."""

_BEYOND = ("code", "multilingual")
"""What stands for a language on the hub, and is none."""

_OTHER = "other"


def check_licence(given: str) -> str:
    """Return a licence as a hub writes it: its identifier, or `other: NAME` for one that no hub knows.

    Raises:
        ContentError: the hub knows no such licence, and it was not given as other:NAME.
    """
    text = " ".join(given.split())
    name = licence_name(text)
    if name:
        return f"{_OTHER}: {name}"
    if text.lower() in LICENCES - {_OTHER}:
        return text.lower()
    if text.lower().rstrip(": ") == _OTHER:
        raise ContentError(f"--license {given}: which one? Give its name too, as in 'other:My data licence'")
    near = f" (did you mean {close!r}?)" if (close := _near(text.lower(), sorted(LICENCES))) else ""
    raise ContentError(
        f"--license {given}: no licence that the hub knows{near}; one of your own is given as 'other:NAME'"
    )


def licence_name(given: str) -> str | None:
    """Return the name of a licence that was given as other:NAME, None where it was not."""
    kind, colon, name = given.partition(":")
    return name.strip() or None if colon and kind.strip().lower() == _OTHER else None


def check_language(given: str) -> str:
    """Return the code of a language as a hub writes it.

    Codes of two letters are held against ISO 639-1; of three letters (ISO 639-2 and 639-3, some 8,000) only the
    form is looked at.

    Raises:
        ContentError: it is no such code.
    """
    text = given.strip().lower()
    if text in LANGUAGES or text in _BEYOND or re.fullmatch(r"[a-z]{3}", text):
        return text
    whole = re.split(r"[-_]", text)[0]
    near = f" (did you mean {whole!r}?)" if whole != text and whole in LANGUAGES else ""
    raise ContentError(
        f"--language {given}: no code of ISO 639{near}; it has two or three letters, as en, sw or yor"
    )


def _near(name: str, known: Sequence[str]) -> str | None:
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), None)
