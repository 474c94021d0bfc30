"""Who answers for whom, from the names of models."""

import asyncio
from typing import Any

import pytest

from multiplex.content.scenarios import Scenario
from multiplex.errors import ContentError
from multiplex.models.pool import ModelPool
from multiplex.models.scripted import Scripted
from multiplex.responders.choose import Cast, model_names
from multiplex.responders.extractive import ExtractiveResponder
from multiplex.responders.language_model import LanguageModelResponder
from tests.table import MILLER, NURSE, PANEL, SAILOR, SCENARIO, Words, every_act, panel_of

EVERYONE = ["miller", "sailor", "nurse", "moderator", "observer"]
MIXED = panel_of(MILLER.model_copy(update={"model": "openai:small"}), SAILOR, NURSE)


def naming(**models: str) -> Scenario:
    return SCENARIO.model_copy(update={"models": models})


def test_one_name_stands_for_everyone_who_has_none_of_their_own() -> None:
    assert model_names(SCENARIO, PANEL, "openai:x") == dict.fromkeys(EVERYONE, "openai:x")
    assert list(model_names(SCENARIO, PANEL, "openai:x")) == EVERYONE


def test_the_scenario_goes_before_the_persona_and_the_persona_before_the_default() -> None:
    assert model_names(SCENARIO, MIXED, "extractive")["miller"] == "openai:small"
    names = model_names(naming(miller="openai:large", observer="vllm:x"), MIXED, "extractive")
    assert names["miller"] == "openai:large"
    assert names["observer"] == "vllm:x"
    assert names["sailor"] == names["moderator"] == "extractive"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("moderatr", "did you mean 'moderator'?"),
        ("Miller", "did you mean 'miller'?"),
        ("x", "known: miller, moderator, nurse, observer, sailor"),
    ],
)
def test_a_model_for_somebody_absent_is_refused_with_the_near_miss(name: str, said: str) -> None:
    with pytest.raises(ContentError) as caught:
        model_names(naming(**{name: "extractive"}), PANEL, "extractive")
    assert str(caught.value) == f"the scenario 'ferry': models: nobody named {name!r} takes part; {said}"


def test_a_persona_that_is_known_and_not_seated_is_absent() -> None:
    with pytest.raises(ContentError, match="nobody named 'nurse' takes part"):
        model_names(naming(nurse="extractive"), panel_of(MILLER, SAILOR), "extractive")


def test_who_share_a_model_share_a_responder() -> None:
    found = Cast("openai:x", ModelPool(), Words()).responders(naming(moderator="extractive"), MIXED)
    assert found["sailor"] is found["nurse"] is found["observer"]
    assert found["miller"] is not found["sailor"]
    assert {name: responder.name for name, responder in found.items()} == {
        "miller": "openai:small",
        "sailor": "openai:x",
        "nurse": "openai:x",
        "moderator": "extractive",
        "observer": "openai:x",
    }
    assert isinstance(found["moderator"], ExtractiveResponder)
    assert isinstance(found["miller"], LanguageModelResponder)


def test_the_class_of_a_responder_is_no_responder() -> None:
    cast: Any = Cast
    with pytest.raises(ContentError, match=r"^model: the class ExtractiveResponder is no model"):
        cast(ExtractiveResponder, ModelPool(), Words()).responders(SCENARIO, PANEL)


def test_only_language_models_can_tell_how_likely_a_choice_was() -> None:
    found = Cast("openai:x", ModelPool(), Words()).responders(naming(nurse="extractive"), PANEL)
    able = [name for name, responder in found.items() if getattr(responder, "weighs", False)]
    assert able == ["miller", "sailor", "moderator", "observer"]


def test_a_model_object_speaks_for_those_for_whom_none_is_named() -> None:
    model = Scripted(['{"answer": "One voice."}'], name="mine")
    found = Cast(model, ModelPool(), Words()).responders(SCENARIO, MIXED)
    assert [found[name].name for name in EVERYONE] == ["openai:small", "mine", "mine", "mine", "mine"]
    performed = asyncio.run(found["moderator"].perform(every_act()[-1], seed=1))
    assert performed.failure is None
    assert len(model.calls) == 1


def test_panels_of_one_session_share_language_models_and_no_extractive_corpus() -> None:
    cast = Cast("openai:x", ModelPool(), Words())
    one = cast.responders(naming(moderator="extractive"), MIXED)
    two = cast.responders(naming(moderator="extractive"), panel_of(NURSE))
    assert one["nurse"] is two["nurse"]
    assert one["moderator"] is not two["moderator"]


def test_a_model_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ContentError, match="did you mean 'extractive'"):
        Cast("extractiv", ModelPool(), Words()).responders(SCENARIO, PANEL)
