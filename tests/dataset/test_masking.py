"""What models said, masked over a whole deliberation, and what a panel makes public."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import pytest

from multiplex.content.panels import seat
from multiplex.content.scenarios import Scenario
from multiplex.dataset.intake import take_in
from multiplex.dataset.masking import Masks, masked
from multiplex.dataset.material import user_turn
from multiplex.dataset.privacy import Masker, public_names
from multiplex.dataset.prompts import prompt_id, read_prompts
from multiplex.dataset.store import Store
from tests.dataset.made import NAMES, material, text
from tests.table import PANEL, PERSONAS, Words

pytestmark = pytest.mark.slow  # Presidio takes seconds to load


@cache
def masks() -> Masks:
    return Masks(Masker(entities=("NAME",), threshold=0.45), PANEL)


@cache
def sharp() -> Masker:
    return Masker(threshold=0.45)


def taken(folder: Path, row: Mapping[str, object]) -> Scenario:
    """Return the scenario of one prompt as it is taken in."""
    folder.mkdir(exist_ok=True)
    (folder / "prompts.jsonl").write_text(json.dumps(row))
    with Store(folder / "work") as store:
        given = read_prompts([folder / "prompts.jsonl"])
        take_in(store, given, embedder=Words(), folder=folder / "work", masks=masks())
        [task] = store.todo()
    return task.prompt.scenario


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


@pytest.mark.parametrize("where", ["question", "choice_context", "options"])
def test_who_is_introduced_in_one_text_of_a_prompt_is_masked_in_the_others(
    tmp_path: Path, where: str
) -> None:
    texts = {
        "context": "The ferry was fine.",
        "question": "Should okonjo, or her brother, keep it?",
        "choice_context": "what Okonjo left",
        "options": ["Let okonjo keep it", "Let the brother keep it"],
    }
    named = "My neighbour is called Ngozi Okonjo. "
    scenario = taken(tmp_path / "after", {**texts, "context": named + str(texts["context"])})
    assert "okonjo" not in scenario.model_dump_json().lower()
    assert user_turn(scenario) == (
        "My neighbour is called [NAME_1]. The ferry was fine.\n\nShould [NAME_1], or her brother, keep it?\n\n"
        "The choice is about: what [NAME_1] left\n\n"
        "The options:\n- option_1: Let [NAME_1] keep it\n- option_2: Let the brother keep it"
    )
    first = (
        [named + texts["options"][0], texts["options"][1]]
        if where == "options"
        else named + str(texts[where])
    )
    scenario = taken(tmp_path / "before", {**texts, "context": "Does Okonjo own the ferry?", where: first})
    assert "okonjo" not in scenario.model_dump_json().lower()
    assert scenario.context == "Does [NAME_1] own the ferry?"


def test_who_is_introduced_in_an_earlier_turn_of_a_chat_is_masked_in_what_is_asked(tmp_path: Path) -> None:
    turns = [
        ("user", "My name is Ngozi Okonjo and I share a house with Mrs Zofia Kowalczyk."),
        ("assistant", "I see."),
        ("user", "Should Okonjo give up the house to kowalczyk, or may okonjo keep it?"),
    ]
    chat = [{"role": role, "content": content} for role, content in turns]
    scenario = taken(tmp_path, {"messages": chat})
    assert scenario.question == "Should [NAME_1] give up the house to [NAME_2], or may [NAME_1] keep it?"


def test_texts_that_are_masked_together_are_numbered_in_their_order_and_once() -> None:
    texts = ["Does Okonjo owe Mrs Kowalczyk?", "My name is Ngozi Okonjo.", "So [NAME_1] said."]
    told = [each.text for each in sharp().session().mask_all(texts)]
    assert told == ["Does [NAME_3] owe Mrs [NAME_2]?", "My name is [NAME_3].", "So [NAME_1] said."]
    again = sharp().session().mask_all(told)
    assert [(each.text, each.found) for each in again] == [(text, ()) for text in told]
    assert not sharp().session().names


def test_what_one_deliberation_names_is_not_masked_in_the_next() -> None:
    kept = masks()
    assert kept.text("Let Zhang rest.", None, kept.parts("Mrs Zhang spoke."))[0] == "Let [NAME] rest."
    assert kept.text("Let Zhang rest.")[0] == "Let Zhang rest."


def test_who_has_a_name_of_ordinary_words_is_masked_in_the_other_texts_of_a_deliberation_too() -> None:
    first, second, third = told(
        "Dr Frank King spoke.", "Frank King was kind, and Frank King left.", "Let a frank king rest."
    )
    assert (first, second) == ("Dr [NAME] spoke.", "[NAME] was kind, and [NAME] left.")
    assert third == "Let a frank king rest."


def test_a_whole_name_wins_over_the_part_of_it_that_is_found_by_itself() -> None:
    first, second = told("Mrs Grace Okonjo spoke.", "Grace Okonjo said no.")
    assert (first, second) == ("Mrs [NAME] spoke.", "[NAME] said no.")


def named(folder: Path, *rows: Mapping[str, object]) -> list[tuple[str, str, str | None]]:
    """Return the id, group and label of each prompt as they are taken in."""
    folder.mkdir(exist_ok=True)
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Store(folder / "work") as store:
        given = read_prompts([folder / "prompts.jsonl"])
        take_in(store, given, embedder=Words(), folder=folder / "work", masks=masks())
        return [(task.prompt.id, task.prompt.group, task.prompt.label) for task in store.todo()]


@pytest.mark.parametrize(
    ("person", "hidden", "kept"),
    [
        ("Mrs Grace May", ["grace", "grace1", "May", "grace_may", "letters of grace may"], "grace period"),
        ("Mr Frank King", ["king", "FrankKing", "frank-king-2"], "to be frank"),
        ("Mr Bo Ng", ["ng", "bo_ng", "Bo"], "a bo tree"),
    ],
)
def test_ids_groups_and_labels_do_not_tell_of_who_has_a_name_of_ordinary_or_short_words(
    tmp_path: Path, person: str, hidden: list[str], kept: str
) -> None:
    asked = f"My neighbour is {person}. Who may keep the bees?"
    for number, name in enumerate([*hidden, kept]):
        row = {"question": asked, "id": name, "group": name, "domain": name}
        [(told, group, label)] = named(tmp_path / str(number), row)
        if name == kept:
            assert (told, group, label) == (kept, kept, kept)
        else:
            assert (told, label) == (group, "label_1")
            assert name.lower() not in told


def test_an_id_and_a_label_are_held_against_whoever_any_prompt_of_the_group_names(tmp_path: Path) -> None:
    asked = ["My neighbour Mrs Priya Sharma sings. May she?", "Is salt dear?", "When is a debt forgotten?"]
    ids, labels = ["1", "sharma1", "sharma3"], ["housing", "sharma", "Sharma"]
    rows = [
        {"question": question, "id": own, "domain": label, "group": "sharma"}
        for question, own, label in zip(asked, ids, labels, strict=True)
    ]
    first, second, third = named(tmp_path, *rows)
    assert first == ("1", "1", "housing")
    assert second == (prompt_id(asked[1]), "1", "label_1")
    assert third == (prompt_id(asked[2]), "1", "label_1")


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
