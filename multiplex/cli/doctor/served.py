"""A model behind an endpoint: what it can do, found out by a dozen small questions."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from multiplex.cli.doctor.endpoint import Said, Server, count
from multiplex.cli.doctor.finding import Finding, bad, context_length, note, ok
from multiplex.errors import ContentError, ModelError, near_miss
from multiplex.models.endpoint import Endpoint, at, short, without_user

__all__ = ["examine_served"]

_LONGEST = 10.0
"""How many seconds one request may take."""
_START = (
    "start one: 'vllm serve NAME' (port 8000), 'llama-server -m FILE.gguf --port 8080', "
    "or 'ollama serve' (port 11434); or check --base-url"
)
_COMPACT = """--structured-outputs-config '{"backend": "guidance", "disable_any_whitespace": true}'"""


class _Mark(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: Annotated[str, StringConstraints(max_length=12)]
    weight: Literal[1, 2, 3]


class _Probe(BaseModel):
    """A small reply with what the acts' schemas have: nesting, references, enumerations, bounds."""

    model_config = ConfigDict(extra="forbid")

    mood: Literal["calm", "cross", "curious"]
    marks: Annotated[tuple[_Mark, ...], Field(min_length=1, max_length=2)]


async def examine_served(name: str, base_url: str, api_key: str | None) -> list[Finding]:
    """Look at a served model, with one question after another."""
    from multiplex.content.roles import load_roles

    system = load_roles()["common", "rules"].render()
    try:
        endpoint = Endpoint(base_url, api_key=api_key, timeout=_LONGEST, retries=0)
    except ContentError as error:
        return [bad("model", str(error))]
    try:
        return await _examine(Server(endpoint, name, system))
    finally:
        await endpoint.aclose()


async def _examine(server: Server) -> list[Finding]:
    name, address = server.name, without_user(server.endpoint.base_url)
    try:
        cards: list[dict[str, Any]] | ModelError = _cards(await server.models())
    except ModelError as error:
        cards = error
    if isinstance(cards, ModelError) and cards.kind in {"refused", "timeout"}:
        return [bad("model", f"openai:{name} at {address}: {cards}; {_START}")]
    listed = _listed(name, cards)
    try:
        said = await server.say("Reply with the word yes.", max_tokens=8)
    except ModelError as error:
        known = [] if listed.good and not listed.note else [listed]
        return [bad("model", f"openai:{name} at {address}: {_stopless(error)}; {_why(error)}"), *known]
    server.thinks = bool(said.thought)
    findings = [ok("model", f"openai:{name} at {address}: answers"), listed]
    card = next((card for card in _known(cards) if card["id"] == name), {})
    findings.append(await _context(server, card))
    findings += await _schema(server)
    findings += await _sampling(server)
    findings.append(await _choices(server))
    if server.thinks:
        findings.append(_thinking(said))
    return findings


def _cards(answer: Any) -> list[dict[str, Any]]:
    cards = at(answer, "data")
    if not isinstance(cards, list):
        raise ModelError("answered with JSON that is no list of models", kind="invalid_response")
    return [card for card in cards if isinstance(card, dict) and isinstance(card.get("id"), str)]


def _known(cards: list[dict[str, Any]] | ModelError) -> list[dict[str, Any]]:
    return [] if isinstance(cards, ModelError) else cards


def _listed(name: str, cards: list[dict[str, Any]] | ModelError) -> Finding:
    if isinstance(cards, ModelError):
        return note("model's name", f"unknown; GET /models: {cards}")
    names = [short(card["id"]) for card in cards]
    if name in {card["id"] for card in cards}:
        return ok("model's name", f"{name!r} is one of {len(names)} that the endpoint lists")
    return note(
        "model's name",
        f"the endpoint lists no {name!r}; {near_miss(name, names)} "
        "(a server with one model may answer to any name; others refuse it)",
    )


def _stopless(error: ModelError) -> str:
    """Return what an error says, so that a sentence can go on after it."""
    return str(error).rstrip(".")


