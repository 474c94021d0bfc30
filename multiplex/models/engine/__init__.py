"""vLLM in this process: one model for the whole panel, batched across personas, prefixes computed once.

Read `engine` first (the one-method protocol over vLLM's AsyncLLM), then `chat` (messages to tokens),
`options` (what `--engine-arg` may say), `weights` (where the model is, and which state of it),
`starting` (starting and stopping vLLM's processes, and what to say when they do not start) and
`watchdog` (ending them when this process is killed).
"""

from multiplex.models.engine.engine import Engine
from multiplex.models.engine.options import parse_options

__all__ = ["Engine", "parse_options"]
