"""What `multiplex score` computes: texts and runs scored again, and several runs taken together."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from multiplex.acts.observer import Observer
from multiplex.acts.replies import Reference
from multiplex.cli.score_shown import scores_in
from multiplex.cli.texts import Passage, read_passages
from multiplex.content.passages import Passage as Spoken
from multiplex.content.passages import neutral_sentences, passages
from multiplex.content.personas import Pack, load_pack
from multiplex.deliberation.record import Record
from multiplex.deliberation.scores import classifier_for, read_moral_graph, rounded, scores_of
from multiplex.embedding import Embedder
from multiplex.entailment import CrossEncoderEntailment
from multiplex.errors import ContentError, ModelError, RunError
from multiplex.models.pool import ModelPool
from multiplex.responders.language_model import LanguageModelResponder
from multiplex.runs import Run, load_run
from multiplex.scoring.classifiers import Controlled, Recorded, SentenceLabel, classifier_agreement
from multiplex.scoring.corpus import corpus_entropy, perspective_sentiment
from multiplex.scoring.evenness import CORRECTED_DRAWS
from multiplex.scoring.intervals import interval_of
from multiplex.scoring.judge import judge, labels_from_references
from multiplex.scoring.measured import measure
from multiplex.scoring.nli import NliClassifier
from multiplex.scoring.perspectives import perspective_entropy
from multiplex.scoring.pluralism import overton_entailment
from multiplex.scoring.score import Score, plain
from multiplex.sentences import sentences

T = TypeVar("T")

__all__ = ["TEXT_SCORES", "Judges", "score_files"]

TEXT_SCORES = ("perspective_entropy", "sentiment", "agreement")
"""What a text that comes from no run is scored on."""

_SAMPLE = 20
"""On how many of each perspective's passages a classifier is measured that was not trained here."""


_MOST_LOST = 0.1
"""The largest share of sentences that a judge may fail on before its labels are no basis for a score."""


@dataclass(frozen=True, slots=True)
class Judges:
    """Who labels sentences: `default`, `nli:NAME-OR-FOLDER`, or a model such as `openai:NAME`."""

    names: tuple[str, ...] = ("default",)
    base_url: str | Mapping[str, str] | None = None
    api_key: str | None = None
    seed: int = 0


def score_files(
    files: Sequence[Path],
    *,
    pack: str | None,
    wanted: Sequence[str] | None,
    judges: Judges,
    embedder: Embedder,
) -> dict[str, Any]:
    """Score texts, or runs, and return plain data.

    Of one run come all its scores, computed again, against its own pack unless another is given (which
    `other_packs` then tells, by run); of several also, for each number in them, the mean over runs with a
    bootstrap interval. Of texts come `TEXT_SCORES`, for each text and for all together.

    Raises:
        ContentError: a file, the pack, a score's or a classifier's name is wrong, a file is JSON and no text, or
            runs and texts are mixed.
        RunError: a run is damaged.
        ModelError: a model cannot be loaded or asked.
    """
    runs = [file for file in files if (file / "run.json").is_file()]
    if runs and len(runs) < len(files):
        raise ContentError("runs and texts were named together; score them apart")
    if runs:
        for name in judges.names:
            if name != "default" and not name.startswith("nli:"):
                raise ContentError(
                    f"--classifier {name} is for texts; a run is scored with default, and with nli:MODEL also "
                    "which of the opening claims its answer entails"
                )
        return _runs([load_run(run) for run in runs], pack, wanted, judges, embedder)
    _known(wanted, TEXT_SCORES)
    given = [passage for file in files for passage in _prose(file)]
    return _texts(given, load_pack(pack or "civilizations"), wanted or TEXT_SCORES, judges, embedder)


def _prose(file: Path) -> list[Passage]:
    """Read the texts of a file that is no run.

    Raises ContentError also where a file that is not called `.jsonl` holds an object or a list in JSON: its marks
    and names are nobody's words.
    """
    found = read_passages(file)
    if file.suffix == ".jsonl" or file.is_dir():
        return found
    (_, text), *_ = found
    lines = [line for line in text.split("\n") if line.strip()]
    for whole in (text, lines[0]):
        data = _json(whole)
        if isinstance(data, dict) and {"values", "edges"} <= data.keys():
            raise ContentError(f"{file}: is a moral graph and no text; `multiplex graph show` reads it")
        if isinstance(data, dict | list):
            raise ContentError(
                f"{file}: is JSON and no text; put the texts into a .jsonl file, one JSON value a line, each a text "
                "in quotes or an object with `text` or `answer`"
            )
    return found


