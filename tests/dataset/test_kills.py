"""Builds that are killed and run again end with the same bytes, and pay for nothing twice."""

from pathlib import Path

import pytest

from bench.dataset_kills import KINDS, kill_and_build_again
from bench.kills import Kind

pytestmark = [pytest.mark.slow, pytest.mark.heavy]


@pytest.mark.parametrize("kind", KINDS)
def test_builds_killed_at_random_moments_end_as_if_they_never_had_been(kind: Kind, tmp_path: Path) -> None:
    found = kill_and_build_again(kind, tmp_path, kills=5, seed=20261121)
    assert found.kills == 5
    assert found.files > 20
    assert found.differing == []
    assert found.repeated == 0
