"""How much of the personal data planted in questions is masked, and how much else is.

Run `python bench/privacy.py` from the root of a checkout; it needs the extra `data`. The data are in
bench/privacy.yaml: names, addresses and sentences written by hand, and identity numbers made here with
their check digits. Prints tables and writes bench/results/privacy.json.

The part `development` was looked at while the masker was made, and some of its names are in its list of
common names. The part `held_out` was written afterwards. Its first run masked 0.700 of the names and showed
faults of the rules, which were mended (I'm taken for a part of a name, two unknown words before `said`,
Sheikh as a family name); no name or sentence of it was added to any list. Both parts were written by the
people who made the masker, and the styles are not as frequent in real prompts as here: read recall by style.
"""

import argparse
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import yaml

from multiplex.content.panels import seat
from multiplex.dataset.privacy import Masker, public_names
from multiplex.dataset.privacy.gazetteer import fold, gazetteer

HERE = Path(__file__).parent
FAMILY_FIRST = ("cantonese", "chinese", "korean", "vietnamese")


@dataclass(frozen=True, slots=True)
class Planted:
    """A text with one planted item at text[start:end]; kind NONE where nothing is planted."""

    text: str
    kind: str
    group: str
    carrier: str
    start: int = 0
    end: int = 0


def wilson(hits: int, of: int, z: float = 1.959964) -> tuple[float, float] | None:
    """Return Wilson's interval of a share at 95 %; None of nothing."""
    if not of:
        return None
    share = hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def digits(draw: random.Random, size: int) -> list[int]:
    """Return that many digits, the first no zero."""
    return [draw.randint(1, 9), *(draw.randint(0, 9) for _ in range(size - 1))]


def written(numbers: list[int]) -> str:
    """Return digits as text."""
    return "".join(map(str, numbers))


def luhn(numbers: list[int]) -> int:
    """Return the check digit of Luhn's sum."""
    doubled = [d if place % 2 else d * 2 for place, d in enumerate(reversed(numbers))]
    return -sum(d - 9 if d > 9 else d for d in doubled) % 10


def birth(draw: random.Random) -> tuple[int, int, int]:
    """Return a year, a month and a day."""
    return draw.randint(1950, 1999), draw.randint(1, 12), draw.randint(1, 28)


def us_ssn(draw: random.Random) -> str:
    """Return a social security number of the United States."""
    return f"{draw.randint(101, 665):03}-{draw.randint(1, 99):02}-{draw.randint(1000, 9999)}"


def uk_nino(draw: random.Random) -> str:
    """Return a British national insurance number."""
    letters = draw.choice(["AB", "CE", "JH", "PW", "SX"])
    return f"{letters} {draw.randint(10, 99)} {draw.randint(10, 99)} {draw.randint(10, 99)} {draw.choice('ABCD')}"


