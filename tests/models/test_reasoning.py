"""What a model thought, told apart from what it said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.models.reasoning import split_reasoning


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("Nobody.", None, "Nobody."),
        ("", None, ""),
        ("<think>Who is hurt?</think>Nobody.", "Who is hurt?", "Nobody."),
        ("\n<think>\nWho is hurt?\n</think>\n\nNobody.", "Who is hurt?", "Nobody."),
        ("<think>\n\n</think>\n\nNobody.", None, "Nobody."),
        ("Who is hurt?</think>Nobody.", "Who is hurt?", "Nobody."),
        ("<think>Who is", "Who is", ""),
        ("<think>", None, ""),
        ("<think>One.</think>I write </think> here.", "One.", "I write </think> here."),
        ('{"said": "I write </think> here."}', None, '{"said": "I write </think> here."}'),
        ("A tag, <think>, in </think> a text.", None, "A tag, <think>, in </think> a text."),
    ],
)
def test_reasoning_is_what_stands_before_the_closing_tag(
    text: str, reasoning: str | None, answer: str
) -> None:
    assert split_reasoning(text) == (reasoning, answer)


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_a_reply_in_json_is_never_taken_for_reasoning(
    reply: dict[str, str | int],
) -> None:
    text = json.dumps(reply)
    assert split_reasoning(text) == (None, text)


@given(st.text().filter(lambda text: "think>" not in text), st.text())
def test_what_was_thought_and_said_come_back(thought: str, said: str) -> None:
    reasoning, answer = split_reasoning(f"<think>{thought}</think>{said}")
    assert (reasoning or "", answer) == (thought.strip(), said.lstrip())
