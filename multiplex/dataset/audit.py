"""An audit of any preference set: whose side it takes, which perspectives it speaks from, how evenly, how long.

After AI Alignment at Your Discretion (arXiv 2502.10441), with personas in the place of principles. A set of
our own holds what each persona endorsed; for a foreign one a pack's personas judge by embeddings, which is
an estimate and is said to be one. One pass, running counts; texts are kept for a sample of pairs alone.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from multiplex.acts import Ratify
from multiplex.content.personas import Pack
from multiplex.content.scenarios import Scenario
from multiplex.dataset.label_counts import LabelCounts
from multiplex.dataset.manifest import read_manifest
from multiplex.dataset.pair_files import Columns, Labelled, Preference, Side, label, read_preferences
from multiplex.dataset.pair_sources import data_files
from multiplex.dataset.reading import LONGEST_LINE
from multiplex.dataset.side_counts import Counts
from multiplex.deliberation.scores import classifier_for, rounded
from multiplex.embedding import Embedder
from multiplex.errors import ContentError
from multiplex.responders.extractive.persona import coverage, opening_commitments, ratify
from multiplex.responders.relevance import Relevance
from multiplex.scoring.classifiers import Controlled, SentenceLabel
from multiplex.scoring.corpus import corpus_entropy
from multiplex.scoring.evenness import CORRECTED_DRAWS
from multiplex.scoring.score import Score, plain
from multiplex.sentences import sentences

__all__ = ["BAND", "SAMPLE", "audit"]

SAMPLE = 2_000
"""How many pairs are embedded."""

BAND = 0.02
"""The least difference of two nearnesses, as cosines, that counts as a side where sides are estimated."""

_FEWEST = 12
"""Sentences below which no entropy is corrected: on so many the interval of a corrected one was tried."""

_AT_ONCE = 64
"""Texts whose sentences are embedded in one go."""


def audit(
    *paths: Path,
    pack: Pack,
    embedder: Embedder,
    columns: Columns | None = None,
    config: str | None = None,
    split: str | None = None,
    sample: int = SAMPLE,
    seed: int = 0,
    band: float = BAND,
) -> dict[str, Any]:
    """Audit a preference set, in files or folders of them (see `data_files`); return plain data.

    - `form`: `pairs`, or `labels` where texts are marked as desirable or not without a pair.
    - `rows`, `pairs` that differ, `identical` ones, and rows `skipped` by kind, with the first `reasons`.
    - `basis`: whether sides are `recorded` in the rows or `estimated` by embeddings, over how many pairs, and
      the same in words, with how many pairs are nobody's (of ours, under a persona's own system turn, where nobody
      votes) and how many others record none: neither are cases. A set in which all are nobody's is `recorded` too,
      over 0 pairs.
    - `discretion`: cases of consensus, conflict and indifference and how each was `decided`; `arbitrariness`,
      the share of consensus cases decided against the consensus, `against` the first of these; for each
      persona its side `with` and `against`, its `win_rate` (with / both), its `supremacy` (the same in
      conflicts alone) and its mean endorsement, 1 to 7, of what was chosen and of what was rejected.
      `longer_preferred` is the share of all sides that are the longer text's, its interval that of as many
      sides as there are pairs.
    - `inequity` over personas of the mean endorsement of what was chosen, and of the win rate.
    - `length`: characters and words by side, their difference, and `longer_wins`, the share of pairs of
      different length in which the longer is chosen.
    - `rules`: the same by rule; and `not_made`, what a dataset's own report says that its rules made no pair of,
      and why (`conflict`: some persona would have lost by it), else None.
    - `perspective_entropy` of the chosen, the rejected and all texts of a sample (`sample`), with its controls.
      `corrected` is undefined below 12 sentences, pooled or at the mean of the texts.

    Of texts without a pair the sides are desirable and undesirable ones; `texts` counts them, and `personas`
    holds each persona's mean endorsement of either and the `difference`, whose inequity over personas stands
    beside the two means'. Texts of ours under a persona's own system turn are left out of these, and `basis` says
    of how many: what is labelled there is the character. `discretion` is undefined, and so is whether the longer
    wins: both are of pairs.

    Sides are recorded where a persona endorsed both texts, or where a row without a persona of its own names
    `supporters` or `opponents`. In a set without any such row every persona of the pack takes the side of the text
    that carries more of the concerns that it would open with on the prompt (all of its concerns where there is
    none), unless the difference is below `band` or the pair is nobody's; its endorsement is the extractive
    responder's, where there is a prompt.
    Intervals take pairs as independent, which those on one prompt are not.

    Source: AI Alignment at Your Discretion, arXiv 2502.10441; intervals of shares: Wilson, Probable Inference,
    the Law of Succession, and Statistical Inference, Journal of the American Statistical Association 22 (1927);
    of means: Student, The Probable Error of a Mean, Biometrika 6 (1908).

    Raises:
        ContentError: what is at a path is no preference set, or no row of it is a pair or has a label.
        ModelError: the embedding model cannot be loaded.
    """
    if sample < 0 or not 0 <= band <= 2:
        raise ContentError("sample: needs 0 or more pairs, and band a difference of cosines from 0 to 2")
    sources = data_files(paths, config=config, split=split)
    found, marked = Counts(sample, seed), LabelCounts(sample, seed)
    for where, entry in read_preferences(sources, columns or Columns()):
        if isinstance(entry, Labelled):
            marked.add(entry)
        else:
            found.add(where, entry)
    if not found.pairs and not found.identical and not marked.number:
        reason = next(iter(found.reasons), "it holds no rows")
        raise ContentError(f"{sources.name}: no row is a pair of a chosen and a rejected text; {reason}")
    result = {
        "source": sources.name,
        "files": len(sources.files),
        "config": sources.config,
        "splits": sources.splits,
        "form": "labels" if marked.number else "pairs",
        "pack": pack.name,
        "rows": found.rows + marked.number,
        "pairs": found.pairs,
        "identical": found.identical,
        "skipped": dict(found.skipped),
        "reasons": found.reasons,
        **(
            _of_labels(marked, pack, embedder, sample, seed)
            if marked.number
            else _of_pairs(found, pack, embedder, sample, seed, band)
        ),
        "not_made": _not_made(paths),
        "notes": [*sources.notes, *_notes(paths, pack)],
    }
    plainly: dict[str, Any] = rounded(plain(result))
    return plainly


def _of_pairs(
    found: Counts, pack: Pack, embedder: Embedder, sample: int, seed: int, band: float
) -> dict[str, Any]:
    kept, judged = found.kept, found.whole.tally.cases
    judgeable = [pair for pair in kept if not pair.nobodys]
    _embed([text for pair in kept for text in pair.texts], embedder)
    recorded = judged > 0 or 0 < found.pairs == found.nobodys
    if not recorded:
        _estimate(found, judgeable, pack, embedder, band)
    sides = {
        "chosen": [pair.chosen for pair in kept],
        "rejected": [pair.rejected for pair in kept],
        "all": [text for pair in kept for text in pair.texts],
    }
    return {
        "sample": {
            "asked": sample,
            "pairs": len(kept),
            "of": found.pairs,
            "seed": seed,
            "shortened": sum(not pair.whole for pair in kept),
        },
        "basis": _recorded(found) if recorded else _estimated(found, len(judgeable), pack, embedder, band),
        **found.whole.summary(),
        "rules": {rule: part.summary() for rule, part in sorted(found.parts.items())},
        "perspective_entropy": _entropies(sides, pack, embedder, seed, "no pair was sampled"),
    }


def _of_labels(marked: LabelCounts, pack: Pack, embedder: Embedder, sample: int, seed: int) -> dict[str, Any]:
    kept = marked.kept
    _embed([row.text for row in kept], embedder)
    relevance = Relevance(embedder, pack.personas)
    asked = [row for row in kept if row.question and not row.nobodys]
    for row in asked:
        scenario = Scenario(name="audited", question=row.question)
        for persona in pack.personas:
            act = Ratify(scenario=scenario, persona=persona, statement=row.text)
            marked.endorse(row, persona.name, ratify(relevance, act).endorsement)
    sides = {
        "desirable": [row.text for row in kept if row.desirable],
        "undesirable": [row.text for row in kept if not row.desirable],
        "all": [row.text for row in kept],
    }
    return {
        "sample": {
            "asked": sample,
            "texts": len(kept),
            "of": marked.number,
            "seed": seed,
            "shortened": sum(not row.whole for row in kept),
        },
        "basis": _basis_of_labels(len(asked), kept, pack, embedder),
        **marked.summary([persona.name for persona in pack.personas]),
        "perspective_entropy": _entropies(sides, pack, embedder, seed, "no text of this kind was sampled"),
    }


def _embed(texts: Sequence[str], embedder: Embedder) -> None:
    for start in range(0, len(texts), _AT_ONCE):  # in one go it is faster than text by text
        embedder.embed([one for text in texts[start : start + _AT_ONCE] for one in sentences(text)])


def _recorded(found: Counts) -> dict[str, Any]:
    """Return that sides are recorded, and in how many pairs they are not, in words too."""
    judged = found.whole.tally.cases
    said = f"sides are those that the rows record{_nobodys(found)}"
    if left := found.pairs - found.nobodys - judged:
        said += f"; {left:,} of {found.pairs:,} pairs record none"
    return {"kind": "recorded", "pairs": judged, "band": None, "embedding": None, "said": said}


def _nobodys(found: Counts) -> str:
    if not found.nobodys:
        return ""
    return (
        f"; in {found.nobodys:,} of {found.pairs:,} pairs nobody's is, as under a persona's own system turn"
    )


def _estimated(found: Counts, sampled: int, pack: Pack, embedder: Embedder, band: float) -> dict[str, Any]:
    """Return that sides are estimated, of how many sampled pairs, in words too."""
    if not sampled:
        said = "no row records a side, and no pair was sampled to estimate one"
        return {"kind": None, "pairs": 0, "band": None, "embedding": None, "said": said}
    said = (
        "an estimate by embeddings, which cannot tell a claim from its denial, and nobody's own judgement: "
        f"on {sampled:,} sampled pairs each persona of the "
        f"pack {pack.name!r} takes the side of the text whose sentences come nearer to its concerns, and neither "
        f"where the cosines differ by less than {band:g}{_nobodys(found)}"
    )
    return {"kind": "estimated", "pairs": sampled, "band": band, "embedding": embedder.name, "said": said}


def _basis_of_labels(asked: int, kept: Sequence[Labelled], pack: Pack, embedder: Embedder) -> dict[str, Any]:
    """Return where endorsements of texts without a pair come from, and of how many there are none, in words too."""
    nobodys = sum(row.nobodys for row in kept)
    left = (
        f"; {nobodys:,} of {len(kept):,} sampled texts are judged by nobody, for under a persona's own system turn it "
        "is the character that is desirable or not, and no view"
        if nobodys
        else ""
    )
    if not asked:
        why = "no other text" if nobodys else "no text"
        said = f"nobody's, for {why} that was sampled stands with a prompt, and an endorsement is of an answer{left}"
        return {"kind": None, "texts": 0, "embedding": None, "said": said}
    said = (
        "an estimate by embeddings, which cannot tell a claim from its denial, and nobody's own judgement: of "
        f"{asked:,} sampled texts, how far each carries what a persona of the pack {pack.name!r} would open with{left}"
    )
    return {"kind": "estimated", "texts": asked, "embedding": embedder.name, "said": said}


def _estimate(found: Counts, kept: Sequence[Preference], pack: Pack, embedder: Embedder, band: float) -> None:
    """Have the pack's personas judge these pairs of the sample."""
    relevance = Relevance(embedder, pack.personas)
    for pair in kept:
        sides: dict[str, Side | None] = {}
        ballots: dict[Side, dict[str, int]] = {"chosen": {}, "rejected": {}}
        scenario = Scenario(name="audited", question=pair.question) if pair.question else None
        for persona in pack.personas:
            own = opening_commitments(relevance, persona, scenario) if scenario else [*persona.commitments]
            first, second = (float(coverage(relevance, own, text).mean()) for text in pair.texts)
            ahead = first - second
            sides[persona.name] = None if abs(ahead) < band else "chosen" if ahead > 0 else "rejected"
            if scenario:  # an endorsement is of an answer to something
                for side, text in zip(ballots, pair.texts, strict=True):
                    act = Ratify(scenario=scenario, persona=persona, statement=text)
                    ballots[side][persona.name] = ratify(relevance, act).endorsement
        for part in found.both(pair):
            part.tally.add(replace(pair, sides=sides, ballots=ballots))


