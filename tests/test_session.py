"""A session: many deliberations with one model, one bound, one cache; what it asks, and of whom."""

import asyncio
import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from os.path import commonprefix
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from multiplex.acts import Act, Failure, Ratify
from multiplex.api import Session, adeliberate, deliberate
from multiplex.content.scenarios import Scenario
from multiplex.errors import ContentError, NoQuorumError
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.scripted import Scripted
from multiplex.responders.language_model import MOST_COMMITMENTS
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Run
from multiplex.unfinished import unfinished_runs
from tests.endpoint import Endpoint, endpoint
from tests.table import MILLER, NURSE, PERSONAS, SAILOR, SCENARIO, Words, answer, protocol

WHOLE = protocol(
    "open",
    {"exchange": {"rounds": 2, "still": 0.0}},
    "poll",
    "articulate",
    "compare",
    "synthesise",
    "ratify",
    "observe",
)
SHORT = protocol("open", "synthesise")
THOUGHT = "Between ourselves: what would the miller want to hear?"


def served(server: Endpoint | str, *, scenario: str | Scenario = SCENARIO, **options: Any) -> Run:
    url = server if isinstance(server, str) else server.base_url
    given = {"personas": PERSONAS, "protocol": SHORT, "scores": False, "model": "openai:test"}
    return deliberate(scenario, **{**given, "base_url": url, "embedder": Words(), **options})


def prompts(requests: Sequence[Mapping[str, Any]]) -> list[str]:
    return ["\n".join(message["content"] for message in body["messages"][:2]) for body in requests]


# --- the response cache ----------------------------------------------------------------------


def test_a_repeated_run_makes_no_call_and_comes_to_the_same(tmp_path: Path) -> None:
    options: dict[str, Any] = {"protocol": WHOLE, "scores": True, "cache": tmp_path / "kept.sqlite"}
    with endpoint() as server:
        first = served(server, **options)
        asked = server.count
        again = served(server, **{**options, "cache": str(options["cache"])})  # a path may be given in words
        assert server.count == asked == first.usage["calls"]
    assert again.usage["calls"] == 0
    assert again.usage["recalled"] == asked >= again.usage["acts"]
    assert all(act["usage"]["recalled"] and not act["usage"]["calls"] for act in again.transcript)
    assert again.usage["tokens"] == {"prompt": 0, "cached": 0, "completion": 0}
    assert again.answers == first.answers
    assert again.answers.distribution is not None
    assert again.answers.distribution["logprobs"]["overall"] is not None
    assert again.moral_graph == first.moral_graph
    assert again.scores == first.scores
    assert first.scores


def test_without_the_cache_everything_is_asked_again() -> None:
    with endpoint() as server:
        first = served(server, cache=False)
        again = served(server, cache=False)
        assert server.count == 2 * first.usage["calls"]
    assert again.usage["recalled"] == 0
    assert again.answers == first.answers


@pytest.mark.parametrize("other", [{"seed": 1}, {"model": "openai:other"}])
def test_another_seed_or_model_is_asked_anew(other: dict[str, Any], tmp_path: Path) -> None:
    with endpoint() as server:
        served(server, cache=tmp_path / "kept.sqlite")
        asked = server.count
        again = served(server, cache=tmp_path / "kept.sqlite", **other)
        assert again.usage["calls"] == server.count - asked > 0
    assert again.usage["recalled"] == 0


def test_another_endpoint_is_asked_anew(tmp_path: Path) -> None:
    with endpoint() as one, endpoint() as other:
        served(one, cache=tmp_path / "kept.sqlite")
        again = served(other, cache=tmp_path / "kept.sqlite")
        assert again.usage["calls"] == other.count == one.count


def test_another_endpoint_in_the_environment_is_asked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with endpoint() as one, endpoint() as other:
        for server in (one, other):
            monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
            served(server, base_url=None, cache=tmp_path / "kept.sqlite")
        assert other.count == one.count > 0


# --- many at once ----------------------------------------------------------------------------


