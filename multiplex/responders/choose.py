"""From the name of a model, as people give it, to the responder that answers for it."""

from multiplex.content.panels import Panel
from multiplex.embedding import Embedder
from multiplex.errors import ContentError, near_miss
from multiplex.models.base import Model
from multiplex.models.limited import Limited
from multiplex.models.served import Served
from multiplex.responders.extractive import ExtractiveResponder
from multiplex.responders.language_model import LanguageModelResponder

__all__ = ["model_named", "responder_for"]


def model_named(
    name: str,
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 120.0,
    retries: int = 2,
) -> Model | None:
    """Return the model of that name, None for `extractive`, which needs none.

    Raises:
        ContentError: the name is of no known kind.
    """
    kind, _, rest = name.partition(":")
    if name == "extractive":
        return None
    if kind == "openai" and rest:
        return Served(rest, base_url=base_url, api_key=api_key, timeout=timeout, retries=retries)
    if kind == "vllm":
        raise ContentError(
            f"the model {name!r} cannot run in this process yet: start it with 'vllm serve {rest or 'NAME'}', and "
            f"give --model openai:{rest or 'NAME'} --base-url http://127.0.0.1:8000/v1"
        )
    if kind == "openai":
        raise ContentError(f"the model {name!r} has no name; write openai:NAME, as the endpoint calls it")
    raise ContentError(
        f"no model named {name!r}; {near_miss(name, ['extractive'])}; a served model is written openai:NAME"
    )


def responder_for(
    model: Model | None, panel: Panel, embedder: Embedder, *, concurrency: int
) -> ExtractiveResponder | LanguageModelResponder:
    """Return the extractive responder, or one that asks the model with at most `concurrency` calls in flight."""
    if model is None:
        corpus = {p.name: p for p in (*panel.pack.personas, *panel.personas)}
        return ExtractiveResponder(embedder, tuple(corpus.values()))
    return LanguageModelResponder(Limited(model, concurrency=concurrency))
