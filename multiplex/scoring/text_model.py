"""A light text model: multinomial logistic regression over sentence embeddings and words."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

__all__ = ["Embed", "Features", "Floats", "Wording", "fit_logistic", "softmax"]

Floats = NDArray[np.float64]
Embed = Callable[[Sequence[str]], NDArray[np.float32]]
"""Texts in, an array of shape (len(texts), d) of unit rows out."""

_WORD = re.compile(r"[a-z][a-z'-]+")


@dataclass(frozen=True, slots=True)
class Wording:
    """Tf-idf of words and pairs of words: 1 + ln tf, smoothed idf, rows of length 1."""

    columns: dict[str, int]
    idf: Floats

    @classmethod
    def of(cls, texts: Sequence[str], *, at_least: int = 1) -> "Wording":
        """Keep what stands in at least that many of the texts, in order of first appearance."""
        frequency = Counter(term for text in texts for term in dict.fromkeys(_terms(text)))
        kept = [term for term, count in frequency.items() if count >= at_least]
        idf = np.array([np.log((1 + len(texts)) / (1 + frequency[term])) + 1 for term in kept])
        return cls({term: column for column, term in enumerate(kept)}, idf)

    def rows(self, texts: Sequence[str]) -> csr_matrix:
        """Return a sparse array of shape (len(texts), number of columns)."""
        values, columns, starts = [], [], [0]
        for text in texts:
            counts = Counter(self.columns[term] for term in _terms(text) if term in self.columns)
            weights = [(1 + np.log(n)) * self.idf[column] for column, n in counts.items()]
            length = np.sqrt(sum(w * w for w in weights)) or 1.0
            values.extend(w / length for w in weights)
            columns.extend(counts)
            starts.append(len(columns))
        return csr_matrix((values, columns, starts), shape=(len(texts), len(self.columns)))


@dataclass(frozen=True, slots=True)
class Features:
    """What the model sees of n texts: embeddings of shape (n, d) and words of shape (n, v)."""

    dense: Floats
    words: csr_matrix

    def __getitem__(self, rows: NDArray[np.intp]) -> "Features":
        """Return the features of some of the texts."""
        return Features(self.dense[rows], self.words[rows])

    def scores(self, weights: Floats) -> Floats:
        """Return scores of shape (n, classes) for weights of shape (d + v + 1, classes)."""
        d = self.dense.shape[1]
        scores: Floats = self.dense @ weights[:d] + self.words @ weights[d:-1] + weights[-1]
        return scores


def fit_logistic(
    features: Features, labels: NDArray[np.intp], classes: int, *, strength: float, rounds: int = 100
) -> Floats:
    """Return weights of shape (d + v + 1, classes); every class weighs the same, however many texts it has.

    Minimises the weighted cross-entropy (summed) plus |W|^2 / (2 strength), the intercept left free.
    """
    n, d = features.dense.shape
    v = features.words.shape[1]
    truth = np.zeros((n, classes))
    truth[np.arange(n), labels] = 1
    counts = truth.sum(axis=0)
    weight = (n / (np.count_nonzero(counts) * np.maximum(counts, 1)))[labels][:, None]
    transposed = features.words.T.tocsr()

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(d + v + 1, classes)
        shares = softmax(features.scores(weights))
        nll = -float(np.sum(weight[:, 0] * np.log(np.maximum((shares * truth).sum(axis=1), 1e-300))))
        error = (shares - truth) * weight
        slope = np.vstack([features.dense.T @ error, transposed @ error, error.sum(axis=0)])
        slope[:-1] += weights[:-1] / strength
        return nll + float(np.sum(weights[:-1] ** 2)) / (2 * strength), slope.ravel()

    start = np.zeros((d + v + 1) * classes)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": rounds, "ftol": 1e-6})
    weights: Floats = found.x.reshape(d + v + 1, classes)
    return weights


def softmax(scores: Floats) -> Floats:
    """Return shares of shape (n, classes), each row adding up to 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _terms(text: str) -> list[str]:
    words = _WORD.findall(text.lower())
    return [*words, *(f"{a} {b}" for a, b in pairwise(words))]
