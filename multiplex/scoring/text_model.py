"""A light text model: kernel ridge over sentence embeddings and words, with its own cross-validation."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from multiplex.blas import one_thread

__all__ = ["Embed", "Floats", "Labels", "TextModel", "Wording", "calibrate", "calibrated", "fit"]

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts in, an array of shape (len(texts), d) of unit rows out."""

_WORD = re.compile(r"[a-z][a-z'-]+")

_NARROWNESS = 2.0
"""How fast the similarity of two embeddings falls with the distance between them."""

_RIDGE = 2.0
"""The weight of the ridge against the fit; both were chosen by cross-validation on the shipped pack."""

_HOLD = 1e-5
"""How much a large scale or offset costs, so that both stay finite where classes fall apart cleanly."""


@dataclass(frozen=True, slots=True)
class Wording:
    """Tf-idf of words and pairs of words: 1 + ln tf, smoothed idf, rows of length 1."""

    columns: dict[str, int]
    idf: tuple[float, ...]

    @classmethod
    def of(cls, texts: Sequence[str], *, at_least: int = 2) -> "Wording":
        """Keep what stands in at least that many of the texts, in order of first appearance."""
        frequency = Counter(term for text in texts for term in dict.fromkeys(_terms(text)))
        kept = [term for term, count in frequency.items() if count >= at_least]
        idf = tuple(float(np.log((1 + len(texts)) / (1 + frequency[term])) + 1) for term in kept)
        return cls({term: column for column, term in enumerate(kept)}, idf)

    def rows(self, texts: Sequence[str]) -> csr_matrix:
        """Return a sparse array of shape (len(texts), number of columns)."""
        values: list[float] = []
        columns: list[int] = []
        starts = [0]
        for text in texts:
            counts = Counter(self.columns[term] for term in _terms(text) if term in self.columns)
            weights = [(1 + float(np.log(n))) * self.idf[column] for column, n in counts.items()]
            length = float(np.sqrt(sum(w * w for w in weights))) or 1.0
            values.extend(w / length for w in weights)
            columns.extend(counts)
            starts.append(len(columns))
        return csr_matrix((values, columns, starts), shape=(len(texts), len(self.columns)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class TextModel:
    """Scores of texts against classes: n training texts, d dimensions, v words, `weights` (n, classes)."""

    wording: Wording
    vectors: NDArray[np.float32]
    words: csr_matrix
    weights: Floats

    def scores(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> Floats:
        """Return scores of shape (len(texts), classes); higher is likelier, and they are no shares."""
        kernel = _kernel(vectors, self.wording.rows(texts), self.vectors, self.words)
        scores: Floats = kernel @ self.weights
        return scores


def fit(
    texts: Sequence[str], vectors: NDArray[np.float32], labels: Labels, folds: Labels, *, classes: int
) -> tuple[TextModel, Floats]:
    """Return the model, and for every training text its scores from a model that never saw its fold.

    A ridge regression on class indicators in the space of exp(2 (cosine - 1)) over embeddings plus the
    cosine over tf-idf. Every class weighs the same, however many texts it has. With A the kernel plus
    ridge and B the rows of one fold, the scores that leave B out are y_B - (A^-1)_BB^-1 (A^-1 y)_B,
    exactly, so that cross-validation costs no second fit. (Which words are counted, and their idf, come
    from all of the texts; no label does.) Time grows with the cube of the number of texts.
    """
    wording = Wording.of(texts)
    words = wording.rows(texts)
    counts = np.bincount(labels, minlength=classes)
    share = len(labels) / np.count_nonzero(counts)
    truth = np.eye(classes)[labels]
    system = _kernel(vectors, words, vectors, words)
    system[np.diag_indices_from(system)] += _RIDGE * counts[labels] / share
    with one_thread():
        inverse = _inverse(system)
    weights = inverse @ truth
    held_out = np.empty_like(weights)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        held_out[rows] = truth[rows] - np.linalg.solve(inverse[np.ix_(rows, rows)], weights[rows])
    return TextModel(wording, vectors, words, weights), held_out


def calibrate(scores: Floats, labels: Labels) -> tuple[float, float]:
    """Return the scale and the offset of the last class under which the scores explain the labels best."""
    weight = 1 / np.bincount(labels, minlength=scores.shape[1]).clip(1)[labels]
    rows = np.arange(len(labels))

    def loss(parameters: Floats) -> float:
        shares = calibrated(scores, parameters[0], parameters[1])[rows, labels]
        surprise = -float(weight @ np.log(np.maximum(shares, 1e-300))) / float(weight.sum())
        return surprise + _HOLD * float(parameters @ parameters)

    found = minimize(loss, [5.0, 0.0], method="Nelder-Mead")
    return float(found.x[0]), float(found.x[1])


def calibrated(scores: Floats, scale: float, offset: float) -> Floats:
    """Return scores as shares of shape (n, classes), after a scale and an offset of the last class."""
    exponent = scale * scores
    exponent[:, -1] += offset
    powers = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _kernel(
    vectors: NDArray[np.float32], words: csr_matrix, others: NDArray[np.float32], their_words: csr_matrix
) -> Floats:
    near = np.exp(_NARROWNESS * (vectors @ others.T - 1)).astype(np.float64)
    kernel: Floats = near + (words @ their_words.T).toarray()
    return kernel


def _inverse(system: Floats) -> Floats:
    factor, failed = lapack.dpotrf(system, lower=0, clean=1)
    half, failed_again = lapack.dpotri(factor, lower=0)
    if failed or failed_again:
        raise ValueError("the text model cannot be fitted: its kernel is not positive definite")
    inverse: Floats = half + np.triu(half, 1).T
    return inverse


def _terms(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return [*words, *(f"{a} {b}" for a, b in pairwise(words))]
