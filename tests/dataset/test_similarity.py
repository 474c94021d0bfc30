"""Near-duplicates: exact, the same in any batches, and whole again after a kill."""

import resource
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiplex.dataset import similarity
from multiplex.dataset.similarity import Nearest, Seen, linked
from multiplex.embedding import Vectors
from multiplex.errors import RunError


def directions(count: int, dimensions: int = 6, seed: int = 0) -> Vectors:
    """Return unit vectors in few dimensions, so that many lie close together."""
    drawn = np.random.default_rng(seed).normal(size=(count, dimensions))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


def told(near: Nearest | None) -> tuple[str, float] | None:
    return (near.key, round(near.cosine, 3)) if near else None


def added(seen: Seen, key: str, vector: Vectors, partition: str = "") -> Nearest | None:
    [near] = seen.add_many([key], vector[None, :], partitions=[partition])
    return near


def slowly(
    keys: Sequence[str], vectors: Vectors, partitions: Sequence[str], threshold: float
) -> list[str | None]:
    """Say what each repeats, one by one, straight from the definition."""
    kept: list[int] = []
    found: list[str | None] = []
    rounded = vectors.astype(np.float64)
    rounded = (rounded / np.linalg.norm(rounded, axis=1, keepdims=True)).astype(np.float16).astype(np.float64)
    rounded /= np.linalg.norm(rounded, axis=1, keepdims=True)
    for row in range(len(keys)):
        like = [k for k in kept if partitions[k] == partitions[row]]
        cosines = [float(rounded[row] @ rounded[k]) for k in like]
        best = max(cosines, default=0.0)
        if best >= threshold:
            found.append(keys[like[cosines.index(best)]])
        else:
            found.append(None)
            kept.append(row)
    return found


def test_a_repeated_vector_is_told_with_the_key_it_repeats_and_is_not_kept(tmp_path: Path) -> None:
    first, second = directions(2)
    with Seen(tmp_path / "seen", dimensions=6) as seen:
        assert added(seen, "a", first) is None
        assert added(seen, "b", second) is None
        assert told(added(seen, "c", first * 1e6)) == ("a", 1.0)
        assert told(added(seen, "d", first * 1e-3)) == ("a", 1.0)
        assert list(seen.keys()) == ["a", "b"]
        assert len(seen) == 2


def test_only_like_is_compared_with_like(tmp_path: Path) -> None:
    (vector,) = directions(1)
    with Seen(tmp_path / "seen", dimensions=6) as seen:
        assert added(seen, "a", vector, "steered miller") is None
        assert added(seen, "b", vector, "steered nurse") is None
        assert told(added(seen, "c", vector, "steered nurse")) == ("b", 1.0)
        assert list(seen.keys(partition="steered nurse")) == ["b"]


