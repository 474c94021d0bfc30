"""Masking personal data: what is told from what, and that nothing personal is given back."""

import json
import logging
import re
import sys
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiplex.content.panels import seat
from multiplex.dataset.privacy import DEFAULT, Masker, public_names
from multiplex.dataset.privacy.contacts import addresses, birth_dates, phones, spelled_emails
from multiplex.dataset.privacy.gazetteer import fold, gazetteer
from multiplex.dataset.privacy.identities import (
    cpf_fits,
    insee_fits,
    national_ids,
    resident_id_fits,
    rut_fits,
)
from multiplex.dataset.privacy.names import calls, find_names, name_parts, repeats
from multiplex.dataset.privacy.public import PublicNames, PublicWords
from multiplex.dataset.privacy.references import is_chapter
from multiplex.dataset.privacy.spans import Span
from multiplex.errors import ContentError


def _named(text: str) -> list[str]:
    return [text[n.start : n.end] for n in find_names(text)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("My name is Priya Venkataraman and I nurse the sick.", ["Priya Venkataraman"]),
        ("I'm Kofi Nyarko from Kumasi.", ["Kofi Nyarko"]),
        ("Mr van der Berg said no.", ["van der Berg"]),
        ("Dr. Khalid al-Mansouri refused.", ["Khalid al-Mansouri"]),
        ("I spoke to Mrs Corazon Quick.", ["Corazon Quick"]),
        ("Then Fatima told me to wait.", ["Fatima"]),
        ("Our neighbour Xyzzandra plays the drums.", ["Xyzzandra"]),
        ("We agree. Yours sincerely,\nFemke Bouwman", ["Femke Bouwman"]),
        ("my name is priya sharma and i am tired", ["priya sharma"]),
        ("Ich heiße Jürgen Stahlhut.", ["Jürgen Stahlhut"]),
        ("Je m'appelle Mathilde Garrigues.", ["Mathilde Garrigues"]),
        ("Меня зовут Оксана Волкова.", ["Оксана Волкова"]),
        ("我叫王晓明，今年三十岁。", ["王晓明"]),
        ("私の名前は松田健二です。", ["松田健二"]),
        ("제 이름은 김민준입니다.", ["김민준"]),
        ("اسمي خالد المنصوري وأعمل", ["خالد المنصوري"]),
        ("मेरा नाम प्रिया शर्मा है।", ["प्रिया शर्मा"]),
    ],
)
def test_a_name_with_two_kinds_of_evidence_is_found_whole(text: str, names: list[str]) -> None:
    assert _named(text) == names


@pytest.mark.parametrize(
    "text",
    [
        "Will May or June be better, Grace period or not?",
        "I am Christian and my friend is Hindu.",
        "Should Jordan, Chad and Georgia share a river?",
        "The Max Planck Institute and the Jordan River are far apart.",
        "Mark the ballot. Will it count?",
        "Dear Sir or Madam, dear Editor, dear Friends,",
        "Johnson & Johnson was sued.",
        "can a bill be frank, and who will mark it in may",
        "IBAN GB82 is no name, and NHS and UNESCO are none.",
        "北京和上海的房价太高了。",
    ],
)
def test_ordinary_words_places_and_institutions_are_no_names(text: str) -> None:
    assert _named(text) == []


def test_two_unknown_capitalised_words_are_doubted_and_not_certain() -> None:
    assert [n.score < 0.5 for n in find_names("The prize went to Qwzel Brontavik at noon.")] == [True]
    assert [n.score < 0.5 for n in find_names("My cousin Qwzel Brontavik won the prize.")] == [False]


@given(st.text(alphabet=st.sampled_from("aA ’'-.Éé\n王আম김ñ[]_1"), max_size=60))
@settings(max_examples=60, deadline=None)
def test_names_lie_apart_and_inside_any_text(text: str) -> None:
    end = 0
    for name in find_names(text):
        assert end <= name.start < name.end <= len(text)
        end = name.end


