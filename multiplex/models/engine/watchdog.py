"""See to it that vLLM's processes do not outlive the one that started them.

They hold the model's memory, and a process that is killed stops nobody. So a small process waits at the
end of a pipe, which closes when its other end dies in whatever way, and ends them.
"""

import subprocess
import sys
from collections.abc import Sequence

__all__ = ["watch"]

_WAIT = """
import sys
import psutil
sys.stdin.buffer.read()
for pid in map(int, sys.argv[1:]):
    try:
        parent = psutil.Process(pid)
        for process in [*parent.children(recursive=True), parent]:
            process.kill()
    except psutil.Error:
        pass
"""


def watch(pids: Sequence[int]) -> "subprocess.Popen[bytes]":
    """Start the process that ends these, and what they started, as soon as this one is gone; kill it to call it off."""
    return subprocess.Popen(  # noqa: S603 (our own words, and numbers)
        [sys.executable, "-c", _WAIT, *map(str, pids)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C at a terminal is not for it
    )
