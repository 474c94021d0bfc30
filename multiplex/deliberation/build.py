"""Compile a protocol to a LangGraph graph.

Every step becomes a node that performs the step's acts, all at once, and settles what came back. An edge leads
to the next step; from a step that may lead back, as when an exchange goes into another round, the edge is
conditional. An act is no node of its own: a node costs LangGraph about as much as a call costs us. What has
come of single acts while others are still asked is kept beside LangGraph's checkpoints (see `checkpoints`).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast
from typing import Protocol as TypingProtocol

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from multiplex.acts import Act, Failure, Performed, Usage
from multiplex.background import in_background
from multiplex.content.protocols import (
    Answer,
    Articulate,
    Compare,
    Contrast,
    Exchange,
    Observe,
    Open,
    Poll,
    Protocol,
    Ratify,
    Stage,
    Synthesise,
)
from multiplex.deliberation.events import ActFinished, ActStarted, StepFinished
from multiplex.deliberation.stages import (
    alone,
    articulate,
    compare,
    contrast,
    exchange,
    observe,
    opening,
    poll,
    ratify,
    synthesise,
)
from multiplex.deliberation.stages.step import Step, last_round
from multiplex.deliberation.state import Context, Plain, State, Task, Update
from multiplex.errors import NoQuorumError
from multiplex.seeds import derive_seed

__all__ = ["build", "recursion_limit"]

Graph = CompiledStateGraph[State, Context, State, State]


class _Node(TypingProtocol):
    async def __call__(self, state: State, *, runtime: Runtime[Context]) -> Update: ...


_WIRING: dict[type[Stage], Callable[[Any], list[Step]]] = {
    Open: opening.steps,
    Exchange: exchange.steps,
    Poll: poll.steps,
    Articulate: articulate.steps,
    Compare: compare.steps,
    Synthesise: synthesise.steps,
    Ratify: ratify.steps,
    Contrast: contrast.steps,
    Answer: alone.steps,
    Observe: observe.steps,
}


def build(protocol: Protocol, *, checkpointer: Any = None) -> Graph:
    """Return the protocol as a compiled graph, to be run with a `Context`."""
    graph = _compiled(protocol)
    return graph if checkpointer is None else graph.copy({"checkpointer": checkpointer})


@lru_cache(maxsize=32)
def _compiled(protocol: Protocol) -> Graph:
    """Compile a protocol once: it takes milliseconds, and a compiled graph holds no state."""
    steps = [step for stage in protocol.stages for step in _WIRING[type(stage)](stage)]
    builder: StateGraph[State, Context, State, State] = StateGraph(State, context_schema=Context)
    for step in steps:
        builder.add_node(step.label, _node(step, protocol.quorum))
    builder.add_edge(START, steps[0].label)
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        onward = following.label if following else END
        if step.back:
            builder.add_conditional_edges(step.label, _leave(step, onward), [onward, *step.back])
        else:
            builder.add_edge(step.label, onward)
    return builder.compile()


def recursion_limit(protocol: Protocol) -> int:
    """Return a bound on supersteps: one for every step, and for every time it may be repeated."""
    limit = 10
    for stage in protocol.stages:
        repeats = getattr(stage, "rounds", 1) + getattr(stage, "cards", 1) + getattr(stage, "revise", 1)
        limit += 4 * repeats
    return limit


def _leave(step: Step, onward: str) -> Callable[[State, Runtime[Context]], Awaitable[str]]:
    async def leave(state: State, runtime: Runtime[Context]) -> str:
        return step.again(state, runtime.context) or onward

    return leave


def _node(step: Step, quorum: float) -> _Node:
    async def node(state: State, *, runtime: Runtime[Context]) -> Update:
        asked = await _perform_all(step, state, runtime)
        after: Any = {**state, "results": [*state.get("results", []), *asked]}
        update: Any = {**await _settle(step, after, asked, runtime, quorum), "results": asked}
        return cast("Update", update)

    return node


async def _perform_all(step: Step, state: State, runtime: Runtime[Context]) -> list[Plain]:
    """Perform a step's acts at once; return the results in the order asked."""
    seen: Any = {name: value for name, value in state.items() if name in step.reads}
    performing = []
    try:
        async with asyncio.TaskGroup() as group:
            for task in step.tasks(state, runtime.context):
                performing.append(group.create_task(_perform(step, task, seen, runtime)))
                await asyncio.sleep(0)  # this request is on its way before the next is written
    except BaseExceptionGroup as failed:  # whatever ends one act ends the others, and the run
        raise failed.exceptions[0] from None
    return [performed.result() for performed in performing]


