"""`multiplex cache`: what is kept on disk, and how to be rid of it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from multiplex.cli.outcome import Json, plain_errors, print_json
from multiplex.errors import ContentError, near_miss

if TYPE_CHECKING:
    from multiplex.models.cached import ResponseStore

__all__ = ["cache_app", "clear", "info"]

cache_app = typer.Typer(
    help="Show or clear the answers of models that are kept on disk.", no_args_is_help=True
)


def info(store: "ResponseStore") -> dict[str, Any]:
    """Return what a store holds, and the files of embeddings beside it with their bytes.

    Raises:
        ContentError: the file is no store, or cannot be read.
    """
    kept = store.contents()
    return {
        "path": str(store.path),
        "answers": kept.answers,
        "bytes": kept.size,
        "oldest": _date(kept.oldest),
        "newest": _date(kept.newest),
        "models": dict(kept.models),
        "embeddings": {
            str(file): file.stat().st_size for file in sorted(store.path.parent.glob("embeddings-*.sqlite"))
        },
    }


def clear(
    store: "ResponseStore", *, model: str | None = None, older_than: float | None = None
) -> dict[str, int]:
    """Remove all answers, or those of one model or older than so many days; return how many, and the bytes freed.

    Raises:
        ContentError: no answers of the model are kept, or the file is no store or cannot be written.
    """
    before = store.contents()
    if model is not None and model not in before.models:
        raise ContentError(
            f"no answers of a model named {model!r} are kept; {near_miss(model, before.models)}"
        )
    removed = store.clear(model=model, older_than=older_than)
    return {"removed": removed, "freed": max(0, before.size - store.contents().size)}


@cache_app.command("info")
def info_command(as_json: Json = False) -> None:
    """Show how many answers are kept, of which models, where, and how large they are."""
    with plain_errors():
        from contextlib import closing

        from multiplex.cli.text import safe
        from multiplex.models.cached import ResponseStore

        with closing(ResponseStore()) as store:
            found = info(store)
        if as_json:
            print_json(found)
            return
        since = f", from {found['oldest'][:10]} to {found['newest'][:10]}" if found["answers"] else ""
        print(safe(f"{found['path']}: {_answers(found['answers'])}, {_bytes(found['bytes'])}{since}").plain)
        for name, count in found["models"].items():
            print(safe(f"  {name}: {_answers(count)}").plain)
        for path, size in found["embeddings"].items():
            print(safe(f"{path}: {_bytes(size)}").plain)


@cache_app.command("clear")
def clear_command(
    model: Annotated[
        str | None,
        typer.Option(help="Only the answers of this model, as 'info' names it.", show_default=False),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="Only answers older than this.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove kept answers, and say how many there were and how much space they took."""
    with plain_errors():
        from contextlib import closing

        from multiplex.models.cached import ResponseStore

        with closing(ResponseStore()) as store:
            done = clear(store, model=model, older_than=older_than)
        if as_json:
            print_json(done)
        else:
            print(f"removed {_answers(done['removed'])}, freed {_bytes(done['freed'])}")


def _answers(count: int) -> str:
    return f"{count:,} {'answer' if count == 1 else 'answers'}"


def _bytes(size: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def _date(time: float | None) -> str | None:
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
