"""Materials made by hand, and whole datasets built at the table of `tests.table`, without a model."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from multiplex.acts import Act, AnswerAlone, Answered, Ballot, Position, Ratify, Synthesise, TakePosition
from multiplex.api import Session
from multiplex.content.scenarios import Scenario
from multiplex.dataset.assembling import Assembly
from multiplex.dataset.building import Plan, Publication, build, sources_of
from multiplex.dataset.deliberating import deliberate_all
from multiplex.dataset.manifest import Manifest
from multiplex.dataset.masking import Masks
from multiplex.dataset.material import Kind, Material, Text, Voice, system_turn
from multiplex.dataset.preferences import Pair, pairs_of
from multiplex.dataset.producing import Producer, Recipe
from multiplex.dataset.prompts import Prompt, Skipped, read_prompts
from multiplex.dataset.store import Store
from multiplex.responders.scripted import ScriptedResponder
from tests.files import write_table
from tests.table import PERSONAS, SCENARIO, Script, Words, answer

__all__ = [
    "NAMES",
    "QUESTIONS",
    "WORDS",
    "Table",
    "files_of",
    "half_written",
    "material",
    "pairs",
    "report",
    "said",
    "text",
    "write_prompts",
]

NAMES = tuple(persona.name for persona in PERSONAS)

STAGES = ("open", "synthesise", "ratify")
"""Stages that take little time, and give texts for every rule."""

QUESTIONS = (
    "Should the village keep its night ferry?",
    "May a baker sell bread that is a day old?",
    "Who pays when hail breaks every window in town?",
    "Ought children to vote on school holidays?",
    "What do we owe travellers whose horses fall ill?",
    "Is it fair that musicians rehearse after midnight?",
    "How long must grief excuse unpaid debts?",
    "Could the library lend tools as well as books?",
)

WORDS = Assembly(configs=("transcripts",))
"""What is quick to write: no picture can be drawn of it."""


# --- one material, as the rules see it ---------------------------------------------------------


def text(
    kind: Kind,
    *,
    votes: Sequence[int | None] = (),
    carried: Sequence[float | None] = (),
    persona: str | None = None,
    objects: Sequence[str] = (),
    said: str | None = None,
    entropy: float | None = None,
) -> Text:
    """Return a text; votes and shares go by the personas in their order."""
    return Text(
        kind=kind,
        persona=persona,
        text=said or f"This is the {kind} of {persona or 'the panel'}.",
        endorsements=dict(zip(NAMES, votes, strict=False)),
        objections={name: f"{name} objects." for name in objects},
        carried=dict(zip(NAMES, carried, strict=False)),
        entropy=entropy,
    )


def material(*texts: Text, scenario: Scenario = SCENARIO, prompt: str = "p1", **changes: Any) -> Material:
    """Return what a deliberation would have left, with these texts."""
    given = {
        "prompt": Prompt(id=prompt, scenario=scenario, group=f"group of {prompt}", origin="here:1"),
        "voices": tuple(
            Voice(
                name=persona.name,
                label=persona.label,
                perspective=persona.perspective,
                region=persona.region,
                sha256=sha256(persona.name.encode()).hexdigest(),
                system=system_turn(persona),
                claims=(persona.commitments[0].statement,),
                sources=tuple(each.source for each in persona.commitments),
                schwartz=("Helpful",) if persona is not PERSONAS[1] else ("Loyal", "Helpful"),
                stance=None,
                final_stance=None,
            )
            for persona in PERSONAS
        ),
        "texts": texts,
        "shares": None,
        "moral_graph": None,
        "transcript": (),
        "provenance": {"model": "scripted", "seed": 7, "protocol": "trial", "sha256": {"scenario": "0" * 64}},
        "notice": None,
    }
    return Material(**{**given, **changes})


def pairs(given: Material, **options: Any) -> list[Pair]:
    """Return the pairs that the rules make of a material."""
    return [each for each in pairs_of(given, **{"seed": 0, **options}) if isinstance(each, Pair)]


# --- whole datasets ----------------------------------------------------------------------------


def said(act: Act[Any], seed: int) -> BaseModel:
    """Answer as the table does, at length, on the question, and such that every rule has something to prefer.

    The panel's Overton answer carries everyone's claim and is endorsed more than the answer without the
    panel; the first consensus statement draws an objection, and the revised one does not.
    """
    asked = act.scenario.question
    match act:
        case TakePosition():
            opened = answer(act, seed)
            assert isinstance(opened, Position)
            return opened.model_copy(
                update={
                    "statement": f"{opened.statement} As for what was asked, {asked} I would weigh it slowly."
                }
            )
        case Synthesise():
            claims = " ".join(persona.commitments[0].statement for persona in act.panel)
            draft = answer(act, seed)
            revised = "with the stream kept clean" if act.objections else "for the present"
            return draft.model_copy(
                update={
                    "overton": f"On the question {asked} the panel holds several things. {claims}",
                    "consensus": f"On the question {asked} we agree to go on {revised} and to ask again in spring.",
                }
            )
        case AnswerAlone():
            return Answered(answer=f"To the question {asked} one might say yes, or one might say no.")
        case Ratify():
            low = "one might say" in act.statement or "for the present" in act.statement
            objects = low and act.persona.name == "miller"
            return Ballot(
                endorsement=3 if low else 6, objection="It forgets the stream." if objects else None
            )
    return answer(act, seed)


def write_prompts(path: Path, questions: Iterable[str] = QUESTIONS) -> Path:
    """Write questions as JSONL, and return the file."""
    path.write_text("".join(f"{json.dumps({'question': each})}\n" for each in questions), encoding="utf-8")
    return path


def files_of(folder: Path) -> dict[str, str]:
    """Return the hash of every file of a dataset, what it was made from left out."""
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".build" not in path.relative_to(folder).parts
    }


def report(out: Path) -> dict[str, Any]:
    """Return what a dataset's `report.json` says."""
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


