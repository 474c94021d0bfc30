"""Licences and languages: what a hub knows is taken as it writes it, and anything else is told in a sentence."""

import pytest

from multiplex.dataset.hub_labels import LICENCES, check_language, check_licence, licence_name
from multiplex.errors import ContentError


@pytest.mark.parametrize("given", sorted(LICENCES - {"other"}))
def test_every_licence_of_the_hub_is_taken_in_any_case(given: str) -> None:
    assert check_licence(f" {given.upper()} ") == given


def test_a_licence_of_ones_own_is_taken_by_name() -> None:
    assert check_licence("Other:  Our\ndata licence") == "other: Our data licence"
    assert licence_name("other: Our data licence") == "Our data licence"
    assert licence_name("cc-by-4.0") is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("cc-by-40", "--license cc-by-40: no licence that the hub knows (did you mean 'cc-by-4.0'?); one of"),
        ("Ours", "--license Ours: no licence that the hub knows; one of your own is given as 'other:NAME'"),
        ("other", "--license other: which one? Give its name too"),
        ("other: ", "--license other: : which one?"),
    ],
)
def test_a_licence_that_no_hub_knows_is_told(given: str, said: str) -> None:
    with pytest.raises(ContentError) as caught:
        check_licence(given)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "code"), [("en", "en"), (" SW ", "sw"), ("yor", "yor"), ("multilingual", "multilingual")]
)
def test_a_code_of_iso_639_is_taken(given: str, code: str) -> None:
    assert check_language(given) == code


@pytest.mark.parametrize("given", ["English", "xx", "e", "", "en_US", "zh-Hant", "eng1"])
def test_anything_else_is_no_language(given: str) -> None:
    with pytest.raises(
        ContentError, match=r"no code of ISO 639( \(.*\))?; it has two or three letters, as en, sw or yor"
    ):
        check_language(given)


def test_a_region_is_told_apart_from_its_language() -> None:
    with pytest.raises(ContentError, match=r"--language en-US: no code of ISO 639 \(did you mean 'en'\?\);"):
        check_language("en-US")
