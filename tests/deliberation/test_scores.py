"""Scores read off finished deliberations: every one a finite number, or null with its reason."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Ballot, Failure, JudgeTransition, Ratify, Respond, TakePosition, Verdict
from multiplex.content.protocols import Protocol, load_protocol, protocol_names
from multiplex.content.scenarios import Scenario
from multiplex.deliberation.answers import answers_of
from multiplex.deliberation.record import Record
from multiplex.deliberation.scores import (
    classifier_for,
    judgements_of,
    moral_graph_of,
    read_moral_graph,
    rounded,
    scores_of,
)
from multiplex.deliberation.state import Context
from multiplex.moral_graph.formats.reading import read_graph
from multiplex.moral_graph.judgements import Opinion
from multiplex.scoring.agreement import krippendorff_alpha
from multiplex.scoring.intervals import bootstrap
from multiplex.scoring.perspectives import PerspectiveClassifier
from tests.table import (
    MILLER,
    NURSE,
    OPEN_QUESTION,
    PANEL,
    SCENARIO,
    Script,
    Words,
    answer,
    panel_of,
    play,
    protocol,
)

pytestmark = pytest.mark.heavy

WORDS = Words()


def scored(
    stages: Protocol, script: Script = answer, *, scenario: Scenario = SCENARIO
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scores of a deliberation, and its last state."""
    state, _, _ = play(stages, script, scenario=scenario)
    context = Context(scenario=scenario, panel=PANEL, seed=7, responders={})
    answers = answers_of(state, context, stages, notice=None)
    graph, _ = moral_graph_of(state)
    record = Record.read(
        state.get("results", []),
        speakers=context.speakers,
        options=[option.key for option in scenario.options],
        seed=7,
        judgements=judgements_of(state),
        perspectives={persona.name: persona.perspective for persona in PANEL.personas},
    )
    classifier = classifier_for(PANEL.pack, WORDS)
    return scores_of(record, answers, graph, embed=WORDS.embed, classifier=classifier), state


WHOLE = protocol("open", "exchange", "articulate", "compare", "synthesise", "ratify", "observe")


def leaves(data: Any) -> Iterator[Any]:
    if isinstance(data, dict):
        for value in data.values():
            yield from leaves(value)
    elif isinstance(data, list):
        for value in data:
            yield from leaves(value)
    else:
        yield data


def undefined(data: Any, where: str = "") -> Iterator[tuple[str, str | None]]:
    """Yield where a score has no value, and the reason that it gives."""
    if isinstance(data, dict):
        if "value" in data and data["value"] is None:
            yield where, data.get("reason")
        for key, value in data.items():
            yield from undefined(value, f"{where}.{key}")


@pytest.mark.parametrize("scenario", [SCENARIO, OPEN_QUESTION], ids=["options", "open"])
@pytest.mark.parametrize("name", protocol_names())
def test_scores_are_plain_finite_and_explain_what_is_missing(name: str, scenario: Scenario) -> None:
    scores, _ = scored(load_protocol(name), scenario=scenario)
    for leaf in leaves(scores):
        assert leaf is None or isinstance(leaf, str | int | float | bool)
        assert not isinstance(leaf, float) or math.isfinite(leaf)
    assert all(reason for _, reason in undefined(scores))


def test_the_same_deliberation_has_the_same_scores() -> None:
    assert scored(WHOLE)[0] == scored(WHOLE)[0]


def test_an_entropy_comes_with_its_control_and_one_for_every_voice() -> None:
    entropies = scored(WHOLE)[0]["perspective_entropy"]
    assert set(entropies) == {"overton", "steered", "control"}
    assert list(entropies["steered"]) == ["miller", "sailor", "nurse"]
    for entropy in entropies["steered"].values():
        assert entropy["value"] is None or 0 <= entropy["value"] <= 1
    assert entropies["control"]


def test_a_text_that_is_missing_has_no_entropy() -> None:
    overton = scored(protocol("open"))[0]["perspective_entropy"]["overton"]
    assert (overton["value"], overton["reason"]) == (None, "the protocol has no stage that writes it")


