"""Sentence embeddings: loaded late, kept on disk, and plain about what is wrong."""

import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multiplex.embedding import DEFAULT_MODEL, SentenceEmbedder, cache_folder
from multiplex.errors import ModelError

pytestmark = pytest.mark.heavy

TEXTS = ["The ferry runs at night.", "A boat crosses after dark.", "Flour is ground slowly."]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache in which the three texts have been kept."""
    folder = tmp_path_factory.mktemp("cache")
    SentenceEmbedder(cache=folder).embed(TEXTS)
    return folder


def test_nothing_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    assert SentenceEmbedder(cache=tmp_path).embed([]).shape[0] == 0
    assert SentenceEmbedder("no/such/model", cache=tmp_path).name == "no/such/model"
    assert list(tmp_path.iterdir()) == []


def test_embeddings_are_unit_vectors_and_near_where_the_meaning_is(warm: Path) -> None:
    vectors = SentenceEmbedder(cache=warm).embed(TEXTS)
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]


def test_what_was_embedded_once_is_read_back_without_the_model(warm: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from multiplex.embedding import SentenceEmbedder; "
        f"vectors = SentenceEmbedder(cache=Path({str(warm)!r})).embed({TEXTS!r}); "
        "print(vectors.shape, sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("(3, 384) []\n", "")


def test_the_order_asked_for_is_kept_and_a_repeated_text_is_one_text(warm: Path) -> None:
    plain = SentenceEmbedder(cache=warm).embed(TEXTS)
    mixed = SentenceEmbedder(cache=warm).embed([TEXTS[2], TEXTS[0], TEXTS[2], TEXTS[1]])
    assert np.array_equal(mixed, plain[[2, 0, 2, 1]])


def test_a_cache_knows_more_texts_than_one_query_can_ask_for(warm: Path, tmp_path: Path) -> None:
    [store] = warm.glob("*.sqlite")
    vector = np.full(384, 384**-0.5, dtype=np.float32)
    copy = tmp_path / store.name
    copy.write_bytes(store.read_bytes())
    many = [f"Text {number}." for number in range(1201)]
    with sqlite3.connect(copy) as connection:
        rows = [(hashlib.sha256(text.encode()).digest(), vector.tobytes()) for text in many]
        connection.executemany("INSERT INTO embeddings VALUES (?, ?)", rows)
    connection.close()
    assert np.array_equal(SentenceEmbedder(cache=tmp_path).embed(many), np.tile(vector, (1201, 1)))


def test_each_model_has_a_store_of_its_own(warm: Path) -> None:
    [store] = warm.glob("*.sqlite")
    other = SentenceEmbedder("another", cache=warm)
    assert other._store != store
    assert SentenceEmbedder(DEFAULT_MODEL, cache=warm).name == SentenceEmbedder(cache=warm).name


def test_a_cache_that_cannot_be_written_does_no_harm(warm: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    vectors = SentenceEmbedder(cache=file / "below").embed(TEXTS[:1])
    assert vectors.shape == (1, 384)


def test_a_cache_that_is_damaged_does_no_harm(warm: Path, tmp_path: Path) -> None:
    [store] = warm.glob("*.sqlite")
    (tmp_path / store.name).write_bytes(b"this is no database" * 100)
    assert SentenceEmbedder(cache=tmp_path).embed(TEXTS[:1]).shape == (1, 384)


def test_a_model_that_cannot_be_loaded_is_told_plainly(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    embedder = SentenceEmbedder(str(tmp_path / "model"), cache=tmp_path)
    with pytest.raises(ModelError) as caught:
        embedder.embed(["word"])
    assert caught.value.kind == "embedding"
    message = str(caught.value)
    assert message.startswith(f"the embedding model {str(tmp_path / 'model')!r} cannot be loaded (")
    assert "pip install 'multiplex-deliberation[offline]'" in message
    assert "\n" not in message


def test_loading_says_nothing_and_warns_of_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert SentenceEmbedder(cache=tmp_path).load().shape == (1, 384)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_the_cache_lies_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MULTIPLEX_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "multiplex"
    monkeypatch.setenv("MULTIPLEX_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("MULTIPLEX_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "multiplex"


def test_a_model_in_a_folder_has_a_new_store_when_its_files_change(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("one")
    stores = [SentenceEmbedder(str(model), cache=tmp_path)._store for _ in range(2)]
    (model / "weights").write_text("other")
    stores.append(SentenceEmbedder(str(model), cache=tmp_path)._store)
    assert stores[0] == stores[1] != stores[2]