def _json(text: str) -> object:
    """Return what JSON says, or None where it is none."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _known(wanted: Sequence[str] | None, known: Sequence[str]) -> None:
    for name in wanted or ():
        if name not in known:
            raise ContentError(f"no score named {name!r} here; there are {', '.join(known)}")


def _runs(
    runs: Sequence[Run],
    pack: str | None,
    wanted: Sequence[str] | None,
    judges: Judges,
    embedder: Embedder,
) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "runs", "runs": {}}
    models = [name.removeprefix("nli:") for name in judges.names if name != "default"]
    entailments = {name: CrossEncoderEntailment(name) for name in models}
    given = load_pack(pack) if pack else None
    for run in runs:
        scores = _run(run, given or _own_pack(run), embedder)
        if entailments:
            scores["entailment"] = {name: _entailed(run, each) for name, each in entailments.items()}
        _known(wanted, tuple(scores))
        found["runs"][run.run] = {name: scores[name] for name in wanted or scores}
    if given and (other := {run.run: pack for run in runs if given.name != _pack_of(run)}):
        found["other_packs"] = other
    scenarios = sorted({run.scenario for run in runs})
    if len(scenarios) > 1:
        found["over_runs_reason"] = (
            f"runs of different scenarios ({', '.join(scenarios)}) have no common mean"
        )
    elif len(found["runs"]) > 1:
        numbers = [
            {place: each["value"] for place, each in scores_in(scores)} for scores in found["runs"].values()
        ]
        places = dict.fromkeys(place for each in numbers for place in each)
        found["over_runs"] = {
            place: interval_of([each.get(place) for each in numbers], over="runs", seed=0).as_dict()
            for place in places
        }
    result: dict[str, Any] = rounded(found)
    return result


def _run(run: Run, pack: Pack, embedder: Embedder) -> dict[str, Any]:
    try:
        record = Record.of_run(run)
        graph = read_moral_graph(run.moral_graph) if run.moral_graph else None
        classifier = classifier_for(pack, embedder)
        return scores_of(record, run.answers, graph, embed=embedder.embed, classifier=classifier)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.path}: is damaged: {error}") from error


def _own_pack(run: Run) -> Pack:
    name = _pack_of(run)
    try:
        return load_pack(name)
    except ContentError as error:
        raise ContentError(
            f"{run.path}: was scored against the pack {name!r}, which does not ship with Multiplex; "
            "name its folder with --pack, for runs of that pack alone"
        ) from error


def _pack_of(run: Run) -> str:
    return str(run.manifest["content"].get("pack", ""))


def _entailed(run: Run, model: CrossEncoderEntailment) -> dict[str, Any]:
    """Return how far the opening claims entail the Overton answer's sentences, as Modular Pluralism measures it."""
    claims = {name: [each["text"] for each in told.claims] for name, told in run.answers.steered.items()}
    return overton_entailment(claims, sentences(run.answers.overton or ""), model.entails).as_dict()


def _texts(
    given: Sequence[tuple[str, str]], pack: Pack, wanted: Sequence[str], judges: Judges, embedder: Embedder
) -> dict[str, Any]:
    split = {where: sentences(text) for where, text in given}
    everything = list(dict.fromkeys(one for each in split.values() for one in each))
    failed: dict[str, dict[str, Any]] = {}
    classifiers = {
        name: _classifier(name, everything, pack, judges, embedder, failed) for name in judges.names
    }
    found: dict[str, Any] = {"kind": "texts", "pack": pack.name, "texts": len(given), "classifiers": {}}
    for name, classifier in classifiers.items():
        each = found["classifiers"][name] = {"control": plain(classifier.control())}
        if name in failed:
            each["failed"] = failed[name]
        if "perspective_entropy" in wanted:
            each["perspective_entropy"] = {
                where: _without_control(
                    perspective_entropy(text, classifier, corrected_draws=CORRECTED_DRAWS, seed=judges.seed)
                )
                for where, text in given
            }
            if len(given) > 1:
                pooled = corpus_entropy(
                    [text for _, text in given],
                    classifier,
                    corrected_draws=CORRECTED_DRAWS,
                    seed=judges.seed,
                )
                each["over_texts"] = {
                    "micro": _without_control(pooled.micro),
                    "macro": _without_control(pooled.macro),
                }
        if "sentiment" in wanted:
            each["sentiment"] = _sentiment(name, given, pack, judges)
    if "agreement" in wanted and len(classifiers) < 2 and wanted is not TEXT_SCORES:
        found["agreement"] = Score.undefined("agreement needs two classifiers: --classifier twice").as_dict()
    elif "agreement" in wanted and len(classifiers) > 1:
        labelled = {
            name: {each.sentence: each.label for each in classifier.label(everything)}
            for name, classifier in classifiers.items()
        }
        agreed = classifier_agreement(labelled)
        pairs = {" and ".join(pair): score.as_dict() for pair, score in agreed.kappa.items()}
        found["agreement"] = {"alpha": agreed.alpha.as_dict(), "kappa": pairs}
    result: dict[str, Any] = rounded(found)
    return result