def _why(error: ModelError) -> str:
    said = str(error).casefold()
    if error.kind == "timeout":
        return (
            "a model that is still loading answers later: ask again in a minute; "
            "on a machine that is this slow, give 'run' a longer --timeout"
        )
    if "status 401" in said or "status 403" in said:
        return "set OPENAI_API_KEY to a key that the endpoint takes"
    if "system" in said or "alternate" in said:
        return (
            "its chat template may refuse a system message: start the server with a template that takes one "
            "('--chat-template FILE' in vLLM, '--chat-template-file FILE' in llama-server), or take another model"
        )
    if "status 404" in said:
        return "check the model's name, and that --base-url ends where /chat/completions follows, often /v1"
    if error.kind == "invalid_response":
        return "is this an OpenAI-compatible endpoint? check --base-url (it often ends in /v1)"
    return "the server's own log says more"


async def _context(server: Server, card: Mapping[str, Any]) -> Finding:
    size, told = await _context_length(server, card)
    return context_length(
        size,
        told,
        more="start the server with more: '--max-model-len 32768' in vLLM, '-c' as often as '-np' in llama-server, "
        "OLLAMA_CONTEXT_LENGTH=32768 in Ollama (which cuts long prompts without a word)",
        find_out="the server's log or configuration has it",
    )


async def _context_length(server: Server, card: Mapping[str, Any]) -> tuple[int | None, str]:
    """Return the tokens that one request may take, prompt and reply, and how that is known."""
    if size := count(card.get("max_model_len")):
        return size, ""
    places: tuple[tuple[str, Callable[[Any], int | None], str], ...] = (
        (
            "/props",
            lambda found: count(at(found, "default_generation_settings", "n_ctx")),
            " for each slot",
        ),
        ("/api/ps", lambda found: _ollama_context(found, server.name), " as loaded now"),
    )
    for path, read, told in places:
        try:
            if size := read(await server.ask(path)):
                return size, told
        except ModelError:
            continue
    if size := count(at(card, "meta", "n_ctx_train")):
        return None, f" (trained for {size:,}; what the server gives is not told)"
    return None, ""


def _ollama_context(found: Any, name: str) -> int | None:
    models = at(found, "models")
    for model in models if isinstance(models, list) else ():
        if at(model, "model") in {name, f"{name}:latest"}:
            return count(at(model, "context_length"))
    return None


async def _schema(server: Server) -> list[Finding]:
    what = "JSON schema"
    form = {"name": "probe", "schema": _Probe.model_json_schema(), "strict": True}
    wanted = {"type": "json_schema", "json_schema": form}
    # The prompt asks for prose: who answers with the object has followed the schema, not the prompt.
    prompt = "In one sentence: how does a spring morning smell?"
    most = 800 if server.thinks else 160
    try:
        said = [
            await server.say(prompt, seed=seed, max_tokens=most, response_format=wanted) for seed in (1, 2, 3)
        ]
    except ModelError as error:
        if error.kind == "timeout":
            return [note(what, f"unknown: {error}; ask again when the server is idle")]
        return [bad(what, f"refused: {_stopless(error)}; {_SCHEMA}")]
    fits = sum(_fits(one.text) for one in said)
    whitespace = _whitespace(said)
    if fits == len(said):
        return [ok(what, f"{fits} of {fits} replies are in the JSON schema it was given"), whitespace]
    if all(one.cut and one.thought and not one.text for one in said):
        return [
            note(what, "unknown: the model was still thinking at 800 tokens; docs/models.md on such models")
        ]
    first = next(one for one in said if not _fits(one.text))
    if not whitespace.good:
        return [whitespace]
    if first.cut:
        return [
            bad(what, f"{fits} of {len(said)} replies fit, another was cut off at its token limit; {_SCHEMA}")
        ]
    return [
        bad(what, f"{fits} of {len(said)} replies fit; another began {short(first.text, 60)!r}; {_SCHEMA}")
    ]