def uk_nhs(draw: random.Random) -> str:
    """Return a British health service number (modulo 11)."""
    while True:
        body = digits(draw, 9)
        check = 11 - sum(d * w for d, w in zip(body, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            whole = written([*body, check % 11])
            return f"{whole[:3]} {whole[3:6]} {whole[6:]}"


def spanish_dni(draw: random.Random) -> str:
    """Return a Spanish DNI with its letter."""
    number = draw.randint(10_000_000, 99_999_999)
    return f"{number}{'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23]}"


def indian_aadhaar(draw: random.Random) -> str:
    """Return an Aadhaar number with Verhoeff's check digit."""
    multiply = [[(i + j) % 5 if j < 5 else 5 + (i + j) % 5 for j in range(10)] for i in range(5)]
    multiply += [[5 + (i - j) % 5 if j < 5 else (i - j) % 5 for j in range(10)] for i in range(5, 10)]
    permute = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    while len(permute) < 8:
        permute.append([permute[-1][permute[1][i]] for i in range(10)])
    body = [draw.randint(2, 9), *digits(draw, 10)]
    state = 0
    for place, digit in enumerate(reversed(body), start=1):
        state = multiply[state][permute[place % 8][digit]]
    check = next(d for d in range(10) if multiply[state][d] == 0)
    whole = written([*body, check])
    return f"{whole[:4]} {whole[4:8]} {whole[8:]}"


def indian_pan(draw: random.Random) -> str:
    """Return an Indian tax number."""
    letters = "".join(draw.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=3))
    return f"{letters}P{draw.choice('ABDGKMRS')}{draw.randint(1000, 9999)}{draw.choice('ABCDEFGH')}"


def singapore_nric(draw: random.Random) -> str:
    """Return a Singapore identity number with its letter."""
    body = digits(draw, 7)
    total = sum(d * w for d, w in zip(body, (2, 7, 6, 5, 4, 3, 2), strict=True))
    return f"S{written(body)}{'JZIHGFEDCBA'[total % 11]}"


def polish_pesel(draw: random.Random) -> str:
    """Return a Polish PESEL."""
    year, month, day = birth(draw)
    body = [int(c) for c in f"{year % 100:02}{month:02}{day:02}{draw.randint(0, 9999):04}"]
    total = sum(d * w for d, w in zip(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True))
    return written([*body, -total % 10])


def finnish_hetu(draw: random.Random) -> str:
    """Return a Finnish personal identity code."""
    year, month, day = birth(draw)
    date, number = f"{day:02}{month:02}{year % 100:02}", f"{draw.randint(2, 899):03}"
    return f"{date}-{number}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(date + number) % 31]}"


def korean_rrn(draw: random.Random) -> str:
    """Return a Korean resident registration number."""
    year, month, day = birth(draw)
    body = [
        int(c) for c in f"{year % 100:02}{month:02}{day:02}{draw.choice('12')}{draw.randint(0, 95_999):05}"
    ]
    total = sum(d * w for d, w in zip(body, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True))
    whole = written([*body, (11 - total % 11) % 10])
    return f"{whole[:6]}-{whole[6:]}"


def swedish_personnummer(draw: random.Random) -> str:
    """Return a Swedish personal number."""
    year, month, day = birth(draw)
    body = [int(c) for c in f"{year % 100:02}{month:02}{day:02}{draw.randint(1, 999):03}"]
    whole = written([*body, luhn(body)])
    return f"{whole[:6]}-{whole[6:]}"


def brazilian_cpf(draw: random.Random) -> str:
    """Return a Brazilian CPF with its two check digits."""
    body = digits(draw, 9)
    for size in (10, 11):
        rest = sum(d * w for d, w in zip(body, range(size, 1, -1), strict=True)) % 11
        body.append(0 if rest < 2 else 11 - rest)
    whole = written(body)
    return f"{whole[:3]}.{whole[3:6]}.{whole[6:9]}-{whole[9:]}"


def chinese_resident(draw: random.Random) -> str:
    """Return a Chinese resident's number."""
    year, month, day = birth(draw)
    body = f"{draw.choice(['110105', '310104', '440305'])}{year}{month:02}{day:02}{draw.randint(1, 999):03}"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, weights, strict=True)) % 11]


def south_african(draw: random.Random) -> str:
    """Return a South African identity number."""
    year, month, day = birth(draw)
    body = [int(c) for c in f"{year % 100:02}{month:02}{day:02}{draw.randint(0, 9999):04}08"]
    return written([*body, luhn(body)])


def turkish_tckn(draw: random.Random) -> str:
    """Return a Turkish identity number."""
    body = digits(draw, 9)
    tenth = (7 * sum(body[0::2]) - sum(body[1::2])) % 10
    return written([*body, tenth, (sum(body) + tenth) % 10])


def french_insee(draw: random.Random) -> str:
    """Return a French social security number with its key."""
    year, month, _ = birth(draw)
    body = f"{draw.choice('12')}{year % 100:02}{month:02}{draw.randint(10_001_001, 89_999_999)}"
    return f"{body[0]} {body[1:3]} {body[3:5]} {body[5:7]} {body[7:10]} {body[10:]} {97 - int(body) % 97:02}"


def passport(draw: random.Random) -> str:
    """Return a passport number: no check digit."""
    return draw.choice(["X", "C", "AB", ""]) + str(draw.randint(10_000_000, 99_999_999))


def licence(draw: random.Random) -> str:
    """Return a driver's licence number, as many American states write it: no check digit."""
    return draw.choice("ADMW") + str(draw.randint(1_000_000, 9_999_999))