def marks(**endorsements: int) -> Script:
    def script(act: Act[Any], seed: int) -> BaseModel:
        if isinstance(act, Ratify):
            return Ballot(endorsement=endorsements[act.persona.name], objection=None)
        return answer(act, seed)

    return script


def test_endorsements_are_those_of_the_statement_that_stands() -> None:
    consensus = scored(WHOLE, marks(miller=7, sailor=5, nurse=3))[0]["consensus"]
    assert consensus["endorsement"]["value"] == pytest.approx(5, abs=1e-4)
    assert consensus["endorsement"] == consensus["first_draft"]


def test_group_aware_consensus_takes_the_options_that_openings_lean_to_for_groups() -> None:
    consensus = scored(WHOLE, marks(miller=7, sailor=7, nurse=7))[0]["consensus"]
    assert consensus["group_aware"]["value"] is not None

    def of_one_mind(act: Act[Any], seed: int) -> BaseModel:
        said = marks(miller=7, sailor=7, nurse=7)(act, seed)
        assert isinstance(said, BaseModel)
        keep = {"keep": 9}
        return said.model_copy(update={"stance": keep}) if "stance" in type(said).model_fields else said

    alone = scored(WHOLE, of_one_mind)[0]["consensus"]["group_aware"]
    assert alone["value"] is None
    assert "no two opinion groups" in alone["reason"]
    assert alone["ungrouped"] == []


@pytest.mark.parametrize("stance", [{"keep": 50, "stop": 50}, None], ids=["tied", "failed"])
def test_who_leans_to_no_single_option_is_in_no_group_whatever_the_order_of_the_options(
    stance: dict[str, int] | None,
) -> None:
    leans: dict[str, dict[str, int] | None] = {
        "miller": {"keep": 80, "stop": 20},
        "sailor": {"keep": 30, "stop": 70},
        "nurse": stance,
    }

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        said = marks(miller=7, sailor=6, nurse=2)(act, seed)
        if not isinstance(act, TakePosition):
            return said
        weights = leans[act.persona.name]
        if weights is None:
            return Failure(kind="timeout", reason="no answer within 9 s")
        assert isinstance(said, BaseModel)
        ordered = {option.key: weights[option.key] for option in act.scenario.options}
        return said.model_copy(update={"stance": ordered})

    turned = SCENARIO.model_copy(update={"options": SCENARIO.options[::-1]})
    one, other = (scored(WHOLE, script, scenario=each)[0]["consensus"] for each in (SCENARIO, turned))
    assert one["group_aware"] == other["group_aware"]
    assert {name: group["n"] for name, group in one["group_aware"]["groups"].items()} == {
        "keep": 1,
        "stop": 1,
    }
    assert one["group_aware"]["ungrouped"] == ["nurse"]


def verdicts(act: Act[Any], seed: int) -> BaseModel | Failure:
    if isinstance(act, JudgeTransition):
        if act.persona is NURSE:
            return Failure(kind="timeout", reason="no answer within 9 s")
        return Verdict(verdict="wiser" if act.persona is MILLER else "unsure", reason="So it seems.")
    return answer(act, seed)


def test_a_failed_verdict_is_an_abstention_with_its_reason_and_its_seed() -> None:
    scores, state = scored(WHOLE, verdicts)
    judgements = judgements_of(state)
    assert {(j.judge, j.verdict, j.reason) for j in judgements} == {
        ("miller", "wiser", "So it seems."),
        ("sailor", "unsure", "So it seems."),
        ("nurse", "abstained", "no answer within 9 s"),
    }
    assert len({j.seed for j in judgements}) == len(judgements)
    counted = scores["agreement"]["verdicts"]
    assert sum(counted.values()) == len(judgements)
    assert counted["abstained"] == counted["wiser"] == counted["unsure"] > 0
    assert counted["not_wiser"] == 0


