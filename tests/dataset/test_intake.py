"""Prompts on their way into the work file: what is alike, and what a name may give away."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from multiplex.dataset.intake import take_in
from multiplex.dataset.prompts import Prompt, prompt_id, read_prompts
from multiplex.dataset.store import Store
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

    def session(self, scenario: object = None) -> "_Masks":
        return self

    def mask(self, text: str) -> "_Done":
        return _Done(text.replace("Ada", "[NAME_1]"), {"NAME": text.count("Ada")} if "Ada" in text else {})


class _Done:
    def __init__(self, text: str, counts: dict[str, int]) -> None:
        self.text, self.counts = text, counts


@pytest.mark.parametrize("given", [{}, {"id": "ada-1", "group": "of Ada"}, {"id": "letter of Ada"}])
def test_neither_id_nor_group_tells_what_was_masked(tmp_path: Path, given: dict[str, str]) -> None:
    asked = "May Ada keep the bees?"
    [prompt], _ = taken_in(tmp_path, {"question": asked, **given}, masks=_Masks())
    assert prompt.scenario.question == "May [NAME_1] keep the bees?"
    assert prompt_id(asked) not in prompt.model_dump_json().removeprefix(prompt.origin)
    assert "Ada" not in prompt.model_dump_json()
    if not given:
        assert prompt.id == prompt.group == prompt_id("May [NAME_1] keep the bees?")