IDS: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "us_ssn": ("social security number", us_ssn),
    "uk_nino": ("national insurance number", uk_nino),
    "uk_nhs": ("NHS number", uk_nhs),
    "es_dni": ("DNI", spanish_dni),
    "in_aadhaar": ("Aadhaar number", indian_aadhaar),
    "in_pan": ("PAN", indian_pan),
    "sg_nric": ("NRIC", singapore_nric),
    "pl_pesel": ("PESEL", polish_pesel),
    "fi_hetu": ("personal identity code", finnish_hetu),
    "kr_rrn": ("resident registration number", korean_rrn),
    "se_personnummer": ("personnummer", swedish_personnummer),
    "br_cpf": ("CPF", brazilian_cpf),
    "cn_resident": ("resident identity card", chinese_resident),
    "za_id": ("identity number", south_african),
    "tr_tckn": ("kimlik numarası", turkish_tckn),
    "fr_insee": ("numéro de sécurité sociale", french_insee),
    "passport": ("passport number", passport),
    "licence": ("driver's licence", licence),
}


def named(data: dict[str, Any]) -> Iterator[Planted]:
    """Yield the texts with a name in Latin letters, each name once in every style."""
    place = 0
    for culture, names in data["names"].items():
        for name in names:
            words = name.split()
            short = " ".join(words[1:]) if culture in FAMILY_FIRST else words[0]
            for style, carriers in data["name_carriers"].items():
                carrier = carriers[place % len(carriers)]
                slot = next(s for s in ("{n}", "{g}", "{l}") if s in carrier)
                item = {"{n}": name, "{g}": short, "{l}": name.lower()}[slot]
                yield _planted(carrier, slot, item, "NAME", culture, style)
            place += 1


def held_out(data: dict[str, Any]) -> Iterator[Planted]:
    """Yield the texts that were written after the masker was."""
    yield from named(data["held_out"])
    for text in data["held_out"]["negatives"]:
        yield Planted(text, "NONE", "negative", "negative")


def planted(data: dict[str, Any], seed: int) -> Iterator[Planted]:
    """Yield every other text with what is planted in it."""
    yield from named(data)
    for language, names in data["native_names"].items():
        for name in names:
            for carrier in data["native_carriers"][language]:
                yield _planted(carrier, "{n}", name, "NAME", f"{language}_script", "own_script")
    simple = (
        ("EMAIL", "e", "emails", "email_carriers"),
        ("CARD", "a", "cards", "account_carriers"),
        ("ACCOUNT", "a", "ibans", "account_carriers"),
        ("ADDRESS", "d", "addresses", "address_carriers"),
        ("BIRTH_DATE", "b", "birth_dates", "birth_carriers"),
    )
    for kind, slot, items, carriers in simple:
        for number, item in enumerate(data[items]):
            for step in range(2):
                carrier = data[carriers][(number + step) % len(data[carriers])]
                yield _planted(carrier, f"{{{slot}}}", item, kind, kind.lower(), "worded")
    for country, numbers in data["phones"].items():
        for number, item in enumerate(numbers):
            yield _planted(data["phone_carriers"][number % 4], "{p}", item, "PHONE", country, "worded")
            yield _planted(data["phone_carriers_bare"][0], "{p}", item, "PHONE", country, "bare")
    draw = random.Random(seed)  # noqa: S311 - made-up numbers, no secrets
    for kind, (label, make) in IDS.items():
        for number in range(6):
            item = make(draw)
            carrier = data["id_carriers"][number % 3].replace("{k}", label)
            yield _planted(carrier, "{i}", item, "ID", kind, "worded")
            yield _planted(data["id_carriers_bare"][0], "{i}", item, "ID", kind, "bare")
    for text in data["negatives"]:
        yield Planted(text, "NONE", "negative", "negative")


def _planted(carrier: str, slot: str, item: str, kind: str, group: str, style: str) -> Planted:
    start = carrier.index(slot)
    return Planted(carrier.replace(slot, item, 1), kind, group, style, start, start + len(item))


def known(name: str) -> str:
    """Say how many words of a name the masker's gazetteer holds."""
    held = [gazetteer().known(fold(word)) for word in name.split()]
    return "every word known" if all(held) else "some words known" if any(held) else "no word known"


@dataclass(slots=True)
class Tally:
    """Counts of one group of planted items."""

    items: int = 0
    masked: int = 0
    right: int = 0
    partly: int = 0

    def row(self) -> dict[str, Any]:
        """Return plain data: counts, recall and its interval."""
        recall = self.masked / self.items if self.items else None
        return {
            "items": self.items,
            "masked": self.masked,
            "right_kind": self.right,
            "partly_masked": self.partly,
            "recall": recall,
            "interval": wilson(self.masked, self.items),
        }