def test_agreement_and_endorsement_come_with_their_intervals() -> None:
    def divided(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, JudgeTransition):
            against = int(act.transition.id[1:]) % 2 and act.persona is not NURSE
            return Verdict(verdict="not_wiser" if against else "wiser", reason="So it seems.")
        return marks(miller=7, sailor=5, nurse=3)(act, seed)

    stages = protocol("open", {"articulate": {"cards": 3}}, "compare", "synthesise", "ratify")
    scores, state = scored(stages, divided)
    units: dict[str, dict[str, str | float | None]] = {}
    for judgement in judgements_of(state):
        units.setdefault(judgement.transition, {})[judgement.judge] = judgement.verdict
    paired = [unit for unit in units.values() if len(unit) > 1]
    expected = krippendorff_alpha(paired).detail["interval"]
    one_by_one = bootstrap(paired, krippendorff_alpha, resamples=1000, seed=1)
    alpha = scores["agreement"]["krippendorff_alpha"]
    interval = alpha["interval"]
    assert "score" not in interval
    assert interval["n"] == alpha["units"] == len(paired) < len(units)
    assert (interval["low"], interval["high"]) == (rounded(expected["low"]), rounded(expected["high"]))
    assert interval["low"] == pytest.approx(one_by_one.low, abs=0.1)
    assert interval["high"] == pytest.approx(one_by_one.high, abs=0.1)
    assert (interval["over"], interval["resamples"]) == ("transitions", 1000)
    assert interval["low"] < alpha["value"] < interval["high"]
    endorsed = scores["consensus"]["endorsement"]
    assert (endorsed["interval"]["low"], endorsed["value"], endorsed["interval"]["high"]) == (3, 5, 7)
    assert endorsed["interval"]["n"] == 3


def test_an_alpha_that_is_undefined_in_many_resamples_has_no_interval_and_a_reason() -> None:
    def divided(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, JudgeTransition):
            odd = int(act.transition.id[1:]) % 2
            return Verdict(verdict="not_wiser" if odd else "wiser", reason="So it seems.")
        return answer(act, seed)

    alpha = scored(WHOLE, divided)[0]["agreement"]["krippendorff_alpha"]
    assert (alpha["value"], alpha["units"]) == (1, 2)
    assert (alpha["interval"]["low"], alpha["interval"]["high"]) == (None, None)
    assert alpha["interval"]["reason"].startswith("undefined in ")


def test_nothing_judged_has_no_agreement() -> None:
    agreement = scored(protocol("open"))[0]["agreement"]
    assert agreement["krippendorff_alpha"]["reason"] == "nothing was judged"
    assert agreement["krippendorff_alpha"]["interval"] is None
    assert set(agreement["verdicts"].values()) == {0}


def test_representation_is_whole_where_every_claim_is_in_the_text() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel:
        said = answer(act, seed)
        if act.name == "synthesise":
            text = " ".join(persona.commitments[0].statement for persona in PANEL.personas)
            return said.model_copy(update={"overton": text, "consensus": "Nothing of the kind."})
        return said

    representation = scored(WHOLE, script)[0]["representation"]
    assert representation["overton"]["value"] == pytest.approx(1)
    assert representation["consensus"]["value"] == pytest.approx(0)


def test_steerability_says_so_where_answers_are_made_of_what_the_classifier_learned_from() -> None:
    def quoting(act: Act[Any], seed: int) -> BaseModel | Failure:
        said = answer(act, seed)
        if isinstance(act, TakePosition):
            assert isinstance(said, BaseModel)
            own = act.persona.commitments[0]
            text = f"{own.statement[:-1]} (a source). Weights and measures are another thing."
            return said.model_copy(update={"statement": text})
        return said

    found = scored(protocol("open"), quoting)[0]["steerability"]
    assert found["caution"].startswith("3 of 6 sentences are the pack's own")
    for name in ("accuracy", "macro_f1", "margin"):
        assert {found[name][each]["over"] for each in ("interval", "interval_over_sentences")} == {
            "personas",
            "sentences",
        }

    def other(act: Act[Any], seed: int) -> BaseModel | Failure:
        said = quoting(act, seed)
        if isinstance(act, TakePosition):
            assert isinstance(said, BaseModel)
            return said.model_copy(update={"statement": "Weights and measures are another thing."})
        return said

    assert scored(protocol("open"), other)[0]["steerability"]["caution"] is None