def test_twenty_questions_at_once_share_one_client_and_one_bound_and_come_to_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clients = []

    class Counted(aiohttp.TCPConnector):
        def __init__(self, **given: Any) -> None:
            clients.append(self)
            super().__init__(**given)

    monkeypatch.setattr(aiohttp, "TCPConnector", Counted)
    questions = [f"Should the bells ring at hour {hour}?" for hour in range(20)]

    async def ask(*, at_once: bool) -> list[Run]:
        model: dict[str, Any] = {"model": "openai:test", "base_url": server.base_url, "embedder": Words()}
        async with Session(**model, cache=False, concurrency=5 if at_once else 1) as session:
            asked = [
                session.deliberate(q, personas=PERSONAS, protocol=SHORT, scores=False) for q in questions
            ]
            return list(await asyncio.gather(*asked)) if at_once else [await one for one in asked]

    with endpoint(latency=0.005) as server:
        together = asyncio.run(ask(at_once=True))
        assert len(clients) == 1
        assert server.most_at_once == 5
    with endpoint() as server:
        alone = asyncio.run(ask(at_once=False))
        assert server.most_at_once == 1
    assert [run.answers for run in together] == [run.answers for run in alone]
    assert len({run.run for run in together}) == 20


def test_questions_of_one_session_do_not_see_what_was_chosen_for_another() -> None:
    questions = [
        "Should a family share its debt with a brother who gambles?",
        "May a village close its only mine to save the river?",
    ]

    async def cards(*asked: str) -> list[str]:
        async with Session(
            model="openai:test", base_url=server.base_url, embedder=Words(), cache=False
        ) as session:
            for question in asked:
                await session.deliberate(
                    question, personas=["confucian"], protocol=protocol("open"), scores=False
                )
        return [text.split("<persona>")[1] for text in users(server.requests, "<persona>")]

    with endpoint() as server:
        together = asyncio.run(cards(*questions))
    apart = []
    for question in questions:
        with endpoint() as server:
            apart += asyncio.run(cards(question))
    assert together == apart
    assert apart[0] != apart[1]


class Busy:
    """A model that takes a moment, and counts how many wait for it."""

    name = "busy"

    def __init__(self) -> None:
        self.now = self.most = 0

    async def complete(
        self, messages: Sequence[Message], *, sampling: Sampling, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """Wait a moment, then take a position."""
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.05)
        self.now -= 1
        claim = '{"text": "We wait.", "commitment": null}'
        return Completion(text=f'{{"statement": "We wait.", "claims": [{claim}], "stance": {{}}}}')

    async def aclose(self) -> None:
        """Be left alone."""
        raise AssertionError("a model of the caller's own is the caller's to close")


@pytest.mark.parametrize("concurrency", [7, None])
def test_a_model_of_ones_own_has_one_bound_over_all_deliberations(concurrency: int | None) -> None:
    model = Busy()

    async def ask() -> None:
        async with Session(model=model, embedder=Words(), concurrency=concurrency) as session:
            asked = (
                session.deliberate(f"Hour {n}?", personas=PERSONAS, protocol=protocol("open"), scores=False)
                for n in range(14)
            )
            await asyncio.gather(*asked)

    asyncio.run(ask())
    assert model.most == (concurrency or 32)


def test_a_session_can_be_used_again_after_another_event_loop() -> None:
    with endpoint() as server:
        session = Session(
            model="openai:test", base_url=server.base_url, embedder=Words(), cache=False, concurrency=2
        )

        async def ask() -> Run:
            async with session:
                return await session.deliberate(SCENARIO, personas=PERSONAS, protocol=SHORT, scores=False)

        assert asyncio.run(ask()).answers == asyncio.run(ask()).answers


# --- several models in one panel -------------------------------------------------------------


def test_everyone_is_answered_for_by_the_model_that_is_named_for_them() -> None:
    small = MILLER.model_copy(update={"model": "openai:small"})
    scenario = SCENARIO.model_copy(
        update={"models": {"moderator": "openai:org/large", "nurse": "extractive"}}
    )
    with endpoint() as one, endpoint() as other:
        run = served(
            "",
            scenario=scenario,
            personas=[small, SAILOR, NURSE],
            protocol=protocol("open", "poll", "synthesise"),
            base_url={"small": one.base_url, "": other.base_url},
            cache=False,
        )
        models = [[body["model"] for body in server.requests] for server in (one, other)]
        assert [set(each) for each in models] == [{"small"}, {"test", "org/large"}]
        cards = [re.findall(r"You speak as: (\w+)", text) for text in prompts(one.requests)]
        assert cards == [["Miller"]] * one.count
        assert not any("You speak as: Nurse" in text for text in prompts(other.requests))
    assert run.manifest["models"] == {
        "miller": "openai:small",
        "moderator": "openai:org/large",
        "nurse": "extractive",
        "observer": "openai:test",
        "sailor": "openai:test",
    }
    assert set(run.model.split(" + ")) == {"openai:small", "openai:org/large", "extractive", "openai:test"}
    assert run.answers.notice is None
    assert list(run.answers.steered) == ["miller", "sailor", "nurse"]
    assert {act["speaker"] for act in run.transcript if act["act"] == "choose"} == {"miller", "sailor"}


