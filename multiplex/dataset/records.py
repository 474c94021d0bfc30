"""Rows: one deliberation as every kind of training data that is made of it, in the columns that trainers take."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from multiplex.dataset.conditions import conditioned, tokens_of
from multiplex.dataset.material import Material, Text, Voice, user_turn
from multiplex.dataset.preferences import Pair
from multiplex.scoring.entropy import shannon_entropy

__all__ = ["CONSENSUS_TURN", "Row", "rows_of"]

_Message = dict[str, str]

CONSENSUS_TURN = (
    "Answer with one statement that people of different worldviews could endorse together, "
    "and say no more than that."
)
"""The system turn over a consensus statement: without it the same question would have two different answers."""

_LEVELS = tuple(range(1, 8))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of one config; `columns` are those of its schema, the split excepted.

    `completion` is the text that near-duplicates are told by, '' for none; `kind` is that text's.
    """

    config: str
    id: str
    prompt: str
    group: str
    columns: dict[str, Any]
    completion: str
    kind: str
    persona: str | None
    perspective: str | None
    topics: tuple[str, ...]
    schwartz: tuple[str, ...]


def rows_of(
    material: Material, pairs: Sequence[Pair], *, configs: Iterable[str], conditions: bool = False
) -> Iterator[Row]:
    """Return the rows that a deliberation gives to each of the configs.

    With `conditions` every prompt of a text that was scored says how it was scored, as tokens in the
    system turn (see `multiplex.dataset.conditions`).
    """
    for config in configs:
        yield from _MAKERS[config](material, pairs, conditions)


def _sft(material: Material, pairs: Sequence[Pair], conditions: bool) -> Iterator[Row]:
    for text in material.texts:
        if text.kind not in {"overton", "consensus", "steered"}:
            continue
        prompt = _prompt(material, _system(material, text), text, conditions)
        columns = {
            "messages": [*prompt, _says("assistant", text.text)],
            "kind": text.kind,
            "endorsement": _mean(text.endorsements.values()),
            "coverage": _mean(text.carried.values()),
            "perspective_entropy": text.entropy,
        }
        yield _row("sft", material, columns, text, key=text.kind)


def _dpo(material: Material, pairs: Sequence[Pair], conditions: bool) -> Iterator[Row]:
    for pair in pairs:
        columns = {
            "prompt": _prompt(material, _pair_system(material, pair), pair.chosen, conditions),
            "chosen": [_says("assistant", pair.chosen.text)],
            "rejected": [_says("assistant", pair.rejected.text)],
            "margin": pair.margin,
            "claims_margin": pair.claims_margin,
            "reason": pair.reason,
            "chosen_kind": pair.chosen.kind,
            "rejected_kind": pair.rejected.kind,
            "chosen_endorsements": _endorsements(pair.chosen),
            "rejected_endorsements": _endorsements(pair.rejected),
            "supporters": _on_side(pair, "chosen"),
            "opponents": _on_side(pair, "rejected"),
            "dissent": [{"persona": name, "text": text} for name, text in pair.chosen.objections.items()],
        }
        yield _pair_row("dpo", material, columns, pair)


def _kto(material: Material, pairs: Sequence[Pair], conditions: bool) -> Iterator[Row]:
    for pair in pairs:
        for text, label in ((pair.chosen, True), (pair.rejected, False)):
            columns = {
                # Under the scores of the chosen text the other is bad; under its own, which differ, it would be right.
                "prompt": _prompt(material, _pair_system(material, pair), pair.chosen, conditions),
                "completion": [_says("assistant", text.text)],
                "label": label,
                "kind": text.kind,
                "reason": pair.reason if label else f"rejected; of the other: {pair.reason}",
            }
            yield _pair_row("kto", material, columns, pair, text=text, key=str(label))


def _reward(material: Material, pairs: Sequence[Pair], conditions: bool) -> Iterator[Row]:
    for pair in pairs:
        if pair.margin is None:
            continue  # a trainer that is given margins needs one in every row
        prompt = _prompt(material, _pair_system(material, pair), pair.chosen, conditions)
        columns = {
            "chosen": [*prompt, _says("assistant", pair.chosen.text)],
            "rejected": [*prompt, _says("assistant", pair.rejected.text)],
            "margin": pair.margin,
            "reason": pair.reason,
            "supporters": _on_side(pair, "chosen"),
            "opponents": _on_side(pair, "rejected"),
        }
        yield _pair_row("reward", material, columns, pair)


