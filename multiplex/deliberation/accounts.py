"""What a run took: acts, calls, tokens and seconds, whole and by stage, act and persona."""

import sys
from collections.abc import Callable, Sequence
from typing import Any

from multiplex.deliberation.state import Plain

__all__ = ["accounts"]

_COUNTS = ("calls", "recalled", "prompt_tokens", "cached_tokens", "completion_tokens")


def accounts(results: Sequence[Plain], seconds: float) -> Plain:
    """Return the accounts of a run.

    `calls` were made, `recalled` were answered by the response cache; tokens are those of calls that
    were made, and `tokens.cached` are prompt tokens that the model's prefix cache spared. `seconds` is
    the wall time of the run, or of its last part if it was resumed; for a stage, an act or a speaker it
    is summed over acts that ran at the same time.
    """
    whole = _account(results)
    del whole["seconds"]
    tokens = {key.removesuffix("_tokens"): whole.pop(key) for key in _COUNTS if key.endswith("_tokens")}
    return {
        **whole,
        "tokens": tokens,
        "seconds": round(seconds, 3),
        "peak_mb": _peak_mb(),
        "by_stage": _by(results, lambda result: result["step"].split(".")[0]),
        "by_act": _by(results, lambda result: result["act"]),
        "by_speaker": _by(results, lambda result: result["speaker"]),
    }


def _by(results: Sequence[Plain], key: Callable[[Plain], str]) -> dict[str, Plain]:
    groups: dict[str, list[Plain]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return {name: _account(of) for name, of in groups.items()}


def _account(results: Sequence[Plain]) -> dict[str, Any]:
    counts, seconds = dict.fromkeys(_COUNTS, 0), 0.0
    for result in results:
        usage = result["usage"]
        seconds += usage["seconds"]
        for key in _COUNTS:
            counts[key] += usage[key]
    failures = sum(result["failure"] is not None for result in results)
    return {"acts": len(results), "failures": failures, **counts, "seconds": round(seconds, 3)}


def _peak_mb() -> float | None:
    """Return this process's peak memory so far in MB; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