def test_a_part_of_a_name_is_found_again_in_lower_case_too_unless_it_is_a_word_there() -> None:
    parts = name_parts("Priya van der Sharma")
    assert parts == {"priya", "sharma"}
    text = "Mrs Sharma said that sharma means shelter; the sharma is gone. i told priya, and sharma's son."
    assert [text[n.start : n.end] for n in repeats(text, parts)] == ["Sharma", "priya", "sharma"]


def test_a_name_of_ordinary_or_of_short_words_is_found_again_as_a_whole_where_it_has_capitals() -> None:
    assert name_parts("Frank King") == {"frank king"}
    assert name_parts("Bo Ng") == {"bo ng"}
    assert name_parts("Grace van der Okonjo") == {"okonjo", "grace van der okonjo"}
    assert name_parts("White") == set()
    parts = name_parts("Frank King") | name_parts("Grace Okonjo")
    text = (
        "Frank King's dog, FRANK KING and Grace\nOkonjo, okonjo. To be frank, King is a title. "
        "Be frank king; so Frank. King said that Frank, King and Grace went."
    )
    found = [text[n.start : n.end] for n in repeats(text, parts)]
    assert found == ["Frank King", "FRANK KING", "Grace\nOkonjo", "okonjo"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("we lent tom hargreaves the money and he never paid", ["tom hargreaves"]),
        ("should hans jonas have asked his mother first", ["hans jonas"]),
        ("my name is wang xiaoming and i want to know", ["wang xiaoming"]),
        ("my name is femke van der meulen and i am tired", ["femke van der meulen"]),
        ("i asked tom about it, and tom said nothing", ["tom"]),
        ("the model will mark a rose, and young may rule", []),
        ("a good cook and a baker met a miller on the green hill", []),
        ("tom, hargreaves", []),
    ],
)
def test_in_lower_case_a_given_name_needs_words_beside_it_or_a_family_name(
    text: str, names: list[str]
) -> None:
    assert _named(text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Last year Marisol Quick and I opened a shop.", ["Marisol Quick"]),
        ("We met Tom Old in town.", ["Tom Old"]),
        ("Marisol Street is long.", []),
        ("We asked Marisol OLD questions.", ["Marisol"]),
    ],
)
def test_an_ordinary_word_with_a_capital_behind_a_given_name_is_a_family_name(
    text: str, names: list[str]
) -> None:
    assert _named(text) == names


def test_a_family_name_before_an_unknown_word_is_doubted_as_two_unknown_words_are() -> None:
    assert [n.score for n in find_names("The flat went to Zhang Qwzelian at noon.")] == [0.45]
    assert [n.score > 0.5 for n in find_names("My cousin Zhang Qwzelian won the prize.")] == [True]


def test_the_gazetteer_tells_names_from_words_that_are_both() -> None:
    names = gazetteer()
    assert names.capitals >= {"koln", "today", "dawn", "christian", "jordan"}
    assert names.peoples <= names.capitals <= names.ordinary
    assert "jordan" not in names.peoples
    assert names.certain("priya")
    assert names.known("grace")
    assert not names.certain("grace")
    assert fold("José") == "jose"
    assert fold("शर्मा") == "शर्मा"


def _found(spans: list[Span], text: str) -> list[str]:
    return [text[s.start : s.end] for s in spans if s.score >= 0.5]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Ring +44 20 7946 0018 now", "+44 20 7946 0018"),
        ("call 0803 123 4567 after six", "0803 123 4567"),
        ("the notice said 020 7946 0018 only", "020 7946 0018"),
        ("text 9876543210 please", "9876543210"),
        ("ring 0049 171 3920068", "0049 171 3920068"),
        ("Tel:020 7946 0018", "020 7946 0018"),
        ("phone:07400 123456", "07400 123456"),
    ],
)
def test_a_telephone_number_is_found(text: str, number: str) -> None:
    assert _found(phones(text), text) == [number]