def _grpo(material: Material, pairs: Sequence[Pair], conditions: bool) -> Iterator[Row]:
    judged = [text for text in material.texts if text.endorsements]
    judgements = [
        {
            "answer": number,
            "persona": name,
            "perspective": material.voice(name).perspective,
            "endorsement": given,
            "objection": text.objections.get(name),
        }
        for number, text in enumerate(judged)
        for name, given in text.endorsements.items()
    ]
    claims = [
        {"persona": voice.name, "perspective": voice.perspective, "text": claim}
        for voice in material.voices
        for claim in voice.claims
    ]
    if not judgements and not claims:
        return
    columns = {
        "prompt": [_says("user", user_turn(material.prompt.scenario))],
        "answers": [{"kind": text.kind, "text": text.text} for text in judged],
        "judgements": judgements,
        "claims": claims,
    }
    yield _row("grpo", material, columns, None)


def _distribution(material: Material, pairs: Sequence[Pair], conditions: bool) -> Iterator[Row]:
    asked = user_turn(material.prompt.scenario)
    options = material.prompt.scenario.options
    if options and material.shares and material.shares.get("overall"):
        keys = [option.key for option in options]
        columns = {
            "prompt": [_says("user", asked)],
            "kind": "stance",
            "options": [{"key": option.key, "text": option.text} for option in options],
            **_shares(material, keys, material.shares["overall"], material.shares["by_persona"]),
        }
        yield _row("distribution", material, columns, None, key="stance")
    consensus = material.text("consensus")
    given = {} if consensus is None else {n: v for n, v in consensus.endorsements.items() if v is not None}
    if consensus is not None and given:
        keys = [str(level) for level in _LEVELS]
        by_persona = {name: {key: float(key == str(value)) for key in keys} for name, value in given.items()}
        overall = {key: fmean(shares[key] for shares in by_persona.values()) for key in keys}
        ask = (
            f"{asked}\n\nHow far would you endorse this statement, from 1 (it denies what I stand for) "
            f"to 7 (I could have written it)?\n\n{consensus.text}"
        )
        columns = {
            "prompt": [_says("user", ask)],
            "kind": "endorsement",
            "options": [{"key": key, "text": f"{key} of 7"} for key in keys],
            **_shares(material, keys, overall, by_persona),
        }
        yield _row("distribution", material, columns, None, key="endorsement")


def _shares(
    material: Material,
    keys: Sequence[str],
    overall: Mapping[str, float],
    by_persona: Mapping[str, Mapping[str, float] | None],
) -> dict[str, Any]:
    shares = [overall[key] for key in keys]
    return {
        "shares": [round(share, 6) for share in shares],
        "by_persona": [
            {
                "persona": name,
                "perspective": material.voice(name).perspective,
                "shares": [round(each[key], 6) for key in keys],
            }
            for name, each in by_persona.items()
            if each
        ],
        "entropy": round(shannon_entropy(shares), 6),
    }


def _transcripts(material: Material, pairs: Sequence[Pair], conditions: bool) -> Iterator[Row]:
    turns = [
        {
            "speaker": result["speaker"],
            "step": result["step"],
            "round": result["round"],
            "reply": None if result["reply"] is None else json.dumps(result["reply"], ensure_ascii=False),
            "failure": result["failure"],
        }
        for result in material.transcript
    ]
    if turns:
        columns = {"question": user_turn(material.prompt.scenario), "turns": turns}
        yield _row("transcripts", material, columns, None)


def _moral_graph(material: Material, pairs: Sequence[Pair], conditions: bool) -> Iterator[Row]:
    graph = material.moral_graph
    if not graph or not graph["values"]:
        return
    values = [
        {
            "id": value["id"],
            "title": value["title"],
            "description": value["instructionsShort"],
            "policies": list(value["evaluationCriteria"]),
            "schwartz": list(value.get("schwartz", ())),
        }
        for value in graph["values"]
    ]
    columns = {
        "question": user_turn(material.prompt.scenario),
        "values": values,
        "edges": [_edge(edge) for edge in graph["edges"]],
    }
    yield _row("moral_graph", material, columns, None)


def _edge(edge: Mapping[str, Any]) -> dict[str, Any]:
    counts = edge["counts"]
    return {
        "source": edge["sourceValueId"],
        "wiser": edge["wiserValueId"],
        "context": "; ".join(edge["contexts"]),
        "wiser_count": counts["markedWiser"],
        "not_wiser": counts["markedNotWiser"] + counts["markedLessWise"],
        "unsure": counts["markedUnsure"],
        "abstained": counts.get("abstained", 0),
        "likelihood": edge["summary"]["wiserLikelihood"],
        "kept": edge["kept"],
    }