_SCHEMA = (
    "responses have to be held to 'response_format': vLLM does so unless started otherwise, llama-server "
    "in current builds, Ollama from 0.5 (not its cloud models)"
)


def _fits(text: str) -> bool:
    try:
        _Probe.model_validate_json(text)
    except ValidationError:
        return False
    return True


def _whitespace(said: Sequence[Said]) -> Finding:
    what = "whitespace"
    advice = f"some models then loop in it up to the token limit; start vLLM with {_COMPACT}"
    if any(one.cut and len("".join(one.text.split())) * 2 < len(one.text) for one in said):
        return bad(what, f"a reply filled up with whitespace until it was cut off: {advice}")
    if any("\n" in one.text.strip() or "  " in one.text.strip() for one in said if _fits(one.text)):
        return note(what, f"the server lets the model write free whitespace into JSON; {advice}")
    return ok(what, "none between the parts of JSON, or one space")


async def _sampling(server: Server) -> list[Finding]:
    """Look at seeds, token counts, the prefix cache and latency, all from the same four calls."""
    prompt = "Write one sentence about the sea."
    try:
        said = [await server.say(prompt, seed=seed, max_tokens=24) for seed in (11, 11, 12, 13)]
    except ModelError as error:
        return [note("seeds, token counts and latency", f"unknown: {error}")]
    return [_seeds(said), _counts(said[0]), _prefixes(said[-1]), _latency(said[-1])]


def _seeds(said: Sequence[Said]) -> Finding:
    one, same, *others = [reply.thought + reply.text for reply in said]
    if not one.strip():
        return note("seeds", "unknown: the model answered with no text")
    if one != same:
        how = "the same seed gave two texts"
    elif one in others or len(set(others)) < len(others):
        how = "other seeds gave the same text"
    else:
        return ok("seeds", "honoured: the same seed gives the same text, others give others")
    return note("seeds", f"not honoured: {how}; a run is repeated from the response cache, not from its seed")


def _counts(said: Said) -> Finding:
    asked, answered = said.usage("prompt_tokens"), said.usage("completion_tokens")
    if not asked or not answered:
        return note("token counts", "not reported: a run's record will show none")
    return ok("token counts", f"reported ({asked} asked, {answered} answered)")


def _prefixes(said: Said) -> Finding:
    what = "prefix cache"
    cached = said.usage("prompt_tokens_details", "cached_tokens")
    if cached is None:
        return note(what, "what it saves is not reported; start vLLM with --enable-prompt-tokens-details")
    if cached == 0:
        return note(what, "0 tokens of a repeated prompt came from it; vLLM has it on unless told otherwise")
    return ok(what, f"{cached} of {said.usage('prompt_tokens')} tokens of a repeated prompt came from it")


def _latency(said: Said) -> Finding:
    took = (
        f"{said.seconds:.2g} s for {said.usage('completion_tokens') or 'about 24'} tokens, one call at a time"
    )
    if said.seconds > 5:
        return note("latency", f"{took}; a full run makes some hundred calls: seat fewer, raise --timeout")
    return ok("latency", took)


async def _choices(server: Server) -> Finding:
    what = "log-probabilities"
    try:
        said = await server.say(
            "Answer with the letter A or B.", max_tokens=1, logprobs=True, top_logprobs=20
        )
    except ModelError as error:
        return note(what, f"unknown: {error}")
    found = at(said.whole, "choices", 0, "logprobs", "content", 0, "top_logprobs")
    numbers = [at(one, "logprob") for one in found] if isinstance(found, list) else []
    if any(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        return ok(what, "reported")
    return note(what, "not reported: no poll can be taken, so stances are those that are stated")


def _thinking(said: Said) -> Finding:
    if not said.aloud:
        return note("reasoning", "the model thinks before it answers, within the same limit of tokens")
    return note(
        "reasoning",
        "the model writes its thoughts into its answer; start vLLM with --reasoning-parser and the parser for it",
    )