@pytest.mark.parametrize(
    "text",
    [
        "It cost 1 250 000 or 38.500.000 in all",
        "between 1939-1945 and on 12/03/2024",
        "ISBN 978-0-14-044933-4",
        "add 1234567890 and 9876543211",
        "the ratio 0.6180339887",
        "verse 12:0123 456 789",
        "the call for papers is arXiv:2404.10636 of last year",
        "a signal study, PMID:31452104, and record:0012345678",
    ],
)
def test_a_price_a_date_or_a_count_is_no_telephone(text: str) -> None:
    assert _found(phones(text), text) == []


def test_check_digits_decide() -> None:
    assert cpf_fits("52998224725")
    assert not cpf_fits("52998224724")
    assert not cpf_fits("11111111111")
    assert resident_id_fits("11010519491231002X")
    assert not resident_id_fits("110105194912310021")
    assert insee_fits("255081416802538")
    assert not insee_fits("255081416802539")
    assert rut_fits("123456785")
    assert not rut_fits("123456784")


def test_what_the_text_calls_a_number_of_identity_is_one() -> None:
    text = "My passport number is X51546818; article 21 of the 1948 declaration, page 12345."
    assert set(_found(national_ids(text), text)) == {"X51546818"}


def test_streets_birthdays_and_spelled_addresses_are_found() -> None:
    for text, street in (
        ("at 14b Pemberton Avenue.", "14b Pemberton Avenue"),
        ("in der Lindenstraße 27", "Lindenstraße 27"),
        ("au 18 rue des Tanneurs", "18 rue des Tanneurs"),
        ("en Calle de los Olmos 12", "Calle de los Olmos 12"),
    ):
        assert _found(addresses(text), text) == [street]
    born = "I was born on 3 March 1987; the law is of 14 July 1789."
    assert _found(birth_dates(born), born) == ["3 March 1987"]
    spelled = "nimal dot perera at gmail dot com, or meet me at noon at the gate"
    assert _found(spelled_emails(spelled), spelled) == ["nimal dot perera at gmail dot com"]


def test_a_panels_own_sages_are_public_and_a_private_namesake_is_not() -> None:
    names = public_names(seat("civilizations"))
    assert {"Confucius", "Desmond Tutu", "Ibn Khaldun"} <= names
    public = PublicNames(names)
    assert public.covers("as Desmond Tutu said", Span("NAME", 3, 15, 0.9))
    assert not public.covers("as Desmond Okafor said", Span("NAME", 3, 17, 0.9))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"entities": ("EMAIL", "PHON")}, "did you mean 'PHONE'"),
        ({"names": "magic"}, "'contexts' or 'spacy:PIPELINE'"),
        ({"threshold": 0}, "above 0"),
        ({"threshold": 1.5}, "at most 1"),
    ],
)
def test_a_wrong_option_is_explained(options: dict[str, object], message: str) -> None:
    with pytest.raises(ContentError, match=message):
        Masker(**options)  # type: ignore[arg-type]


def test_without_the_extra_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ContentError, match=r"pip install 'multiplex-deliberation\[data\]'"):
        Masker()
    monkeypatch.setitem(sys.modules, "faker.providers.person", None)
    with pytest.raises(ContentError, match=r"pip install 'multiplex-deliberation\[data\]'"):
        gazetteer.__wrapped__()


@cache
def _masker() -> Masker:
    return Masker(allow=("Confucius", "Desmond Tutu"))


_LETTER = (
    "My name is Priya Sharma; write to priya.s@example.org or call +44 20 7946 0018. "
    "Priya's card is 4111 1111 1111 1111, "
    "the IBAN is DE89370400440532013000, my national insurance number AB 12 34 56 C, my address 192.168.1.77. "
    "I live at 14b Pemberton Avenue and was born on 3 March 1987. Desmond Tutu would forgive."
)


@pytest.mark.slow
def test_every_kind_is_masked_with_one_number_a_thing() -> None:
    masked = _masker().mask(_LETTER)
    assert masked.text == (
        "My name is [NAME_1]; write to [EMAIL_1] or call [PHONE_1]. [NAME_1]'s card is [CARD_1], "
        "the IBAN is [ACCOUNT_1], my national insurance number [ID_1], my address [IP_1]. "
        "I live at [ADDRESS_1] and was born on [BIRTH_DATE_1]. Desmond Tutu would forgive."
    )
    assert masked.counts == dict.fromkeys(DEFAULT, 1) | {"NAME": 2}
    assert all(0.5 <= f.score <= 1 for f in masked.found)