def _system(material: Material, text: Text) -> str | None:
    """Return the system turn that a text is the answer to."""
    if text.kind == "steered" and text.persona:
        return material.voice(text.persona).system
    return CONSENSUS_TURN if text.kind in {"consensus", "draft"} else None


def _pair_system(material: Material, pair: Pair) -> str | None:
    """Return the system turn that stands over both texts: a persona's, else the one that both were asked under."""
    if pair.persona is not None:
        return material.voice(pair.persona).system
    asked = {_system(material, pair.chosen), _system(material, pair.rejected)}
    return asked.pop() if len(asked) == 1 else None


def _prompt(material: Material, system: str | None, text: Text, conditions: bool) -> list[_Message]:
    if conditions:
        system = conditioned(system, tokens_of(text))
    turns = [] if system is None else [_says("system", system)]
    return [*turns, _says("user", user_turn(material.prompt.scenario))]


def _says(role: str, content: str) -> _Message:
    return {"role": role, "content": content}


def _mean(values: Iterable[float | int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), 4) if known else None


def _endorsements(text: Text) -> list[dict[str, Any]]:
    return [{"persona": name, "endorsement": given} for name, given in text.endorsements.items()]


def _on_side(pair: Pair, side: str) -> list[str]:
    return [name for name, preferred in pair.preferring.items() if preferred == side]


def _pair_row(
    config: str,
    material: Material,
    columns: dict[str, Any],
    pair: Pair,
    *,
    text: Text | None = None,
    key: str = "",
) -> Row:
    """Return a row made of a pair: its rule and persona go with it."""
    told = text or pair.chosen
    return _row(
        config,
        material,
        columns,
        told,
        key=f"{pair.rule}/{told.kind}/{key}",
        rule=pair.rule,
        persona=pair.persona,
    )


def _row(
    config: str,
    material: Material,
    columns: dict[str, Any],
    text: Text | None,
    *,
    key: str = "",
    rule: str | None = None,
    persona: str | None = None,
) -> Row:
    provenance = material.provenance
    persona = persona or (text.persona if text is not None else None)
    voice: Voice | None = material.voice(persona) if persona else None
    said_by = text.persona if text is not None else None
    schwartz = _schwartz(material, text)
    # Who says the text is part of the key: under one persona's system turn another's answer may stand.
    place = "\x1f".join((config, material.prompt.id, key, persona or "", said_by or ""))
    common = {
        "id": hashlib.sha256(place.encode()).hexdigest()[:16],
        "prompt_id": material.prompt.id,
        "group": material.prompt.group,
        "domain": material.prompt.domain,
        "persona": persona,
        "perspective": voice.perspective if voice else None,
        "schwartz": list(schwartz),
        "rule": rule,
        "origin": material.prompt.origin,
        "run": f"{material.prompt.id}-{provenance['seed']}",
        "model": provenance["model"],
        "seed": provenance["seed"],
        "protocol": provenance["protocol"],
        "scenario_sha256": provenance["sha256"]["scenario"],
        "is_simulated": True,
    }
    return Row(
        config=config,
        id=common["id"],
        prompt=material.prompt.id,
        group=material.prompt.group,
        columns={**common, **columns},
        completion=text.text if text is not None else "",
        kind=text.kind if text is not None else "",
        persona=persona,
        perspective=voice.perspective if voice else None,
        topics=(material.prompt.domain,) if material.prompt.domain else (),
        schwartz=schwartz,
    )


def _schwartz(material: Material, text: Text | None) -> tuple[str, ...]:
    """Return the Schwartz values behind a text: its persona's, or those of everyone whom it carries."""
    if text is not None and text.persona:
        return material.voice(text.persona).schwartz
    heard = [
        voice
        for voice in material.voices
        if text is None or not text.carried or (text.carried.get(voice.name) or 0.0) > 0
    ]
    return tuple(dict.fromkeys(value for voice in heard for value in voice.schwartz))


_Maker = Callable[[Material, Sequence[Pair], bool], Iterator[Row]]

_MAKERS: Mapping[str, _Maker] = {
    "sft": _sft,
    "dpo": _dpo,
    "kto": _kto,
    "reward": _reward,
    "grpo": _grpo,
    "distribution": _distribution,
    "transcripts": _transcripts,
    "moral_graph": _moral_graph,
}
