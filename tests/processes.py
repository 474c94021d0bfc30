"""Commands in processes that a test can kill: forked from one that has imported what they need, and runs nothing."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

from bench.kills import fork_server

__all__ = ["started"]


@contextmanager
def started(*words: str, said: Path) -> Iterator[BaseProcess]:
    """Run `multiplex` with these words here and now, and see that it ends; what it says on stderr goes to `said`."""
    process = fork_server().Process(target=_command, args=(words, Path.cwd(), dict(os.environ), said))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join(timeout=30)


def _command(words: tuple[str, ...], folder: Path, environment: dict[str, str], said: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in ((1, os.devnull), (2, str(said))):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), stream)
    sys.argv = ["multiplex", *words]
    from multiplex.cli import main

    main()