@pytest.mark.slow
def test_what_was_found_is_given_back_by_place_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        session = _masker().session()
        masked = session.mask(_LETTER)
    said = json.dumps([asdict(f) for f in masked.found]) + repr(masked) + repr(session) + caplog.text
    assert not any(secret in said for secret in ("Sharma", "priya.s@", "7946", "4111", "Pemberton"))
    assert _LETTER[masked.found[0].start : masked.found[0].end] == "Priya Sharma"


@pytest.mark.slow
def test_a_session_keeps_its_numbers_over_a_prompt_and_its_answers() -> None:
    session = _masker().session()
    assert (
        session.mask("My name is Priya Sharma and I met Kofi Nyarko.").text
        == "My name is [NAME_1] and I met [NAME_2]."
    )
    assert session.mask("Nyarko owes Mrs Sharma an answer.").text == "[NAME_2] owes Mrs [NAME_1] an answer."
    assert session.mask("Dr Amina Haddad said so.").text == "Dr [NAME_3] said so."


@pytest.mark.slow
def test_a_masker_that_allows_more_leaves_more_and_the_first_does_not() -> None:
    text = "Then Kofi Nyarko told me to wait, and Nyarko went home."
    assert _masker().allowing(["Kofi Nyarko", "Nyarko"]).mask(text).text == text
    assert _masker().mask(text).text == "Then [NAME_1] told me to wait, and [NAME_1] went home."


@pytest.mark.slow
def test_a_name_is_masked_again_in_lower_case_within_a_prompt() -> None:
    session = _masker().session()
    assert session.mask("My name is Priya Sharma.").text == "My name is [NAME_1]."
    assert session.mask("should priya go home, or sharma").text == "should [NAME_1] go home, or [NAME_1]"


@pytest.mark.slow
def test_numbers_already_in_a_text_are_not_given_twice() -> None:
    masked = _masker().mask("[NAME_1] met Mr Kofi Nyarko, [EMAIL_4] and x@example.org.")
    assert masked.text == "[NAME_1] met Mr [NAME_2], [EMAIL_4] and [EMAIL_5]."


_ORDINARY = ["Frank King", "Mark Young", "Rose White", "Will Brown", "Joy Hope", "Grace May"]


@pytest.mark.slow
@pytest.mark.parametrize("name", _ORDINARY)
def test_a_name_made_of_ordinary_words_is_masked_wherever_it_comes_back_whole(name: str) -> None:
    text = f"We all know {name}. My boss is called {name}. The staff fear {name}, and {name.upper()} knows."
    session = _masker().session()
    [masked] = session.mask_all([text])
    assert masked.text == text.replace(name, "[NAME_1]").replace(name.upper(), "[NAME_1]")
    assert session.names == {fold(name)}
    assert session.mask(f"Should we sack {name}?").text == "Should we sack [NAME_1]?"
    plain = f"Is it true that {name.lower()} are words?"
    assert session.mask(plain).text == plain


@pytest.mark.parametrize(
    "text",
    [
        "By the grace of God and by Grace, the gift; may Grace abound.",
        "It is May, and in May we paid May rent. This is the Grace that saves.",
        "Grace is free. Grace said so. We asked Grace Church, and GRACE said it.",
        "We asked for grace, and told grace said so.",
        "We met Jordan's king in Jordan, and I am Christian.",
        "The devout Christian said no, and we told Christian. Queen Grace, Lake Jordan said, early May told.",
        "We told May 3, and I saw my mother May 5. The bank in Jordan said no, so we visited Jordan.",
    ],
)
def test_an_ordinary_word_of_a_name_stays_where_it_may_be_the_word(text: str) -> None:
    assert calls(text, {"grace", "may", "jordan", "christian"}) == []


