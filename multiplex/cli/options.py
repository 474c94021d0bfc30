"""Options that several commands have: who speaks, where, and how many calls at once."""

from typing import Annotated, Any

import typer

__all__ = [
    "BaseUrl",
    "Concurrency",
    "EngineArg",
    "Model",
    "NoCache",
    "Personas",
    "Retries",
    "Timeout",
    "engine_options",
]

Model = Annotated[
    str,
    typer.Option(
        envvar="MULTIPLEX_MODEL",
        help="extractive, openai:NAME for a served model, or vllm:NAME-OR-FOLDER for one in this process.",
    ),
]
BaseUrl = Annotated[
    list[str] | None,
    typer.Option(
        envvar="OPENAI_BASE_URL",
        help="Where served models are, else https://api.openai.com/v1; NAME=URL for one of them; repeatable.",
        show_default=False,
    ),
]
Timeout = Annotated[
    float, typer.Option(min=0.1, max=86_400, help="Seconds that one call to a served model may take.")
]
Retries = Annotated[int, typer.Option(min=0, max=10, help="How often a failed call is tried again.")]
Concurrency = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="The most calls in flight at once, over all scenarios; else 32 for served models, 512 for vllm.",
        show_default=False,
    ),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither recall answers of models nor keep them.")]
Personas = Annotated[
    list[str] | None,
    typer.Option(help="A pack, or a persona by name or file; repeat for more.", show_default=False),
]
EngineArg = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="An option of vLLM's engine for vllm:NAME, as in max_model_len=16384; repeat for more.",
        show_default=False,
    ),
]


def engine_options(given: list[str] | None) -> dict[str, Any]:
    """Return vLLM's own options from KEY=VALUE; ContentError where one is wrong."""
    if not given:
        return {}
    from multiplex.models.engine import parse_options

    return parse_options(given)