class _Remembering:
    """A classifier that labels every text once: what is chosen and what is rejected is all there is."""

    def __init__(self, classifier: Controlled) -> None:
        self._classifier = classifier
        self._known: dict[tuple[str, ...], list[SentenceLabel]] = {}
        self.perspectives = classifier.perspectives
        self.control, self.likelihoods = classifier.control, classifier.likelihoods
        self.noise_floor = classifier.noise_floor

    def label(self, given: Sequence[str]) -> list[SentenceLabel]:
        key = tuple(given)
        if key not in self._known:
            self._known[key] = self._classifier.label(given)
        return self._known[key]


def _entropies(
    sides: Mapping[str, Sequence[str]], pack: Pack, embedder: Embedder, seed: int, missing: str
) -> dict[str, Any]:
    nothing = Score.undefined(missing)
    if not sides["all"]:
        return {**{side: {"micro": nothing, "macro": nothing} for side in sides}, "control": None}
    classifier = _Remembering(classifier_for(pack, embedder))
    found: dict[str, Any] = {}
    for side, texts in sides.items():
        if not texts:
            found[side] = {"micro": nothing, "macro": nothing}
            continue
        pooled = corpus_entropy(texts, classifier, corrected_draws=CORRECTED_DRAWS, seed=seed)
        number = pooled.micro.detail.get("sentences", 0)
        enough = {"micro": number, "macro": number / len(texts)}
        left_out = {"control", "entropies"}  # the one is the same for all, the other as long as the sample
        found[side] = {
            how: {name: value for name, value in score.as_dict().items() if name not in left_out}
            | _corrected(score, how, enough[how])
            for how, score in (("micro", pooled.micro), ("macro", pooled.macro))
        }
    return {**found, "control": classifier.control()}


