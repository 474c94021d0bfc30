"""Where somebody is reached, and when they were born: telephones, spelled-out e-mail, streets, dates of birth."""

import re
from typing import Any

from multiplex.dataset.privacy.spans import Span

__all__ = ["addresses", "birth_dates", "phones", "spelled_emails"]

_REGIONS = [
    "US",
    "GB",
    "IE",
    "CA",
    "AU",
    "NZ",
    "IN",
    "PK",
    "BD",
    "LK",
    "NP",
    "CN",
    "HK",
    "TW",
    "JP",
    "KR",
    "SG",
    "MY",
    "PH",
    "ID",
    "TH",
    "VN",
    "DE",
    "AT",
    "CH",
    "FR",
    "BE",
    "NL",
    "ES",
    "PT",
    "IT",
    "GR",
    "PL",
    "CZ",
    "HU",
    "RO",
    "SE",
    "NO",
    "DK",
    "FI",
    "RU",
    "UA",
    "TR",
    "IL",
    "EG",
    "MA",
    "SA",
    "AE",
    "IR",
    "NG",
    "GH",
    "KE",
    "TZ",
    "UG",
    "ET",
    "ZA",
    "ZW",
    "MX",
    "BR",
    "AR",
    "CL",
    "CO",
    "PE",
]
_PHONE_WORDS = re.compile(
    r"(?<!\w)(?:(?:tele|cell|mobile )?(?:ph|f)one?s?|tel|cell|mobile|call(?:s|ed|ing)?|rang|ring|"
    r"text(?:ed)?|sms|whats\s?app|viber|"
    r"telegram|signal|dial(?:led)?|fax|hotline|landline|reach (?:me|us|him|her)|contact|"
    r"t[ée]l[ée]phone|téléphoner|appel(?:er|ez)?|"
    r"portable|m[óo]vil|celular|tel[ée]fono|ll[aá]m(?:ame|e)|telefon(?:nummer)?|handy|rufnummer|"
    r"anrufen|cellulare|chiam(?:ami|are)|"
    r"telem[óo]vel|ligue|simu|nambari ya simu|hp|telepon|ponsel|телефон\w*|звоните|τηλ[έε]φωνο|"
    r"[وفبلك]?(?:ال)?(?:هاتف|جوال|واتساب|فون)(?:ي|ك|ه|ها|نا)?|फ़?ोन|मोबाइल|ফোন)(?!\w)",
    re.I,
)
_PHONE_WORDS_UNPARTED = re.compile(r"电话|手机|手機|微信|電話|携帯|전화|휴대폰|โทร")
"""Those that need no spaces beside them; a sentence of their languages is short, and they are looked for near by."""

_DIGITS = re.compile(
    # Right behind a colon stand identifiers, as in arXiv:2404.10636, but for a word that says what it is.
    r"(?<![\w.,/#-])(?:(?<!:)|(?<=\b(?:tel|fax):)|(?<=\bcell:)|(?<=\bphone:)|(?<=\bmobile:))"
    r"(?:\+|00|\()?\(?\d[\d\s().\-–/\u2011]{5,22}\d(?![\w])(?![.,/-]\d)",
    re.I,
)
_NO_PHONE = re.compile(
    r"\d{1,3}(?:[.,\s]\d{3})+|\d+[.,]\d+|\d{4}\s?[–-]\s?\d{4}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|"
    r"\d{4}[./-]\d\d?[./-]\d\d?"
)
_AMERICAN = re.compile(r"\d{3}[-.]\d{3}[-.]\d{4}")
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?|enero|febrero|marzo|abril|mayo|junio|julio|agosto|septiembre|"
    r"octubre|noviembre|diciembre|"
    r"janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre|januar|"
    r"februar|märz|juni|juli|"
    r"oktober|dezember)"
)
_DATE = (
    rf"(?:\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{2,4}}|\d{{4}}[./-]\d{{1,2}}[./-]\d{{1,2}}|"
    rf"\d{{1,2}}(?:st|nd|rd|th|\.)?\s+(?:of\s+|de\s+)?{_MONTH}\.?,?\s+(?:de\s+)?\d{{4}}|"
    rf"{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})"
)
_BORN = re.compile(
    r"(?:(?<!\w)(?:born(?: on)?(?: the)?|date of birth|birth\s?date|birthday(?: is)?|d\.?o\.?b\.?|"
    r"née? le|date de naissance|nacid[oa] el|"
    r"nací el|fecha de nacimiento|geboren(?: am)?|geburtsdatum|nat[oa] il|data di nascita|"
    r"nascid[oa] em|data de nascimento)"
    rf"[\s:,(]*(?:is |was |on )?)({_DATE})(?!\d)",
    re.I,
)
_WORD = r"(?:[A-ZÀ-ÖØ-ÞŠŽ][\w'’.-]*)"
_STREETS = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Close|Crescent|Cres|Court|Ct|Place|Pl|Terrace|"
    r"Boulevard|Blvd|Way|"
    r"Highway|Hwy|Gardens|Grove|Mews|Square|Sq|Walk|Row|Hill|Parade|Estate|Quay|Circle|Parkway|Pkwy|"
    r"Alley|Marg|Nagar|Bazar|Dori)"
)
_ADDRESS = re.compile(
    rf"(?<![\w.])(?:(?:Flat|Apt|Apartment|Unit|Room|House|"
    rf"Plot)\.?\s*#?\d{{1,5}}[A-Za-z]?,?\s+)?\d{{1,5}}[A-Za-z]?,?\s+(?:{_WORD}\s+){{1,4}}{_STREETS}\b"
    rf"(?:,?\s+(?:Flat|Apt|Apartment|Unit|Suite|#)\.?\s*\d{{1,5}}[A-Za-z]?)?"
    r"|(?<!\w)[A-ZÄÖÜ][\w-]*(?:straße|strasse|str\.|gasse|weg|allee|platz|laan|straat|gatan|vägen|"
    r"veien|gata)\s+\d{1,4}\s?[a-z]?\b"
    r"|(?<!\w)\d{1,4}(?:\s?(?:bis|ter))?,?\s+(?:rue|avenue|boulevard|place|chemin|impasse|allée|"
    r"quai)\s+(?:d[eu]s?\s+|de\s+la\s+|de\s+l['’]|d['’])?(?:[\w'’-]+)(?:\s+[A-ZÀ-Þ][\w'’-]*){0,3}"
    rf"|(?<!\w)(?:Calle|C/|Avenida|Av\.|Paseo|Plaza|Carrera|Via|Viale|Piazza|Corso|Rua|Travessa|Praça|"
    rf"Jalan|Jl\.|Ulica|ul\.)\s+(?:(?:d[eaiou]s?l?|de\s+l[aeo]s?|della|delle)\s+)?(?:{_WORD}\s+|de\s+|"
    rf"la\s+|los\s+|da\s+){{0,4}}{_WORD}?,?\s*(?:n[º°o.]\s*)?\d{{1,5}}[A-Za-z]?\b"
    r"|(?<!\w)P\.?\s?O\.?\s+Box\s+\d{1,7}\b"
)
_SPELLED_EMAIL = re.compile(
    r"(?<![\w.])[\w+-]+(?:(?:\.|\s+dot\s+)[\w+-]+)*\s*(?:\[at\]|\(at\)|\{at\}|\s+at\s+)\s*"
    r"[\w-]+(?:(?:\.|\s*(?:\[dot\]|\(dot\))\s*|\s+dot\s+)[\w-]+)*(?:\.|\s*(?:\[dot\]|\(dot\))\s*|"
    r"\s+dot\s+)[a-z]{2,12}(?!\w)",
    re.I,
)
_BESIDE, _BEHIND, _NEAR = 60, 20, 15


