"""What a text is made of, estimated from uncertain labels of its sentences."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import digamma, gammaln

from multiplex.scoring.text_model import Floats

__all__ = ["mixtures", "mixtures_of_resamples"]

_CONCENTRATIONS = (0.01, 0.03, 0.1, 0.3, 1.0, 2.0)
_ROUNDS = 200

_Explain = Callable[[Floats], tuple[Floats, Floats]]
"""Weights of the classes in each text, shape (texts, K + 1) -> how often each class is expected then, of the
same shape, and how likely each sentence is, shape (texts, n)."""


def mixtures(probabilities: Floats, *, concentrations: Sequence[float] = _CONCENTRATIONS) -> Floats:
    """Return expected counts of shape (texts, K), from class probabilities of shape (texts, n, K + 1).

    The last class is "none" and is dropped from the result. The probabilities were calibrated with all
    classes equally frequent, so that they stand for likelihoods here (Saerens, Latinne and
    Decaestecker, 2002). Their maximum-likelihood mixture finds texts of few classes well but starves
    rare ones, so the classes' shares get a symmetric Dirichlet prior, and its concentration a uniform
    one over `concentrations`: near 0 for texts of one class, above 1 for even ones. Fitted by variational
    Bayes for each concentration, and averaged by how well each explains the text.
    """

    def explained(weights: Floats) -> tuple[Floats, Floats]:
        joint = probabilities * weights[:, None, :]
        fit = joint.sum(axis=2)
        return (joint / fit[:, :, None]).sum(axis=1), fit

    texts, n, classes = probabilities.shape
    return _averaged(explained, np.ones((texts, n)), classes, concentrations)


def mixtures_of_resamples(
    probabilities: Floats, drawn: Floats, *, concentrations: Sequence[float] = _CONCENTRATIONS
) -> Floats:
    """Return `mixtures` of resamples of one text, shape (r, K), without writing the resamples out.

    `probabilities` has shape (n, K + 1), and `drawn`, shape (r, n), says how often each sentence is in each
    resample, n in all.
    """

    def explained(weights: Floats) -> tuple[Floats, Floats]:
        fit = weights @ probabilities.T
        return weights * ((drawn / fit) @ probabilities), fit

    return _averaged(explained, drawn, probabilities.shape[1], concentrations)


def _averaged(explained: _Explain, drawn: Floats, classes: int, concentrations: Sequence[float]) -> Floats:
    fitted = [_fit(explained, drawn, classes, concentration) for concentration in concentrations]
    evidence = np.stack([bound for _, bound in fitted])
    weights = np.exp(evidence - evidence.max(axis=0))
    weights /= weights.sum(axis=0)
    counts: Floats = np.einsum("at,atk->tk", weights, np.stack([found for found, _ in fitted]))
    return counts


def _fit(explained: _Explain, drawn: Floats, classes: int, concentration: float) -> tuple[Floats, Floats]:
    texts, n = drawn.shape
    counts = np.full((texts, classes), n / classes)
    for _ in range(_ROUNDS):
        log_shares = _expected_log_shares(counts, concentration, n)
        before, (counts, fit) = counts, explained(np.exp(log_shares))
        if np.abs(counts - before).max() < 1e-4:
            break
    named = counts[:, :-1]
    split = np.stack([1 + named.sum(axis=1), 1 + counts[:, -1]], axis=1)
    bound = (drawn * np.log(fit)).sum(axis=1) - _divergence(concentration + named, concentration)
    return named, bound - _divergence(split, 1.0)


def _expected_log_shares(counts: Floats, concentration: float, n: int) -> Floats:
    named = concentration + counts[:, :-1]
    within = digamma(named) - digamma(named.sum(axis=1, keepdims=True))
    any_of_them = digamma(1 + counts[:, :-1].sum(axis=1, keepdims=True))
    none = digamma(1 + counts[:, -1:])
    log_shares: Floats = np.hstack([within + any_of_them, none]) - digamma(2 + n)
    return log_shares


def _divergence(posterior: Floats, prior: float) -> Floats:
    """Return the KL divergence of Dirichlet(posterior) from the symmetric Dirichlet(prior), per row."""
    classes, total = posterior.shape[1], posterior.sum(axis=1)
    normal = (
        gammaln(total) - gammaln(posterior).sum(axis=1) - gammaln(classes * prior) + classes * gammaln(prior)
    )
    drift = (posterior - prior) * (digamma(posterior) - digamma(total)[:, None])
    divergence: Floats = normal + drift.sum(axis=1)
    return divergence
