"""The accounts of a run: parts that sum to the whole."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.api import deliberate
from multiplex.deliberation.accounts import accounts
from multiplex.runs import Run
from tests.endpoint import endpoint
from tests.table import PERSONAS, SCENARIO, Words, protocol

WHOLE = protocol(
    "open", "exchange", "poll", "articulate", "compare", "synthesise", "ratify", "observe", quorum=0.1
)
COUNTS = ("acts", "failures", "calls", "recalled")
TOKENS = ("prompt", "cached", "completion")
CUTS = ("by_stage", "by_act", "by_speaker")


def check(usage: Mapping[str, Any]) -> None:
    for cut in CUTS:
        parts = usage[cut].values()
        for key in COUNTS:
            assert sum(part[key] for part in parts) == usage[key], (cut, key)
        for key in TOKENS:
            assert sum(part[f"{key}_tokens"] for part in parts) == usage["tokens"][key], (cut, key)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """A served run with failures in it, and the same again with most of it in the cache."""
    kept: Path = tmp_path_factory.mktemp("accounts") / "kept.sqlite"
    with endpoint(fault="schema_breaking", every=2, reasoning="Hm.") as server:
        options: dict[str, Any] = {"model": "openai:test", "base_url": server.base_url, "cache": kept}
        given: dict[str, Any] = {"personas": PERSONAS, "protocol": WHOLE, "scores": False, "seed": 4}
        return [deliberate(SCENARIO, **given, **options, embedder=Words()) for _ in range(2)]


def test_stages_acts_and_speakers_each_sum_to_the_whole(runs: Sequence[Run]) -> None:
    first, again = runs
    for run in runs:
        check(run.usage)
        assert run.usage["acts"] == len(run.transcript)
    assert first.usage["failures"] > 0
    assert first.usage["calls"] > first.usage["acts"]  # repairs
    assert all(first.usage["tokens"][key] > 0 for key in TOKENS)
    assert again.usage["calls"] == 0
    assert again.usage["recalled"] == first.usage["calls"]


def test_parts_are_named_as_the_record_names_them(runs: Sequence[Run]) -> None:
    usage = runs[0].usage
    asked = {act["step"].split(".")[0] for act in runs[0].transcript}
    assert set(usage["by_stage"]) == asked <= {stage.name for stage in WHOLE.stages}
    assert set(usage["by_speaker"]) == {act["speaker"] for act in runs[0].transcript}
    assert set(usage["by_act"]) == {act["act"] for act in runs[0].transcript}
    for part in ("by_stage", "by_act", "by_speaker"):
        assert all(
            set(each) == {*COUNTS, *(f"{key}_tokens" for key in TOKENS), "seconds"}
            for each in usage[part].values()
        )


def test_peak_memory_and_wall_time_are_told(runs: Sequence[Run]) -> None:
    usage = runs[0].usage
    assert usage["seconds"] > 0
    assert usage["peak_mb"] is None or usage["peak_mb"] > 10
    assert runs[0].manifest["usage"] == usage


def test_no_acts_make_empty_accounts() -> None:
    usage = accounts([], 0.5)
    check(usage)
    assert (usage["acts"], usage["seconds"], usage["by_stage"]) == (0, 0.5, {})


few = st.integers(0, 10**6)
results = st.lists(
    st.fixed_dictionaries(
        {
            "step": st.sampled_from(["open.position", "compare.merge", "compare.judge"]),
            "act": st.sampled_from(["take_position", "judge_transition"]),
            "speaker": st.sampled_from(["miller", "moderator"]),
            "failure": st.sampled_from([None, {"kind": "timeout", "reason": "late"}]),
            "usage": st.fixed_dictionaries(
                {
                    **dict.fromkeys(
                        ("calls", "recalled", "prompt_tokens", "cached_tokens", "completion_tokens"), few
                    ),
                    "seconds": st.floats(0, 1e4),
                }
            ),
        }
    ),
    max_size=12,
)


@given(results)
def test_whatever_acts_took_their_parts_sum_to_the_whole(acts: list[dict[str, Any]]) -> None:
    usage = accounts(acts, 1.0)
    check(usage)
    for cut in CUTS:
        seconds = sum(part["seconds"] for part in usage[cut].values())
        assert seconds == pytest.approx(sum(act["usage"]["seconds"] for act in acts), abs=0.01)
