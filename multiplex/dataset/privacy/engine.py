"""Presidio's analyzer, with its recognizers and ours.

Presidio scores a pattern by itself and adds to it where a word of the recognizer's stands beside the match.
A number with a check digit that fits is kept; one without needs the word: nine digits are a passport only
beside `passport`. No language model is loaded and nothing is fetched.
"""

import re
from collections.abc import Iterable
from typing import Any

from multiplex.dataset.privacy.contacts import addresses, birth_dates, phones, spelled_emails
from multiplex.dataset.privacy.identities import national_ids
from multiplex.dataset.privacy.reading import attaches
from multiplex.dataset.privacy.spans import Span
from multiplex.errors import ContentError

__all__ = ["Engine", "load_engine"]

_GENERIC = {
    "PERSON": "NAME",
    "EMAIL_ADDRESS": "EMAIL",
    "PHONE_NUMBER": "PHONE",
    "CREDIT_CARD": "CARD",
    "IBAN_CODE": "ACCOUNT",
    "US_BANK_NUMBER": "ACCOUNT",
    "CRYPTO": "ACCOUNT",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "IP",
    "BIRTH_DATE": "BIRTH_DATE",
    "STREET_ADDRESS": "ADDRESS",
    "NATIONAL_ID": "ID",
}
_NATIONAL = (
    "UsSsn",
    "UsItin",
    "UsMbi",
    "UsPassport",
    "UsLicense",
    "UkNino",
    "Nhs",
    "UkPassport",
    "UkDrivingLicence",
    "CaSin",
    "AuTfn",
    "AuMedicare",
    "InAadhaar",
    "InPan",
    "InVoter",
    "InPassport",
    "SgFin",
    "EsNif",
    "EsNie",
    "EsPassport",
    "ItFiscalCode",
    "ItDriverLicense",
    "ItIdentityCard",
    "ItPassport",
    "PlPesel",
    "FiPersonalIdentityCode",
    "SePersonnummer",
    "DeTaxId",
    "DeIdCard",
    "DePassport",
    "DeSocialSecurity",
    "DeHealthInsurance",
    "KrRrn",
    "KrFrn",
    "KrPassport",
    "KrDriverLicense",
    "ThTnin",
    "TrNationalId",
    "ZaIdNumber",
    "ZaPassport",
    "NgNin",
    "PhUmid",
    "PhTin",
    "PhPassport",
)
_BESIDE, _BEHIND = 60, 20


class Engine:
    """Presidio's analyzer with the recognizers that we asked for; `find` returns what it holds for personal."""

    def __init__(self, analyzer: Any, entities: list[str], kinds: dict[str, str]) -> None:
        self._analyzer = analyzer
        self._entities = entities
        self._kinds = kinds

    def find(self, text: str, *, threshold: float) -> list[Span]:
        """Return the spans of a text, by kind; they may overlap. The text is one as it is read (`reading`)."""
        numbers = (
            any(c.isdigit() or c == "@" for c in text) or " at " in text or "at]" in text or "at)" in text
        )
        entities = self._entities if numbers else [e for e in self._entities if e == "PERSON"]
        if not entities:
            return []
        results = self._analyzer.analyze(text, "en", entities=entities, score_threshold=threshold)
        spans = [Span(self._kinds[r.entity_type], r.start, r.end, float(r.score)) for r in results]
        # a row of one digit fits many check sums: 000 000 000 is the end of a large number
        return [s for s in spans if s.kind != "ID" or len(set(re.findall(r"\w", text[s.start : s.end]))) > 1]


