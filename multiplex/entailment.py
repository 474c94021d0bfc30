"""Entailment by a cross-encoder: loaded late, from a name or a folder that the user gives.

No such model ships with Multiplex. Any sequence classifier of the transformers library will do whose
configuration names one of its labels "entailment".
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from multiplex.errors import ModelError

__all__ = ["CrossEncoderEntailment", "entailment_index"]

_MOST_AT_ONCE = 4096
"""How many pairs are handed to the library in one call, so that memory stays bounded."""


class CrossEncoderEntailment:
    """A natural-language-inference model: pairs of premise and hypothesis in, probabilities of entailment out.

    It runs on the CPU with weights in 32 bits, and runs no code that comes with the model.
    """

    def __init__(self, model: str, *, batch_size: int = 32, device: str = "cpu") -> None:
        self.name = model
        self._batch_size, self._device = batch_size, device
        self._model: Any = None
        self._index = 0

    def entails(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """Return the probability, in [0, 1], that each pair's first text entails the second.

        It is the softmax over all of the model's labels, at the one that its configuration names
        entailment. A pair that is longer than the model reads is cut off by its tokenizer.

        Raises:
            ModelError: the model cannot be loaded, or none of its labels is entailment.
        """
        if not pairs:
            return []
        if self._model is None:
            self._model, self._index = _load(self.name, self._device)
        import torch

        found: list[float] = []
        for start in range(0, len(pairs), _MOST_AT_ONCE):
            logits = self._model.predict(
                [tuple(pair) for pair in pairs[start : start + _MOST_AT_ONCE]],
                batch_size=self._batch_size,
                # Whatever activation the model's folder names, probabilities are made here.
                activation_fn=torch.nn.Identity(),
                convert_to_numpy=True,
                show_progress_bar=False,
            )
            found += softmax(np.asarray(logits, dtype=np.float64), axis=1)[:, self._index].tolist()
        return found


def entailment_index(labels: Mapping[int, str], *, where: str) -> int:
    """Return which of a model's labels is entailment, by its name; orders differ from model to model.

    Raises:
        ModelError: none of two or more labels has that name, or several have.
    """
    known = {int(place): str(label) for place, label in labels.items()}
    found = [place for place, label in known.items() if label.strip().casefold() in {"entailment", "entails"}]
    if len(found) != 1 or len(known) < 2:
        listed = ", ".join(repr(label) for label in known.values()) or "none"
        raise ModelError(
            f"the entailment model {where!r}: needs one label named 'entailment' in its config.json "
            f"(id2label), and has {listed}",
            kind="entailment",
        )
    return found[0]


def _load(model: str, device: str) -> tuple[Any, int]:
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    from sentence_transformers import CrossEncoder

    try:
        loaded = CrossEncoder(model, device=device, trust_remote_code=False)
        labels = dict(loaded.config.id2label)
    except Exception as error:  # the library raises whatever its loaders raise
        raise ModelError(
            f"the entailment model {model!r} cannot be loaded ({type(error).__name__}): name the folder of "
            "a cross-encoder for natural-language inference, or one on the hub",
            kind="entailment",
        ) from error
    return loaded, entailment_index(labels, where=model)
