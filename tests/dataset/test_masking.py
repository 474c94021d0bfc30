"""What models said, masked over a whole deliberation, and what a panel makes public."""

from collections.abc import Callable
from functools import cache

import pytest

from multiplex.content.panels import seat
from multiplex.content.scenarios import Scenario
from multiplex.dataset.masking import Masks, masked
from multiplex.dataset.privacy import Masker, public_names
from tests.dataset.made import NAMES, material, text
from tests.table import PANEL, PERSONAS

pytestmark = pytest.mark.slow  # Presidio takes seconds to load


@cache
def masks() -> Masks:
    return Masks(Masker(entities=("NAME",), threshold=0.45), PANEL)


@cache
def sharp() -> Masker:
    return Masker(threshold=0.45)


def told(*texts: str, scenario: Callable[[Scenario], Scenario] = lambda s: s) -> list[str]:
    found = material(
        *(text("steered", persona=name, said=said) for name, said in zip(NAMES, texts, strict=False))
    )
    prompt = found.prompt.model_copy(update={"scenario": scenario(found.prompt.scenario)})
    clean, _ = masked(found.model_copy(update={"prompt": prompt}), masks())
    return [each.text for each in clean.texts]


def test_who_is_named_with_a_title_in_one_text_is_masked_in_the_others() -> None:
    first, second = told(
        "Mrs Abernathy-Quill ran the ferry for years.",
        "The ferry was fine. Let abernathy-quill and Abernathy-Quill rest.",
    )
    assert first == "Mrs [NAME] ran the ferry for years."
    assert second == "The ferry was fine. Let [NAME] and [NAME] rest."
    assert told("The ferry was fine. Let Abernathy-Quill rest.") == [
        "The ferry was fine. Let Abernathy-Quill rest."
    ]


def test_a_name_that_is_only_guessed_is_not_looked_for_elsewhere() -> None:
    first, second = told("We gave the prize to Qwzel Brontavik.", "Let Brontavik rest.")
    assert (first, second) == ("We gave the prize to [NAME].", "Let Brontavik rest.")


def test_what_one_deliberation_names_is_not_masked_in_the_next() -> None:
    kept = masks()
    assert kept.text("Let Zhang rest.", None, kept.parts("Mrs Zhang spoke."))[0] == "Let [NAME] rest."
    assert kept.text("Let Zhang rest.")[0] == "Let Zhang rest."


def test_words_of_the_panel_that_a_prompt_names_for_itself_are_public() -> None:
    said = "Dr Wendeline Ashgrove wrote that streams are owed."
    assert told(said) == ["Dr [NAME] wrote that streams are owed."]
    [first, *rest] = PERSONAS
    summary = "Follows Wendeline Ashgrove in all."
    own = (first.model_copy(update={"summary": summary}), *rest)
    assert told(said, scenario=lambda s: s.model_copy(update={"personas": own})) == [said]
    elsewhere = told("Dr Wendeline Smith wrote.", scenario=lambda s: s.model_copy(update={"personas": own}))
    assert elsewhere == ["Dr [NAME] wrote."]


def test_a_panel_that_cannot_be_seated_adds_nothing() -> None:
    gone = Scenario(name="gone", question="Who?", personas=("nobody_at_all",))
    assert masks().text("Dr Wendeline Smith wrote.", gone)[0] == "Dr [NAME] wrote."


@pytest.mark.parametrize("name", ["civilizations", "moral_theories"])
def test_the_works_and_places_of_a_panels_own_sources_are_never_masked(name: str) -> None:
    panel = seat(name)
    own = Masks(sharp().allowing(public_names(panel)), panel)
    sources = [each.source for persona in panel.pack.personas for each in persona.commitments]
    assert len(sources) > 50
    for source in sources:
        for written in (source.work, source.locus, f"({source.work} {source.locus})", f"See {source.brief}."):
            assert own.text(written) == (written, {}), written
            assert own.session().mask(written).text == written
