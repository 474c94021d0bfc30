"""What scores are read off: the acts on record, of a run under way or of one that was kept."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from multiplex.deliberation.stages.step import ranks_of, shares
from multiplex.moral_graph.judgements import Judgement
from multiplex.runs import Run

__all__ = ["Record"]

_Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """Who sat on the panel, what they stood for in each round, how they voted, and what they judged.

    `rounds` holds a stance a persona, or None, for the opening and every round after it; who said nothing
    in a round stands where it stood. `ballots` is what each gave the first draft, None for an abstention,
    and empty where there was no vote. `rankings` are the personas' orders of the candidate statements, as
    a rank a candidate from 0, None for one that failed. `references` is what the observer marked, None where
    it was not asked or failed. `perspectives` names what each persona speaks for.
    """

    speakers: tuple[str, ...]
    options: tuple[str, ...]
    rounds: tuple[Mapping[str, Mapping[str, float] | None], ...]
    ballots: Mapping[str, int | None]
    rankings: Mapping[str, tuple[int, ...] | None]
    judgements: tuple[Judgement, ...]
    references: Sequence[Mapping[str, Any]] | None
    perspectives: Mapping[str, str]

    @classmethod
    def read(
        cls,
        results: Sequence[_Result],
        *,
        speakers: Sequence[str],
        options: Sequence[str],
        seed: int,
        judgements: Sequence[Judgement],
        perspectives: Mapping[str, str],
    ) -> "Record":
        """Read a record off the acts, in the order in which they were asked.

        Raises ValueError where a reply is not what its act is answered with: an earlier version wrote it, or
        it is damaged.
        """
        marked = [_references(r) for r in _answered(results, "observe.mark")]
        voted = {r["speaker"]: r for r in results if r["step"] == "ratify.ballot" and r["round"] == 1}
        ballots = {
            name: _endorsement(voted[name]) if name in voted and voted[name]["reply"] is not None else None
            for name in speakers
        }
        return cls(
            speakers=tuple(speakers),
            options=tuple(options),
            rounds=_rounds(results, speakers, options),
            ballots=ballots if voted else {},
            rankings=_rankings(results, seed),
            judgements=tuple(judgements),
            references=marked[0] if marked else None,
            perspectives=dict(perspectives),
        )

    @classmethod
    def of_run(cls, run: Run) -> "Record":
        """Read a record off a run that was kept.

        Raises ValueError, KeyError or TypeError where its transcript, its judgements or what its manifest says
        of the scenario is damaged, or of a shape that an earlier version wrote.
        """
        given = (run.moral_graph or {}).get("judgements", [])
        return cls.read(
            run.transcript,
            speakers=run.personas,
            options=[option["key"] for option in run.manifest["content"]["scenario"].get("options", [])],
            seed=run.seed,
            judgements=[Judgement.model_validate(each) for each in given],
            perspectives=run.manifest["content"].get("speak_for", {}),
        )


def _answered(results: Sequence[_Result], step: str) -> list[_Result]:
    return [result for result in results if result["step"] == step and result["reply"] is not None]


def _rounds(
    results: Sequence[_Result], speakers: Sequence[str], options: Sequence[str]
) -> tuple[Mapping[str, Mapping[str, float] | None], ...]:
    stated: dict[int, dict[str, dict[str, float] | None]] = {}
    for result in _answered(results, "open.position"):  # who failed was asked again: all tries are one round
        stated.setdefault(0, {})[result["speaker"]] = _stance(result, options)
    for result in _answered(results, "exchange.reply"):
        stated.setdefault(result["round"], {})[result["speaker"]] = _stance(result, options)
    rounds: list[dict[str, dict[str, float] | None]] = []
    for number in range(max(stated, default=-1) + 1):
        before: dict[str, dict[str, float] | None] = rounds[-1] if rounds else dict.fromkeys(speakers)
        heard = stated.get(number, {})
        rounds.append({name: heard.get(name) or before[name] for name in speakers})
    return tuple(rounds)


def _rankings(results: Sequence[_Result], seed: int) -> dict[str, tuple[int, ...] | None]:
    found: dict[str, tuple[int, ...] | None] = {}
    for result in results:
        if result["step"] == "synthesise.rank":
            order = None if result["reply"] is None else _order(result)
            found[result["speaker"]] = None if order is None else ranks_of(order, result["speaker"], seed)
    if len({len(row) for row in found.values() if row is not None}) > 1:
        raise ValueError("synthesise.rank: the personas ranked different numbers of statements")
    return found


def _stance(result: _Result, options: Sequence[str]) -> dict[str, float] | None:
    stance = _said(result, "stance")
    if not isinstance(stance, Mapping) or not all(map(_is_weight, stance.values())):
        raise _unfit(result, "stance", "the weight of each option, by its key", stance)
    if unknown := [option for option in stance if option not in options]:
        raise _unfit(result, "stance", "the options of the scenario", unknown[0])
    return shares(stance)


def _is_weight(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _endorsement(result: _Result) -> int:
    given = _said(result, "endorsement")
    if type(given) is not int or not 1 <= given <= 7:
        raise _unfit(result, "endorsement", "a whole number from 1 to 7", given)
    return given


def _order(result: _Result) -> list[int]:
    order = _said(result, "order")
    if (
        not isinstance(order, list | tuple)
        or not all(type(number) is int for number in order)
        or sorted(order) != list(range(1, len(order) + 1))
        or not order
    ):
        raise _unfit(result, "order", "the number of each statement once, from 1", order)
    return list(order)


def _references(result: _Result) -> list[Mapping[str, Any]]:
    marked = _said(result, "references")
    if not isinstance(marked, list | tuple) or not all(
        isinstance(each, Mapping) and {"perspective", "span", "sentiment"} <= each.keys() for each in marked
    ):
        raise _unfit(result, "references", "a perspective, a span and a sentiment each", marked)
    return list(marked)


def _said(result: _Result, field: str) -> Any:
    """Return a field of a reply."""
    reply = result["reply"]
    if not isinstance(reply, Mapping) or field not in reply:
        raise ValueError(f"{_place(result)}: the reply has no {field}")
    return reply[field]


def _unfit(result: _Result, field: str, needed: str, found: object) -> ValueError:
    return ValueError(f"{_place(result)}: {field}: needs {needed}, not {found!r}")


def _place(result: _Result) -> str:
    return f"{result['step']} of {result['speaker']} in round {result['round']}"