def test_who_says_nothing_in_a_round_stands_where_it_stood() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Respond) and act.persona is NURSE:
            return Failure(kind="tired", reason="tired")
        return answer(act, seed)

    silent = scored(protocol("open", "exchange"), script)[0]["dynamics"]
    assert silent == scored(protocol("open", "exchange"))[0]["dynamics"]


def test_the_moral_graph_is_published_with_what_it_was_made_from() -> None:
    _, state = scored(WHOLE, verdicts)
    graph, published = moral_graph_of(state)
    assert graph is not None
    assert published is not None
    assert len(published["judgements"]) == len(judgements_of(state))
    assert len(published["transitions"]) == len(state["transitions"])
    assert published["merged"] == {}
    assert "winners" in published
    assert moral_graph_of({}) == (None, None)
    assert scored(protocol("open"))[0]["moral_graph"]["reason"] == "the protocol compares no values"


def test_a_published_moral_graph_is_read_back() -> None:
    state, _, _ = play(WHOLE, answer)
    graph, published = moral_graph_of(state)
    assert published is not None
    assert read_moral_graph(published) == graph


@pytest.mark.parametrize("said", ["wiser", "unsure"])
def test_a_published_moral_graph_says_of_its_edges_what_its_judgements_do(said: Opinion) -> None:
    def thirds(act: Act[Any], seed: int) -> BaseModel:
        if isinstance(act, JudgeTransition):
            verdict = {MILLER.name: "wiser", NURSE.name: "unsure"}.get(act.persona.name, said)
            return Verdict.model_validate({"verdict": verdict, "reason": "So it seems."})
        return answer(act, seed)

    graph, published = moral_graph_of(play(WHOLE, thirds)[0])
    assert graph is not None
    assert published is not None
    likelihoods = [edge.likelihood for edge in graph.edges]
    assert (2 / 3 if said == "wiser" else 1 / 3) in likelihoods
    assert read_graph(published).disagreements == ()
    bare = read_graph({key: value for key, value in published.items() if key != "judgements"})
    assert [edge.likelihood for edge in bare.graph.edges] == likelihoods


def test_an_edge_on_which_nobody_gave_a_verdict_is_not_counted_as_judged() -> None:
    def silent_on_one(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, JudgeTransition) and act.transition.id == "t1":
            return Failure(kind="timeout", reason="no answer within 9 s")
        return answer(act, seed)

    scores, state = scored(WHOLE, silent_on_one)
    graph, _ = moral_graph_of(state)
    assert graph is not None
    assert [edge.counts.judged for edge in graph.edges].count(False) == 1
    assert scores["moral_graph"]["edges_judged"] == len(graph.edges) - 1


def test_what_the_observer_marked_is_kept_apart_from_the_entropy() -> None:
    observed = scored(WHOLE)[0]["observed"]
    assert observed["classifier"] == "observer"
    assert observed["references"][0]["perspective"] == "rural"
    assert "observed" not in scored(protocol("open"))[0]


def test_numbers_are_rounded_all_the_way_down() -> None:
    assert rounded({"a": [1 / 3, (2 / 3,)], "b": True, "c": 7, "d": None, "e": "0.33333333"}) == {
        "a": [0.3333, [0.6667]],
        "b": True,
        "c": 7,
        "d": None,
        "e": "0.33333333",
    }


def test_a_classifier_is_trained_once_for_a_pack_and_anew_for_another() -> None:
    assert classifier_for(PANEL.pack, Words()) is classifier_for(PANEL.pack, Words())
    assert classifier_for(panel_of(MILLER, NURSE).pack, WORDS) is not classifier_for(PANEL.pack, WORDS)


def test_only_so_many_classifiers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiplex.deliberation.scores._MOST_TRAINED", 2)
    kept: dict[tuple[str, str], PerspectiveClassifier] = {}
    monkeypatch.setattr("multiplex.deliberation.scores._TRAINED", kept)
    embedder = Words()
    for number in range(4):
        embedder.name = f"words {number}"
        last = classifier_for(PANEL.pack, embedder)
    assert len(kept) == 2
    assert classifier_for(PANEL.pack, embedder) is last