def test_the_scenarios_word_goes_before_the_personas_own() -> None:
    small = MILLER.model_copy(update={"model": "openai:small"})
    scenario = SCENARIO.model_copy(update={"models": {"miller": "openai:large"}})
    with endpoint() as server:
        run = served(server, scenario=scenario, personas=[small, SAILOR], cache=False)
    assert run.manifest["models"]["miller"] == "openai:large"


@pytest.mark.parametrize("models", [{"moderator": "openai:test"}, {"miller": "openai:test"}])
def test_no_notice_is_given_where_a_language_model_spoke_for_anyone(models: dict[str, str]) -> None:
    with endpoint() as server:
        run = served(server, scenario=SCENARIO.model_copy(update={"models": models}), model="extractive")
    assert run.answers.notice is None
    assert run.usage["calls"] > 0
    assert deliberate(
        SCENARIO, personas=PERSONAS, protocol=SHORT, scores=False, embedder=Words()
    ).answers.notice


def test_a_model_for_somebody_who_is_absent_is_refused_before_anyone_is_asked(tmp_path: Path) -> None:
    scenario = SCENARIO.model_copy(update={"models": {"millr": "openai:test"}})
    with endpoint() as server:
        with pytest.raises(ContentError) as caught:
            served(server, scenario=scenario, out=tmp_path)
        assert server.count == 0
    assert str(caught.value).endswith("models: nobody named 'millr' takes part; did you mean 'miller'?")
    assert list(tmp_path.iterdir()) == []


def test_a_responder_of_ones_own_leaves_those_with_a_model_of_their_own_to_it() -> None:
    responder = ScriptedResponder(answer)
    scenario = SCENARIO.model_copy(update={"models": {"moderator": "openai:test"}})
    with endpoint() as server:
        run = served(server, scenario=scenario, model=responder)
        assert server.count > 0
    assert run.manifest["models"]["moderator"] == "openai:test"


# --- what agents are shown -------------------------------------------------------------------


@pytest.fixture(scope="module")
def heard() -> tuple[Run, list[dict[str, Any]]]:
    """A whole deliberation of shipped personas on a server that thinks aloud, and what it was asked."""
    with endpoint(reasoning=THOUGHT) as server:
        run = served(
            server, personas=["confucian", "african", "western"], protocol=WHOLE, cache=False, seed=2
        )
    return run, server.requests


def users(requests: Sequence[Mapping[str, Any]], mark: str) -> list[str]:
    """Return the users' messages, first attempts only, in which a phrase stands."""
    texts = [body["messages"][-1]["content"] for body in requests if len(body["messages"]) <= 2]
    return [text for text in texts if mark in text]


@pytest.fixture(scope="module")
def wide() -> list[dict[str, Any]]:
    """What a server was asked for six personas who together say more in a round than one's card holds."""
    more = [
        p.model_copy(update={"name": f"old_{p.name}", "label": f"Old {p.label.lower()}"}) for p in PERSONAS
    ]
    stages = protocol("open", {"exchange": {"rounds": 2, "still": 0.0}}, "poll", "articulate", "synthesise")
    with endpoint() as server:
        served(server, personas=[*PERSONAS, *more], protocol=stages, cache=False, seed=1)
    return server.requests


ROUNDS = ("round 1 of the exchange", "round 2 of the exchange", "one values card")


def to_the_transcripts_end(text: str) -> str:
    return text[: text.index("</transcript>")]


def test_prompts_of_a_round_are_the_same_to_the_end_of_the_transcript(wide: list[dict[str, Any]]) -> None:
    for mark in (*ROUNDS, "and choose."):
        found = users(wide, mark)
        assert len(found) >= 6
        assert len(set(map(to_the_transcripts_end, found))) == 1
    systems = {body["messages"][0]["content"] for body in wide}
    assert len(systems) == 1


def test_a_transcript_only_ever_grows_at_its_end(wide: list[dict[str, Any]]) -> None:
    upto = [to_the_transcripts_end(users(wide, mark)[0]) for mark in (*ROUNDS, "The panel has spoken.")]
    for earlier, later in pairwise(upto):
        assert later.startswith(earlier)
    assert len(upto[0]) < len(upto[1]) < len(upto[2]) == len(upto[3])
    opening = users(wide, "You have heard nobody else yet.")[0]
    assert upto[0].startswith(opening.split("<persona>")[0].strip())


