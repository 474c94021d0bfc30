"""Given groups when rows repeat one another: what stays has the groups of what goes, and which close pairs are held."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from textwrap import wrap

import pytest

from multiplex.dataset.intake import _near, take_in
from multiplex.dataset.origins import place_of
from multiplex.dataset.prompts import Prompt, prompt_id, read_prompts
from multiplex.dataset.store import Store
from tests.table import Words

BEES = "Who keeps the old bees alive in the cold dark winter months here?"
SALT = "Is salt dear?"
TAX = "May a goat graze by the weir?"
SHARED = "the mill and weir on our river under old oaks"

Row = Mapping[str, str]


class _Masks:
    """Masks one name, as a masker would."""

    names = frozenset[str]()

    def session(self, scenario: object = None) -> "_Masks":
        return self

    def mask(self, text: str) -> "_Done":
        return _Done(text.replace("Ada", "[NAME_1]"))

    def mask_all(self, texts: Sequence[str]) -> "list[_Done]":
        return [self.mask(text) for text in texts]


class _Done:
    def __init__(self, text: str) -> None:
        self.text, self.counts = text, dict[str, int]()


def grown(
    folder: Path, *files: Sequence[Row], masks: object = None
) -> tuple[dict[str, str], dict[str, int], list[Prompt]]:
    """Take in files, each to what is there; return the groups by question, the counts, and the prompts."""
    folder.mkdir(exist_ok=True)
    with Store(folder / "work") as store:
        for number, rows in enumerate(files, start=1):
            path = folder / f"{number}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            take_in(
                store,
                read_prompts([path], only={place_of(path): f"file {number}"}),
                embedder=Words(),
                folder=folder / "work",
                masks=masks,  # type: ignore[arg-type]
                extends=number > 1,
            )
        left_out = {kind: each["number"] for kind, each in store.counts().get("prompts", {}).items()}
        found = [task.prompt for task in store.todo(most=1000)]
    return {prompt.scenario.question: prompt.group for prompt in found}, left_out, found


def of(question: str, group: str = "", name: str = "") -> Row:
    return {"question": question} | ({"group": group} if group else {}) | ({"id": name} if name else {})


SAYS_IT_AGAIN = [
    pytest.param(BEES, None, "duplicate", id="the same"),
    pytest.param(BEES.upper(), None, "near_duplicate", id="nearly the same"),
    pytest.param(BEES.replace("bees", "Ada"), _Masks(), "duplicate", id="the same once masked"),
]


@pytest.mark.parametrize(("again", "masks", "kind"), SAYS_IT_AGAIN)
@pytest.mark.parametrize("between", [0, 300], ids=["at once", "in another batch"])
def test_what_stays_is_in_the_group_of_what_repeats_it(
    tmp_path: Path, again: str, masks: object, kind: str, between: int
) -> None:
    first = BEES.replace("bees", "[NAME_1]") if masks else BEES
    hashes = [sha256(bytes([number % 256, number // 256])).hexdigest() for number in range(between)]
    others = [of(" ".join(wrap(each, 8))) for each in hashes]
    rows = [of(first), *others, of(again, "x"), of(SALT, "x"), of(TAX)]
    found, left_out, _ = grown(tmp_path, rows, masks=masks)
    assert found[first] == found[SALT] == "x"
    assert found[TAX] == prompt_id(TAX)
    assert left_out == {kind: 1}


@pytest.mark.parametrize(("again", "masks", "kind"), SAYS_IT_AGAIN)
def test_two_given_groups_that_one_prompt_was_given_are_one(
    tmp_path: Path, again: str, masks: object, kind: str
) -> None:
    first = BEES.replace("bees", "[NAME_1]") if masks else BEES
    rows = [of(TAX, "x"), of(first, "y"), of(again, "x"), of(SALT, "y")]
    for number, order in enumerate((rows, rows[1:3] + rows[3:] + rows[:1])):
        found, left_out, _ = grown(tmp_path / str(number), order, masks=masks)
        assert len(found) == 3
        assert set(found.values()) == {order[0]["group"]}
        assert left_out == {kind: 1}


def test_a_group_that_only_repeats_were_given_links_what_they_repeat(tmp_path: Path) -> None:
    rows = [of(BEES, "y"), of(SALT, "z"), of(BEES, "x"), of(BEES, "x"), of(SALT, "x", "7"), of(TAX, "w")]
    found, left_out, _ = grown(tmp_path, rows, [of(SALT.lower() + " Or cheap, for all?", "x")])
    assert list(found.values()) == ["y", "y", "w", "y"]
    assert left_out == {"duplicate": 3}


def test_what_a_repeat_of_a_row_with_an_id_was_given_goes_to_that_row(tmp_path: Path) -> None:
    rows = [of(BEES, name="1"), of(TAX, name="1"), of(TAX, "y", "3"), of(BEES, "x", "2"), of(SALT, "x")]
    found, left_out, prompts = grown(tmp_path, rows)
    assert [prompt.id for prompt in prompts] == ["1", prompt_id(TAX), prompt_id(SALT)]
    assert found == {BEES: "x", TAX: "y", SALT: "x"}
    assert left_out == {"duplicate": 2}


@pytest.mark.parametrize("again", [BEES, BEES.upper()], ids=["the same", "nearly the same"])
def test_what_repeats_a_prompt_that_is_there_brings_its_group_to_that(tmp_path: Path, again: str) -> None:
    more = [of(SALT, "x"), of(again, "x")]
    found, left_out, _ = grown(tmp_path, [of(BEES)], more, [of(TAX, "x")])
    assert found == dict.fromkeys((BEES, SALT, TAX), prompt_id(BEES))
    assert sum(left_out.values()) == 1


def test_no_group_that_is_there_moves_for_what_repeats_one_of_its_prompts(tmp_path: Path) -> None:
    first = [of(BEES, "y"), of(SALT, "x")]
    found, left_out, _ = grown(tmp_path, first, [of(BEES, "x"), of(TAX, "x")])
    assert found == {BEES: "y", SALT: "x", TAX: "x"}
    assert left_out == {"duplicate": 1}


def test_a_new_prompt_whose_repeat_would_link_what_is_there_is_left_out_with_all_that_repeat_it(
    tmp_path: Path,
) -> None:
    first = [of(f"{SHARED} cattle, sheep, goats"), of(BEES, "x")]
    more = [of(SHARED), of(SHARED, "x"), of(SHARED.upper()), of(SHARED.title(), "x"), of(SALT, "x")]
    found, left_out, _ = grown(tmp_path, first, more)
    assert list(found) == [first[0]["question"], BEES, SALT]
    assert found[BEES] == found[SALT] == "x"
    assert left_out == {"between_groups": 3, "duplicate": 1}


def test_a_set_that_grew_has_the_groups_of_the_one_that_was_built_at_once(tmp_path: Path) -> None:
    first = [of(BEES, "y"), of(BEES, "x")]
    more = [of(SALT), of(SALT, "x"), of(TAX, "w"), of(TAX.upper(), "v"), of("What is owed?", "v")]
    once, *_ = grown(tmp_path / "once", [*first, *more])
    apart, *_ = grown(tmp_path / "apart", first, more)
    assert once == apart
    assert list(once.values()) == ["y", "y", "w", "w"]


def test_of_close_pairs_those_alone_are_held_that_say_where_a_new_prompt_belongs() -> None:
    there = {f"old {number}": "g" if number % 2 else "h" for number in range(200)}
    crowd = [*there, "new 1", "new 2"]
    pairs = ((earlier, later, 0.9) for place, later in enumerate(crowd) for earlier in crowd[:place])
    near = _near(pairs, {"new 1", "new 2"}, there)
    assert list(near) == ["new 1", "new 2"]  # of 20,301 pairs five
    assert [sorted(there.get(key, key) for key in keys) for keys in near.values()] == [
        ["g", "h"],
        ["g", "h", "new 1"],
    ]