def load_engine(kinds: Iterable[str], *, names: str) -> Engine:
    """Load Presidio with its recognizers for these kinds; `names` is `contexts` or `spacy:PIPELINE`.

    Raises:
        ContentError: the extra is not installed, or no spaCy pipeline of that name.
    """
    try:
        import presidio_analyzer as presidio
        from presidio_analyzer import predefined_recognizers as predefined
        from presidio_analyzer.nlp_engine import NoOpNlpEngine
    except ImportError as error:
        raise ContentError(
            "masking personal data needs Presidio; run pip install 'multiplex-deliberation[data]'"
        ) from error
    wanted = set(kinds)
    mapped = dict(_GENERIC)
    recognizers: list[Any] = []

    def ours(entity: str, find: Any, context: list[str] | None = None) -> None:
        if mapped[entity] in wanted:
            recognizers.append(_recognizer(presidio, entity, find, context))

    def theirs(name: str, **options: Any) -> None:
        recognizer = getattr(predefined, f"{name}Recognizer")(supported_language="en", **options)
        recognizers.append(recognizer)

    if "EMAIL" in wanted:
        recognizers.append(_email(presidio, predefined))
    ours("EMAIL_ADDRESS", spelled_emails)
    ours("PHONE_NUMBER", phones)
    ours("BIRTH_DATE", birth_dates)
    ours("STREET_ADDRESS", addresses)
    ours("NATIONAL_ID", national_ids, ["cpf"])
    for name, kind in (
        ("CreditCard", "CARD"),
        ("Iban", "ACCOUNT"),
        ("UsBank", "ACCOUNT"),
        ("Crypto", "ACCOUNT"),
        ("Ip", "IP"),
        ("MacAddress", "IP"),
    ):
        if kind in wanted:
            theirs(name)
    if "ID" in wanted:
        for name in _NATIONAL:
            theirs(name)
            mapped.update(dict.fromkeys(recognizers[-1].supported_entities, "ID"))
    engine: Any = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    if "NAME" in wanted:
        if names == "contexts":
            from multiplex.dataset.privacy.gazetteer import gazetteer
            from multiplex.dataset.privacy.names import find_names

            gazetteer()  # so that what is missing is said now
            ours("PERSON", lambda text: [Span("PERSON", n.start, n.end, n.score) for n in find_names(text)])
        else:
            engine = _pipeline(names.partition(":")[2])
            recognizers.append(
                predefined.SpacyRecognizer(supported_entities=["PERSON"], supported_language="en")
            )
    registry = presidio.RecognizerRegistry(recognizers=recognizers, supported_languages=["en"])
    analyzer = presidio.AnalyzerEngine(
        registry=registry,
        nlp_engine=engine,
        supported_languages=["en"],
        context_aware_enhancer=_beside(presidio),
    )
    entities = sorted({e for r in recognizers for e in r.supported_entities})
    return Engine(analyzer, entities, mapped)


def _recognizer(presidio: Any, entity: str, find: Any, context: list[str] | None) -> Any:
    class Found(presidio.LocalRecognizer):  # type: ignore[misc]
        def load(self) -> None:
            """Nothing needs loading."""

        def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[Any]:
            return [
                presidio.RecognizerResult(
                    entity_type=s.kind,
                    start=s.start,
                    end=s.end,
                    score=s.score,
                    analysis_explanation=presidio.AnalysisExplanation(
                        recognizer=self.name, original_score=s.score
                    ),
                )
                for s in find(text)
            ]

    return Found(
        supported_entities=[entity], supported_language="en", name=f"Multiplex{entity}", context=context
    )


def _email(presidio: Any, predefined: Any) -> Any:
    import tldextract

    # Presidio's own would fetch the list of public suffixes; the one inside tldextract does as well
    suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Email(predefined.EmailRecognizer):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool:
            domain = suffixes(pattern_text.rpartition("@")[2])
            return bool(domain.domain and domain.suffix)

    return Email(supported_language="en")


def _pipeline(name: str) -> Any:
    import spacy
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    try:
        loaded = spacy.load(name)
    except (OSError, ImportError, ValueError) as error:
        raise ContentError(
            f"names: no spaCy pipeline {name!r} can be loaded; run python -m spacy download {name}, or give a folder"
        ) from error
    if not set(loaded.pipe_names) & {"ner", "entity_ruler", "span_ruler"}:
        raise ContentError(
            f"names: the spaCy pipeline {name!r} finds no entities; name one with a step called ner"
        )
    engine: Any = SpacyNlpEngine(
        models=[{"lang_code": "en", "model_name": name}],
        ner_model_configuration=NerModelConfiguration(default_score=0.85),
    )
    engine.nlp = {"en": loaded}
    return engine


def _beside(presidio: Any) -> Any:
    class Beside(presidio.ContextAwareEnhancer):  # type: ignore[misc]
        """Raise a score where a recognizer's words stand beside the match; whole phrases, in any language."""

        def enhance_using_context(
            self,
            text: str,
            raw_results: list[Any],
            nlp_artifacts: Any,
            recognizers: list[Any],
            context: Any = None,
        ) -> list[Any]:
            words = {r.id: _phrases(r.context) for r in recognizers if r.context}
            for result in raw_results:
                pattern = words.get(
                    result.recognition_metadata[presidio.RecognizerResult.RECOGNIZER_IDENTIFIER_KEY]
                )
                before = text[max(0, result.start - _BESIDE) : result.start]
                around = f"{before}\n{text[result.end : result.end + _BEHIND]}"
                if pattern and pattern.search(around):
                    result.score = min(1.0, max(result.score + self.context_similarity_factor, 0.4))
            return raw_results

    return Beside(
        context_similarity_factor=0.45,
        min_score_with_context_similarity=0.4,
        context_prefix_count=8,
        context_suffix_count=3,
    )


def _phrases(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(_phrase, words)), re.I)


def _phrase(words: str) -> str:
    before = "" if attaches(words[0]) else r"(?<!\w)"
    behind = "" if attaches(words[-1]) else r"(?!\w)"
    return before + re.escape(words) + behind
