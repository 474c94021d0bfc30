"""The diversity agent: cells covered evenly, near-duplicates out, an end when nothing new comes."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from multiplex.acts import (
    Act,
    Failure,
    Held,
    ProposedQuestion,
    ProposeQuestions,
    Questions,
    Responder,
    Tension,
)
from multiplex.content.panels import Panel, seat
from multiplex.content.scenarios import Scenario
from multiplex.content.topics import TOPICS
from multiplex.dataset.coverage import Coverage, Covered
from multiplex.dataset.prompts import Prompt, Skipped
from multiplex.dataset.proposing import propose_prompts
from multiplex.embedding import SentenceEmbedder, Vectors
from multiplex.errors import ContentError, ModelError
from multiplex.models.scripted import Scripted
from multiplex.responders.extractive import ExtractiveResponder
from multiplex.responders.language_model import LanguageModelResponder
from multiplex.responders.scripted import ScriptedResponder
from tests.table import MILLER, NURSE, OPEN_QUESTION, PANEL, PERSONAS, SAILOR, Words, panel_of

WORDS = Words()
ACT = ProposeQuestions(
    scenario=OPEN_QUESTION,
    topic="work",
    tensions=(
        Tension(
            one=Held(label="Miller", commitment=MILLER.commitments[0]),
            other=Held(label="Nurse", commitment=NURSE.commitments[2]),
        ),
    ),
    count=2,
    asked=("Who keeps the bells?",),
)


def extractive() -> ExtractiveResponder:
    return ExtractiveResponder(WORDS, PERSONAS)


def propose(
    n: int,
    *,
    responder: Responder | None = None,
    seed: int = 3,
    panel: Panel = PANEL,
    topics: Sequence[str] | None = None,
) -> list[Prompt | Skipped]:
    async def run() -> list[Prompt | Skipped]:
        proposed = propose_prompts(
            n, panel=panel, responder=responder or extractive(), embed=WORDS.embed, seed=seed, topics=topics
        )
        return [entry async for entry in proposed]

    return asyncio.run(run())


def prompts(entries: Sequence[Prompt | Skipped]) -> list[Prompt]:
    return [entry for entry in entries if isinstance(entry, Prompt)]


def asks(*questions: str) -> Questions:
    return Questions(
        questions=tuple(
            ProposedQuestion(question=q, choice_context="keeping the mill", options=()) for q in questions
        )
    )


def numbered(act: Act[Any], seed: int) -> Questions:
    """Ask what has no word in common with what any other seed asks."""
    assert isinstance(act, ProposeQuestions)
    return asks(*(f"W{seed}x{i} v{seed}x{i} u{seed}x{i}?" for i in range(act.count)))


# --- what comes ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_as_many_prompts_come_as_were_asked_for_all_different(n: int) -> None:
    found = prompts(propose(n))
    assert len(found) == len({prompt.id for prompt in found}) == n
    for prompt in found:
        assert prompt.origin == "generated"
        assert prompt.scenario.domain == "work"
        assert prompt.scenario.question.endswith("?")
        assert (prompt.scenario.choice_context or "").startswith("dealing with ")
        assert prompt.group.startswith("generated_work_")
        assert len(prompt.scenario.options) in {0, 3}


def test_the_same_seed_gives_the_same_prompts_and_another_gives_others() -> None:
    assert propose(12) == propose(12)
    assert prompts(propose(12)) != prompts(propose(12, seed=4))


def test_no_two_prompts_that_are_kept_are_nearly_the_same() -> None:
    found = prompts(propose(20))
    vectors = WORDS.embed([prompt.scenario.question for prompt in found])
    cosines = vectors @ vectors.T
    assert max(cosines[i, j] for i in range(len(found)) for j in range(i)) < 0.9


def test_the_extractive_responder_says_nothing_that_no_commitment_says() -> None:
    policies = [p.lower() for persona in PERSONAS for c in persona.commitments for p in c.attends_to]
    for prompt in prompts(propose(20)):
        named = [policy for policy in policies if policy in prompt.scenario.question]
        assert len(named) == 2, prompt.scenario.question


def test_the_extractive_responder_has_nothing_to_ask_without_commitments() -> None:
    bare = ProposeQuestions(scenario=OPEN_QUESTION, topic="work", tensions=(), count=2)
    performed = asyncio.run(extractive().perform(bare, seed=1))
    assert performed.failure is not None
    assert performed.failure.kind == "nothing_new"


@pytest.mark.parametrize("topic", TOPICS)
def test_the_extractive_responder_has_words_for_every_topic(topic: Any) -> None:
    act = ProposeQuestions(scenario=OPEN_QUESTION, topic=topic, tensions=ACT.tensions, count=8)
    reply = asyncio.run(extractive().perform(act, seed=1)).reply
    assert reply is not None
    assert len(reply.questions) == 8


@pytest.mark.slow
def test_the_shipped_pack_yields_three_hundred_prompts_over_every_topic() -> None:
    panel, embedder = seat("civilizations"), SentenceEmbedder()

    async def run() -> list[Prompt | Skipped]:
        responder = ExtractiveResponder(embedder, panel.personas)
        proposed = propose_prompts(300, panel=panel, responder=responder, embed=embedder.embed, seed=1)
        return [entry async for entry in proposed]

    found = prompts(asyncio.run(run()))
    assert len({prompt.scenario.question for prompt in found}) == 300
    by_topic = Counter(prompt.scenario.domain for prompt in found)
    assert set(by_topic) == set(TOPICS)
    assert min(by_topic.values()) >= 10


# --- what is asked ---------------------------------------------------------------------------


def test_cells_are_covered_evenly_and_pairs_are_of_different_personas() -> None:
    scripted = ScriptedResponder(numbered)
    found = prompts(propose(30, responder=scripted))
    groups = Counter(prompt.group for prompt in found)
    assert len(groups) > 1
    assert max(groups.values()) - min(groups.values()) <= 3
    for act in scripted.acts:
        assert isinstance(act, ProposeQuestions)
        assert all(tension.one.label != tension.other.label for tension in act.tensions)


def test_a_cell_is_told_what_has_been_asked_nearest_to_it() -> None:
    scripted = ScriptedResponder(numbered)
    propose(40, responder=scripted)
    asked = [act.asked for act in scripted.acts if isinstance(act, ProposeQuestions)]
    assert asked[0] == ()
    assert {len(each) for each in asked} == {0, 6}


def test_a_cell_that_brings_nothing_is_not_asked_for_ever() -> None:
    contexts: Counter[str] = Counter()

    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        contexts[act.scenario.setting] += 1
        first = act.scenario.setting == next(iter(contexts))
        return Failure("refused", "No.") if first else numbered(act, seed)

    assert len(prompts(propose(30, responder=ScriptedResponder(script)))) == 30
    assert contexts[next(iter(contexts))] <= 30


# --- the end ---------------------------------------------------------------------------------


def test_what_is_nearly_the_same_is_skipped_and_the_end_says_how_many_there_are_and_why() -> None:
    same = ScriptedResponder(
        lambda act, seed: asks(f"Should the mill stand still on every Sunday of May {seed}?")
    )
    found = propose(5, responder=same)
    assert len(prompts(found)) == 1
    kinds = Counter(entry.kind for entry in found if isinstance(entry, Skipped))
    assert not any("mill" in entry.reason for entry in found if isinstance(entry, Skipped))
    assert kinds["near_duplicate"] > 3
    assert kinds["exhausted"] == 1
    end = found[-1]
    assert isinstance(end, Skipped)
    assert end.reason == (
        "5 prompts were asked for and 1 found: 3 rounds in a row brought nothing new "
        f"({kinds['near_duplicate']} near_duplicate)"
    )


def test_a_responder_that_refuses_everything_is_an_error() -> None:
    with pytest.raises(ModelError) as caught:
        propose(5, responder=ScriptedResponder(lambda act, seed: Failure("refused", "I would rather not.")))
    assert str(caught.value).startswith("generate: none of ")
    assert str(caught.value).endswith("requests brought a question; the last: I would rather not.")


def test_a_request_that_failed_is_counted_and_others_go_on() -> None:
    def script(act: Act[Any], seed: int) -> BaseModel | Failure:
        return Failure("timeout", "Too late.") if seed % 2 else numbered(act, seed)

    found = propose(10, responder=ScriptedResponder(script))
    assert len(prompts(found)) == 10
    failed = [entry for entry in found if isinstance(entry, Skipped)]
    assert {(entry.origin, entry.kind, entry.reason) for entry in failed} == {
        ("generated", "not_generated", "timeout")  # the reason may quote an endpoint
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 0}, "generate: 0 prompts cannot be proposed; ask for 1 or more"),
        ({"topics": ["wrok"]}, "no topic named 'wrok'; did you mean 'work'?"),
        ({"topics": ["law"]}, "generate: no two personas of the panel have commitments on law; "),
        ({"panel": panel_of(SAILOR)}, "generate: no two personas of the panel have commitments on "),
    ],
)
def test_what_cannot_be_proposed_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ContentError) as caught:
        propose(**{"n": 3, **options})
    assert str(caught.value).startswith(said)


# --- the act ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (asks("Is it one?", "Is it two?", "Is it three?"), "questions: 3 of them, and 2 were asked for"),
        (asks("One is so, then."), "questions: 1: asks nothing; it needs a question mark"),
        (asks("Is one so?", "Is  one SO?"), "questions: 2: has been asked already"),
        (asks("Who keeps the bells?"), "questions: 1: has been asked already"),
    ],
)
def test_questions_are_few_new_and_questions(reply: Questions, said: str) -> None:
    with pytest.raises(ValueError, match=r"^questions: ") as caught:
        ACT.check(reply)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("options", "said"), [(("A",), "one is no choice"), (("A", "a "), "one stands twice")]
)
def test_options_are_a_choice(options: tuple[str, ...], said: str) -> None:
    question = ProposedQuestion(question="Which is it?", choice_context="keeping bells", options=options)
    with pytest.raises(ValueError, match=said):
        ACT.check(Questions(questions=(question,)))


def test_a_language_model_is_shown_the_tension_and_what_has_been_asked_and_answers_by_the_schema() -> None:
    said = asks("Who may stop the wheel?").model_dump_json()
    model = Scripted([said])
    performed = asyncio.run(LanguageModelResponder(model).perform(ACT, seed=1))
    assert performed.reply == asks("Who may stop the wheel?")
    text = model.calls[0][-1]["content"]
    for wanted in (
        MILLER.commitments[0].statement,
        NURSE.commitments[2].attends_to[1],
        "- Who keeps the bells?",
    ):
        assert wanted in text
    assert (
        "The topic is work, and the choice at hand is about What are the bells of the village for?." in text
    )
    assert json.loads(said).keys() == ACT.schema()["properties"].keys()


# --- coverage --------------------------------------------------------------------------------


def coverage(found: Sequence[Prompt]) -> Coverage:
    covered = Covered(len(found))
    for prompt in found:
        covered.add(prompt)
    return covered.coverage(WORDS.embed)


def test_coverage_counts_topics_contexts_and_clusters() -> None:
    found = prompts(propose(20))
    seen = coverage(found)
    assert seen.prompts == 20
    assert seen.topics == {**dict.fromkeys((*TOPICS, "none"), 0), "work": 20}
    assert sum(seen.choice_contexts.values()) == 20
    assert 1 <= len(seen.clusters) <= 4
    assert sum(cluster.prompts for cluster in seen.clusters) == 20
    assert {cluster.question for cluster in seen.clusters} <= {prompt.scenario.question for prompt in found}


def test_clusters_are_told_apart() -> None:
    def prompt(question: str) -> Prompt:
        scenario = OPEN_QUESTION.model_copy(update={"question": question})
        return Prompt(id=question, scenario=scenario, group=question, origin="generated")

    mills = [prompt(f"mill wheel stone number {i}") for i in range(6)]
    ships = [prompt(f"ship rope sail harbour {i}") for i in range(4)]
    seen = coverage([*mills, *ships])
    assert [cluster.prompts for cluster in seen.clusters] == [6, 4]
    assert seen.topics["none"] == 10


@pytest.mark.parametrize("count", [0, 1, 2])
def test_coverage_of_next_to_nothing_is_counted_too(count: int) -> None:
    one = prompts(propose(1))[0]
    seen = coverage([one] * count)
    assert sum(cluster.prompts for cluster in seen.clusters) == seen.prompts == count


def test_of_many_prompts_a_sample_is_embedded_and_all_are_counted() -> None:
    covered = Covered(8_000, seed=1)
    for number in range(8_000):
        scenario = Scenario.model_construct(
            name="q", question=f"{number}?", domain=None, choice_context=f"context {number % 300}"
        )
        covered.add(
            Prompt.model_construct(
                id=f"p{number}",
                scenario=scenario,
                group="g",
                origin="o",
                label="ours" if number % 4 else None,
            )
        )
    asked: list[int] = []

    def embed(texts: Sequence[str]) -> Vectors:
        asked.append(len(texts))
        return np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]

    found = covered.coverage(embed)
    assert 1_800 < asked[0] <= 2_000
    assert (found.prompts, found.clustered) == (8_000, asked[0])
    assert sum(each.prompts for each in found.clusters) == asked[0]
    assert (found.topics["ours"], found.topics["none"]) == (6_000, 2_000)
    assert found.different == {"own topics": 1, "choice contexts": 300}
    assert len(found.choice_contexts) == 100