def test_of_two_that_are_as_near_the_first_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Seen(tmp_path / "seen", dimensions=2, threshold=0.6) as seen:
        found = seen.add_many(["a", "b", "c"], np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    assert [told(near) for near in found] == [None, None, ("a", 0.707)]
    monkeypatch.setattr("multiplex.dataset.similarity._BLOCK", 1)
    with Seen(tmp_path / "seen", dimensions=2, threshold=0.6, committed=2) as seen:
        assert told(added(seen, "d", np.array([1.0, 1.0]))) == ("a", 0.707)
    with Seen(tmp_path / "seen", dimensions=2, threshold=0.6, committed=1) as seen:
        found = seen.add_many(["b", "c"], np.array([[0.0, 1.0], [1.0, 1.0]]))
        assert [told(near) for near in found] == [None, ("a", 0.707)]


@settings(max_examples=20)
@given(st.data())
def test_the_decisions_are_those_of_the_definition_and_the_file_is_the_same_in_any_batches(
    data: st.DataObject,
) -> None:
    count = data.draw(st.integers(1, 60))
    vectors = directions(count, dimensions=3, seed=data.draw(st.integers(0, 10**6)))
    keys = [f"k{n}" for n in range(count)]
    partitions = data.draw(st.lists(st.sampled_from(["x", "y"]), min_size=count, max_size=count))
    with TemporaryDirectory() as folder:
        one, many = Path(folder) / "one", Path(folder) / "many"
        with Seen(one, dimensions=3, threshold=0.9) as seen:
            singly = [added(seen, k, v, p) for k, v, p in zip(keys, vectors, partitions, strict=True)]
        found: list[Nearest | None] = []
        committed, done = 0, 0
        while done < count:  # each batch in a file opened anew, as after an interruption
            size = data.draw(st.integers(1, 20))
            part = slice(done, done + size)
            with Seen(many, dimensions=3, threshold=0.9, committed=committed) as seen:
                found += seen.add_many(keys[part], vectors[part], partitions=partitions[part])
                committed, done = len(seen), done + size
        assert found == singly
        assert [near and near.key for near in found] == slowly(keys, vectors, partitions, 0.9)
        assert one.read_bytes() == many.read_bytes()


def test_many_blocks_are_searched_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = directions(300)
    keys = [f"k{n}" for n in range(300)]
    with Seen(tmp_path / "whole", dimensions=6, threshold=0.97) as seen:
        whole, pairs = seen.add_many(keys, vectors), sorted(seen.related(0.9))
    monkeypatch.setattr("multiplex.dataset.similarity._BLOCK", 7)
    monkeypatch.setattr("multiplex.dataset.similarity._BATCH", 11)
    with Seen(tmp_path / "small", dimensions=6, threshold=0.97) as seen:
        assert seen.add_many(keys, vectors) == whole
        assert sorted(seen.related(0.9)) == pairs
    assert pairs
    assert any(near is not None for near in whole)


@settings(max_examples=40)
@given(st.data())
def test_bounds_leave_out_no_pair_also_at_the_threshold_itself(data: st.DataObject) -> None:
    count, dimensions = data.draw(st.integers(2, 50)), data.draw(st.integers(2, 12))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    centres = rng.normal(size=(data.draw(st.integers(1, 6)), dimensions))
    spread = data.draw(st.sampled_from([0.0, 0.05, 0.3, 2.0]))
    drawn = centres[rng.integers(len(centres), size=count)] + spread * rng.normal(size=(count, dimensions))
    if data.draw(st.booleans()):  # few different coordinates: many cosines are the same
        drawn = np.where(np.abs(drawn).max(axis=1, keepdims=True) == np.abs(drawn), 3.0, np.sign(drawn))
    drawn[np.linalg.norm(drawn, axis=1) < 1e-3] = 1.0
    rounded = (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float16).astype(np.float64)
    squares = (rounded * rounded).sum(axis=1)
    cosines = np.clip((rounded @ rounded.T) / np.sqrt(squares[:, None] * squares), -1, 1)
    above = cosines[(cosines > 0.05) & (cosines < 1)]
    threshold = float(data.draw(st.sampled_from([*np.unique(above)[-20:].tolist(), 0.9])))
    keys = [f"k{n}" for n in range(count)]
    size = data.draw(st.integers(1, 20))
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "_LEADING", data.draw(st.integers(1, dimensions)))
        patch.setattr(similarity, "_FEW", data.draw(st.sampled_from([0.0, 1.0])))
        patch.setattr(similarity, "_BLOCK", data.draw(st.integers(1, 30)))
        patch.setattr(similarity, "_LEARNT_FROM", data.draw(st.integers(2, 30)))
        with Seen(Path(folder) / "all", dimensions=dimensions, threshold=1.0) as everything:
            for start in range(0, count, size):
                part = slice(start, start + size)
                everything.add_many(keys[part], drawn[part])
            kept = [int(key[1:]) for key in list(everything.keys())]
            told = {(a, b): cosine for a, b, cosine in everything.related(threshold)}
        patch.setattr(similarity, "_LEARNT_FROM", 10**9)  # no bounds: every pair is compared whole
        with Seen(Path(folder) / "plain", dimensions=dimensions, threshold=1.0) as plain:
            plain.add_many(keys, drawn)
            assert [int(key[1:]) for key in list(plain.keys())] == kept
            assert {(a, b): cosine for a, b, cosine in plain.related(threshold)} == told
    for place, later in enumerate(kept):
        for earlier in kept[:place]:
            pair = (f"k{earlier}", f"k{later}")
            if abs(cosines[earlier, later] - threshold) > 1e-12:
                assert (pair in told) == (cosines[earlier, later] > threshold), pair
            if pair in told:
                assert told[pair] == pytest.approx(cosines[earlier, later], abs=1e-12)


