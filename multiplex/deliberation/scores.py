"""The scores of one deliberation: its data handed to the pure functions of `multiplex.scoring`."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from multiplex.content.passages import neutral_sentences, passages
from multiplex.content.personas import Pack
from multiplex.deliberation.audits import choice_of, discretion_of, inequity_of
from multiplex.deliberation.carried import CARRIED, Claims
from multiplex.deliberation.record import Record
from multiplex.deliberation.state import Plain, results_of
from multiplex.deliberation.steering import steerability_of
from multiplex.embedding import Embedder, Vectors
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.edges import Edge
from multiplex.moral_graph.formats.reading import read_graph, to_json
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Transition
from multiplex.moral_graph.ranking import winning_values
from multiplex.runs import Answers
from multiplex.scoring.agreement import krippendorff_alpha
from multiplex.scoring.classifiers import Controlled
from multiplex.scoring.consensus import endorsement, group_aware_consensus
from multiplex.scoring.corpus import perspective_sentiment
from multiplex.scoring.dynamics import dynamics
from multiplex.scoring.evenness import CORRECTED_DRAWS
from multiplex.scoring.intervals import interval_of
from multiplex.scoring.judge import labels_from_references
from multiplex.scoring.perspectives import PerspectiveClassifier, perspective_entropy
from multiplex.scoring.pluralism import representation
from multiplex.scoring.score import Score, plain
from multiplex.sentences import sentences

__all__ = [
    "Embed",
    "classifier_for",
    "judgements_of",
    "moral_graph_of",
    "read_moral_graph",
    "rounded",
    "scores_of",
]

Embed = Callable[[Sequence[str]], Vectors]

_DIGITS = 4
"""Scores are rounded, so that the last bits of a matrix product do not tell two equal runs apart."""

_SAME = 1e-9
"""Shares of a stance that lie no further apart are equal."""

_MOST_TRAINED = 8
_TRAINED: dict[tuple[str, str], PerspectiveClassifier] = {}


def classifier_for(pack: Pack, embedder: Embedder) -> PerspectiveClassifier:
    """Return the default classifier, trained once a process on the commitments of a pack."""
    content = "".join(p.model_dump_json() for p in pack.personas) + repr((pack.perspectives, pack.lexicon))
    key = (embedder.name, hashlib.sha256(content.encode()).hexdigest())
    if key not in _TRAINED:
        while len(_TRAINED) >= _MOST_TRAINED:
            del _TRAINED[next(iter(_TRAINED))]  # the oldest
        _TRAINED[key] = PerspectiveClassifier.train(
            [passage for persona in pack.personas for passage in passages(persona)],
            pack.perspectives,
            pack.lexicon,
            neutral_sentences(),
            embedder.embed,
        )
    return _TRAINED[key]


def scores_of(
    record: Record,
    answers: Answers,
    graph: MoralGraph | None,
    *,
    embed: Embed,
    classifier: Controlled,
) -> Plain:
    """Return every score of a run as plain data; an undefined one is null with its reason."""
    entropies: Plain = {
        "overton": _entropy(answers.overton, classifier, answers.reasons.get("overton")),
        "steered": {name: _entropy(s.answer, classifier, None) for name, s in answers.steered.items()},
        "control": plain(classifier.control()),
    }
    represented = _representation(answers, answers.overton, embed)
    scores: Plain = {
        "perspective_entropy": entropies,
        "consensus": _consensus(record, answers),
        "agreement": _agreement(record),
        "representation": {
            "overton": represented,
            "consensus": _representation(
                answers, answers.consensus.statement if answers.consensus else None, embed
            ),
        },
        "dynamics": _dynamics(record),
        "moral_graph": _graph_summary(graph),
        "steerability": steerability_of(answers, classifier, record.perspectives),
        "choice": choice_of(record),
        "discretion": discretion_of(record),
        "inequity": inequity_of(record, answers, represented),
    }
    if record.references is not None:
        scores["observed"] = _observed(record, answers, classifier.perspectives)
    found: Plain = rounded(scores)
    return found


def _observed(record: Record, answers: Answers, perspectives: Sequence[str]) -> Plain:
    """Return what the observer marked in the answer, and how the answer speaks of the perspectives."""
    marked = list(record.references or ())
    references = [(each["perspective"], each["span"], each["sentiment"]) for each in marked]
    try:
        labels = labels_from_references(sentences(answers.overton or ""), references, perspectives)
        sentiment = perspective_sentiment(labels, perspectives)
    except ValueError as error:  # a span may reach over the end of a sentence
        sentiment = Score.undefined(str(error))
    return {"classifier": "observer", "references": marked, "sentiment": sentiment.as_dict()}


def judgements_of(state: Mapping[str, Any]) -> list[Judgement]:
    """Read the judgements off the record: a failed act is an abstention, with its reason."""
    transitions = {t["id"]: t for t in state.get("transitions", [])}
    judgements = []
    for result in results_of(state, "compare.judge"):
        transition, reply = transitions[result["about"]], result["reply"]
        judgements.append(
            Judgement(
                transition=transition["id"],
                source=transition["source"],
                wiser=transition["wiser"],
                context=transition["context"],
                judge=result["speaker"],
                verdict=reply["verdict"] if reply else "abstained",
                reason=reply["reason"] if reply else result["failure"]["reason"],
                seed=result["seed"],
            )
        )
    return judgements


def moral_graph_of(state: Mapping[str, Any]) -> tuple[MoralGraph | None, Plain | None]:
    """Return the moral graph, and the same as JSON in the published shape with what it was made from.

    Its numbers are exact, so that the edges it holds are those that its judgements make.
    """
    if not state.get("values"):
        return None, None
    cards = [ValuesCard.model_validate(card) for card in state["values"]]
    judgements = judgements_of(state)
    graph = aggregate(cards, judgements)
    transitions = [Transition.model_validate(each) for each in state.get("transitions", [])]
    merged = {card: into for card, into in state.get("aliases", {}).items() if card != into}
    published = to_json(graph, judgements, transitions=transitions, merged=merged)
    published["winners"] = rounded(plain(winning_values(graph)))
    return graph, published


def read_moral_graph(published: Mapping[str, Any]) -> MoralGraph:
    """Return the moral graph that `moral_graph_of` published, made again from its cards and judgements."""
    return read_graph(published).graph


def rounded(data: Any) -> Any:
    """Round every float below plain data to the digits that scores are reported with."""
    if isinstance(data, float):
        return round(data, _DIGITS)
    if isinstance(data, dict):
        return {key: rounded(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [rounded(value) for value in data]
    return data


def _entropy(text: str | None, classifier: Controlled, reason: str | None) -> Plain:
    if text is None:
        return Score.undefined(reason or "there is no text").as_dict()
    found: Plain = perspective_entropy(text, classifier, corrected_draws=CORRECTED_DRAWS).as_dict()
    del found["control"]  # the same for every text: it stands once, beside them
    return found


def _consensus(record: Record, answers: Answers) -> Plain:
    if answers.consensus is None:
        nothing = Score.undefined(answers.reasons["consensus"]).as_dict()
        return {"endorsement": nothing, "group_aware": nothing}
    ballots = answers.consensus.endorsements
    groups: dict[str, dict[str, int | None]] = {}
    for name, steered in answers.steered.items():
        leaning = _leaning(steered.stance or {})
        if leaning is not None and name in ballots:
            groups.setdefault(leaning, {})[name] = ballots[name]
    grouped = {name for group in groups.values() for name in group}
    group_aware = (
        group_aware_consensus(groups)
        if len(groups) > 1
        else Score.undefined("there are no two opinion groups (groups are the options that openings lean to)")
    )
    return {
        "endorsement": endorsement(ballots).as_dict(),
        "first_draft": endorsement(record.ballots).as_dict(),
        "group_aware": {**group_aware.as_dict(), "ungrouped": sorted(ballots.keys() - grouped)},
    }


def _leaning(stance: Mapping[str, float]) -> str | None:
    """Return the option that a stance gives most; None where it states nothing, or several share the first place."""
    first = [option for option, share in stance.items() if share >= max(stance.values()) - _SAME]
    return first[0] if len(first) == 1 else None


def _agreement(record: Record) -> Plain:
    units: dict[str, dict[str, str | float | None]] = {}
    counts = {"wiser": 0, "not_wiser": 0, "unsure": 0, "abstained": 0}
    for judgement in record.judgements:
        counts[judgement.verdict] += 1
        verdict = None if judgement.verdict == "abstained" else judgement.verdict
        units.setdefault(judgement.transition, {})[judgement.judge] = verdict
    if not units:
        nothing = Score.undefined("nothing was judged", interval=None)
        return {"krippendorff_alpha": nothing.as_dict(), "verdicts": counts}
    alpha = krippendorff_alpha(units.values(), over="transitions")
    return {"krippendorff_alpha": alpha.as_dict(), "verdicts": counts}


def _representation(answers: Answers, text: str | None, embed: Embed) -> Plain:
    parts = sentences(text) if text else ()
    if not parts or not answers.steered:
        return Score.undefined("there is no text" if not parts else "no persona made a claim").as_dict()
    claims = {name: [c["text"] for c in steered.claims] for name, steered in answers.steered.items()}
    return representation(Claims(claims, embed).nearness(parts), threshold=CARRIED).as_dict()


def _dynamics(record: Record) -> Plain:
    found: Plain = dynamics(record.rounds, options=record.options).as_dict()
    return found


def _graph_summary(graph: MoralGraph | None) -> Plain:
    if graph is None:
        return {"value": None, "reason": "the protocol compares no values"}
    winners = winning_values(graph)
    kept = [edge for edge in graph.edges if edge.kept]
    return {
        "cards": len(graph.values),
        "edges_judged": sum(edge.counts.judged for edge in graph.edges),
        "edges_kept": len(kept),
        "mean_likelihood": _mean_likelihood(kept),
        "winners": plain(winners),
    }


def _mean_likelihood(kept: Sequence[Edge]) -> Plain:
    if not kept:
        return Score.undefined("no edge was kept").as_dict()
    found = interval_of([edge.likelihood for edge in kept], over="edges", seed=0)
    return {**found.score.as_dict(), "interval": found.beside()}
