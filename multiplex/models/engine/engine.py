"""vLLM's AsyncLLM behind the one-method model protocol."""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from multiplex.background import in_thread_of_its_own
from multiplex.errors import ModelError
from multiplex.models.base import Completion, EmptyError, Message, Sampling
from multiplex.models.engine.chat import Chat, read_template
from multiplex.models.engine.options import check_options
from multiplex.models.engine.starting import LESS_MEMORY, Processes, explain_failure, first_error, need_vllm
from multiplex.models.engine.weights import fetch, find_local, revision_of
from multiplex.models.reasoning import split_reasoning

__all__ = ["Engine"]

_DEFAULTS: dict[str, Any] = {
    "enable_prefix_caching": True,
    "disable_log_stats": True,
    # Free whitespace lets a weak model write blanks until its tokens are spent. xgrammar 0.2.8 lets control
    # characters into strings with a maximum length, which is no JSON; guidance keeps to JSON and is faster.
    "structured_outputs_config": {"backend": "guidance", "disable_any_whitespace": True},
}


class Engine:
    """Complete with vLLM in this process: started on first use, once, and stopped by `aclose`.

    The panel shares the one model: what is asked at the same time is computed in one batch, and what
    prompts have in common at their beginning is computed once.

    Args:
        model: a folder with a model in Hugging Face's format, a GGUF file, or a name on the hub.
        options: vLLM's engine arguments by name (`max_model_len`, `quantization`, ...), a `chat_template`
            (a file or its text), and `chat_template_kwargs`, such as `{"enable_thinking": False}`.

    Raises:
        ContentError: vLLM is not installed, the folder holds no model, or an option is unknown.
    """

    def __init__(self, model: str, *, options: Mapping[str, Any] | None = None) -> None:
        need_vllm()
        self.name = f"vllm:{model}"
        self._model = model
        self._options = dict(options or {})
        check_options(self._options)
        self._template = read_template(self._options.get("chat_template"))
        self._local = find_local(model)
        self._commit: str | None = None
        self._revision: str | None = None
        self._starting: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._processes: Processes | None = None
        self._calls: set[asyncio.Task[Any]] = set()
        self._numbers = itertools.count()
        self._desk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenizer")
        self._schemas: dict[int, tuple[Mapping[str, Any], str]] = {}

    @property
    def revision(self) -> str:
        """Return a text that tells one state of model, vLLM and options from another.

        Where it is not known which weights vLLM loads (from a bucket, say), it is another in each process and
        after each start, so that no response cache recalls what other weights said.
        """
        if self._revision is None:
            self._revision = revision_of(self._local, self._commit, self._options, template=self._template)
        return self._revision

    @property
    def pids(self) -> tuple[int, ...]:
        """Return the ids of vLLM's processes that were started from here, none where it does not run."""
        return self._processes.pids if self._processes is not None else ()

    async def start(self) -> None:
        """Start vLLM if it does not run yet; a start that failed is not tried again.

        Raises:
            ContentError: vLLM takes neither this model nor these options, or finds no GPU.
            ModelError: of kind memory or engine: it did not start, or was closed; of kind loop: it runs elsewhere.
        """
        loop = asyncio.get_running_loop()
        if self._starting is None:
            self._loop = loop
            self._starting = loop.create_task(self._start())
            self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        elif self._loop is not loop:
            raise ModelError(
                "the engine runs in the event loop that it was started in, and this is another one; "
                "await aclose() there first, or make an Engine for each loop",
                kind="loop",
            )
        starting = self._starting
        if starting.done():
            starting.result()
            return
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            if _cancelled():
                raise
            raise _closed() from None

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Complete a chat, constrained to the schema or to the sampling's choices.

        Choices are answered at once, without reasoning, and in one token.

        Raises:
            ContentError: the engine cannot be started for a reason of the caller's.
            ModelError: of kind too_long, empty, invalid_request, engine, died, memory or loop.
        """
        await self.start()
        # A long prompt takes the tokenizer milliseconds, in which other calls go on; in one thread, since it is one.
        loop = asyncio.get_running_loop()
        prompt = await loop.run_in_executor(self._desk, self._chat.tokens, messages)
        if sampling.choices:
            return await self._choose(prompt, sampling)
        params = self._sampling_params(
            sampling,
            max_tokens=self._room(len(prompt), sampling.max_tokens),
            structured_outputs=None if schema is None else self._constraint(schema),
            skip_special_tokens=self._skips_special,
        )
        thinks = self._parser is not None and not self._parser.is_reasoning_end(prompt)
        output = await self._generate(prompt, params, **self._reasoning_arguments(thinks))
        answer = output.outputs[0]
        reasoning, text = self._split(answer.text, thinks=thinks)
        completion = _completion(output, text=text, reasoning=reasoning)
        if not text.strip():
            spent = f", after {len(answer.token_ids)} tokens of reasoning" if reasoning else ""
            raise EmptyError(completion, spent)
        return completion

    async def aclose(self) -> None:
        """Stop vLLM and let go of its memory; the next call would start it again.

        Calls in flight fail with a ModelError of kind engine.
        """
        starting, self._starting = self._starting, None
        here = self._loop is asyncio.get_running_loop()
        if starting is not None and not starting.done() and here:
            starting.cancel()
            await asyncio.wait([starting])
        processes, self._processes = self._processes, None
        if here:
            # vLLM would leave them waiting for ever: it lets go of its queues without a word.
            if calls := list(self._calls):
                for call in calls:
                    call.cancel()
                await asyncio.wait(calls, timeout=5)
        elif self._loop is not None and not self._loop.is_closed():
            for call in list(self._calls):
                self._loop.call_soon_threadsafe(call.cancel)
        if processes is not None:
            processes.stop()

    async def _start(self) -> None:
        processes = Processes()
        try:
            self._revision = None
            if self._local is None:
                self._commit = await in_thread_of_its_own(fetch, self._model, self._options)
            await processes.start(self._arguments())
            await self._read(processes.llm)
        except BaseException as error:
            log = processes.last_words()
            processes.stop()
            if not isinstance(error, Exception):
                raise
            raise explain_failure(self._model, error, log) from error
        self._processes = processes

    def _arguments(self) -> dict[str, Any]:
        ours = {"chat_template", "chat_template_kwargs"}
        given = {name: value for name, value in self._options.items() if name not in ours}
        named = {"model": self._model if self._local is None else str(self._local)}
        # vLLM looks for `revision` where the configuration is, and where the tokenizer is unless that has one of
        # its own; a commit is one repository's.
        if self._commit is not None and not given.get("hf_config_path"):
            named["revision"] = self._commit
            if given.get("tokenizer") and not given.get("tokenizer_revision"):
                named["tokenizer_revision"] = given.get("revision") or "main"
        arguments: dict[str, Any] = {**_DEFAULTS, **given, **named}
        if isinstance(arguments["structured_outputs_config"], dict):
            defaults = _DEFAULTS["structured_outputs_config"]
            arguments["structured_outputs_config"] = {**defaults, **arguments["structured_outputs_config"]}
        return arguments

    async def _read(self, llm: Any) -> None:
        """Take from the engine what every call needs."""
        tokenizer = llm.get_tokenizer()
        if asyncio.iscoroutine(tokenizer):
            tokenizer = await tokenizer
        kwargs = self._options.get("chat_template_kwargs") or {}
        self._chat = Chat(tokenizer, template=self._template or _own_template(llm, tokenizer), kwargs=kwargs)
        self._context: int = llm.model_config.max_model_len
        self._parser: Any = None
        self._request: Any = None
        self._skips_special = True
        if name := self._options.get("reasoning_parser"):
            from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
            from vllm.reasoning import ReasoningParserManager

            parser = ReasoningParserManager.get_reasoning_parser(name)
            self._parser = parser(tokenizer, chat_template_kwargs=kwargs)
            request = ChatCompletionRequest(model=self._model, messages=[])
            self._request = self._parser.adjust_request(request)
            self._skips_special = self._request.skip_special_tokens

    def _room(self, prompt: int, reply: int) -> int:
        """Return how many tokens a reply may have: what was asked for, or what the context leaves of it."""
        room = self._context - prompt
        if room >= reply:
            return reply
        if room < max(64, reply // 4):
            raise ModelError(
                f"the prompt has {prompt} tokens, and a reply may take {reply}: {prompt + reply - self._context} "
                f"more than the context of {self._context}; take fewer rounds, a smaller panel or a shorter "
                "context in the scenario, or, if the model can, --engine-arg "
                f"max_model_len={prompt + reply} or more",
                kind="too_long",
            )
        return room

    def _constraint(self, schema: Mapping[str, Any]) -> Any:
        from vllm.sampling_params import StructuredOutputsParams

        # Acts that mean the same share a schema: it is kept with its text, so that no other can come to have its id.
        if id(schema) not in self._schemas:
            while len(self._schemas) >= 256:
                del self._schemas[next(iter(self._schemas))]
            self._schemas[id(schema)] = (schema, json.dumps(schema))
        return StructuredOutputsParams(json=self._schemas[id(schema)][1])

    def _sampling_params(self, sampling: Sampling, **more: Any) -> Any:
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        return SamplingParams(
            seed=sampling.seed,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            output_kind=RequestOutputKind.FINAL_ONLY,
            skip_clone=True,
            **more,
        )

    async def _choose(self, prompt: list[int], sampling: Sampling) -> Completion:
        self._room(len(prompt), 1)
        tokens = {choice: self._chat.first_token(choice) for choice in sampling.choices}
        if len(set(tokens.values())) < len(sampling.choices):
            raise ModelError(
                f"choices {', '.join(sampling.choices)}: two of them begin with the same token",
                kind="invalid_request",
            )
        ids = list(tokens.values())
        # Tokens are ruled out after their probabilities are taken; a grammar would rule them out before.
        params = self._sampling_params(
            sampling, max_tokens=1, allowed_token_ids=ids, logprob_token_ids=ids, detokenize=False
        )
        output = await self._generate(prompt, params)
        [answered], [found] = output.outputs[0].token_ids, output.outputs[0].logprobs
        text = next(choice for choice, token in tokens.items() if token == answered)
        logprobs = {c: float(found[token].logprob) for c, token in tokens.items() if token in found}
        return _completion(output, text=text, logprobs=logprobs, finish_reason="stop")

    async def _generate(self, prompt: list[int], params: Any, **more: Any) -> Any:
        from vllm.exceptions import VLLMClientError, VLLMError
        from vllm.v1.engine.exceptions import EngineDeadError

        processes = self._processes
        if processes is None:
            raise _closed()
        tokens = {"type": "token", "prompt_token_ids": prompt}
        request = processes.llm.generate(tokens, params, str(next(self._numbers)), **more)
        call = asyncio.create_task(_last(request))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            output = await call
        except asyncio.CancelledError:
            if _cancelled():
                raise
            raise _closed() from None
        except EngineDeadError as error:
            # Ctrl-C at a terminal is for vLLM's processes too, and may end them before it is heard of here.
            await asyncio.sleep(1)
            if self._processes is not processes:
                raise _closed() from error
            raise _died(processes) from error
        except (VLLMClientError, ValueError) as error:
            said = " ".join(str(error).split())[:300]
            raise ModelError(f"vLLM refused the request: {said}", kind="invalid_request") from error
        except VLLMError as error:
            cause = error.__cause__ or error
            said = " ".join(str(cause).split())[:300] or type(cause).__name__
            raise ModelError(f"vLLM failed on the request: {said}", kind="engine") from error
        ended = output.outputs[0].finish_reason
        if ended not in {"stop", "length"}:
            raise ModelError(f"vLLM ended the request with {ended!r}", kind="engine")
        return output

    def _reasoning_arguments(self, thinks: bool) -> dict[str, Any]:
        """Return what makes a schema hold from where the reasoning ends."""
        if self._parser is None:
            return {}
        kwargs = self._options.get("chat_template_kwargs") or {}
        return {
            "reasoning_ended": not thinks,
            "reasoning_parser_kwargs": {"chat_template_kwargs": kwargs},
        }

    def _split(self, text: str, *, thinks: bool) -> tuple[str | None, str]:
        if self._parser is None:
            return split_reasoning(text)
        if not thinks:
            return None, text
        reasoning, answer = self._parser.extract_reasoning(text, self._request)
        return (reasoning or "").strip() or None, (answer or "").lstrip()


def _own_template(llm: Any, tokenizer: Any) -> str | None:
    """Return the template that vLLM itself would use: the processor's, the tokenizer's, or one it ships."""
    try:
        from vllm.renderers.hf import resolve_chat_template

        template: str | None = resolve_chat_template(tokenizer, None, None, model_config=llm.model_config)
    except Exception:  # other versions, and tokenizers with a template of their own
        return None
    return template


def _completion(output: Any, *, text: str, finish_reason: str | None = None, **more: Any) -> Completion:
    answer = output.outputs[0]
    return Completion(
        text=text,
        finish_reason=finish_reason or answer.finish_reason,
        prompt_tokens=len(output.prompt_token_ids),
        cached_tokens=output.num_cached_tokens or 0,
        completion_tokens=len(answer.token_ids),
        **more,
    )


async def _last(request: Any) -> Any:
    return [output async for output in request][-1]


def _cancelled() -> bool:
    """Tell whether this task is to end, and not only what it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _closed() -> ModelError:
    return ModelError("the engine was closed during the call", kind="engine")


def _died(processes: Processes) -> ModelError:
    why = first_error(processes.last_words())
    said = f"vLLM's engine died: {why}" if why else "vLLM's engine died, and did not say why"
    return ModelError(f"{said}; if memory ran out, {LESS_MEMORY}", kind="died")
