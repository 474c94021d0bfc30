"""Everything that doctor looks at, in order."""

import asyncio
from collections.abc import Sequence

from multiplex.cli.doctor.engine import examine_engine
from multiplex.cli.doctor.finding import Finding, bad, note, ok
from multiplex.cli.doctor.installation import installation
from multiplex.cli.doctor.served import examine_served
from multiplex.errors import MultiplexError

__all__ = ["examine", "examine_model"]


def examine(
    model: str, base_url: str | None, api_key: str | None, *, engine_args: Sequence[str] = ()
) -> list[Finding]:
    """Look at Python, packages, content, embeddings, the cache folder and the model."""
    return [*installation(), *examine_model(model, base_url, api_key, engine_args=engine_args)]


def examine_model(
    model: str, base_url: str | None, api_key: str | None, *, engine_args: Sequence[str] = ()
) -> list[Finding]:
    """Look at the model alone, whatever its kind."""
    from multiplex.models.pool import ModelPool
    from multiplex.models.served import Served

    kind, _, name = model.partition(":")
    try:
        if kind == "vllm" and name:
            return examine_engine(name, engine_args)
        if kind == "openai" and name:
            return asyncio.run(examine_served(name, Served(name, base_url=base_url).endpoint, api_key))
        if ModelPool().named(model) is None:
            return [ok("model", f"{model}: needs no language model")]
    except MultiplexError as error:
        return [bad("model", str(error))]
    return [note("model", f"{model}: doctor does not know how to look at it")]
