"""Prompts on their way into the work file: what is alike, and what a name may give away."""

import json
import time
import tracemalloc
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from weakref import WeakSet

import pytest

from multiplex.dataset.intake import _joined, take_in
from multiplex.dataset.naming import Names
from multiplex.dataset.origins import place_of
from multiplex.dataset.prompts import Prompt, prompt_id, read_prompts
from multiplex.dataset.similarity import Seen
from multiplex.dataset.store import Store
from tests.dataset.made import material
from tests.table import Words

LONG = (
    "The valley was flooded and the council met on the bridge to hear everybody who had lost a field. " * 30
)


def taken_in(
    tmp_path: Path, *rows: Mapping[str, object], masks: object = None
) -> tuple[list[Prompt], dict[str, int]]:
    tmp_path.mkdir(exist_ok=True)
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with Store(tmp_path / "work") as store:
        given = read_prompts([tmp_path / "prompts.jsonl"])
        take_in(store, given, embedder=Words(), folder=tmp_path / "work", masks=masks)  # type: ignore[arg-type]
        left_out = {kind: each["number"] for kind, each in store.counts().get("prompts", {}).items()}
        return [task.prompt for task in store.todo()], left_out


def test_questions_on_one_long_text_are_not_alike_for_that_text(tmp_path: Path) -> None:
    questions = ["Who should pay for the bridge?", "May a child vote on this?", "Is a flood anybody's guilt?"]
    found, left_out = taken_in(tmp_path, *({"question": each, "context": LONG} for each in questions))
    assert [prompt.scenario.question for prompt in found] == questions
    assert left_out == {}
    again, left_out = taken_in(
        tmp_path / "x", *({"question": questions[0], "context": f"{LONG}{i}"} for i in "ab")
    )
    assert (len(again), left_out) == (1, {"near_duplicate": 1})


def test_one_question_with_other_options_is_another_question(tmp_path: Path) -> None:
    ask = "Which one should we choose?"
    found, _ = taken_in(
        tmp_path,
        {"question": ask, "options": ["A long war at sea", "A treaty of peace"]},
        {"question": ask, "options": ["Tax every pound of sugar", "Ban sweets at school"]},
    )
    assert len(found) == 2


class _Masks:
    """Masks one name, as a masker would."""

    names = frozenset({"ada"})

    def session(self, scenario: object = None) -> "_Masks":
        return self

    def mask(self, text: str) -> "_Done":
        return _Done(text.replace("Ada", "[NAME_1]"), {"NAME": text.count("Ada")} if "Ada" in text else {})

    def remember(self, names: Iterable[str]) -> None:
        """Nothing needs remembering."""

    def mask_all(self, texts: Sequence[str]) -> "list[_Done]":
        return [*map(self.mask, texts)]


@pytest.mark.parametrize(
    "name", ["AdaLovelace", "case_12_Ada_Lovelace_1815", "Ada.Lovelace-2", "Ada_Lovelace"]
)
def test_a_name_is_read_with_its_words_apart_whatever_stands_between_them(tmp_path: Path, name: str) -> None:
    class Whole(_Masks):
        def mask(self, text: str) -> _Done:
            return _Done(text.replace("Ada Lovelace", "[NAME_1]"), {})

    [prompt], _ = taken_in(
        tmp_path, {"question": "May bees be kept?", "id": name, "group": name, "domain": name}, masks=Whole()
    )
    assert "Lovelace" not in prompt.model_dump_json()


