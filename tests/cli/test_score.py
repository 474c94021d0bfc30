"""Texts and runs scored from the command line: the same numbers again, together, and by other classifiers."""

import asyncio
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from multiplex.cli.score import Judges, score_files
from multiplex.cli.score_shown import print_scores, scores_in
from multiplex.content.panels import seat
from multiplex.content.personas import load_pack
from multiplex.deliberation.run import conduct
from multiplex.errors import ContentError, ModelError, RunError
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Run, save_run
from tests.endpoint import endpoint
from tests.table import SCENARIO, Words, answer, protocol

pytestmark = pytest.mark.heavy

WORDS = Words()
PANEL = seat(["confucian", "western", "african"])
STAGES = ("open", "exchange", "articulate", "compare", "synthesise", "ratify", "observe")
OWN = [persona.commitments[0].statement for persona in PANEL.personas]


@cache
def conducted(seed: int) -> Run:
    names = [*(persona.name for persona in PANEL.personas), "moderator", "observer"]
    run = conduct(
        SCENARIO,
        PANEL,
        protocol(*STAGES),
        dict.fromkeys(names, ScriptedResponder(answer)),
        seed=seed,
        embedder=WORDS,
    )
    return asyncio.run(run)


def kept(folder: Path, *, seed: int = 1) -> Run:
    number = len(list(folder.iterdir()))  # a run's name is its own
    run = conducted(seed)
    name = f"{run.run}-{number}"
    return save_run(run.model_copy(update={"run": name, "manifest": {**run.manifest, "run": name}}), folder)


def scored(*files: Path, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"pack": None, "wanted": None, "judges": Judges(), "embedder": WORDS}
    return score_files(files, **{**given, **options})


def test_a_run_scored_again_has_the_scores_that_it_was_kept_with(tmp_path: Path) -> None:
    run = kept(tmp_path)
    found = scored(tmp_path / run.run)
    assert found["runs"][run.run] == run.scores
    assert "over_runs" not in found
    for name in ("steerability", "choice", "discretion", "inequity"):
        assert name in run.scores


def test_several_runs_come_with_the_mean_of_every_number_and_its_interval(tmp_path: Path) -> None:
    runs = [kept(tmp_path, seed=seed) for seed in (1, 2, 3)]
    found = scored(*(tmp_path / run.run for run in runs), wanted=["consensus"])
    assert set(found["runs"][runs[0].run]) == {"consensus"}
    endorsed = found["over_runs"]["consensus.endorsement"]
    given = [run.scores["consensus"]["endorsement"]["value"] for run in runs]
    assert endorsed["score"]["value"] == pytest.approx(sum(given) / 3, abs=1e-3)
    assert endorsed["low"] <= endorsed["score"]["value"] <= endorsed["high"]
    assert (endorsed["n"], endorsed["undefined"]) == (3, 0)