def test_what_a_persona_is_shown_only_grows_where_its_card_stands_first(
    heard: tuple[Run, list[dict[str, Any]]],
) -> None:
    _, requests = heard
    for label in ("Confucian", "African (Ubuntu)", "Western"):
        mine = [text for text in users(requests, f"You speak as: {label} (") if "<transcript>" in text]
        upto = [to_the_transcripts_end(next(t for t in mine if mark in t)) for mark in ROUNDS]
        assert all(later.startswith(earlier) for earlier, later in pairwise(upto))
        chosen = [to_the_transcripts_end(text) for text in mine if "and choose." in text]
        assert chosen == [upto[-1]] * 2


def test_a_card_shows_twelve_commitments_the_same_in_every_act(
    heard: tuple[Run, list[dict[str, Any]]],
) -> None:
    _, requests = heard
    cards: dict[str, list[str]] = defaultdict(list)
    for text in users(requests, "<persona>"):
        card = text.split("<persona>")[1].split("</persona>")[0]
        cards[card.split("You speak as: ")[1].splitlines()[0]].append(card)
    assert len(cards) == 3
    for shown in cards.values():
        assert len(shown) > 8
        assert len(set(shown)) == 1
        assert len(re.findall(r"^- \w+: ", shown[0], re.MULTILINE)) == MOST_COMMITMENTS


def test_proposals_share_all_but_their_last_words(heard: tuple[Run, list[dict[str, Any]]]) -> None:
    _, requests = heard
    found = users(requests, "Someone lives by the card")
    assert len(found) == 3
    shared = commonprefix(found)  # noqa: RUF071 (characters are meant)
    assert shared.endswith("Someone lives by the card ")


def test_reasoning_is_on_record_and_nobody_else_ever_reads_it(
    heard: tuple[Run, list[dict[str, Any]]],
) -> None:
    run, requests = heard
    assert not any(THOUGHT in message["content"] for body in requests for message in body["messages"])
    for act in run.transcript:
        assert act["reasoning"] == [THOUGHT] * act["usage"]["calls"]
    assert THOUGHT not in json.dumps([run.answers.model_dump(mode="json"), run.moral_graph])


def test_a_repair_shows_the_reply_and_never_the_reasoning() -> None:
    with endpoint(reasoning=THOUGHT, fault="schema_breaking", every=2) as server:
        run = served(server, protocol=protocol("open", "exchange", quorum=0.1), cache=False)
    repairs = [body for body in server.requests if len(body["messages"]) > 2]
    assert repairs
    assert not any(THOUGHT in message["content"] for body in server.requests for message in body["messages"])
    assert any(act["reasoning"] == [THOUGHT, THOUGHT] for act in run.transcript)


# --- options that are wrong ------------------------------------------------------------------

without_vllm = pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concurrency": 0}, "concurrency: needs to be at least 1, not 0"),
        ({"concurrency": -3}, "concurrency: needs to be at least 1, not -3"),
        ({"model": "extractiv"}, "no model named 'extractiv'; did you mean 'extractive'?"),
        ({"model": "llama:tiny"}, "no model named 'llama:tiny'; "),
        ({"model": "openai:"}, "the model 'openai:' has no name; write openai:NAME"),
        ({"model": "vllm:"}, "the model 'vllm:' has no name; write vllm:NAME"),
        (
            {"model": "openai:x", "base_url": "localhost:8000"},
            "base URL 'localhost:8000': needs to be an address",
        ),
        pytest.param({"model": "vllm:some/model"}, "pip install", marks=without_vllm),
    ],
)
def test_an_option_that_is_wrong_is_refused_at_once(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ContentError) as caught:
        Session(**options, embedder=Words())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("eldercare", "'eldercare' is the name of a scenario: give load_scenario('eldercare')"),
        ("./ferry.yaml", "'./ferry.yaml' is the path of a file: give load_scenario('./ferry.yaml')"),
        (Path("ferry.yml"), "'ferry.yml' is the path of a file: give load_scenario('ferry.yml')"),
        (None, "question: needs to be a question in words, or a Scenario as load_scenario"),
        (5, "question: needs to be a question in words, or a Scenario as load_scenario"),
        ("", "question: is empty"),
    ],
)
def test_what_is_no_question_is_refused_and_never_taken_for_one(question: Any, said: str) -> None:
    with pytest.raises(ContentError, match=f"^{re.escape(said)}"):
        deliberate(question)