def phones(text: str) -> list[Span]:
    """Return telephone numbers: international ones that exist, national ones beside a word such as `call`.

    Without such a word a national number needs the spaces and brackets that its country writes it with.
    """
    import phonenumbers
    from phonenumbers import Leniency, PhoneNumberMatcher

    found = []
    for cluster in _DIGITS.finditer(text):
        written = cluster[0]
        digits = sum(c.isdigit() for c in written)
        if not 7 <= digits <= 17:
            continue
        beside = text[max(0, cluster.start() - _BESIDE) : cluster.start()]
        behind = text[cluster.end() : cluster.end() + _BEHIND]
        worded = bool(
            _PHONE_WORDS.search(beside)
            or _PHONE_WORDS.search(behind)
            or _PHONE_WORDS_UNPARTED.search(beside[-_NEAR:])
            or _PHONE_WORDS_UNPARTED.search(behind[:_NEAR])
        )
        if written.startswith("00"):
            written = " +" + written[2:]  # as long as before, so that places stay
            # nobody but the country itself says what 00 leads to, so the number has to exist
        if "+" in written:
            exists = any(PhoneNumberMatcher(written, None, leniency=Leniency.VALID, max_tries=5))
            if exists or worded:
                found.append(Span("PHONE_NUMBER", cluster.start(), cluster.end(), 0.95 if exists else 0.6))
            continue
        if not worded and (
            _NO_PHONE.fullmatch(written) or not (written[0] in "0(" or _AMERICAN.fullmatch(written))
        ):
            continue  # a price, a date or a count as soon as a telephone
        # no count begins with 0, so such a number need not be spaced as its country does it
        leniency = Leniency.VALID if worded or written[0] == "0" else Leniency.STRICT_GROUPING
        if any(_matches(phonenumbers, written, region, leniency) for region in _REGIONS):
            found.append(Span("PHONE_NUMBER", cluster.start(), cluster.end(), 0.75 if worded else 0.55))
    return found


def _matches(phonenumbers: Any, written: str, region: str, leniency: int) -> bool:
    matcher = phonenumbers.PhoneNumberMatcher(written, region, leniency=leniency, max_tries=2)
    return any(match.end - match.start >= len(written) - 2 for match in matcher)


def spelled_emails(text: str) -> list[Span]:
    """Return e-mail addresses written so that machines miss them: name at example dot org."""
    found = []
    for match in _SPELLED_EMAIL.finditer(text):
        written = match[0].lower()
        if re.search(r"[\[({]at", written) or " dot " in written:
            found.append(Span("EMAIL_ADDRESS", *match.span(), 0.8))
    return found


def birth_dates(text: str) -> list[Span]:
    """Return the dates that the text calls somebody's day of birth."""
    return [Span("BIRTH_DATE", *match.span(1), 0.8) for match in _BORN.finditer(text)]


def addresses(text: str) -> list[Span]:
    """Return street addresses with a house number, and post-office boxes, in the commoner western forms."""
    return [Span("STREET_ADDRESS", *match.span(), 0.7) for match in _ADDRESS.finditer(text)]