@settings(max_examples=40)
@given(st.data())
def test_with_bounds_or_without_the_same_is_kept_and_the_same_repeated(data: st.DataObject) -> None:
    count = data.draw(st.integers(10, 80))
    vectors = directions(
        count, dimensions=data.draw(st.integers(2, 8)), seed=data.draw(st.integers(0, 10**6))
    )
    keys, partitions = [f"k{n}" for n in range(count)], ["x" if n % 3 else "y" for n in range(count)]
    threshold = data.draw(st.sampled_from([0.5, 0.8, 0.95]))
    found, files = [], []
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for learnt_from in (10**9, 4):
            patch.setattr(similarity, "_LEARNT_FROM", learnt_from)
            patch.setattr(similarity, "_LEADING", data.draw(st.integers(1, 4)))
            patch.setattr(similarity, "_BLOCK", data.draw(st.integers(1, 40)))
            patch.setattr(similarity, "_BATCH", data.draw(st.integers(1, 40)))
            patch.setattr(similarity, "_FEW", data.draw(st.sampled_from([0.0, 0.1, 1.0])))
            path, half = Path(folder) / str(learnt_from), count // 2
            options = {"dimensions": vectors.shape[1], "threshold": threshold}
            with Seen(path, **options) as seen:
                told = seen.add_many(keys[:half], vectors[:half], partitions=partitions[:half])
                committed = len(seen)
            with Seen(path, committed=committed, **options) as seen:
                told += seen.add_many(keys[half:], vectors[half:], partitions=partitions[half:])
            found.append(told)
            files.append(path.read_bytes())
    assert found[0] == found[1]
    assert files[0] == files[1]
    assert [near and near.key for near in found[0]] == slowly(keys, vectors, partitions, threshold)


def test_most_pairs_are_left_out_by_their_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "_LEARNT_FROM", 200)
    vectors = directions(600, dimensions=64)
    vectors[500] = vectors[3]
    with Seen(tmp_path / "seen", dimensions=64) as seen:
        seen.add_many([f"k{n}" for n in range(400)], vectors[:400])
        directions_found = seen._directions
        assert directions_found is not None
        heads = similarity._heads(vectors.astype(np.float16), directions_found).astype(np.float64)
        bounds, true = heads @ heads.T, vectors.astype(np.float64) @ vectors.T.astype(np.float64)
        assert (bounds >= true - similarity._BOUND_SLACK).all()
        assert (bounds[np.triu_indices(600, 1)] >= 0.95).mean() < 0.001
        assert told(added(seen, "again", vectors[500])) == ("k3", 1.0)


def test_what_was_written_after_the_last_commit_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "seen"
    vectors = directions(4, dimensions=16)
    with Seen(path, dimensions=16) as seen:
        seen.add_many(["a", "b"], vectors[:2])
        seen.flush()
        committed = len(seen)
        before = path.read_bytes()
        added(seen, "c", vectors[2])
    with path.open("ab") as file:
        file.write(b"half a rec")
    with Seen(path, dimensions=16, committed=committed) as seen:
        assert path.read_bytes() == before
        assert added(seen, "c", vectors[2]) is None
        assert told(added(seen, "d", vectors[0])) == ("a", 1.0)
    with Seen(path, dimensions=16) as seen:
        assert len(seen) == 0


def test_a_file_cut_in_its_head_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    path.write_bytes(b'{"format": "mult')
    with Seen(path, dimensions=6) as seen:
        assert added(seen, "a", directions(1)[0]) is None
    with Seen(path, dimensions=6, committed=1) as seen:
        assert list(seen.keys()) == ["a"]


def test_a_file_that_lost_vectors_or_is_of_another_embedding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    with Seen(path, dimensions=6, embedding="small") as seen:
        added(seen, "a", directions(1)[0])
    with pytest.raises(RunError, match="holds 1 vectors where 2 were committed"):
        Seen(path, dimensions=6, embedding="small", committed=2)
    for other in ({"dimensions": 7, "embedding": "small"}, {"dimensions": 6, "embedding": "large"}):
        with pytest.raises(RunError, match="holds no vectors of this embedding"):
            Seen(path, committed=1, **other)  # type: ignore[arg-type]
    with pytest.raises(RunError, match="cannot be opened"):
        Seen(tmp_path, dimensions=6)
    with Seen(path, dimensions=6, embedding="small", committed=1) as seen:
        assert list(seen.keys()) == ["a"]


def test_an_embedding_may_be_named_by_a_long_path(tmp_path: Path) -> None:
    long = "/models/" + "é" * 400
    with Seen(tmp_path / "seen", dimensions=6, embedding=long) as seen:
        added(seen, "a", directions(1)[0])
    with Seen(tmp_path / "seen", dimensions=6, embedding=long, committed=1) as seen:
        assert list(seen.keys()) == ["a"]
    with pytest.raises(RunError, match="holds no vectors of this embedding"):
        Seen(tmp_path / "seen", dimensions=6, embedding=long + "e", committed=1)