def _corrected(score: Score, how: str, number: float) -> dict[str, Any]:
    """Return the corrected entropy of so many sentences, or that they are too few for one."""
    if number >= _FEWEST or score.value is None:
        return {}
    what = f"{number:g} sentences" if how == "micro" else f"{number:.1f} sentences a text"
    reason = f"{what}: below {_FEWEST} a correction for the classifier's errors says nothing"
    return {"corrected": Score.undefined(reason, interval=None)}


def _not_made(paths: Sequence[Path]) -> dict[str, dict[str, int]] | None:
    """Return the pairs that a dataset's rules did not make, by rule and reason, from the report beside it."""
    file = paths[0] / "report.json"
    try:
        if len(paths) > 1 or not file.is_file() or file.stat().st_size > LONGEST_LINE:
            return None
        rules = json.loads(file.read_bytes())["rules"]
        return {
            label(rule): {label(why): int(number) for why, number in told.items() if why != "made"}
            for rule, told in rules.items()
        }
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None  # a folder of this layout need not be ours


def _notes(paths: Sequence[Path], pack: Pack) -> list[str]:
    notes = []
    for path in paths:
        if not path.is_dir():
            continue
        with suppress(ContentError):  # a folder of this layout need not be ours
            listed = read_manifest(path).perspectives
            if listed and set(listed) != set(pack.perspectives):
                notes.append(
                    f"the set was made over {', '.join(listed)}, and is audited over the pack {pack.name!r} of "
                    "other perspectives: name its own with --pack"
                )
    return notes
