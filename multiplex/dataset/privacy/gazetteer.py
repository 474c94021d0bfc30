"""A gazetteer: given and family names of many cultures, and the words that are no names, or not only.

The names are the lists that the package Faker keeps for its locales (MIT licence; gathered from public
statistics by the people of each country), read as data, and those of `words.txt`. They hold ordinary words
as well (May, Grace, Will), so the words that have another meaning are told apart and need more evidence.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from itertools import chain
from pkgutil import iter_modules
from typing import Any

from multiplex.content.files import named_files, read_text, shipped
from multiplex.errors import ContentError

__all__ = ["Gazetteer", "fold", "gazetteer", "public_figures"]

_WORD_LISTS = ("da_DK", "de_DE", "en_US", "es_ES", "fr_FR", "it_IT", "nl_NL", "ru_RU", "uk_UA")


def fold(word: str) -> str:
    """Return a word as names are compared: lower case, and without accents over Latin, Greek or Cyrillic letters."""
    parts = unicodedata.normalize("NFD", word.casefold().replace("’", "'"))
    return unicodedata.normalize("NFC", re.sub(r"[\u0300-\u036f]", "", parts))


@dataclass(frozen=True, slots=True)
class Gazetteer:
    """Names, folded; `ordinary` holds words that mean something else as well, `institutions` what ends a place's name.

    `capitals` are those of `ordinary` that a name does not need for its capital: places, faiths and peoples, and times
    (months, but today, summer and dawn as well); `peoples` are the faiths and peoples among them.
    `han_families`, `hangul_families` and `japanese` are as written, for scripts without spaces.
    """

    given: frozenset[str]
    family: frozenset[str]
    ordinary: frozenset[str]
    capitals: frozenset[str]
    peoples: frozenset[str]
    figures: frozenset[str]
    institutions: frozenset[str]
    particles: frozenset[str]
    titles: frozenset[str]
    titles_of_office: frozenset[str]
    titles_that_are_families: frozenset[str]
    han_families: frozenset[str]
    hangul_families: frozenset[str]
    japanese: frozenset[str]
    thai: frozenset[str]
    version: str

    def known(self, word: str) -> bool:
        """Return whether the folded word is somebody's name."""
        return word in self.given or word in self.family

    def certain(self, word: str) -> bool:
        """Return whether the folded word is a name and, as far as is known, nothing else."""
        return self.known(word) and word not in self.ordinary and word not in self.figures


@cache
def gazetteer() -> Gazetteer:
    """Return the gazetteer, read once.

    Raises:
        ContentError: Faker is not installed.
    """
    try:
        people = import_module("faker.providers.person")
        texts = import_module("faker.providers.lorem")
        places = import_module("faker.providers.address.en")
    except ImportError as error:
        raise ContentError(
            "telling names needs the package Faker; run pip install 'multiplex-deliberation[data]'"
        ) from error
    lists = _lists()
    given, family = set(lists["given"]), set(lists["family"])
    met: Counter[str] = Counter()
    written: dict[str, tuple[set[str], set[str]]] = {}
    for module in iter_modules(people.__path__):
        provider = import_module(f"{people.__name__}.{module.name}").Provider
        first = set(_entries(provider, "first_name", "middle_name"))
        last = set(_entries(provider, "last_name"))
        written[module.name] = first, last
        given.update(_words(first))
        family.update(_words(last))
        met.update(set(_words(first)) | set(_words(last)))
    words = {
        kind: frozenset(map(fold, lists[kind])) for kind in ("faiths_and_peoples", "times", "places", "plain")
    }
    peoples = words["faiths_and_peoples"] - words["plain"]
    ordinary = {*chain.from_iterable(words.values())}
    for locale in _WORD_LISTS:
        listed = {fold(word) for word in import_module(f"{texts.__name__}.{locale}").Provider.word_list}
        # some of these lists of common words hold names too: what many cultures use as a name is one
        ordinary.update(word for word in listed if met[word] < 4)
    ordinary.update(_prose())
    for country in places.Provider.countries:
        ordinary.update(fold(word) for word in re.findall(r"\w+", country))
    return Gazetteer(
        given=frozenset(given - lists["particles"]),
        family=frozenset(family - lists["particles"]),
        ordinary=frozenset(ordinary),
        capitals=peoples | words["times"] | words["places"],
        peoples=peoples,
        figures=lists["figures"],
        institutions=lists["institutions"],
        particles=lists["particles"],
        titles=lists["titles"],
        titles_of_office=lists["titles_of_office"],
        titles_that_are_families=lists["titles_that_are_families"],
        han_families=frozenset(w for place in ("zh_CN", "zh_TW") for w in written[place][1]),
        hangul_families=frozenset(written["ko_KR"][1]),
        japanese=frozenset(w for part in written["ja_JP"] for w in part if len(w) > 1 and w[0] >= "\u4e00"),
        thai=frozenset(re.sub(r"\s+", "", w) for part in written["th_TH"] for w in part if len(w) > 2),
        version=version("faker"),
    )


@cache
def public_figures() -> tuple[str, ...]:
    """Return the people whom questions about public life name, and names that stand for nobody."""
    return tuple(" ".join(name.split()) for name in _sections()["public"].split(";"))


def _lists() -> dict[str, frozenset[str]]:
    return {name: frozenset(text.split()) for name, text in _sections().items()}


def _sections() -> dict[str, str]:
    text = files("multiplex.dataset.privacy").joinpath("words.txt").read_text(encoding="utf-8")
    parts = re.split(r"^\[(\w+)\].*$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _prose() -> set[str]:
    """Return the words that stand in lower case in the content that ships: whoever writes them so means no name."""
    folders = [shipped("scenarios"), *(entry for entry in shipped("personas").iterdir() if entry.is_dir())]
    texts = (
        read_text(file, where=file.name).text for folder in folders for file in named_files(folder).values()
    )
    return {fold(word) for text in texts for word in re.findall(r"(?<![\w'’-])[a-z]{2,}(?![\w'’-])", text)}


def _entries(provider: Any, *kinds: str) -> Iterator[str]:
    for attribute in dir(provider):
        entries = getattr(provider, attribute)
        if any(kind in attribute for kind in kinds) and isinstance(entries, dict | list | tuple | set):
            # Japanese entries are tuples of one name in three scripts
            yield from (part for entry in entries for part in ([entry] if isinstance(entry, str) else entry))


def _words(entries: set[str]) -> Iterator[str]:
    for entry in entries:
        yield from (word for part in entry.split() if len(word := fold(part)) > 1)
