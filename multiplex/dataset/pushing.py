"""A dataset goes to a hub, once it is sound."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from multiplex.dataset.checking import examine
from multiplex.errors import ContentError, MultiplexError, RunError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

__all__ = ["push"]

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,94}/[A-Za-z0-9_]([\w.-]{0,94}[A-Za-z0-9_])?(?<!\.git)", re.ASCII)

_HIDDEN = [".*", "*.partial", "README.md.bak*"]
"""Never pushed: what a build keeps for itself, and what other tools leave; the patterns cross slashes."""

_EARLIER = ["data/*", "jsonl/*", "pictures/*"]
"""What an earlier push left there is removed with the new one: the card would name its shards too."""


def push(
    folder: Path,
    repo: str,
    *,
    token: str | None,
    private: bool = True,
    endpoint: str | None = None,
    on_note: Callable[[str], None] = lambda note: None,
) -> str:
    """Check a dataset, push it to a hub as `repo` (owner/name), and return the address of the commit.

    The repository is made where there is none (`private` counts only then). Shards and pictures that stand
    there and are not in the folder are removed. An upload that was cut off goes on when it is pushed again.
    `token` must be one that may write; it is read from no file. `endpoint` is a hub of your own. `on_note` is
    told, before anything is sent, what was edited or put into the folder by hand.

    Raises:
        ContentError: there is no token, the name is none that a hub takes, or the check finds problems.
        RunError: the hub cannot be reached, or refuses.
    """
    if not token:
        raise ContentError(
            "no token: put one that may write into the environment variable HF_TOKEN; it is read from nowhere else"
        )
    api = _api(repo, token, endpoint)
    checked = examine(folder)
    if problems := checked.problems:
        first = problems[0]
        raise ContentError(
            f"{folder}: not pushed, for the check finds {len(problems):,} problems, the first in {first.where}: "
            f"{first.said}; 'multiplex dataset check {folder}' tells them all"
        )
    for note in checked.notes:
        on_note(f"{note.where}: {note.said}")
    try:
        return _upload(api, folder, repo, private)
    except MultiplexError:
        raise
    except Exception as error:  # the library's own, its HTTP client's and the system's: all are told alike
        raise RunError(f"{repo}: {_told(error, api, token)}") from None


def _api(repo: str, token: str, endpoint: str | None) -> "HfApi":
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ContentError(
            f"{error.name} is not installed: pip install 'multiplex-deliberation[data]'"
        ) from error
    if not _NAME.fullmatch(repo) or "--" in repo or ".." in repo:
        raise ContentError(
            f"{repo!r} is no name that a hub takes: owner and name as in ada/panel, of letters, digits, -, _ and ."
        )
    return HfApi(endpoint=endpoint, token=token, library_name="multiplex")


def _upload(api: "HfApi", folder: Path, repo: str, private: bool) -> str:
    api.create_repo(repo, repo_type="dataset", private=private, exist_ok=True)
    commit = api.upload_folder(
        repo_id=repo,
        repo_type="dataset",
        folder_path=folder,
        commit_message="A dataset built with Multiplex",
        ignore_patterns=list(_HIDDEN),
        delete_patterns=list(_EARLIER),
    )
    return str(commit.commit_url)


def _told(error: Exception, api: "HfApi", token: str) -> str:
    """Return a sentence on what a hub or the way to it did; a token is never part of it."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "not pushed: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set, so no hub may be reached; unset it"
    said = " ".join(str(error).split()).replace(token, "[token]")[:300]
    if not isinstance(error, HfHubHTTPError):
        return (
            f"not pushed: {api.endpoint} cannot be reached ({type(error).__name__}: {said}); try again later"
        )
    status = error.response.status_code
    why = {
        401: "does not know the token in HF_TOKEN (401); make a new one that may write",
        403: "does not let this token write there (403); is the owner's name right, and may the token write?",
        404: "knows no such repository (404); is the owner's name right?",
        429: "asks to wait (429); try again later",
    }
    return f"not pushed: {api.endpoint} {why.get(status, f'refused ({status}): {said}')}"
