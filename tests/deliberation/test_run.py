"""A deliberation conducted from end to end, what it leaves behind, and the folder that holds it."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from pydantic import BaseModel

from multiplex.acts import Act, Failure, Respond, TakePosition
from multiplex.api import adeliberate, deliberate
from multiplex.content.protocols import Protocol
from multiplex.deliberation.events import Event
from multiplex.deliberation.run import check_panel, conduct
from multiplex.embedding import Vectors
from multiplex.errors import ContentError, NoQuorumError, RunError
from multiplex.models.scripted import Scripted
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Run, list_runs, load_run, new_run_name, save_run
from tests.table import MILLER, NURSE, PANEL, PERSONAS, SCENARIO, Script, Words, answer, panel_of, protocol

WHOLE = protocol("open", "exchange", "articulate", "compare", "synthesise", "ratify", "observe")
WORDS = Words()


def conducted(
    script: Script = answer,
    stages: Protocol = WHOLE,
    *,
    seed: int = 3,
    on_event: Callable[[Event], None] | None = None,
) -> Run:
    responder = ScriptedResponder(script)
    names = [*(persona.name for persona in PERSONAS), "moderator", "observer"]
    return asyncio.run(
        conduct(
            SCENARIO,
            PANEL,
            stages,
            dict.fromkeys(names, responder),
            seed=seed,
            embedder=WORDS,
            on_event=on_event,
            hashes={"agents/common/rules.md": "0" * 64},
            notice="A script spoke.",
        )
    )


@pytest.fixture(scope="module")
def run() -> Run:
    return conducted()


# --- conducting ------------------------------------------------------------------------------


def test_a_run_holds_what_was_said_and_what_ran(run: Run) -> None:
    assert (run.scenario, run.protocol, run.model, run.seed) == ("ferry", "trial", "scripted", 3)
    assert run.personas == ("miller", "sailor", "nurse")
    assert run.path is None
    assert run.answers.notice == "A script spoke."
    assert run.answers.reasons == {}
    assert run.moral_graph is not None
    assert run.manifest["format"] == 1
    assert run.manifest["embedding"] == "words"
    assert run.manifest["sha256"]["agents/common/rules.md"] == "0" * 64
    assert run.manifest["content"]["labels"] == {"miller": "Miller", "sailor": "Sailor", "nurse": "Nurse"}
    assert run.manifest["versions"]["langgraph"]
    assert "no substitute for asking people" in run.manifest["simulated"]


def test_accounts_add_up(run: Run) -> None:
    usage = run.usage
    assert usage["acts"] == len(run.transcript) == sum(s["acts"] for s in usage["by_stage"].values())
    assert usage["failures"] == 0
    assert usage["tokens"] == {"prompt": 0, "cached": 0, "completion": 0}
    assert list(usage["by_stage"]) == [stage.name for stage in WHOLE.stages]
    assert run.manifest["usage"] == usage


def test_failures_are_counted_and_kept() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        if isinstance(act, Respond) and act.persona is NURSE:
            return Failure(kind="tired", reason="asleep")
        return answer(act, seed)

    run = conducted(script, protocol("open", "exchange"))
    assert run.usage["failures"] == run.usage["by_stage"]["exchange"]["failures"] == 1
    [failed] = [act for act in run.transcript if act["failure"]]
    assert (failed["speaker"], failed["failure"]["reason"]) == ("nurse", "asleep")


def test_two_runs_of_one_seed_differ_in_name_and_time_alone(run: Run) -> None:
    again = conducted()
    assert again.run != run.run
    assert again.answers == run.answers
    assert again.scores == run.scores
    assert again.moral_graph == run.moral_graph
    assert again.transcript == run.transcript
    other = conducted(seed=4)
    assert [act["seed"] for act in other.transcript] != [act["seed"] for act in run.transcript]


def test_events_come_while_it_runs(run: Run) -> None:
    events: list[Event] = []
    conducted(on_event=events.append)
    assert len(events) > 2 * len(run.transcript)


def test_too_small_a_panel_is_refused_before_anyone_is_asked() -> None:
    check_panel(protocol("open"), panel_of(MILLER))
    with pytest.raises(ContentError) as caught:
        check_panel(WHOLE, panel_of(MILLER))
    assert str(caught.value) == (
        "the protocol 'trial' needs a panel of 2 or more, and 1 is seated; "
        "seat another persona, or choose another protocol"
    )


def test_a_summary_leaves_out_the_manifest_and_the_transcript(run: Run) -> None:
    summary = run.summary()
    assert list(summary) == [
        "run",
        "path",
        "scenario",
        "protocol",
        "model",
        "seed",
        "personas",
        "answers",
        "moral_graph",
        "scores",
        "usage",
    ]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


# --- the folder ------------------------------------------------------------------------------


def test_a_run_is_read_back_as_it_was_written(run: Run, tmp_path: Path) -> None:
    saved = save_run(run, tmp_path, extra={"report.md": "# A report\n"})
    folder = tmp_path / run.run
    assert saved.path == str(folder)
    assert load_run(folder) == saved
    assert load_run(str(folder)) == saved
    assert sorted(path.name for path in folder.iterdir()) == [
        "answers.json",
        "moral_graph.json",
        "report.md",
        "run.json",
        "scores.json",
        "transcript.jsonl",
    ]
    assert [path.name for path in tmp_path.iterdir()] == [run.run]
    assert list(list_runs(tmp_path)) == [folder]


@pytest.mark.parametrize("said", ["one\u2028two", "one\u0085two\u2029", "one\r\ntwo\x1ethree", "ô ⵣ 字 🌍"])
def test_whatever_was_said_is_read_back(said: str, tmp_path: Path) -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        reply = answer(act, seed)
        return reply.model_copy(update={"statement": said}) if isinstance(act, TakePosition) else reply

    run = conducted(script, protocol("open"))
    saved = save_run(run, tmp_path)
    loaded = load_run(tmp_path / run.run)
    assert loaded == saved
    assert loaded.transcript[0]["reply"]["statement"] == said


def test_half_a_character_that_a_model_said_does_not_lose_the_run(run: Run, tmp_path: Path) -> None:
    broken = ({**run.transcript[0], "raw": ["half \ud83d a face"]}, *run.transcript[1:])
    saved = save_run(run.model_copy(update={"transcript": broken}), tmp_path)
    assert load_run(tmp_path / run.run) == saved


def test_a_run_without_a_record_is_read_back(run: Run, tmp_path: Path) -> None:
    saved = save_run(run.model_copy(update={"transcript": ()}), tmp_path)
    assert load_run(tmp_path / run.run) == saved


def test_nothing_half_written_is_left_when_writing_fails(run: Run, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot be written") as caught:
        save_run(run, tmp_path, extra={"no/such/folder.md": "x"})
    assert str(tmp_path / run.run) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_run_never_replaces_another(run: Run, tmp_path: Path) -> None:
    save_run(run, tmp_path)
    with pytest.raises(RunError, match=r"cannot be written"):
        save_run(run.model_copy(update={"transcript": ()}), tmp_path)
    assert load_run(tmp_path / run.run).transcript == run.transcript
    assert [path.name for path in tmp_path.iterdir()] == [run.run]


def test_a_folder_that_is_a_file_is_told_with_what_to_do(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match=r"runs cannot be written there: .*; name a(nother)? folder$"):
        save_run(run, tmp_path / "file")


@pytest.mark.parametrize("name", ["answers.json", "moral_graph.json", "scores.json", "transcript.jsonl"])
@pytest.mark.parametrize("damage", ["missing", "cut", "bytes", "other"])
def test_a_damaged_run_is_told_so(name: str, damage: str, run: Run, tmp_path: Path) -> None:
    save_run(run, tmp_path)
    file = tmp_path / run.run / name
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_text(file.read_text()[:-40])
    elif damage == "bytes":
        file.write_bytes(b"\xff\xfe")
    else:
        file.write_text("7\n")
    with pytest.raises(RunError) as caught:
        load_run(tmp_path / run.run)
    assert str(caught.value).startswith(f"{tmp_path / run.run}: is damaged: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("run.json", "content.scenario.question"),
        ("run.json", "content.labels"),
        ("run.json", "content.perspectives"),
        ("run.json", "simulated"),
        ("run.json", "created"),
        ("scores.json", "perspective_entropy.overton.value"),
        ("scores.json", "dynamics.rounds"),
        ("moral_graph.json", "winners.values"),
    ],
)
def test_a_run_without_what_reports_rely_on_is_damaged(
    name: str, place: str, run: Run, tmp_path: Path
) -> None:
    save_run(run, tmp_path)
    file = tmp_path / run.run / name
    data = json.loads(file.read_text(encoding="utf-8"))
    *outer, last = place.split(".")
    here = data
    for key in outer:
        here = here[key]
    del here[last]
    file.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(RunError, match=rf"is damaged: {name}: {place} is missing$"):
        load_run(tmp_path / run.run)


@pytest.mark.parametrize("text", ["", "[]", "7", "{}", '{"run": 1}', '{"run'])
def test_a_damaged_manifest_is_told_so(text: str, run: Run, tmp_path: Path) -> None:
    save_run(run, tmp_path)
    (tmp_path / run.run / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"is damaged: "):
        load_run(tmp_path / run.run)


def test_a_run_that_is_not_there_is_told_with_the_near_miss(run: Run, tmp_path: Path) -> None:
    save_run(run, tmp_path)
    with pytest.raises(RunError, match=rf"is no run \(it holds no run.json\); did you mean '{run.run}'\?$"):
        load_run(tmp_path / f"{run.run}x")
    with pytest.raises(RunError, match=r"is no run \(it holds no run.json\)$"):
        load_run(tmp_path / "nowhere" / "else")
    with pytest.raises(RunError, match=rf"; name one of the runs in it, such as {tmp_path / run.run}$"):
        load_run(tmp_path)


def test_runs_are_listed_newest_first_and_nothing_else_is(tmp_path: Path) -> None:
    for name in ("20260101T000000-a-1", "20260301T000000-a-1", "20260201T000000-a-1", ".partial-x", "notes"):
        (tmp_path / name).mkdir()
        if name != "notes":
            (tmp_path / name / "run.json").write_text("{}")
    assert [path.name[:8] for path in list_runs(tmp_path)] == ["20260301", "20260201", "20260101"]
    assert list(list_runs(tmp_path / "nowhere")) == []


def test_run_names_sort_by_time_and_differ() -> None:
    names = {new_run_name("ferry") for _ in range(50)}
    assert len(names) == 50
    assert all("-ferry-" in name for name in names)


# --- the API ---------------------------------------------------------------------------------


def test_a_question_is_deliberated_with_a_responder_of_ones_own(tmp_path: Path) -> None:
    found = deliberate(
        "Should the bells ring at night?",
        personas=PERSONAS,
        protocol=WHOLE,
        model=ScriptedResponder(answer),
        embedder=WORDS,
        out=tmp_path,
        seed=5,
    )
    assert (found.scenario, found.seed, found.personas) == ("question", 5, ("miller", "sailor", "nurse"))
    assert found.answers.notice is None
    assert found.path is not None
    assert load_run(found.path) == found
    assert (Path(found.path) / "report.md").read_text(encoding="utf-8").startswith("#")
    assert found.moral_graph is not None
    graph = nx.read_graphml(Path(found.path) / "moral_graph.graphml")
    assert sorted(graph) == sorted(value["id"] for value in found.moral_graph["values"])


@pytest.mark.parametrize(
    ("question", "said"),
    [("", "question: is empty"), ("a" * 20_001, "question: String should have at most 20000 characters")],
)
def test_a_question_that_is_none_is_refused(question: str, said: str) -> None:
    with pytest.raises(ContentError) as caught:
        deliberate(question, personas=PERSONAS, protocol=protocol("open"), embedder=WORDS)
    assert str(caught.value) == said


def test_personas_the_pack_and_the_neutral_lines_leave_their_hashes(run: Run) -> None:
    hashes = run.manifest["sha256"]
    changed = MILLER.model_copy(update={"summary": "Another miller."})
    others = deliberate(
        SCENARIO, personas=[changed, NURSE], protocol=protocol("open"), embedder=WORDS
    ).manifest["sha256"]
    assert hashes["personas/miller"] != others["personas/miller"]
    assert hashes["personas/nurse"] == others["personas/nurse"]
    assert hashes["pack"] != others["pack"]
    assert hashes["neutral"] == others["neutral"]


def test_an_interrupt_while_scores_are_computed_is_noticed_at_once() -> None:
    computing, interrupted = threading.Event(), threading.Event()

    class Slow(Words):
        name = "slow"  # a classifier of its own

        def embed(self, texts: Sequence[str]) -> Vectors:
            computing.set()
            assert interrupted.wait(timeout=20)
            return super().embed(texts)

    async def interrupt() -> None:
        task = asyncio.create_task(
            adeliberate(
                SCENARIO,
                personas=PERSONAS,
                protocol=protocol("open"),
                model=ScriptedResponder(answer),
                embedder=Slow(),
            )
        )
        assert await asyncio.to_thread(computing.wait, 20)
        task.cancel()  # what Ctrl-C does
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not interrupted.is_set()

    try:
        asyncio.run(interrupt())
    finally:
        interrupted.set()


def test_a_scripted_model_can_be_given_and_its_failures_are_no_crash() -> None:
    with pytest.raises(NoQuorumError, match=r"^open: only 0 of 3 personas answered.*the script has run out"):
        deliberate(SCENARIO, personas=PERSONAS, protocol=WHOLE, model=Scripted([]), embedder=WORDS)


def test_the_extractive_responder_is_the_default_and_says_what_it_is() -> None:
    found = deliberate(SCENARIO, personas=PERSONAS, protocol=protocol("open", "synthesise"), embedder=WORDS)
    assert found.model == "extractive"
    assert found.answers.notice is not None
    assert "no language model spoke" in found.answers.notice
    assert found.usage["calls"] == 0


@pytest.mark.parametrize("seed", [-1, 2**63, True, 1.5, "7"])
def test_a_seed_that_is_none_is_refused(seed: Any) -> None:
    with pytest.raises(ContentError, match=r"^seed: needs to be an integer from 0 to 2\*\*63 - 1"):
        deliberate(SCENARIO, personas=PERSONAS, protocol=protocol("open"), embedder=WORDS, seed=seed)


def test_the_seed_is_the_callers_else_the_scenarios_else_0() -> None:
    def seed(given: int | None, of_scenario: int | None) -> int:
        scenario = SCENARIO.model_copy(update={"seed": of_scenario})
        return deliberate(
            scenario, personas=PERSONAS, protocol=protocol("open"), embedder=WORDS, seed=given
        ).seed

    assert [seed(4, 9), seed(0, 9), seed(None, 9), seed(None, None)] == [4, 0, 9, 0]


def test_inside_an_event_loop_one_is_told_what_to_call() -> None:
    async def inside() -> None:
        with pytest.raises(ContentError, match=r"use 'await adeliberate\(\.\.\.\)'$"):
            deliberate(SCENARIO)
        found = await adeliberate(
            SCENARIO,
            personas=PERSONAS,
            protocol=protocol("open"),
            model=ScriptedResponder(answer),
            embedder=WORDS,
        )
        assert found.personas == ("miller", "sailor", "nurse")

    asyncio.run(inside())


def test_a_run_that_was_cut_off_is_told_from_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / ".unfinished" / "one").mkdir(parents=True)
    with pytest.raises(RunError, match="was cut off; go on with it: multiplex resume"):
        load_run(tmp_path / "one")


def test_what_is_missing_of_a_run_is_named(run: Run, tmp_path: Path) -> None:
    save_run(run, tmp_path)
    (tmp_path / run.run / "answers.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"is damaged: answers\.json: Expecting"):
        load_run(tmp_path / run.run)
    (tmp_path / run.run / "answers.json").unlink()
    with pytest.raises(RunError, match=r"is damaged: answers\.json is missing$"):
        load_run(tmp_path / run.run)