def test_what_a_prompt_is_called_now_is_what_its_rows_are_made_of(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        made = material()
        called = made.prompt.model_copy(update={"label": "housing"})
        store.add_prompt(called)
        [task] = store.todo()
        store.done(task.place, made.model_copy(update={"prompt": called}).model_dump_json())
        store.relabel({"housing": "label_1"})
        assert [each.prompt.label for each in store.materials()] == ["label_1"]


class _Done:
    def __init__(self, text: str, counts: dict[str, int]) -> None:
        self.text, self.counts = text, counts


@pytest.mark.parametrize("given", [{}, {"id": "ada-1", "group": "of Ada"}, {"id": "letter of Ada"}])
def test_neither_id_nor_group_tells_what_was_masked(tmp_path: Path, given: dict[str, str]) -> None:
    asked = "May Ada keep the bees?"
    [prompt], _ = taken_in(tmp_path, {"question": asked, **given}, masks=_Masks())
    assert prompt.scenario.question == "May [NAME_1] keep the bees?"
    assert prompt_id(asked) not in prompt.model_dump_json()
    assert "Ada" not in prompt.model_dump_json()
    assert prompt.origin == "file 1:1"
    if not given:
        assert prompt.id == prompt.group == prompt_id("May [NAME_1] keep the bees?")


BEES = "Who keeps the bees in winter?"


def test_a_key_of_an_option_that_tells_what_was_masked_gives_way_to_its_number(tmp_path: Path) -> None:
    options = [
        {"key": "Ada", "text": "The one from the mill"},
        {"key": "other", "text": "Somebody else, not Ada"},
        {"key": "option_1", "text": "Nobody at all"},
    ]
    [prompt], _ = taken_in(tmp_path, {"question": BEES, "options": options}, masks=_Masks())
    assert [option.key for option in prompt.scenario.options] == ["option_1_", "option_2", "option_1"]
    assert "ada" not in prompt.model_dump_json().lower()
    [prompt], _ = taken_in(tmp_path / "x", {"question": BEES, "options": options})
    assert [option.key for option in prompt.scenario.options] == ["ada", "other", "option_1"]


def test_what_a_group_or_a_label_is_called_is_decided_once_for_all_of_its_prompts(tmp_path: Path) -> None:
    of_ada = {"group": "letters of Ada", "domain": "the case of Ada"}
    rows = [
        {"question": BEES, **of_ada},
        {"question": "May Ada sing at night?", **of_ada},
        {"question": "What is a debt that nobody remembers?", "group": "debts", "domain": "debts"},
        {"question": "How long must a debtor wait?", "group": "debts", "domain": "debts"},
    ]
    found, _ = taken_in(tmp_path, *rows, masks=_Masks())
    first, _, third, _ = found
    assert [prompt.group for prompt in found] == [first.id, first.id, "debts", "debts"]
    assert [prompt.label for prompt in found] == ["label_1", "label_1", "debts", "debts"]
    assert third.id != third.group
    assert "Ada" not in "".join(prompt.model_dump_json() for prompt in found)

    class Told(_Masks):
        """Knows of no name but in a prompt that gives it."""

        def session(self, scenario: object = None) -> _Masks:
            return _Masks() if "sing" in str(scenario) else Told()

        def mask(self, text: str) -> _Done:
            return _Done(text, {})

    found, _ = taken_in(tmp_path / "x", *rows, masks=Told())
    assert [prompt.group for prompt in found] == [found[0].id, found[0].id, "debts", "debts"]
    assert [prompt.label for prompt in found] == ["label_1", "label_1", "debts", "debts"]


class _Told(_Masks):
    """Knows of no name but in a prompt that gives it, and where it is told of it."""

    def __init__(self) -> None:
        self.names = frozenset()

    def session(self, scenario: object = None) -> _Masks:
        return _Masks() if "sing" in str(scenario) else _Told()

    def remember(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)

    def mask(self, text: str) -> _Done:
        return super().mask(text) if self.names else _Done(text, {})


def test_what_groups_are_called_is_held_against_all_that_likeness_puts_into_them(tmp_path: Path) -> None:
    alike = {"question": ALIKE}
    sings = {"question": ALIKE.replace("cold", "Ada sing")}  # here alone Ada is known for a name
    found, _ = taken_in(tmp_path, {**alike, "group": "letters of Ada"}, sings, masks=_Told())
    assert [prompt.group for prompt in found] == [prompt_id(ALIKE)] * 2
    found, _ = taken_in(tmp_path / "id", {**alike, "id": "letters of Ada"}, sings, masks=_Told())
    assert [prompt.group for prompt in found] == [prompt_id(ALIKE)] * 2
    found, _ = taken_in(
        tmp_path / "both", {**alike, "id": "Ada-1", "group": "letters of Ada"}, sings, masks=_Told()
    )
    assert [prompt.group for prompt in found] == [prompt_id(ALIKE)] * 2
    (tmp_path / "more").mkdir()
    files = [[{**alike, "group": "letters of Ada"}], [sings]]
    found, store = extended(tmp_path / "more", *files, masks=_Told())
    assert [prompt.group for prompt in found] == ["letters of Ada"] * 2
    with store:
        assert store.fact("personal_groups") == [prompt_id(ALIKE)]


def test_an_id_and_a_label_are_held_against_all_that_likeness_puts_into_the_group(tmp_path: Path) -> None:
    alike = {"id": "Ada-1", "question": ALIKE, "domain": "of Ada"}
    sings = {"id": "2", "question": ALIKE.replace("cold", "Ada sing")}  # here alone Ada is known for a name
    elsewhere = {"id": "Ada-3", "question": "Is salt dear?", "domain": "of ADA"}
    for number, rows in enumerate([(alike, sings, elsewhere), (sings, alike, elsewhere)]):
        found, _ = taken_in(tmp_path / str(number), *rows, masks=_Told())
        by_id = {prompt.id: prompt for prompt in found}
        assert list(by_id) == [prompt_id(row["question"]) if row is alike else row["id"] for row in rows]
        told = by_id[prompt_id(ALIKE)]
        assert told.label == by_id["Ada-3"].label == "label_1"
        assert told.scenario.name == f"prompt_{told.id}"
        assert told.group == by_id["2"].group == (told.id if rows[0] is alike else "2")


def test_what_is_close_to_a_prompt_whose_id_was_not_published_still_meets_it(tmp_path: Path) -> None:
    first = [
        {"id": "Ada-1", "question": ALIKE, "group": "g"},
        {"id": "2", "question": "May Ada sing at night?", "group": "g"},
    ]
    more = [
        {"id": "Ada-1", "question": "Is salt dear?"},  # another prompt under the same id
        {"id": "3", "question": ALIKE.upper()},
        {"id": "4", "question": ALIKE.replace("cold", "warm")},
        {"id": "5", "question": "When is a debt forgotten?", "group": "g"},
    ]
    again = [{"id": "Ada-1", "question": ALIKE, "group": "h"}, {"id": "6", "question": "Why?", "group": "h"}]
    found, store = extended(tmp_path, first, more, again, masks=_Told())
    hidden, salt = prompt_id(ALIKE), prompt_id("Is salt dear?")
    assert [(prompt.id, prompt.group) for prompt in found] == [
        (hidden, "g"),
        ("2", "g"),
        (salt, salt),
        ("4", "g"),
        ("5", "g"),
        ("6", "g"),
    ]
    with store:
        counts = store.counts()["prompts"]
    assert {kind: each["number"] for kind, each in counts.items()} == {"near_duplicate": 1, "duplicate": 1}
    assert "Ada" not in json.dumps(counts)


def test_of_what_repeats_a_prompt_with_an_id_of_its_own_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text(
        "".join(
            json.dumps(row) + "\n"
            for row in ({"id": "Ada-1", "question": ALIKE}, {"question": ALIKE.upper()})
        )
    )
    with Store(tmp_path / "work") as store:
        given = read_prompts([tmp_path / "prompts.jsonl"])
        take_in(store, given, embedder=Words(), folder=tmp_path / "work", masks=None)
        assert store.counts()["prompts"]["near_duplicate"]["examples"] == [
            "file 1:2: as file 1:1 (cosine 1.000)"
        ]


def test_a_label_that_is_there_is_held_against_new_prompts_of_its_group_and_an_id_that_is_there_stays(
    tmp_path: Path,
) -> None:
    first = [
        {"id": "Ada-1", "question": BEES, "group": "g", "domain": "of Ada"},
        {"id": "2", "question": "Is salt dear?", "domain": "OF Ada"},
    ]
    more = [{"id": "3", "question": "May Ada sing at night?", "group": "g"}]
    found, _ = extended(tmp_path, first, more, masks=_Told())
    assert [(prompt.id, prompt.group, prompt.label) for prompt in found] == [
        ("Ada-1", "g", "label_1"),
        ("2", "2", "label_1"),
        ("3", "g", None),
    ]


def test_what_is_added_with_a_file_that_has_grown_is_held_against_whom_its_old_prompts_name(
    tmp_path: Path,
) -> None:
    first = [{"id": "1", "question": "May Ada sing at night?", "group": "g"}]
    more = [{"id": "Ada-2", "question": BEES, "group": "g", "domain": "of Ada"}]
    hidden = [("1", "g", None), (prompt_id(BEES), "g", "label_1")]
    for name, second in (("grown", [*first, *more]), ("another", more)):
        (tmp_path / name).mkdir()
        found, _ = extended(tmp_path / name, first, second, masks=_Told())
        told = [(prompt.id, prompt.group, prompt.label) for prompt in found]
        # whom a file names that is not read again is kept nowhere
        assert told == (hidden if name == "grown" else [("1", "g", None), ("Ada-2", "g", "of Ada")])


def test_of_whom_prompts_name_folded_names_alone_are_held(tmp_path: Path) -> None:
    alive: WeakSet[_Masks] = WeakSet()
    most = []

    class Counted(_Told):
        """Counts what has not been forgotten when groups are named."""

        def __init__(self) -> None:
            super().__init__()
            alive.add(self)

        def session(self, scenario: object = None) -> _Masks:
            session = Counted()
            if "sing" in str(scenario):
                session.names = frozenset({"ada"})
            return session

        def remember(self, names: Iterable[str]) -> None:
            super().remember(names)
            most.append(len(alive))

    masks = Counted()
    rows = [{"question": f"May Ada sing at night {'.' * number}?", "group": "g"} for number in range(50)]
    taken_in(tmp_path, *rows, {"question": BEES, "group": "g"}, masks=masks)
    assert most == [2]
    with Store(tmp_path) as store:
        names = Names(store, None, extends=False)
        tracemalloc.start()
        for number in range(2_000):
            names.remember(f"{number:016x}", [f"priya sharma {number}"])
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert held < 2_000 * 500  # some 300 bytes; a session took 1,200


def test_what_a_name_tells_is_learnt_of_all_its_forms_in_any_order(tmp_path: Path) -> None:
    class Learns(_Masks):
        """Takes the last word behind Ada for a family name, wherever it comes back."""

        def __init__(self) -> None:
            self.families: set[str] = set()

        def session(self, scenario: object = None) -> "Learns":
            return Learns()

        def mask(self, text: str) -> _Done:
            if "Ada" in text:
                self.families.add(text.split()[-1].casefold())
            words = text.split(" ")
            return _Done(" ".join("[NAME_1]" if w.casefold() in self.families else w for w in words), {})

    named = {"id": "Ada KarimSultani", "domain": "karimsultani", "group": "sultani"}
    [prompt], _ = taken_in(tmp_path, {"question": BEES, **named}, masks=Learns())
    assert (prompt.label, prompt.group) == ("label_1", prompt.id)


def test_a_stand_in_is_called_as_no_label_of_ones_own_is(tmp_path: Path) -> None:
    asked = ("Who mends the nets?", "May Ada sing at night?", "Is salt dear?", "When is a debt forgotten?")
    labels = ("label_2", "the case of Ada", "label_1", "Ada's aunt")
    rows = [{"question": each, "domain": label} for each, label in zip(asked, labels, strict=True)]
    found, _ = taken_in(tmp_path, *rows, masks=_Masks())
    assert [prompt.label for prompt in found] == ["label_2", "label_3", "label_1", "label_4"]


def extended(tmp_path: Path, *files: list[dict[str, str]], masks: object) -> tuple[list[Prompt], Store]:
    """Take in files one after the other, each to what is there; return the prompts, and the store."""
    folder = tmp_path / "work"
    store = Store(folder)
    for number, rows in enumerate(files):
        path = tmp_path / f"{number}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        given = read_prompts([path], only={place_of(path): f"file {number + 1}"})
        with store:
            take_in(
                store,
                given,
                embedder=Words(),
                folder=folder,
                masks=masks,  # type: ignore[arg-type]
                extends=number > 0,
            )
    with store:
        return [task.prompt for task in store.todo()], store


def test_a_label_that_comes_later_is_not_taken_for_a_stand_in(tmp_path: Path) -> None:
    first = [{"question": "May Ada sing at night?", "domain": "of Ada"}]
    more = [{"question": "Is salt dear?", "domain": "label_1"}, {"question": "Why?", "domain": "of Ada"}]
    found, _ = extended(tmp_path, first, more, masks=_Masks())
    assert [prompt.label for prompt in found] == ["label_1", "label_1_", "label_1"]


def test_a_group_that_is_found_to_tell_of_somebody_later_keeps_its_name_and_that_is_kept(
    tmp_path: Path,
) -> None:
    first = [{"question": BEES, "group": "letters of Ada"}, {"question": "Is salt dear?", "group": "Ada"}]
    more = [{"question": "May Ada sing at night?", "group": "letters of Ada"}, {"question": "Why?"}]
    found, store = extended(tmp_path, first, more, masks=_Told())
    assert [prompt.group for prompt in found[:3]] == ["letters of Ada", "Ada", "letters of Ada"]
    with store:
        assert store.fact("personal_groups") == [found[0].id]


def test_files_that_number_their_rows_alike_are_told_apart_also_where_one_is_added(tmp_path: Path) -> None:
    asked = ("Who mends the nets?", "Is salt dear?", "When is a debt forgotten?", "May a goat graze there?")
    first = [
        {"id": "1", "question": asked[0]},
        {"id": "2", "question": asked[1]},
        {"question": "Why not?"},
    ]
    more = [
        {"id": "1", "question": asked[2]},
        {"id": "2", "question": asked[1]},
        {"id": "3", "question": asked[3]},
        {"id": "4", "question": "Why not?"},
    ]
    found, store = extended(tmp_path, first, more, masks=None)
    assert [prompt.id for prompt in found] == ["1", "2", prompt_id("Why not?"), prompt_id(asked[2]), "3"]
    assert [prompt.group for prompt in found] == [prompt.id for prompt in found]
    path = tmp_path / "1.jsonl"
    with store:
        assert {kind: each["number"] for kind, each in store.counts()["prompts"].items()} == {"duplicate": 2}
        given = read_prompts([path], only={place_of(path): "file 2"})  # again, as a file that has grown
        take_in(store, given, embedder=Words(), folder=tmp_path / "work", masks=None, extends=True)
        assert [task.prompt for task in store.todo()] == found
        assert {kind: each["number"] for kind, each in store.counts()["prompts"].items()} == {"duplicate": 2}


ALIKE = "Who keeps the old bees alive in the cold dark winter months here?"


@pytest.mark.parametrize("group", ["1", "g"])
def test_a_group_links_its_prompts_also_where_it_is_called_as_one_of_them(tmp_path: Path, group: str) -> None:
    found, _ = taken_in(
        tmp_path,
        {"id": 0, "question": ALIKE},
        {"id": 1, "question": ALIKE.replace("cold", "warm"), "group": group},
        {"id": 2, "question": "Is salt dear?", "group": group},
    )
    assert [prompt.group for prompt in found] == [group] * 3


def test_a_group_that_is_called_as_one_of_its_prompts_stays_one_where_it_is_hidden_and_where_it_grows(
    tmp_path: Path,
) -> None:
    of_ada = [{"id": "Ada", "question": BEES}, {"id": "2", "question": "Is salt dear?"}]
    found, _ = taken_in(tmp_path, *({**row, "group": "Ada"} for row in of_ada), masks=_Masks())
    assert [prompt.group for prompt in found] == [prompt_id(BEES)] * 2
    first = [{"id": "1", "question": BEES, "group": "1"}]
    more = [
        {"id": "1", "question": "May a goat graze there?", "group": "1"},
        {"id": "2", "question": "Is salt dear?", "group": "1"},
    ]
    (tmp_path / "x").mkdir()
    found, _ = extended(tmp_path / "x", first, more, masks=None)
    assert [prompt.group for prompt in found] == ["1"] * 3


def test_no_prompt_is_lost_for_an_id_that_is_the_hash_of_another(tmp_path: Path) -> None:
    salt = "Is salt dear?"
    named = {"id": prompt_id(BEES), "question": salt}
    for number, files in enumerate(([[{"question": BEES}], [named]], [[named], [{"question": BEES}]])):
        (folder := tmp_path / str(number)).mkdir()
        found, _ = extended(folder, *files, masks=None)
        assert {prompt.id for prompt in found} == {prompt_id(BEES), prompt_id(salt)}
        once, _ = taken_in(folder / "once", *(row for rows in files for row in rows))
        assert [prompt.id for prompt in once] == [prompt.id for prompt in found]


def test_prompts_that_ask_the_same_once_they_are_masked_are_one(tmp_path: Path) -> None:
    asked = ("May Ada sing at night?", "May [NAME_1] sing at night?", "Is salt dear?")
    found, left_out = taken_in(tmp_path, *({"question": each} for each in asked), masks=_Masks())
    assert [prompt.scenario.question for prompt in found] == list(asked[1:])
    assert left_out == {"duplicate": 1}


def test_prompts_that_differ_in_what_is_chosen_are_not_alike(tmp_path: Path) -> None:
    choices = ("a bishop resting between two long journeys", "children milling flour without any pay")
    found, left_out = taken_in(tmp_path, *({"question": BEES, "choice_context": each} for each in choices))
    assert [prompt.scenario.choice_context for prompt in found] == list(choices)
    assert left_out == {}


def grown(tmp_path: Path, first: list[str], more: list[str]) -> tuple[list[str], dict[str, int], list[str]]:
    """Take in two files, the second to what is there; return questions, counts, and whose vectors are kept."""
    for name, asked in (("first", first), ("more", more)):
        (tmp_path / f"{name}.txt").write_text("".join(f"{each}\n" for each in asked))
    with Store(tmp_path / "work") as store:
        folder = tmp_path / "work"
        take_in(store, read_prompts([tmp_path / "first.txt"]), embedder=Words(), folder=folder, masks=None)
        only = {place_of(tmp_path / "more.txt"): "file 2"}
        given = read_prompts([tmp_path / "more.txt"], only=only)
        take_in(store, given, embedder=Words(), folder=folder, masks=None, extends=True)
        left_out = {kind: each["number"] for kind, each in store.counts().get("prompts", {}).items()}
        found = {task.prompt.id: task.prompt.scenario.question for task in store.todo()}
        committed = store.fact("seen")
    vectors = 2 * Words().embed(["any"]).shape[1]
    seen = Seen(folder / "prompts.seen", dimensions=vectors, committed=committed, embedding=Words().name)
    with seen:
        return list(found.values()), left_out, list(map(found.__getitem__, seen.keys()))


SHARED = "the mill and weir on our river under old oaks"


def test_what_was_left_out_again_is_nothing_that_others_repeat(tmp_path: Path) -> None:
    first = [f"{SHARED} cattle, sheep, goats", f"{SHARED} bakers, smiths, dyers"]
    found, left_out, kept = grown(tmp_path, first, [SHARED, SHARED.upper(), BEES])
    assert found == kept == [*first, BEES]
    assert left_out == {"between_groups": 2}


def test_many_prompts_of_given_groups_are_joined_in_one_pass() -> None:
    new = [f"p{number}" for number in range(20_000)]
    given = {key: f"g{number // 2}" for number, key in enumerate(new)}
    near = {key: [new[number - 1]] for number, key in enumerate(new) if number % 4 == 2}
    began = time.monotonic()
    groups, between = _joined(new, near, there={"old": "old"}, given=given, founders={"g0": "old"})
    assert time.monotonic() - began < 2  # 20 ms; in the square of their number it was a minute
    assert between == {}
    assert [groups[key] for key in new[:8]] == ["old"] * 4 + ["g2"] * 4
    assert len(set(groups.values())) == 5_000