def test_a_full_disk_is_a_clear_error_and_what_was_kept_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    vectors = directions(40, dimensions=384)
    with Seen(path, dimensions=384) as seen:
        added(seen, "a", vectors[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 1_000, hard))
        try:
            with pytest.raises(RunError, match="cannot be written"):
                seen.add_many([f"k{n}" for n in range(1, 40)], vectors[1:])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert len(seen) == 1
        assert told(added(seen, "b", vectors[0])) == ("a", 1.0)
        assert added(seen, "c", vectors[1]) is None
    with Seen(path, dimensions=384, committed=2) as seen:
        assert list(seen.keys()) == ["a", "c"]


@pytest.mark.parametrize(
    ("keys", "vectors", "wrong"),
    [
        (["a"], np.zeros((1, 6)), "no direction"),
        (["a"], np.full((1, 6), np.nan), "no direction"),
        (["a"], np.ones((1, 5)), "shape"),
        (["a", "b"], np.ones((1, 6)), "shape"),
        (["k" * 801], np.ones((1, 6)), "is no key"),
        (["é" * 401], np.ones((1, 6)), "is no key"),
        (["a\0"], np.ones((1, 6)), "is no key"),
    ],
)
def test_what_cannot_be_kept_is_an_error_and_keeps_nothing(
    tmp_path: Path, keys: list[str], vectors: Vectors, wrong: str
) -> None:
    with Seen(tmp_path / "seen", dimensions=6) as seen:
        with pytest.raises(ValueError, match=wrong):
            seen.add_many(keys, vectors)
        assert len(seen) == 0
        assert seen.add_many([], np.zeros((0, 6))) == []


def test_related_prompts_share_a_group_through_others_too(tmp_path: Path) -> None:
    angles = np.deg2rad([0, 20, 40, 120, 200])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    keys = ["a", "b", "c", "d", "e"]
    with Seen(tmp_path / "seen", dimensions=2, threshold=0.99) as seen:
        assert seen.add_many(keys, vectors) == [None] * 5
        pairs = list(seen.related(0.9))
        assert [(left, right) for left, right, _ in pairs] == [("a", "b"), ("b", "c")]
        assert linked(list(seen.keys()), pairs) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "e"}
        assert list(seen.related(0.9, partition="empty")) == []


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12),
    st.integers(0, 9),
    st.integers(0, 10**6),
)
def test_groups_hang_on_the_pairs_alone_and_a_new_key_moves_none_unless_it_links_two(
    edges: list[tuple[int, int]], near: int, seed: int
) -> None:
    keys = [f"k{n}" for n in range(10)]
    pairs = [(f"k{a}", f"k{b}", 0.9) for a, b in edges]
    groups = linked(keys, pairs)
    shuffled = [pairs[i] for i in np.random.default_rng(seed).permutation(len(pairs))]
    assert linked(keys, [(b, a, c) for a, b, c in shuffled]) == groups
    assert all(groups[a] == groups[b] for a, b, _ in pairs)
    assert all(keys.index(group) <= keys.index(key) for key, group in groups.items())
    later = linked([*keys, "new"], [*pairs, (f"k{near}", "new", 0.9)])
    assert later == {**groups, "new": groups[f"k{near}"]}


def test_a_group_that_was_given_links_its_keys_and_names_those_close_to_them() -> None:
    keys = ["a", "b", "c", "d", "e"]
    groups = linked(keys, [("a", "b", 0.9)], given={"b": "mine", "d": "mine", "e": "yours"})
    assert groups == {"a": "mine", "b": "mine", "c": "c", "d": "mine", "e": "yours"}
    merged = linked(keys, [("a", "b", 0.9), ("d", "e", 0.9)], given={"d": "mine", "e": "yours", "b": "yours"})
    assert merged == {"a": "yours", "b": "yours", "c": "c", "d": "yours", "e": "yours"}


def test_a_pair_of_an_unknown_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="not both are among the keys"):
        linked(["a"], [("a", "b", 0.9)])


def test_close_pairs_without_number_are_compared_in_bounded_memory(tmp_path: Path) -> None:
    one = directions(1, dimensions=256)
    crowd = (
        one + directions(300, dimensions=256, seed=1) * 0.3
    )  # all within a cosine of 0.9, and none of 0.99
    with Seen(tmp_path / "seen", dimensions=256, threshold=0.99) as seen:
        seen.add_many([str(number) for number in range(len(crowd))], np.asarray(crowd, dtype=np.float32))
        tracemalloc.start()
        pairs = sum(1 for _ in seen.related(0.85))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert pairs > 40_000  # of 256 numbers of 8 bytes each, twice: 180 million bytes
    assert peak < 90_000_000
