"""Where the processor time of a block goes, by package and by function of ours."""

import signal
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

__all__ = ["Sampler"]


class Sampler:
    """Counts where the processor time of a block goes: who runs at each tick, and for which of our functions.

    A tick counts for the innermost frame that belongs to a package; what the standard library does
    counts for its caller, apart from asyncio and json.
    """

    def __init__(self) -> None:
        self.packages: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self._owners: dict[CodeType, str | None] = {}

    def __enter__(self) -> "Sampler":
        signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0, 0)

    def _tick(self, _: int, frame: FrameType | None) -> None:
        package = function = None
        while frame is not None and function is None:
            code = frame.f_code
            if code not in self._owners:
                self._owners[code] = _owner(code.co_filename)
            owner = self._owners[code]
            package = package or owner
            if owner is not None and owner.startswith("multiplex"):
                function = f"{owner}.{code.co_qualname}"
            frame = frame.f_back
        self.packages[package or "(other)"] += 1
        self.functions[function or "(none of ours: the event loop, and what it calls back)"] += 1


def _owner(filename: str) -> str | None:
    path = Path(filename)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1].removesuffix(".py")
    if filename == "<template>":
        return "jinja2"
    if "multiplex" in path.parts and path.suffix == ".py":
        parts = path.with_suffix("").parts
        if "bench" not in parts[-2:]:
            return ".".join(parts[len(parts) - 1 - parts[::-1].index("multiplex") :])
    if "asyncio" in path.parts or path.name == "selectors.py":
        return "asyncio"
    if "json" in path.parts:
        return "json"
    return None
