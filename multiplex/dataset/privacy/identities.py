"""Identity numbers that Presidio has no recognizer for, and any number that the text calls one."""

import re

from multiplex.dataset.privacy.spans import Span

__all__ = ["cpf_fits", "insee_fits", "national_ids", "resident_id_fits", "rut_fits"]

_ID_WORDS = (
    r"passport|passeport|pasaporte|reisepass|passaporto|paspoort|identity(?:\s+card)?|identification|"
    r"id(?:\s+card)?|national\s+id|"
    r"social\s+(?:security|insurance)|national\s+insurance|insurance|tax(?:payer)?(?:\s+(?:id|file|"
    r"reference))?|aadhaar|"
    r"pan|driv(?:er'?s?|ing)\s+licen[cs]e|licen[cs]e|voter(?:\s+id)?|patient|medical\s+record|"
    r"health(?:\s+card)?|nhs|medicare|student|"
    r"employee|staff|membership|member|policy|residence\s+permit|visa|dni|nif|nie|cpf|rg|curp|rfc|"
    r"cédula|cedula|rut|nik|ktp|bsn|"
    r"personnummer|pesel|hetu|nric|fin|hkid|ssn|sin|nino|bvn|nin|ghana\s+card|huduma|"
    r"personalausweis|ausweis|steuer-?id|codice\s+fiscale|carte\s+d['’]identité|sécurité\s+sociale|kimlik"
)
_INTRODUCED = re.compile(
    rf"(?<![\w-])(?:{_ID_WORDS})(?:\s*(?:number|numero|número|numéro|nummer|no|nr|num|n[°º]|code|card|"
    rf"#|id)\.?)*\s*"
    r"(?:\(|[:#=]|is|was|es|est|ist|è|é)?\s*[\"'“(]?\s*"
    r"(?=[A-Z0-9./ -]{0,24}\d)(?P<id>[A-Z]{0,4}[ -]?\d[\dA-Z]*(?:[ ./-][\dA-Z]{1,6}){0,5}|"
    r"[A-Z0-9]{6,20})(?![\w])",
    re.I,
)
_CPF = re.compile(r"(?<![\w.-])\d{3}\.?\d{3}\.?\d{3}-?\d{2}(?![\w.-]*\d)")
_CHINA = re.compile(
    r"(?<!\d)[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?!\d)"
)
_FRANCE = re.compile(
    r"(?<!\d)[12]\s?\d{2}\s?(?:0[1-9]|1[0-2]|[2-9]\d)\s?(?:\d{2}|2[AB])\s?\d{3}\s?\d{3}\s?\d{2}(?!\d)"
)
_MEXICO = re.compile(
    r"(?<!\w)[A-Z][AEIOUX][A-Z]{2}\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|"
    r"3[01])[HMX][A-Z]{2}[B-DF-HJ-NP-TV-Z]{3}[A-Z\d]\d(?!\w)"
)
_CHILE = re.compile(r"(?<![\w.])\d{1,2}\.\d{3}\.\d{3}-[\dkK](?!\w)")
_LETTERED = re.compile(r"(?<![\w-])[A-Z]{1,2}\d{7,9}(?![\w-])")


def national_ids(text: str) -> list[Span]:
    """Return the identity numbers that Presidio has no recognizer for, and any that the text calls one."""
    found = []
    for match in _INTRODUCED.finditer(text):
        number = match["id"].strip()
        if sum(c.isdigit() for c in number) >= 5 and not re.fullmatch(
            r"(?:19|20)\d\d([-./ ]\d{1,4})*", number
        ):
            found.append(Span("NATIONAL_ID", match.start("id"), match.start("id") + len(number), 0.7))
    for pattern, fits in (
        (_CPF, cpf_fits),
        (_CHINA, resident_id_fits),
        (_FRANCE, insee_fits),
        (_CHILE, rut_fits),
    ):
        for match in pattern.finditer(text):
            bare = re.sub(r"[^\dA-Za-z]", "", match[0])
            if fits(bare):
                # eleven bare digits fit a CPF once in a hundred, so they need the dots or the word
                plain = pattern is _CPF and "." not in match[0]
                found.append(Span("NATIONAL_ID", *match.span(), 0.3 if plain else 0.9))
    found += [Span("NATIONAL_ID", *match.span(), 0.9) for match in _MEXICO.finditer(text)]
    # passports and licences of many countries; it may be the number of a part or a flight as well
    found += [Span("NATIONAL_ID", *match.span(), 0.5) for match in _LETTERED.finditer(text)]
    return found


def cpf_fits(digits: str) -> bool:
    """Return whether eleven digits are a Brazilian CPF: both check digits fit."""
    numbers = [int(d) for d in digits]
    if len(set(numbers)) == 1:
        return False
    return all(
        sum(n * w for n, w in zip(numbers, range(size + 1, 1, -1), strict=False)) * 10 % 11 % 10
        == numbers[size]
        for size in (9, 10)
    )


def resident_id_fits(number: str) -> bool:
    """Return whether eighteen characters are a Chinese resident's number (GB 11643: ISO 7064 MOD 11-2)."""
    total = sum(int(d) * (2 ** (17 - place) % 11) for place, d in enumerate(number[:17]))
    return "10X98765432"[total % 11] == number[17].upper()


def insee_fits(number: str) -> bool:
    """Return whether fifteen characters are a French social security number: the key is 97 less the rest."""
    body = number[:13].replace("2A", "19").replace("2B", "18")
    return 97 - int(body) % 97 == int(number[13:])


def rut_fits(number: str) -> bool:
    """Return whether digits and a check character are a Chilean RUT (modulo 11)."""
    total = sum(int(d) * (2 + place % 6) for place, d in enumerate(reversed(number[:-1])))
    return "0123456789K0"[11 - total % 11 if total % 11 else 0] == number[-1].upper()