async def _perform(step: Step, task: Task, seen: State, runtime: Runtime[Context]) -> Plain:
    """Perform an act, unless it was done before the run was cut off."""
    context = runtime.context
    act = step.act(task, seen, context)
    place = (step.label, task["round"], act.name, act.speaker, task["about"])
    seed = derive_seed(context.seed, *place)
    if context.acts is not None and (known := context.acts.find(place)) and known["seed"] == seed:
        return known
    runtime.stream_writer(ActStarted(step.stage, act.name, act.speaker, task["round"]))
    responder = context.responders[act.speaker]
    performed = _sensible(act, await responder.perform(act, seed=seed), responder.name)
    result = _result(step, task, act.name, seed, performed)
    if context.acts is not None:
        context.acts.keep(place, result)
    runtime.stream_writer(
        ActFinished(
            stage=step.stage,
            act=act.name,
            speaker=act.speaker,
            round=task["round"],
            reply=result["reply"],
            failure=performed.failure.reason if performed.failure else None,
            seconds=performed.usage.seconds,
        )
    )
    return result


def _sensible(act: Act[Any], given: object, name: str) -> Performed[Any]:
    """Return what was performed, with a failure in place of what makes no sense: anybody may answer acts."""
    if not isinstance(given, Performed):
        return Performed(failure=Failure("invalid_reply", f"{name}: no Performed came back"))
    if given.reply is None:
        return given
    try:
        if not isinstance(given.reply, act.reply):
            raise ValueError(f"a {type(given.reply).__name__} is no {act.reply.__name__}")
        act.check(given.reply)
    except ValueError as error:
        return replace(given, reply=None, failure=Failure("invalid_reply", f"{name}: {error}"))
    return given


def _result(step: Step, task: Task, act: str, seed: int, performed: Performed[Any]) -> Plain:
    result: Plain = {
        "step": step.label,
        "round": task["round"],
        "act": act,
        "speaker": task["speaker"],
        "about": task["about"],
        "seed": seed,
        "reply": performed.reply.model_dump(mode="json") if performed.reply is not None else None,
        "failure": {"kind": performed.failure.kind, "reason": performed.failure.reason}
        if performed.failure
        else None,
        "raw": list(performed.raw),
        "reasoning": list(performed.reasoning),
        "prompt_sha256": performed.prompt_sha256,
        "usage": {name: getattr(performed.usage, name) for name in Usage.__slots__},
    }
    if performed.logprobs is not None:
        finite = {option: each for option, each in performed.logprobs.items() if math.isfinite(each)}
        result["logprobs"] = {option: min(0.0, each) for option, each in finite.items()}
    return result


async def _settle(
    step: Step, state: State, asked: list[Plain], runtime: Runtime[Context], quorum: float
) -> Update:
    """Return what a step's replies change, from the state with what was asked in it."""
    round = last_round(state, step.label)
    answered = sum(result["reply"] is not None for result in asked)
    runtime.stream_writer(StepFinished(step.stage, step.label, round, len(asked), answered))
    _check_quorum(step, asked, runtime.context, quorum)
    if step.embeds:
        return await in_background(step.settle, state, runtime.context, round)
    return step.settle(state, runtime.context, round)


def _check_quorum(step: Step, results: list[Plain], context: Context, quorum: float) -> None:
    panel = set(context.speakers)
    asked = {result["speaker"] for result in results} & panel
    if not asked or step.optional:
        _check_reached(step, results)
        return
    heard = {result["speaker"] for result in results if result["reply"] is not None} & asked
    if step.stage == "open":
        if results[0]["round"] < opening.TRIES:
            return  # who failed is asked again
        heard |= panel - asked  # who is not asked again has answered in an earlier round
    needed = math.ceil(round(quorum * len(panel), 9))  # 0.55 of 20 is 11, not 12 for its last bits
    if len(heard) < needed:
        reasons = sorted({result["failure"]["reason"] for result in results if result["failure"]})
        left = len(reasons) - 2
        more = f" (and {left} more {'reason' if left == 1 else 'reasons'})" if left > 0 else ""
        raise NoQuorumError(
            f"{step.stage}: only {len(heard)} of {len(panel)} personas answered, and the protocol's quorum is "
            f"{needed}: {'; '.join(reasons[:2])}{more}"
        )


def _check_reached(step: Step, results: list[Plain]) -> None:
    """Raise NoQuorumError where not one of a step's calls got through: a run that ended so would look complete."""
    failures = [result["failure"] for result in results if result["failure"]]
    if failures and len(failures) == len(results) and all(each["kind"] == "refused" for each in failures):
        raise NoQuorumError(f"{step.stage}: nobody could be asked: {failures[0]['reason']}")