def _sentiment(name: str, given: Sequence[tuple[str, str]], pack: Pack, judges: Judges) -> dict[str, Any]:
    """Return how texts speak of perspectives, which only a language model tells: one request a text."""
    if name.partition(":")[0] not in {"openai", "vllm"}:
        reason = "only a language model tells: --classifier openai:NAME"
        return Score.undefined(reason).as_dict()

    async def asked(observer: Observer) -> list[tuple[Reference, ...] | str]:
        texts = (observer.references(text, pack.perspectives, judges.seed) for _, text in given)
        return list(await asyncio.gather(*texts))

    labels: list[SentenceLabel] = []
    failed: dict[str, str] = {}
    answers = asyncio.run(_with_observer(name, judges, asked))
    for (where, text), answer in zip(given, answers, strict=True):
        if isinstance(answer, str):
            failed[where] = answer
            continue
        references = [(each.perspective, each.span, each.sentiment) for each in answer]
        try:
            labels += labels_from_references(sentences(text), references, pack.perspectives)
        except ValueError as error:  # a model's span may reach over the end of a sentence
            failed[where] = str(error)
    found = perspective_sentiment(labels, pack.perspectives)
    return {**found.as_dict(), "failed": failed}


def _without_control(score: Any) -> dict[str, Any]:
    found: dict[str, Any] = score.as_dict()
    found.pop("control", None)  # the same for every text: it stands once, beside them
    return found


def _classifier(
    name: str,
    given: Sequence[str],
    pack: Pack,
    judges: Judges,
    embedder: Embedder,
    failed: dict[str, dict[str, Any]],
) -> Controlled:
    if name == "default":
        return classifier_for(pack, embedder)
    kind, _, rest = name.partition(":")
    known = _sample(pack)
    neutral = list(neutral_sentences())[:: max(1, len(neutral_sentences()) // (2 * _SAMPLE))]
    if kind == "nli" and rest:
        nli = NliClassifier(pack.perspectives, CrossEncoderEntailment(rest).entails)
        return measure(nli, known, neutral, lexicon=pack.lexicon)
    if kind not in {"openai", "vllm"} or not rest:
        raise ContentError(
            f"no classifier named {name!r}; it is default, nli:MODEL, openai:NAME or vllm:NAME"
        )
    asked = [*given, *(text for _, text, _, _ in known), *neutral]

    def judged(observer: Observer) -> Awaitable[Recorded]:
        return judge(asked, pack.perspectives, observer.weigh, seed=judges.seed)

    found = asyncio.run(_with_observer(name, judges, judged))
    if lost := len(found.failed):
        of, reason = len(set(asked)), next(iter(found.failed.values()))
        failed[name] = {"sentences": lost, "of": of, "reason": reason}
        if lost > _MOST_LOST * of:  # what is left would not be what was asked for
            raise ModelError(f"{name} could not label {lost} of {of} sentences: {reason}", kind="judge")
    return measure(found, known, neutral, lexicon=pack.lexicon)


async def _with_observer(name: str, judges: Judges, ask: Callable[[Observer], Awaitable[T]]) -> T:
    """Return what is asked of a model that is closed afterwards."""
    pool = ModelPool(base_url=judges.base_url, api_key=judges.api_key)
    try:
        model = pool.named(name)
        assert model is not None  # noqa: S101 (the kind was checked)
        return await ask(Observer(LanguageModelResponder(model)))
    finally:
        await pool.aclose()


def _sample(pack: Pack) -> list[Spoken]:
    """Return some passages of every perspective, spread over all that its personas say."""
    found = []
    for persona in pack.personas:
        tested = [each for each in passages(persona) if each[3]]
        found += tested[:: max(1, len(tested) // _SAMPLE)][:_SAMPLE]
    return found