def half_written(out: Path) -> list[str]:
    """Return the files that a build left in sight although it was not finished, and what is partial anywhere."""
    return [name for name in files_of(out) if name != "lock"] + [str(p) for p in out.rglob("*.partial")]


class Table:
    """Builds datasets with the panel of the table and a scripted answer, and counts who was asked."""

    def __init__(self, folder: Path, script: Script = said, *, stages: Sequence[str] = STAGES) -> None:
        """Write pack and protocol into the folder; datasets go beside them."""
        folder.mkdir(parents=True, exist_ok=True)
        write_table(folder, *stages)
        self.folder = folder
        self.out = folder / "dataset"
        self.recipe = Recipe(personas=(str(folder / "table"),), protocol=str(folder / "trial.yaml"))
        self.responder = ScriptedResponder(script)
        self.words = Words()

    def plan(self, *prompts: Path, **changes: Any) -> Plan:
        """Return a plan for these prompt files."""
        given = {"model": "scripted", "recipe": self.recipe, "embedding": "words", "multiplex": "0"}
        return Plan(**{**given, "sources": sources_of(prompts), **changes})

    def build(
        self,
        prompts: Path,
        *,
        out: Path | None = None,
        plan: Mapping[str, Any] | None = None,
        assembly: Assembly | None = None,
        publication: Publication | None = None,
        masks: Masks | None = None,
        read: Callable[[], Iterable[Prompt | Skipped]] | None = None,
        extend: bool = False,
        on_phase: Callable[[str], None] = lambda phase: None,
        at_once: int = 4,
    ) -> Manifest:
        """Build a dataset of a prompt file, or go on with it."""

        async def made() -> Manifest:
            async with Session(model=self.responder, embedder=self.words, cache=False) as session:
                producer = Producer(session, self.words, self.recipe)

                async def taken() -> Iterable[Prompt | Skipped]:
                    return read() if read else read_prompts([prompts])

                def added(further: Sequence[Mapping[str, Any]]) -> Iterable[Prompt | Skipped]:
                    return read_prompts([prompts], only={each["path"]: each["file"] for each in further})

                def deliberate(store: Store) -> Awaitable[None]:
                    return deliberate_all(store, producer.produce, at_once=at_once)

                return await build(
                    out or self.out,
                    self.plan(prompts, **(plan or {})),
                    assembly or Assembly(),
                    publication or Publication(),
                    prompts=taken,
                    extend=added if extend else None,
                    deliberate=deliberate,
                    embedder=self.words,
                    masks=masks,
                    on_phase=lambda phase, states: on_phase(phase),
                )

        return asyncio.run(made())
