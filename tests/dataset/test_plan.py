"""What a build is told where it is asked to go on with something else."""

from typing import Any

import pytest

from multiplex.dataset.plan import Plan, differing
from multiplex.dataset.producing import Recipe


def plan(*, recipe: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"model": "extractive", "embedding": "words", "multiplex": "0.1.0"}
    return Plan(recipe=Recipe(**(recipe or {})), **{**given, **changes}).as_dict()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"model": "openai:oak"}, "model (--model) ('extractive', and now 'openai:oak')"),
        (
            {"recipe": {"personas": ["hindu", "western"]}},
            "panel (--personas) (not given, and now hindu, western)",
        ),
        (
            {"recipe": {"protocol": "mediation"}},
            "protocol (--protocol) (not given, and now 'mediation')",
        ),
        ({"recipe": {"contrast": False}}, "choice of --no-contrast (not given, and now given)"),
        (
            {"engine": {"dtype": "half"}},
            "option of the engine (--engine-arg) (not given, and now 'half')",
        ),
        (
            {"masker": {"names": "all"}},
            "way of masking (--no-mask, --names) (not given, and now 'all')",
        ),
        (
            {"generated": {"prompts": 4, "topics": ["work", "care"]}},
            "order for prompts (--generate, --topic) (not given, and now 4)",
        ),
        ({"content": {"personas/oak": "0" * 64}}, "state of personas, protocols or roles (personas/oak)"),
    ],
)
def test_what_differs_is_told_by_the_option_that_was_given(changes: dict[str, Any], said: str | None) -> None:
    # Other personas and roles have other hashes, which say nothing to whoever named them.
    content = {"personas/oak": "1" * 64} if not changes else {"personas/elm": "2" * 64}
    before = plan(content={"personas/oak": "1" * 64})
    assert differing(before, plan(**{"content": content, **changes})) == said
