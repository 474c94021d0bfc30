"""Compile a protocol to a LangGraph graph.

Every step becomes two nodes: one that performs an act, entered with `Send` once for each task, and one
that settles what came back. From there a conditional edge leads to the next step's tasks, or back, as when
an exchange goes into another round. So what one persona answered is in a checkpoint while others are still
asked. Where no checkpoints are kept, a step is one node, which performs all its acts and settles them: a
node costs LangGraph about as much as a call costs us.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, cast
from typing import Protocol as TypingProtocol

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send

from multiplex.acts import Performed, Usage
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
from multiplex.deliberation.state import Context, Plain, State, Task, Update, results_of
from multiplex.errors import NoQuorumError
from multiplex.seeds import derive_seed

__all__ = ["build", "recursion_limit"]

Graph = CompiledStateGraph[State, Context, State, State]


class _Ask(TypingProtocol):
    async def __call__(self, state: Task, *, runtime: Runtime[Context]) -> Update: ...


class _Settle(TypingProtocol):
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
    """Return the protocol as a compiled graph, to be run with a `Context`; with a checkpointer, act by act."""
    if checkpointer is None:
        return _compiled(protocol, by_act=False)
    return _compiled(protocol, by_act=True).copy({"checkpointer": checkpointer})


@lru_cache(maxsize=32)
def _compiled(protocol: Protocol, *, by_act: bool) -> Graph:
    """Compile a protocol once: it takes milliseconds, and a compiled graph holds no state."""
    steps = [step for stage in protocol.stages for step in _WIRING[type(stage)](stage)]
    builder: StateGraph[State, Context, State, State] = StateGraph(State, context_schema=Context)
    for step in steps:
        settle = _settle(step, protocol.quorum)
        builder.add_node(_last(step, by_act), settle if by_act else _ask_and_settle(step, settle))
        if by_act:
            builder.add_node(_first(step), _ask(step), input_schema=Task)
            builder.add_edge(_first(step), _last(step, by_act))
    builder.add_conditional_edges(START, _enter(steps[0], by_act), _doors(steps[0], by_act))
    known = {step.label: step for step in steps}
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        doors = _doors(following, by_act) if following else [END]
        for label in step.back:
            doors += _doors(known[label], by_act)
        builder.add_conditional_edges(_last(step, by_act), _leave(step, following, known, by_act), doors)
    return builder.compile()


def recursion_limit(protocol: Protocol) -> int:
    """Return a bound on supersteps: two for every step, and for every time it may be repeated."""
    limit = 10
    for stage in protocol.stages:
        repeats = getattr(stage, "rounds", 1) + getattr(stage, "cards", 1) + getattr(stage, "revise", 1)
        limit += 2 * 4 * repeats
    return limit


def _first(step: Step) -> str:
    return f"{step.label}.ask"


def _last(step: Step, by_act: bool) -> str:
    return f"{step.label}.settle" if by_act else step.label


def _doors(step: Step, by_act: bool) -> list[str]:
    return [_first(step), _last(step, by_act)] if by_act else [_last(step, by_act)]


_Way = Callable[[State, Runtime[Context]], Awaitable[list[Send] | str]]


def _enter(step: Step, by_act: bool) -> _Way:
    async def enter(state: State, runtime: Runtime[Context]) -> list[Send] | str:
        tasks = step.tasks(state, runtime.context) if by_act else []
        if not tasks:
            return _last(step, by_act)
        # What acts are built from is not sent along: LangGraph writes down all that it sends, and the transcript
        # with every task would make checkpoints many times as large.
        runtime.context.look_at(state)
        return [Send(_first(step), task) for task in tasks]

    return enter


def _leave(step: Step, following: Step | None, known: dict[str, Step], by_act: bool) -> _Way:
    async def leave(state: State, runtime: Runtime[Context]) -> list[Send] | str:
        label = step.again(state, runtime.context) or (following.label if following else None)
        return await _enter(known[label], by_act)(state, runtime) if label else END

    return leave


def _ask(step: Step) -> _Ask:
    async def ask(state: Task, *, runtime: Runtime[Context]) -> Update:
        return Update(results=[await _perform(step, state, runtime)])

    return ask


async def _perform_all(step: Step, state: State, runtime: Runtime[Context]) -> list[Plain]:
    """Perform a step's acts at once; return the results in the order asked."""
    runtime.context.look_at(state)
    asked = []
    try:
        async with asyncio.TaskGroup() as group:
            for task in step.tasks(state, runtime.context):
                asked.append(group.create_task(_perform(step, task, runtime)))
                await asyncio.sleep(0)  # this request is on its way before the next is written
    except BaseExceptionGroup as failed:  # whatever ends one act ends the others, and the run
        raise failed.exceptions[0] from None
    return [task.result() for task in asked]


async def _perform(step: Step, task: Task, runtime: Runtime[Context]) -> Plain:
    context = runtime.context
    act = step.act(task, context.seen_by(step.reads), context)
    place = (step.label, task["round"], act.name, act.speaker, task["about"])
    seed = derive_seed(context.seed, *place)
    runtime.stream_writer(ActStarted(step.stage, act.name, act.speaker, task["round"]))
    performed = await context.responders[act.speaker].perform(act, seed=seed)
    result = _result(step, task, act.name, seed, performed)
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
        result["logprobs"] = dict(performed.logprobs)
    return result


def _settle(step: Step, quorum: float) -> _Settle:
    # Asynchronous also where nothing in it waits: LangGraph sends any other function to a thread.
    async def settle(state: State, *, runtime: Runtime[Context]) -> Update:
        round = last_round(state, step.label)
        # A step that had nobody to ask comes here too; what it was told in an earlier round is settled already.
        asked_now = bool(state.get("results")) and state["results"][-1]["step"] == step.label
        results = results_of(state, step.label, round) if asked_now else []
        answered = [result for result in results if result["reply"] is not None]
        runtime.stream_writer(StepFinished(step.stage, step.label, round, len(results), len(answered)))
        _check_quorum(step, results, runtime.context, quorum)
        if step.embeds:
            return await in_background(step.settle, state, runtime.context, round)
        return step.settle(state, runtime.context, round)

    return settle


def _ask_and_settle(step: Step, settle: _Settle) -> _Settle:
    async def ask_and_settle(state: State, *, runtime: Runtime[Context]) -> Update:
        asked = await _perform_all(step, state, runtime)
        known: Any = {**state, "results": [*state.get("results", []), *asked]}
        update: Any = {**await settle(known, runtime=runtime), "results": asked}
        return cast("Update", update)

    return ask_and_settle


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