def test_texts_are_scored_one_by_one_and_together(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    half = chr(0xD800)  # of a character
    lines = [json.dumps({"response": f"{half}{' '.join(OWN)}"}), json.dumps(OWN[0])]
    file.write_text("\n".join(lines), encoding="utf-8")
    found = scored(file)
    default = found["classifiers"]["default"]
    assert list(default["perspective_entropy"]) == [f"{file}: line 1", f"{file}: line 2"]
    for each in default["perspective_entropy"].values():
        assert "control" not in each
        assert {"corrected", "noise_floor", "interval"} <= each.keys()
    assert {"micro", "macro"} == default["over_texts"].keys()
    for each in default["over_texts"].values():
        interval = each["corrected"]["interval"]
        assert 0 <= interval["low"] <= each["corrected"]["value"] <= interval["high"] <= 1
    assert default["control"]["sentences"] > 100
    assert default["sentiment"]["reason"].startswith("only a language model tells")


def test_a_judge_labels_the_same_sentences_and_agreement_is_told(tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_text(" ".join(OWN), encoding="utf-8")
    with endpoint(logprobs={"A": -0.1, "B": -3.0}) as server:
        judges = Judges(("default", "openai:judge"), base_url=server.base_url, api_key="k")
        found = scored(file, judges=judges)
    assert list(found["classifiers"]) == ["default", "openai:judge"]
    measured = found["classifiers"]["openai:judge"]["control"]
    assert measured["sentences"] > 100
    assert found["agreement"]["kappa"].keys() == {"default and openai:judge"}
    sentiment = found["classifiers"]["openai:judge"]["sentiment"]
    assert -1 <= sentiment["value"] <= 1
    assert sentiment["failed"] == {}


def test_a_span_over_the_end_of_a_sentence_is_a_failure_that_is_told(tmp_path: Path) -> None:
    # The judge here quotes from full stop to full stop; a paragraph without one ends a sentence all the same.
    across, within = tmp_path / "across.txt", tmp_path / "within.txt"
    across.write_text("We heard it e.g. from a friend\n\nNobody asked, e.g. the nurse.", encoding="utf-8")
    within.write_text("Care is owed to whoever cannot ask for it.", encoding="utf-8")
    with endpoint(logprobs={"A": -0.1, "B": -3.0}) as server:
        judges = Judges(("openai:judge",), base_url=server.base_url, api_key="k")
        found = scored(across, within, judges=judges, wanted=["sentiment"])
    sentiment = found["classifiers"]["openai:judge"]["sentiment"]
    assert list(sentiment["failed"]) == [str(across)]
    assert "Nobody asked, e.g.' stands in no sentence" in sentiment["failed"][str(across)]
    assert -1 <= sentiment["value"] <= 1  # of the other text


def test_what_is_printed_says_why_a_number_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "answer.txt"
    file.write_text("Zzz.", encoding="utf-8")
    print_scores(scored(file))
    said = " ".join(capsys.readouterr().out.split())
    assert "undefined" in said
    run = kept(tmp_path)
    print_scores(scored(tmp_path / run.run))
    said = " ".join(capsys.readouterr().out.split())
    assert "consensus.endorsement" in said
    assert "the panel ranked no candidate statements" in said


@pytest.mark.parametrize("width", [80, 100, 140])
def test_no_name_is_cut_whatever_the_width_of_the_terminal(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = kept(tmp_path)
    found = scored(tmp_path / run.run)
    monkeypatch.setenv("COLUMNS", str(width))
    print_scores(found)
    lines = capsys.readouterr().out.splitlines()
    assert not any("…" in line for line in lines)
    assert max(map(len, lines)) <= width
    names = [line.split()[0] for line in lines if line.strip()]
    for place, each in scores_in(found["runs"][run.run]):
        if "steered." in place:
            continue
        assert place in names, place
        line = lines[[line.split(" ")[0] for line in lines].index(place)]
        assert ("undefined" if each["value"] is None else f"{each['value']:.3f}") in line
        low = (each.get("interval") or {}).get("low")
        assert low is None or f"{low:.3f} to " in line
    assert len(found["runs"][run.run]["steerability"]["by_persona"]) == 3
    monkeypatch.setenv("COLUMNS", "44")  # where a name is longer than the line it goes on below
    print_scores(found)
    said = capsys.readouterr().out
    assert "…" not in said
    assert "perspective" in said


def test_every_entropy_of_a_run_has_a_floor_a_correction_and_intervals(tmp_path: Path) -> None:
    run = kept(tmp_path)
    steered = {
        name: each.model_copy(update={"answer": " ".join(OWN)}) for name, each in run.answers.steered.items()
    }
    answers = run.answers.model_copy(update={"overton": " ".join(OWN), "steered": steered})
    save_run(run.model_copy(update={"answers": answers, "run": "told"}), tmp_path)
    (scores,) = scored(tmp_path / "told")["runs"].values()
    entropies = scores["perspective_entropy"]
    for score in (entropies["overton"], *entropies["steered"].values()):
        assert score["noise_floor"]["raw"] is not None
        for each in (score, score["corrected"]):
            assert 0 <= each["interval"]["low"] <= each["value"] <= each["interval"]["high"] <= 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ('{"values": [], "edges": []}', "is a moral graph and no text; `multiplex graph show` reads it"),
        ('{\n "answer": "Care is owed."\n}', "is JSON and no text; put the texts into a .jsonl file"),
        ('["Care is owed."]', "is JSON and no text"),
        ('{"answer": "Care is owed."}\n{"answer": "So it is."}\n', "is JSON and no text"),
    ],
)
def test_json_is_not_scored_as_prose(data: str, problem: str, tmp_path: Path) -> None:
    file = tmp_path / "g.json"
    file.write_text(data, encoding="utf-8")
    with pytest.raises(ContentError, match=problem):
        scored(file)


def test_prose_that_begins_like_json_is_prose(tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_text("[Smith 2010] says so.\n{so to speak} Care is owed.", encoding="utf-8")
    assert list(scored(file)["classifiers"]["default"]["perspective_entropy"]) == [str(file)]
    deep = tmp_path / "deep.txt"
    deep.write_text("[" * 100_000, encoding="utf-8")
    assert scored(deep)["texts"] == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"wanted": ["perspective_entrpy"]}, "there are perspective_entropy, sentiment, agreement"),
        ({"pack": "civilisations"}, "did you mean 'civilizations'"),
        ({"judges": Judges(("nli",))}, "no classifier named 'nli'"),
        ({"judges": Judges(("gpt-4",))}, "no classifier named 'gpt-4'"),
    ],
)
def test_what_is_not_known_is_said(options: dict[str, Any], problem: str, tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_text("Care is owed.", encoding="utf-8")
    with pytest.raises(ContentError, match=problem):
        scored(file, **options)


def test_runs_and_texts_do_not_mix_and_a_damaged_run_is_named(tmp_path: Path) -> None:
    run = kept(tmp_path)
    file = tmp_path / "answer.txt"
    file.write_text("Care is owed.", encoding="utf-8")
    with pytest.raises(ContentError, match="score them apart"):
        scored(tmp_path / run.run, file)
    with pytest.raises(ContentError, match="for texts"):
        scored(tmp_path / run.run, judges=Judges(("openai:x",)))
    with pytest.raises(ModelError, match="cannot be loaded"):
        scored(tmp_path / run.run, judges=Judges(("nli:nowhere",)))
    graph = json.loads((tmp_path / run.run / "moral_graph.json").read_text(encoding="utf-8"))
    graph["judgements"][0]["wiser"] = "nobody"
    (tmp_path / run.run / "moral_graph.json").write_text(json.dumps(graph), encoding="utf-8")
    with pytest.raises(RunError, match="is damaged"):
        scored(tmp_path / run.run)


def test_a_run_of_another_pack_asks_for_it(tmp_path: Path) -> None:
    run = kept(tmp_path)
    manifest = json.loads((tmp_path / run.run / "run.json").read_text(encoding="utf-8"))
    manifest["content"]["pack"] = "valley"
    (tmp_path / run.run / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ContentError, match="name its folder with --pack"):
        scored(tmp_path / run.run)
    assert scored(tmp_path / run.run, pack="civilizations")["runs"][run.run] == run.scores
    assert load_pack("civilizations").name == "civilizations"


def test_a_judge_that_fails_on_many_sentences_is_no_judge(tmp_path: Path) -> None:
    file = tmp_path / "answer.txt"
    file.write_text(" ".join(OWN), encoding="utf-8")
    with endpoint("invalid_json") as server, pytest.raises(ModelError, match="could not label") as caught:
        scored(file, judges=Judges(("openai:judge",), base_url=server.base_url, api_key="k"))
    assert "answered with no valid JSON" in str(caught.value)


def test_runs_of_different_scenarios_are_not_taken_together(tmp_path: Path) -> None:
    runs = [kept(tmp_path), kept(tmp_path)]
    manifest = json.loads((tmp_path / runs[1].run / "run.json").read_text(encoding="utf-8"))
    manifest["scenario"] = "another"
    (tmp_path / runs[1].run / "run.json").write_text(json.dumps(manifest), encoding="utf-8")
    found = scored(*(tmp_path / run.run for run in runs), wanted=["consensus"])
    assert "over_runs" not in found
    assert "another" in found["over_runs_reason"]


def test_a_run_against_another_pack_leaves_undefined_what_it_cannot_tell(tmp_path: Path) -> None:
    run = kept(tmp_path)
    found = scored(tmp_path / run.run, pack="moral_theories")
    assert found["other_packs"] == {run.run: "moral_theories"}
    assert "other_packs" not in scored(tmp_path / run.run, pack="civilizations")
    steered = found["runs"][run.run]["steerability"]
    assert steered == {"value": None, "reason": "the pack it was scored against has other perspectives"}


def test_a_file_of_a_run_is_not_taken_for_a_text(tmp_path: Path) -> None:
    run = kept(tmp_path)
    with pytest.raises(ContentError, match="name the run's folder"):
        scored(tmp_path / run.run / "answers.json")
    with pytest.raises(ContentError, match="agreement"):
        scored(tmp_path / run.run, wanted=["endorsement"])
