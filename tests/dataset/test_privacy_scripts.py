"""Masking in scripts that put no spaces between words, write particles onto them, or have digits of their own."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.dataset.privacy import Masker
from multiplex.dataset.privacy.contacts import phones
from multiplex.dataset.privacy.reading import attaches, read
from multiplex.dataset.privacy.references import is_chapter
from multiplex.dataset.privacy.spans import Span


@cache
def _masker() -> Masker:
    return Masker(threshold=0.45, allow=["Immanuel Kant", "Kant"])


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("電話番号は+81 90-1234-5678です。", "電話番号は +81 90-1234-5678 です。"),
        ("IPは192.168.10.24です", "IP は 192.168.10.24 です"),
        ("電話:090-1234-5678 ל-050", "電話: 090-1234-5678 ל- 050"),
        ("メールは(03)1234と我是Zoëの", "メールは (03)1234 と我是 Zoë の"),
        ("nino@example.geზე და nino@example.ge-ზე", "nino@example.ge ზე და nino@example.ge -ზე"),
        (
            "０９０－１２３４ー５６７８、（０３）１２３４、ｔａｒｏ＠ｅｘ．ｊｐ．",
            "090-1234-5678、(03)1234、taro@ex.jp．",
        ),
        ("٠٥٠١٢٣ ۰۹۱۲ ९८७६ ๑๒", "050123 0912 9876 12"),
        ("١٢٬٣٤٥٫٦", "12,345.6"),
    ],
)
def test_a_text_is_read_with_ascii_digits_and_the_spaces_that_its_script_leaves_out(
    text: str, reading: str
) -> None:
    assert read(text).text == reading


@pytest.mark.parametrize(
    "text",
    [
        "Straße12 und müller.anna@posteo.de, n.º5, 1ª, x²3, café1 cafe\u03011",
        "тел0171 3920068, Ίων12, 3-й, Ἀθῆναι7",
        "水は皆のもの。順番に分ける。",
        "هل يجوز؟ نعم يجوز.",
        "क्या यह ठीक है?",
    ],
)
def test_words_of_one_script_are_read_as_they_stand(text: str) -> None:
    assert read(text).text == text


@given(st.text(alphabet=st.sampled_from("aZé9+-:.(@ はー王가ك٣٬ข०ა９Ａ．（）[_я"), max_size=40))
def test_every_place_of_a_reading_leads_back_to_its_place_in_the_text(text: str) -> None:
    reading = read(text)
    own = [place for place in range(len(reading.text)) if place not in reading.added]
    assert len(own) == len(text)
    assert all(reading.text[place] == " " for place in reading.added)
    for there, place in enumerate(own):
        back = reading.back(Span("ID", place, place + 1, 1.0))
        assert (back.start, back.end) == (there, there + 1)


def test_letters_without_capitals_attach_and_others_do_not() -> None:
    assert all(map(attaches, "はー王가كकხข〇①"))
    assert not any(map(attaches, "aÉßяΩªº½ﬁＡ1。-_ "))


_ATTACHED = [
    ("電話番号は", "+81 90-1234-5678", "です。", "PHONE"),
    ("我叫王晓明,手机", "13812345678", ",请回电", "PHONE"),
    ("我的手机号是", "13812345678", "请回电", "PHONE"),
    ("", "010-1234-5678", "로 전화해 주세요.", "PHONE"),
    ("โทร", "081-234-5678", "ค่ะ", "PHONE"),
    ("①", "090-1234-5678", "②", "PHONE"),
    ("電話:", "090-1234-5678", "", "PHONE"),
    ("電話は", "０９０−１２３４−５６７８", "です", "PHONE"),
    ("電話は", "（０３）１２３４－５６７８", "です．", "PHONE"),
    ("התקשרו ל-", "050-123-4567", "", "PHONE"),
    ("رقم هاتفي ", "٠٥٠١٢٣٤٥٦٧", "", "PHONE"),
    ("اتصل بهاتفي ", "٩٦٦٥٠١٢٣٤٥٦٧", "", "PHONE"),
    ("شماره من ", "۰۹۱۲۳۴۵۶۷۸۹", " است", "PHONE"),
    ("मेरा फोन ", "०९८७६५४३२१०", " है", "PHONE"),
    ("メールは", "taro.tanaka@example.jp", "です。", "EMAIL"),
    ("メールは", "ｔａｒｏ＠ｅｘａｍｐｌｅ．ｊｐ", "です．", "EMAIL"),
    ("请发邮件到", "wang.xiaoming@example.cn", "告诉我,谢谢", "EMAIL"),
    ("", "minsu.kim@example.kr", "로 메일 주세요.", "EMAIL"),
    ("بريدي", "mh@example.org", "فهل أسافر", "EMAIL"),
    ("ჩემი მეილია ", "nino@example.ge", "-ზე", "EMAIL"),
    ("카드번호는", "4111-1111-1111-1111", "입니다.", "CARD"),
    ("カード番号は", "4111111111111111", "です。", "CARD"),
    ("IPは", "192.168.10.24", "です", "IP"),
    ("IPv6は", "fe80::1ff:fe23:4567:890a", "です", "IP"),
    ("身份证号是", "11010519491231002X", ",谢谢", "ID"),
    ("여권번호는", "M12345678", "입니다", "ID"),
    ("IBANは", "GB82WEST12345698765432", "です", "ACCOUNT"),
    ("住所は", "12 Baker Street", "です", "ADDRESS"),
    ("昨日、", "Priya Sharma", "さんが来ました。", "NAME"),
    ("我是", "Zoë Kravitzová", "的邻居", "NAME"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "item", "behind", "kind"), _ATTACHED)
def test_what_touches_a_letter_of_a_script_without_spaces_is_masked_whole_and_alone(
    before: str, item: str, behind: str, kind: str
) -> None:
    [find] = [each for each in _masker().mask(f"{before}{item}{behind}").found if each.start >= len(before)]
    assert (find.kind, find.start, find.end) == (kind, len(before), len(before) + len(item))


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "2024年の人口は124000000人で、2010年より4000000人少ない。",
        "この法律は1947年5月3日に施行され、第25条1項に書かれている。",
        "COVID-19の死者は世界で7000000人を超えた。価格は0.1234567ドルです。",
        "ISBN978-4-00-310101-5の本の第1.2.3.4節を読んだ。",
        "2019-2024年の間に0.05%増え、18時30分から20時00分まで続いた。",
        "郵便番号100-0001の地域です。Google翻訳とDeepLのどちらを使うべきか。",
        "根据GB/T 19001-2016标准，票价是2500000元，太贵了吗？",
        "电话发明以来销量已经超过了一千万台，其中在欧洲售出12000000部。",
        "用Python写程序，在Paris和London的房价比较，Jordan鞋贵吗？",
        "2020년에 인구는 51829000명이었다. GDP는 2000조원이다.",
        "ปี 2566 มีประชากร 66052615คน ราคา 1250000บาทแพงเกินไปไหม",
        "بين ١٩٣٩ و١٩٤٥ مات ٧٠٠٠٠٠٠٠ إنسان، والسعر ١٬٢٥٠٬٠٠٠ ريال والنسبة ٠٫٠١٢٣٤٥٦٧",
        "قال تعالى في سورة البقرة ٢:٢٥٦ لا إكراه في الدين",
        "در سال ۱۴۰۲ جمعیت ایران ۸۵۰۰۰۰۰۰ نفر بود",
        "भारत की जनसंख्या १४०००००००० है और 2011में 1210854977थी, सन् १९४७-१९५० के बीच",
        "ב-1948 הוקמה המדינה והמחיר הוא 1250000 שקל בשנת 2023",
    ],
)
def test_counts_years_prices_and_products_in_other_scripts_are_left(text: str) -> None:
    assert _masker().mask(text).text == text


@pytest.mark.slow
def test_a_number_is_the_same_one_in_the_digits_of_any_script() -> None:
    masked = _masker().mask("هاتفي ٠٥٠١٢٣٤٥٦٧ وهو 0501234567 أيضا، وليس ٠٥٠١٢٣٤٥٦٨")
    assert masked.text == "هاتفي [PHONE_1] وهو [PHONE_1] أيضا، وليس [PHONE_2]"


@pytest.mark.slow
def test_a_known_or_a_public_name_is_one_beside_letters_of_another_script_too() -> None:
    masked = _masker().mask("My name is Priya Sharma. Priya说过, priya告诉我. Kant说得对, Immanuel Kantも。")
    assert masked.text == "My name is [NAME_1]. [NAME_1]说过, [NAME_1]告诉我. Kant说得对, Immanuel Kantも。"


@pytest.mark.slow
def test_what_stands_in_windows_of_a_long_text_is_masked_at_its_place() -> None:
    text = "水は皆のもの、順番に分ける1回目と2回目。" * 300 + "メールはtaro@example.jpです。"
    assert _masker().mask(text).text == text.replace("taro@example.jp", "[EMAIL_1]")


def test_the_nth_of_a_work_is_no_address_of_a_computer() -> None:
    text = "第1.2.3.4節"
    assert is_chapter(text, Span("IP", 1, 8, 0.6))
    assert not is_chapter("は" + text[1:], Span("IP", 1, 8, 0.6))


def test_words_for_a_telephone_need_no_spaces_where_their_script_has_none() -> None:
    assert [*phones("我的手机号是 91234567 请")]
    assert [*phones("اتصل بهاتفي 966501234567")]
    assert not [*phones("كانوا يعرفون أن 91234567 شخصا")]
