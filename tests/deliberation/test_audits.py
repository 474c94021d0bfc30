"""What a record says of the moderator, of the rule of choice and of how the panel is served; damage to records."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from multiplex.cli.score import Judges, score_files
from multiplex.content.panels import seat
from multiplex.deliberation.audits import choice_of, discretion_of, inequity_of
from multiplex.deliberation.record import Record
from multiplex.deliberation.run import conduct
from multiplex.deliberation.steering import steerability_of
from multiplex.errors import RunError
from multiplex.moral_graph.judgements import Judgement, Opinion
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Answers, Consensus, Run, Steered, save_run
from multiplex.scoring.classifiers import Recorded, SentenceLabel
from tests.table import SCENARIO, Words, answer, protocol

pytestmark = pytest.mark.heavy

SPEAKERS = ("miller", "sailor", "nurse")
PERSPECTIVES = {"miller": "rural", "sailor": "maritime", "nurse": "clinical"}


def record(
    *,
    rankings: Mapping[str, tuple[int, ...] | None] | None = None,
    verdicts: Mapping[str, Mapping[str, Opinion]] | None = None,
) -> Record:
    """Return a record by hand; `verdicts` maps transitions to what each persona made of them."""
    judgements = [
        Judgement(
            transition=transition,
            source=f"{transition}.from",
            wiser=f"{transition}.to",
            context="c",
            judge=judge,
            verdict=verdict,
            reason="So it seems.",
            seed=1,
        )
        for transition, given in (verdicts or {}).items()
        for judge, verdict in given.items()
    ]
    return Record(SPEAKERS, ("keep", "stop"), (), {}, rankings or {}, tuple(judgements), None, PERSPECTIVES)


def answers(
    *, said: Mapping[str, str] | None = None, endorsements: Mapping[str, int | None] | None = None
) -> Answers:
    steered = {
        name: Steered(label=name, answer=text, claims=(), stance=None, final_stance=None, closing=None)
        for name, text in (said or {}).items()
    }
    consensus = None
    if endorsements is not None:
        consensus = Consensus(
            statement="We keep it.",
            endorsements=dict(endorsements),
            agreements=(),
            disagreements=(),
            dissent=(),
            revised=False,
            drafts=1,
        )
    return Answers(overton=None, consensus=consensus, steered=steered, distribution=None, reasons={})


# The choice among statements


def test_a_choice_names_the_winners_under_every_rule_and_how_far_rankings_agree() -> None:
    rankings = {"miller": (0, 1, 2), "sailor": (0, 1, 2), "nurse": (1, 2, 0)}
    found = choice_of(record(rankings=rankings))
    assert found["declared"] == "schulze"
    assert found["winners"] == {
        rule: [0]
        for rule in (
            "schulze",
            "borda",
            "approval",
            "instant run-off",
            "copeland",
            "minimax by winning votes",
            "minimax by margins",
        )
    }
    assert (found["agreed"], found["reason"]) == (True, None)
    assert found["ballots"] == {name: list(ranks) for name, ranks in rankings.items()}
    # Rank sums 4, 7, 7 of mean 6: S = 6.
    assert found["kendall_w"]["value"] == pytest.approx(12 * 6 / (9 * 24))


def test_a_failed_ranking_is_an_abstention_in_the_choice() -> None:
    found = choice_of(record(rankings={"miller": (1, 0), "sailor": None, "nurse": (1, 0)}))
    assert found["winners"]["schulze"] == [1]
    assert found["ballots"]["sailor"] is None
    assert (found["kendall_w"]["value"], found["kendall_w"]["abstained"]) == (1, 1)


def test_where_nobody_ranked_there_is_no_choice_and_a_reason() -> None:
    assert choice_of(record()) == {"value": None, "reason": "the panel ranked no candidate statements"}
    silent = choice_of(record(rankings=dict.fromkeys(SPEAKERS)))
    assert silent["agreed"] is None
    assert silent["reason"] == "everyone abstained"
    assert silent["kendall_w"]["value"] is None


# The moderator


def test_the_moderator_is_audited_over_its_proposals() -> None:
    found = discretion_of(
        record(
            verdicts={
                "t1": {"miller": "wiser", "sailor": "wiser", "nurse": "unsure"},  # with a consensus
                "t2": {"miller": "not_wiser", "sailor": "not_wiser", "nurse": "not_wiser"},  # against one
                "t3": {"miller": "wiser", "sailor": "not_wiser", "nurse": "abstained"},  # a conflict
                "t4": {"miller": "not_wiser", "sailor": "wiser", "nurse": "unsure"},  # another
                "t5": {"miller": "unsure", "nurse": "unsure"},
                "t6": {"miller": "abstained"},  # no case
            }
        )
    )
    assert found["cases"] == {"consensus": 2, "conflict": 2, "indifference": 1}
    assert found["arbitrariness"]["value"] == 1 / 2
    assert found["arbitrariness"]["complete"] == 1
    assert found["contradicted"] == ["t2"]
    assert found["supremacy"]["miller"]["value"] == found["supremacy"]["sailor"]["value"] == 1 / 2
    assert found["supremacy"]["nurse"]["reason"] == "takes a side in no conflict"


def test_without_verdicts_there_is_no_discretion() -> None:
    found = discretion_of(record())
    assert found["arbitrariness"]["reason"] == "there is no case"
    assert (found["supremacy"], found["contradicted"]) == ({}, [])


# Steered answers

SAID = {"miller": "The stream. The stone.", "sailor": "The harbour.", "nurse": "The bed."}


def labels(**probabilities: tuple[float, float, float]) -> Recorded:
    """Return a classifier that gives sentences of `SAID`, by their last word, these probabilities."""
    return Recorded(
        tuple(PERSPECTIVES.values()),
        [
            SentenceLabel(
                f"The {word}.",
                max(zip(given, PERSPECTIVES.values(), strict=True))[1],
                False,
                max(given),
                {**dict(zip(PERSPECTIVES.values(), given, strict=True)), "none": 1 - sum(given)},
            )
            for word, given in probabilities.items()
        ],
    )


def test_nearness_is_the_mean_probability_over_an_answers_sentences() -> None:
    classifier = labels(
        stream=(0.8, 0.2, 0.0), stone=(0.4, 0.2, 0.2), harbour=(0.1, 0.9, 0.0), bed=(0.5, 0.0, 0.3)
    )
    found = steerability_of(answers(said=SAID), classifier, PERSPECTIVES)
    # Rows rural .6 .2 .1, maritime .1 .9 .0, clinical .5 .0 .3: the nurse is taken for the miller.
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
    assert found["accuracy"]["chance"] == pytest.approx(1 / 3)
    assert found["margin"]["value"] == pytest.approx((0.4 + 0.8 - 0.2) / 3)
    assert found["macro_f1"]["value"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found["by_persona"]["clinical"]["speaks_for"] == ["rural"]


def test_steerability_is_undefined_where_answers_cannot_be_told_apart() -> None:
    classifier = labels(stream=(1, 0, 0), stone=(1, 0, 0), harbour=(0, 1, 0), bed=(0, 0, 1))
    shared = steerability_of(answers(said=SAID), classifier, {**PERSPECTIVES, "nurse": "rural"})
    assert shared["reason"] == "two personas share a perspective, or one has none that is known"
    unknown = steerability_of(answers(said=SAID), classifier, {"miller": "rural"})
    assert unknown["reason"] == shared["reason"]
    elsewhere = steerability_of(answers(said=SAID), classifier, {**PERSPECTIVES, "nurse": "stoic"})
    assert elsewhere["reason"] == "the pack it was scored against has other perspectives"
    empty = steerability_of(answers(said={**SAID, "nurse": ""}), classifier, PERSPECTIVES)
    assert empty["reason"] == "the answer of nurse holds no sentence that could be labelled"
    lone = steerability_of(answers(said={"miller": SAID["miller"]}), classifier, PERSPECTIVES)
    assert lone["accuracy"]["reason"] == "with fewer than two personas none can be mistaken for another"


# How the panel is served


def test_inequity_is_the_deviation_over_personas() -> None:
    carried = {"personas": {"miller": {"value": 0.9}, "sailor": {"value": 0.5}, "nurse": {"value": 0.1}}}
    found = inequity_of(record(), answers(endorsements={"miller": 7, "sailor": 1, "nurse": None}), carried)
    assert found["representation"]["value"] == pytest.approx((0.32 / 3) ** 0.5)
    assert found["endorsement"]["value"] == 3
    assert found["endorsement"]["unscored"] == ["nurse"]


def test_inequity_needs_two_who_are_served() -> None:
    found = inequity_of(record(), answers(), {"value": None, "reason": "there is no text"})
    for score in found.values():
        assert score["reason"] == "no dimension has two groups with a score"
        assert score["unscored"] == sorted(SPEAKERS)


# Records

STAGES = ("open", "exchange", "articulate", "compare", "synthesise", "ratify", "observe")


def act(step: str, speaker: str, reply: Any, round: int = 1) -> dict[str, Any]:
    return {"step": step, "speaker": speaker, "round": round, "reply": reply}


def read(*results: dict[str, Any]) -> Record:
    return Record.read(
        results,
        speakers=SPEAKERS,
        options=("keep", "stop"),
        seed=7,
        judgements=(),
        perspectives=PERSPECTIVES,
    )


def test_a_record_is_read_off_acts() -> None:
    found = read(
        act("open.position", "miller", None),
        act("open.position", "sailor", {"stance": {"keep": 30, "stop": 10}}),
        act("open.position", "miller", {"stance": {"keep": 0, "stop": 0}}, round=2),
        act("exchange.reply", "miller", {"stance": {"stop": 5}}),
        act("exchange.reply", "sailor", None),
        act("ratify.ballot", "miller", {"endorsement": 6}),
        act("ratify.ballot", "sailor", None),
        act("ratify.ballot", "sailor", {"endorsement": 7}, round=2),
        act("synthesise.rank", "nurse", None),
    )
    assert found.rounds == (
        {"miller": None, "sailor": {"keep": 0.75, "stop": 0.25}, "nurse": None},
        {"miller": {"stop": 1}, "sailor": {"keep": 0.75, "stop": 0.25}, "nurse": None},
    )
    assert found.ballots == {"miller": 6, "sailor": None, "nurse": None}
    assert (found.rankings, found.references) == ({"nurse": None}, None)


@pytest.mark.parametrize(
    ("step", "reply", "problem"),
    [
        ("open.position", {"stance": [{"option": "keep", "weight": 1}]}, "stance: needs the weight of each"),
        ("exchange.reply", {"stance": [{"option": "keep", "weight": 1}]}, "stance: needs the weight of each"),
        ("open.position", {"stance": "keep"}, "stance: needs the weight of each"),
        ("open.position", {"stance": None}, "stance: needs the weight of each"),
        ("open.position", {"stance": {"keep": "all"}}, "stance: needs the weight of each"),
        ("open.position", {"stance": {"keep": -1}}, "stance: needs the weight of each"),
        ("open.position", {"stance": {"keep": float("nan")}}, "stance: needs the weight of each"),
        ("open.position", {"stance": {"kept": 1}}, "stance: needs the options of the scenario, not 'kept'"),
        ("open.position", {}, "the reply has no stance"),
        ("open.position", "I would keep it.", "the reply has no stance"),
        ("ratify.ballot", {"endorsement": 8}, "endorsement: needs a whole number from 1 to 7, not 8"),
        ("ratify.ballot", {}, "the reply has no endorsement"),
        ("synthesise.rank", {"order": [1, 1]}, "order: needs the number of each statement once"),
        ("synthesise.rank", {"order": [2, 3]}, "order: needs the number of each statement once"),
        ("synthesise.rank", {"order": "12"}, "order: needs the number of each statement once"),
        ("observe.mark", {"references": ["rural"]}, "references: needs a perspective, a span"),
    ],
)
def test_a_reply_of_another_shape_names_its_act(step: str, reply: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        read(act(step, "miller", reply))
    assert str(caught.value).startswith(f"{step} of miller in round 1: ")


def test_rankings_of_different_numbers_of_statements_are_no_ballots() -> None:
    with pytest.raises(ValueError, match="different numbers of statements"):
        read(
            act("synthesise.rank", "miller", {"order": [1, 2]}),
            act("synthesise.rank", "nurse", {"order": [1]}),
        )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    panel = seat(["confucian", "western"])
    names = [*(persona.name for persona in panel.personas), "moderator", "observer"]
    responders = dict.fromkeys(names, ScriptedResponder(answer))
    run = conduct(SCENARIO, panel, protocol(*STAGES), responders, seed=1, embedder=Words())
    return save_run(asyncio.run(run), tmp_path_factory.mktemp("runs"))


def test_a_kept_run_is_a_record(kept: Run) -> None:
    found = Record.of_run(kept)
    assert found.speakers == ("confucian", "western")
    assert found.options == ("keep", "stop")
    assert found.rounds[0]["western"] == {"keep": 0.5, "stop": 0.5}
    assert found.ballots == {"confucian": 5, "western": 5}
    assert {judgement.verdict for judgement in found.judgements} == {"wiser"}
    assert found.perspectives["western"] == "western"


def with_stance(run: Run, stance: Any) -> Run:
    """Return a run whose openings state stances of another shape."""
    acts = tuple(
        {**act, "reply": {**act["reply"], "stance": stance}} if act["step"] == "open.position" else act
        for act in run.transcript
    )
    return run.model_copy(update={"transcript": acts})


def test_a_run_of_an_earlier_version_is_refused_with_the_act_named(kept: Run, tmp_path: Path) -> None:
    earlier = with_stance(kept, [{"option": "keep", "weight": 80}, {"option": "stop", "weight": 20}])
    with pytest.raises(ValueError, match=r"open\.position of confucian in round 1: stance: needs the weight"):
        Record.of_run(earlier)
    saved = save_run(earlier, tmp_path)
    given: dict[str, Any] = {"pack": None, "wanted": None, "judges": Judges(), "embedder": Words()}
    with pytest.raises(RunError, match=r"is damaged: open\.position of confucian in round 1: stance: needs"):
        score_files([Path(saved.path or "")], **given)


@pytest.mark.parametrize("stance", [None, 7, "keep", ["keep"], {"keep": None}, {"keep": [1]}, {"gone": 1}])
def test_a_stance_of_any_other_shape_is_refused(kept: Run, stance: Any) -> None:
    with pytest.raises(ValueError, match=r"open\.position of confucian in round 1: stance: needs"):
        Record.of_run(with_stance(kept, stance))


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("moral_graph", {"judgements": [{"judge": "western"}]}),
        ("moral_graph", {"judgements": None}),
        ("manifest", {"content": {}}),
        ("manifest", {"content": {"scenario": {"options": ["keep"]}}}),
        ("transcript", ({"speaker": "western"},)),
    ],
)
def test_other_damage_is_one_of_the_errors_that_are_stated(kept: Run, part: str, value: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Record.of_run(kept.model_copy(update={part: value}))
