"""The installation: Python, packages, content, embeddings and the cache folder."""

import sys
from importlib.metadata import PackageNotFoundError, version

from multiplex.cli.checks import validate_shipped
from multiplex.cli.doctor.finding import Finding, bad, ok
from multiplex.errors import ModelError, MultiplexError

__all__ = ["installation", "package_version"]


def installation() -> list[Finding]:
    """Look at everything that a run needs beside a model."""
    return [_python(), _packages(), _content(), _embeddings(), _cache()]


def _python() -> Finding:
    found = sys.version.split()[0]
    return (
        ok("Python", found)
        if sys.version_info >= (3, 11)
        else bad("Python", f"{found}; install 3.11 or later")
    )


def _packages() -> Finding:
    names = ("langgraph", "pydantic", "networkx", "sentence-transformers", "torch", "aiohttp")
    found = {name: package_version(name) for name in names}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        return bad("packages", f"missing: {', '.join(missing)}; run 'make setup', or pip install them")
    return ok("packages", ", ".join(f"{name} {number}" for name, number in found.items()))


def package_version(name: str) -> str | None:
    """Return the version of an installed package, or None."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _content() -> Finding:
    try:
        checked = validate_shipped()
    except MultiplexError as error:
        return bad("content", f"{error}; mend or reinstall it")
    if checked.problems:
        return bad("content", f"{checked.problems[0]}; mend or reinstall it")
    return ok("content", checked.sentence())


def _embeddings() -> Finding:
    from multiplex.embedding import SentenceEmbedder

    embedder = SentenceEmbedder()
    try:
        shape = embedder.load().shape
    except ModelError as error:
        return bad("embeddings", str(error))
    return ok("embeddings", f"{embedder.name}, {shape[1]} dimensions")


def _cache() -> Finding:
    from multiplex.embedding import cache_folder
    from multiplex.errors import RunError
    from multiplex.runs import check_writable

    try:
        check_writable(cache_folder())
    except RunError:
        return bad("cache", f"{cache_folder()} cannot be written; set MULTIPLEX_CACHE to a folder that can")
    return ok("cache", str(cache_folder()))
