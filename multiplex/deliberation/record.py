"""What scores are read off: the acts on record, of a run under way or of one that was kept."""

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
        """Read a record off the acts, in the order in which they were asked."""
        marked = [r["reply"]["references"] for r in _answered(results, "observe.mark")]
        voted = {r["speaker"]: r for r in results if r["step"] == "ratify.ballot" and r["round"] == 1}
        ballots = {
            name: voted[name]["reply"]["endorsement"] if name in voted and voted[name]["reply"] else None
            for name in speakers
        }
        return cls(
            speakers=tuple(speakers),
            options=tuple(options),
            rounds=_rounds(results, speakers),
            ballots=ballots if voted else {},
            rankings=_rankings(results, seed),
            judgements=tuple(judgements),
            references=marked[0] if marked else None,
            perspectives=dict(perspectives),
        )

    @classmethod
    def of_run(cls, run: Run) -> "Record":
        """Read a record off a run that was kept.

        Raises ValueError where its judgements are damaged.
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
    results: Sequence[_Result], speakers: Sequence[str]
) -> tuple[Mapping[str, Mapping[str, float] | None], ...]:
    stated: dict[int, dict[str, dict[str, float] | None]] = {}
    for result in _answered(results, "open.position"):  # who failed was asked again: all tries are one round
        stated.setdefault(0, {})[result["speaker"]] = shares(result["reply"]["stance"])
    for result in _answered(results, "exchange.reply"):
        stated.setdefault(result["round"], {})[result["speaker"]] = shares(result["reply"]["stance"])
    rounds: list[dict[str, dict[str, float] | None]] = []
    for number in range(max(stated, default=-1) + 1):
        before: dict[str, dict[str, float] | None] = rounds[-1] if rounds else dict.fromkeys(speakers)
        heard = stated.get(number, {})
        rounds.append({name: heard.get(name) or before[name] for name in speakers})
    return tuple(rounds)


def _rankings(results: Sequence[_Result], seed: int) -> dict[str, tuple[int, ...] | None]:
    return {
        result["speaker"]: ranks_of(result["reply"]["order"], result["speaker"], seed)
        if result["reply"]
        else None
        for result in results
        if result["step"] == "synthesise.rank"
    }
