"""A score: a number with what it was computed from, or no number and the reason."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Self

__all__ = ["Score", "plain"]


@dataclass(frozen=True, slots=True)
class Score:
    """Either a finite `value`, or a `reason` why there is none; `detail` holds the raw counts."""

    value: float | None
    reason: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that there is a value or a reason, and not both."""
        if (self.value is None) != bool(self.reason):
            raise ValueError("a score has either a value or a reason why there is none")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"a score is a finite number, not {self.value!r}")
        if clash := {"value", "reason"} & self.detail.keys():
            raise ValueError(f"detail may not hold {sorted(clash)}")

    @classmethod
    def undefined(cls, reason: str, **detail: Any) -> Self:
        """Return a score without a value."""
        return cls(None, reason, detail)

    def as_dict(self) -> dict[str, Any]:
        """Return one flat dict: `value`, `reason` and what is in `detail`, as plain data."""
        return {"value": self.value, "reason": self.reason, **plain(self.detail)}


def plain(data: Any) -> Any:
    """Return scores and dataclasses as dicts and tuples as lists, all the way down."""
    if isinstance(data, Score):
        return data.as_dict()
    if is_dataclass(data) and not isinstance(data, type):
        return {each.name: plain(getattr(data, each.name)) for each in fields(data)}
    if isinstance(data, Mapping):
        return {key: plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [plain(value) for value in data]
    return data
