"""One deliberation, four answers: Overton, consensus, steered, distribution."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from multiplex.acts import Turn
from multiplex.content.protocols import Protocol
from multiplex.deliberation.state import Context, Plain, results_of, turns_of
from multiplex.runs import Answers, Consensus, Dissenter, Steered
from multiplex.scoring.pluralism import distribution

__all__ = ["answers_of"]


def answers_of(
    state: Mapping[str, Any], context: Context, protocol: Protocol, *, notice: str | None
) -> Answers:
    """Read the four answers off a finished state; what is missing has its reason in `reasons`."""
    reasons: dict[str, str] = {}
    standing = _standing(state)
    overton = standing["overton"] if standing else state.get("answer")
    stages = {stage.name for stage in protocol.stages}
    why = _why_no_synthesis(state, stages)
    if overton is None:
        reasons["overton"] = why
    consensus = _consensus(state, context, standing) if standing else None
    if consensus is None:
        reasons["consensus"] = f"the protocol {protocol.name!r} seats no panel" if "answer" in stages else why
    turns = turns_of(state)
    final = _final_stances(turns, context)
    steered = _steered(turns, final, context)
    if not steered:
        reasons["steered"] = f"the protocol {protocol.name!r} hears no persona"
    shares = None
    if not context.scenario.options:
        reasons["distribution"] = "the scenario has no closed options"
    elif not steered:
        reasons["distribution"] = f"the protocol {protocol.name!r} hears no persona"
    else:
        found = distribution(final, [option.key for option in context.scenario.options])
        shares = {
            **found.as_dict(),
            "source": "stated stances, as they stood at the end",
            "logprobs": _by_logprobs(state, context),
        }
    return Answers(
        overton=overton,
        consensus=consensus,
        steered=steered,
        distribution=shares,
        reasons=reasons,
        notice=notice,
    )


def _final_stances(turns: Sequence[Turn], context: Context) -> dict[str, dict[str, float] | None]:
    """Return every persona's last stated stance, None where it stated none."""
    stances: dict[str, dict[str, float] | None] = dict.fromkeys(context.speakers)
    for turn in turns:
        stances[turn.speaker] = turn.stance or stances[turn.speaker]
    return stances


def _by_logprobs(state: Mapping[str, Any], context: Context) -> Plain:
    """Return the distribution that the models' own probabilities give, and how sure it can be of itself.

    For each persona the probabilities of the options' letters are normalised and averaged over the orders
    in which it was asked; an option that a model did not report counts as 0. `mass` is the mean share of
    probability that fell on letters at all: where it is small, the model was hardly answering.
    """
    keys = [option.key for option in context.scenario.options]
    asked = results_of(state, "poll.choose")
    given: dict[str, list[list[float]]] = {}
    masses = []
    for result in asked:
        if result["reply"] is not None and result.get("logprobs"):
            weights = [math.exp(result["logprobs"].get(key, -math.inf)) for key in keys]
            if total := math.fsum(weights):
                given.setdefault(result["speaker"], []).append([weight / total for weight in weights])
                masses.append(total)
    stances = {
        name: dict(zip(keys, map(fmean, zip(*given[name], strict=True)), strict=True))
        if name in given
        else None
        for name in context.speakers
    }
    found = distribution(stances, keys).as_dict()
    if not asked:
        found["reason"] = "nobody was asked who can tell how likely its choices are"
    elif not given:
        failures = [result["failure"]["reason"] for result in asked if result["failure"]]
        found["reason"] = failures[0] if failures else "no model told how likely its choices were"
    return {**found, "mass": fmean(masses) if masses else None}


def _standing(state: Mapping[str, Any]) -> Plain | None:
    drafts: list[Plain] = state.get("drafts") or []
    return drafts[state.get("chosen", 0)] if drafts else None


def _why_no_synthesis(state: Mapping[str, Any], stages: set[str]) -> str:
    asked = [*results_of(state, "synthesise.draft"), *results_of(state, "answer.alone")]
    if asked and asked[-1]["failure"]:
        tries = "1 try" if len(asked) == 1 else f"{len(asked)} tries"
        return f"the moderator gave no usable answer in {tries}: {asked[-1]['failure']['reason']}"
    return "the protocol has no stage that writes it"


def _consensus(state: Mapping[str, Any], context: Context, standing: Plain) -> Consensus:
    chosen = state.get("chosen", 0)
    ballots = [ballot for ballot in state.get("ballots", []) if ballot["draft"] == chosen]
    label = {persona.name: persona.label for persona in context.panel.personas}
    dissent = [
        Dissenter(
            persona=b["persona"], label=label[b["persona"]], endorsement=b["endorsement"], text=b["objection"]
        )
        for b in ballots
        if b["objection"]
    ]
    if not ballots:
        dissent = [
            Dissenter(persona=d["persona"], label=label[d["persona"]], endorsement=None, text=d["text"])
            for d in standing["dissent"]
        ]
    candidates = sum(result["reply"] is not None for result in results_of(state, "synthesise.draft"))
    return Consensus(
        statement=standing["consensus"],
        endorsements={b["persona"]: b["endorsement"] for b in ballots},
        agreements=standing["agreements"],
        disagreements=standing["disagreements"],
        dissent=tuple(sorted(dissent, key=lambda d: (d.endorsement or 0, d.persona))),
        revised=chosen >= candidates,
        drafts=len(state["drafts"]),
    )


def _steered(
    turns: Sequence[Turn], final: Mapping[str, dict[str, float] | None], context: Context
) -> dict[str, Steered]:
    said: dict[str, list[Turn]] = {}
    for turn in turns:
        said.setdefault(turn.speaker, []).append(turn)
    steered = {}
    for persona in context.panel.personas:
        own = said.get(persona.name, [])
        opening = next((turn for turn in own if turn.round == 0), None)
        if opening is not None:
            steered[persona.name] = Steered(
                label=persona.label,
                answer=opening.statement,
                claims=tuple(claim.model_dump(mode="json") for claim in opening.claims),
                stance=opening.stance,
                final_stance=final[persona.name],
                closing=own[-1].statement if own[-1].round else None,
            )
    return steered