def measure(masker: Masker, texts: list[Planted]) -> dict[str, Any]:
    """Mask every text and count."""
    by: dict[str, dict[str, Tally]] = {
        key: defaultdict(Tally) for key in ("kind", "style", "gazetteer", "group")
    }
    finds: Counter[str] = Counter()
    true: Counter[str] = Counter()
    alarmed: list[str] = []
    missed: list[str] = []
    started = time.perf_counter()
    results = [masker.mask(each.text) for each in texts]
    seconds = time.perf_counter() - started
    for each, result in zip(texts, results, strict=True):
        touching = [f for f in result.found if f.start < each.end and f.end > each.start]
        for find in result.found:
            finds[find.kind] += 1
            true[find.kind] += find in touching
        if len(touching) < len(result.found):
            alarmed.append(result.text)
        if each.kind == "NONE":
            continue
        left = {i for i in range(each.start, each.end) if each.text[i].isalnum()}
        whole = len(left)
        for find in touching:
            left -= set(range(find.start, find.end))
        names = [
            ("kind", each.kind),
            ("style", f"{each.kind} {each.carrier}"),
            ("group", f"{each.kind} {each.group}"),
        ]
        if each.kind == "NAME" and not each.group.endswith("_script"):
            names.append(("gazetteer", known(each.text[each.start : each.end])))
        for key, name in names:
            tally = by[key][name]
            tally.items += 1
            tally.masked += not left
            tally.right += not left and any(f.kind == each.kind for f in touching)
            tally.partly += bool(left) and len(left) < whole
        if left:
            missed.append(f"{each.carrier}: {result.text}")
    negatives = [r for e, r in zip(texts, results, strict=True) if e.kind == "NONE"]
    return {
        "recall": {
            key: {name: tally.row() for name, tally in tallies.items()} for key, tallies in by.items()
        },
        "precision": {
            kind: {
                "finds": n,
                "true": true[kind],
                "precision": true[kind] / n,
                "interval": wilson(true[kind], n),
            }
            for kind, n in sorted(finds.items())
        },
        "negatives": {"texts": len(negatives), "with_a_false_find": sum(bool(r.found) for r in negatives)},
        "speed": {"texts": len(texts), "seconds": seconds, "texts_per_second": len(texts) / seconds},
        "false_alarms": sorted(set(alarmed)),
        "missed": missed,
    }


def show(result: dict[str, Any]) -> None:
    """Print the tables."""
    for key in ("kind", "style", "gazetteer", "group"):
        print(
            f"\n{'recall by ' + key:34} {'items':>6} {'masked':>6} {'kind':>5} {'partly':>6} {'recall':>7}  95 %"
        )
        for name, row in result["recall"][key].items():
            low, high = row["interval"]
            print(
                f"{name:34} {row['items']:6} {row['masked']:6} {row['right_kind']:5} {row['partly_masked']:6} "
                f"{row['recall']:7.3f}  {low:.3f}-{high:.3f}"
            )
    print(f"\n{'precision by kind':34} {'finds':>6} {'true':>6} {'precision':>9}  95 %")
    for name, row in result["precision"].items():
        low, high = row["interval"]
        print(f"{name:34} {row['finds']:6} {row['true']:6} {row['precision']:9.3f}  {low:.3f}-{high:.3f}")
    negatives, speed = result["negatives"], result["speed"]
    print(
        f"\n{negatives['with_a_false_find']} of {negatives['texts']} texts without personal data had a false find"
    )
    print(f"{speed['texts']} texts in {speed['seconds']:.1f} s: {speed['texts_per_second']:.0f} a second")


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--names", default="contexts", help="contexts, or spacy:PIPELINE")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "privacy.json")
    parser.add_argument(
        "--show-misses", action="store_true", help="print what was missed and the false alarms"
    )
    options = parser.parse_args()
    data = yaml.safe_load((HERE / "privacy.yaml").read_text(encoding="utf-8"))
    started = time.perf_counter()
    masker = Masker(
        names=options.names, threshold=options.threshold, allow=public_names(seat("civilizations"))
    )
    loading = time.perf_counter() - started
    result: dict[str, Any] = {"masker": masker.describe(), "loading_seconds": loading}
    parts = {"development": list(planted(data, options.seed)), "held_out": list(held_out(data))}
    for part, texts in parts.items():
        print(f"\n== {part}: {len(texts)} texts")
        result[part] = measure(masker, texts)
        show(result[part])
        if options.show_misses:
            print(
                "\nmissed:",
                *result[part]["missed"],
                "\nfalse alarms:",
                *result[part]["false_alarms"],
                sep="\n",
            )
        del result[part]["missed"]  # long, and printed on demand
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