def test_a_misspelt_keyword_is_told_in_the_name_of_what_was_called() -> None:
    misspelt: Any = {"persona": "civilizations"}
    with pytest.raises(TypeError, match=r"^deliberate\(\) got .* 'persona'; did you mean 'personas'\?$"):
        deliberate("Should it ring?", **misspelt)
    with pytest.raises(TypeError, match=r"^adeliberate\(\) got .* 'persona'"):
        asyncio.run(adeliberate("Should it ring?", **misspelt))


def test_a_scenarios_wrong_model_is_refused_before_anyone_is_asked() -> None:
    scenario = SCENARIO.model_copy(update={"models": {"nurse": "openai:x"}})

    async def ask() -> None:
        await adeliberate(scenario, personas=PERSONAS, protocol=SHORT, base_url="nowhere", embedder=Words())

    with pytest.raises(ContentError, match="base URL 'nowhere': needs to be an address"):
        asyncio.run(ask())


def test_a_failed_act_of_one_deliberation_does_not_touch_another() -> None:
    def script(act: Act[Any], seed: int) -> Any:
        if isinstance(act, Ratify) and act.scenario.name == "bad" and act.persona is NURSE:
            return Failure("refused", "no")
        return answer(act, seed)

    async def ask() -> list[Run]:
        stages = protocol("open", "synthesise", {"ratify": {"revise": 0}}, quorum=0.3)
        async with Session(model=ScriptedResponder(script), embedder=Words()) as session:
            scenarios = [SCENARIO.model_copy(update={"name": name}) for name in ("good", "bad")]
            return await asyncio.gather(
                *(session.deliberate(s, personas=PERSONAS, protocol=stages, scores=False) for s in scenarios)
            )

    good, bad = asyncio.run(ask())
    assert (good.usage["failures"], bad.usage["failures"]) == (0, 1)


@pytest.mark.parametrize(
    ("act", "failures", "said", "left"),
    [
        ("reply", ["invalid_reply"] * 3, "another seed or another model (nothing of this run is kept)", 0),
        ("reply", ["invalid_reply", "empty", "invalid_reply"], "another seed or another model", 0),
        ("reply", ["invalid_reply", "refused", "invalid_reply"], "resuming asks for it all again", 1),
        ("reply", ["status"] * 3, "resuming asks for it all again", 1),
        # Two were never heard at the opening, so that nobody else was left to articulate.
        ("take_position", ["timeout", "refused", ""], "resuming asks for it all again", 1),
    ],
)
def test_a_run_is_left_to_resume_where_a_call_did_not_get_through(
    act: str, failures: list[str], said: str, left: int, tmp_path: Path
) -> None:
    kinds = dict(zip((persona.name for persona in PERSONAS), failures, strict=True))

    def script(asked: Act[Any], seed: int) -> Any:
        if asked.name == act and kinds[asked.speaker]:
            return Failure(kinds[asked.speaker], "no")
        return Failure("invalid_reply", "no") if asked.name == "articulate_value" else answer(asked, seed)

    with pytest.raises(NoQuorumError) as caught:
        deliberate(
            SCENARIO,
            personas=PERSONAS,
            protocol=protocol("open", "exchange", "articulate", "synthesise"),
            model=ScriptedResponder(script),
            embedder=Words(),
            scores=False,
            out=tmp_path,
        )
    assert said in str(caught.value)
    assert len(unfinished_runs(tmp_path)) == left


def test_a_run_that_is_not_scored_is_written_all_the_same(tmp_path: Path) -> None:
    run = deliberate(
        SCENARIO,
        personas=PERSONAS,
        protocol=WHOLE,
        model=ScriptedResponder(answer),
        embedder=Words(),
        scores=False,
        out=tmp_path,
    )
    assert run.path is not None
    assert run.scores == {}
    assert (Path(run.path) / "report.md").read_text(encoding="utf-8").startswith("# The night ferry")


def test_a_model_object_is_never_cached() -> None:
    def script(messages: Sequence[Message], schema: Mapping[str, Any] | None, sampling: Sampling) -> str:
        return '{"answer": "One voice."}'

    model = Scripted(script)
    for _ in range(2):
        run = deliberate(
            "Why?",
            personas=PERSONAS,
            protocol=protocol("answer"),
            model=model,
            embedder=Words(),
            scores=False,
        )
        assert (run.usage["calls"], run.usage["recalled"]) == (1, 0)
    assert len(model.calls) == 2
