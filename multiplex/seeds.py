"""Seeds derived from the run's seed and an act's place; the global random state is never touched."""

import hashlib

__all__ = ["derive_seed"]


def derive_seed(seed: int, *place: object) -> int:
    """Return a seed in [0, 2**31) that depends on the run's seed and on the place alone.

    The place is anything with a stable text: stage, round, act, speaker, attempt.
    """
    text = "\x1f".join(str(part) for part in (seed, *place))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1
