"""Matrices in one thread: on vectors and matrices as short as ours, the threads of BLAS wait for one another.

They do so by spinning, which costs most where other work runs beside.
"""

from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import get_cached_controller

__all__ = ["one_thread"]


def one_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS has one thread."""
    controller: AbstractContextManager[Any] = get_cached_controller().limit(limits=1, user_api="blas")
    return controller