@pytest.mark.slow
def test_an_ordinary_word_of_a_name_is_masked_where_it_stands_as_a_name_does() -> None:
    text = (
        "My boss is called Frank King. Today Frank said no. I asked Frank, and our boss Frank left; be frank."
    )
    told = "My boss is called [NAME_1]. Today [NAME_1] said no. I asked [NAME_1], and our boss [NAME_1] left; be frank."
    assert _masker().mask(text).text == told
    assert _masker().mask("Today Frank said no.").text == "Today Frank said no."


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Charlotte", "Victoria", "Jordan", "Jackson", "Dawn", "Eve", "Summer"])
def test_a_given_name_that_is_a_place_or_a_time_too_is_masked_where_people_alone_stand(name: str) -> None:
    text = f"My boss is called {name} King. Today {name} said no. We asked {name}, and our boss {name} left."
    told = (
        "My boss is called [NAME_1]. Today [NAME_1] said no. We asked [NAME_1], and our boss [NAME_1] left."
    )
    assert _masker().mask(text).text == told
    plain = f"{name} is cold. We met {name}, we left {name}, the people of {name} said no, in {name} said no."
    assert calls(plain, {name.lower()}) == []
    assert _masker().mask(f"Today {name} said no.").text == f"Today {name} said no."


@pytest.mark.slow
def test_what_stands_for_a_known_name_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def counted(name: str) -> set[str]:
        asked.append(name)
        return name_parts(name)

    monkeypatch.setattr("multiplex.dataset.privacy.masking.name_parts", counted)
    session = _masker().session()
    session.remember(["priya sharma", "frank king", "priya sharma"])
    for _ in range(3):
        assert session.mask("i trust sharma, and Frank King").text == "i trust [NAME_1], and [NAME_2]"
    assert asked.count("priya sharma") == 1
    assert len(asked) < 6


@pytest.mark.slow
def test_a_short_part_of_a_name_has_the_number_of_the_name_that_it_belongs_to() -> None:
    masked = _masker().mask("My name is Bo Ng. Should Bo apologise? Ng says no, and so does Bo Ng.")
    assert (
        masked.text
        == "My name is [NAME_1]. Should [NAME_1] apologise? [NAME_1] says no, and so does [NAME_1]."
    )
    two = _masker().mask("My name is Bo Ng. I met Mr Frank Okonjo and Ng Mei. Is Bo, or Mr Okonjo, kind?")
    assert (
        two.text == "My name is [NAME_1]. I met Mr [NAME_2] and [NAME_3]. Is [NAME_1], or Mr [NAME_2], kind?"
    )


@pytest.mark.slow
@pytest.mark.parametrize("digits", ["9" * 7, "9" * 20, "9" * 5_000])
def test_a_number_that_nobody_gives_is_no_placeholders(digits: str) -> None:
    text = f"[NAME_{digits}] met Mr Kofi Nyarko."
    assert _masker().mask(text).text == f"[NAME_{digits}] met Mr [NAME_1]."


_PIECES = st.sampled_from(
    [
        "My name is ",
        "Priya Sharma",
        "Frank King",
        "Bo Ng",
        " ",
        "x@example.org",
        "+44 20 7946 0018",
        "[NAME_1]",
        "[ID_2]",
        "Mr ",
        "Nyarko",
        ", ",
        "said",
        ".",
        "\n",
        "AB 12 34 56 C",
        "call ",
        "020 7946 0018",
        "王晓明",
        "我叫",
        "May",
        "12",
        "[",
        "_1]",
        "Dear ",
        "مرحبا",
        "は",
        "です",
        "٠٥٠١٢٣٤٥٦٧",
        "１",
    ]
)


@pytest.mark.slow
@given(st.lists(_PIECES, max_size=14).map("".join))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_masking_what_is_masked_changes_nothing(text: str) -> None:
    once = _masker().mask(text)
    assert _masker().mask(once.text).text == once.text
    assert _masker().mask(once.text).found == ()
    # what was not found is left as it was, and what was found is one placeholder
    pattern, end = "", 0
    for find in once.found:
        assert end <= find.start < find.end <= len(text)
        pattern += re.escape(text[end : find.start]) + rf"\[{find.kind}_\d+\]"
        end = find.end
    assert re.fullmatch(pattern + re.escape(text[end:]), once.text)


@pytest.mark.slow
def test_only_the_kinds_that_are_asked_for_are_masked() -> None:
    masked = Masker(entities=("EMAIL",)).mask(_LETTER)
    assert {f.kind for f in masked.found} == {"EMAIL"}
    assert "Priya Sharma" in masked.text


@pytest.mark.slow
def test_a_very_long_text_is_masked_in_windows_to_its_end() -> None:
    filler = "Should the town keep the ferry when it loses money every winter? " * 60
    letter = "Write to a.b@example.org, says Priya Sharma. "
    text = (filler + letter) * 25
    assert len(text) > 90_000
    masked = _masker().mask(text)
    assert masked.text.count("[EMAIL_1]") == masked.text.count("[NAME_1]") == 25


@pytest.mark.slow
@pytest.mark.parametrize(
    "hostile", ["a." * 50_000, "1 " * 50_000, "Aa " * 33_000, "@" * 100_000, "born " * 20_000, "[" * 99_999]
)
def test_a_hostile_text_of_a_hundred_thousand_characters_comes_back(hostile: str) -> None:
    assert isinstance(_masker().mask(hostile).text, str)


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    import spacy

    nlp = spacy.blank("en")
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "PERSON", "pattern": "Xyzzandra Quux"}])
    nlp.to_disk(tmp_path / "people")
    return f"spacy:{tmp_path / 'people'}"


@pytest.mark.slow
def test_a_spacy_pipeline_finds_the_names_instead(pipeline: str) -> None:
    masked = Masker(names=pipeline).mask(
        "When Xyzzandra Quux met a@example.org, Priya Sharma left. Xyzzandra stayed."
    )
    assert masked.text == "When [NAME_1] met [EMAIL_1], Priya Sharma left. [NAME_1] stayed."
    with pytest.raises(ContentError, match="no spaCy pipeline 'nowhere' can be loaded"):
        Masker(names="spacy:nowhere")


@pytest.mark.slow
def test_the_masker_describes_itself_in_plain_data() -> None:
    said = _masker().describe()
    assert json.loads(json.dumps(said)) == said
    assert said["versions"]["presidio-analyzer"]
    assert said["not_detected"]


@pytest.mark.parametrize(
    ("text", "chapter"),
    [
        ("(Shatapatha Brahmana 1.7.2.1-6)", True),
        ("as the Digest 50.16.24.3 has it", True),
        ("as in 1.7.2.1:14 and after", True),
        ("my server is 12.7.2.1-6", False),
        ("it is at 12.34.56.78:80 now", False),
        ("it came from Berlin 203.0.113.7", False),
        ("the Brahmana 10.0.0.1", False),
        ("It is over. Try 12.34.56.78", False),
        ("12.34.56.78", False),
    ],
)
def test_a_place_in_a_work_is_no_address_of_a_computer(text: str, chapter: bool) -> None:
    match = re.search(r"\d+(?:\.\d+){3}", text)
    assert match
    assert is_chapter(text, Span("IP", *match.span(), 0.6)) is chapter
    if not chapter:
        return
    start = match.start()
    named = [Span("NAME", max(start - 9, 0), max(start - 1, 0), 0.9)]
    assert is_chapter(text, Span("IP", *match.span(), 0.6), named) is (text[match.end()] in "-:")


def test_what_public_texts_hold_word_for_word_is_public() -> None:
    public = PublicWords(["Shatapatha Brahmana 1.7.2.1-6"]).more(["Letter 53, to Malik"])
    assert public.hold("1.7.2.1")
    assert public.hold("to Malik")
    assert not public.hold("7.2.1.6.1")
    assert not public.hold("Mali")
    assert not public.hold("...")
    assert not PublicWords().hold("Malik")
