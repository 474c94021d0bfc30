"""The poll: in which orders options are shown, and the distribution that comes of the letters' likelihoods."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from multiplex.acts import Act, ArticulateValue, Choice, ChooseOption, Failure, Performed
from multiplex.api import deliberate
from multiplex.content.scenarios import Option
from multiplex.deliberation.answers import answers_of
from multiplex.deliberation.state import Context
from multiplex.models.base import Completion, Message, Sampling
from multiplex.models.scripted import Scripted
from multiplex.responders.language_model import LanguageModelResponder
from multiplex.responders.scripted import ScriptedResponder
from multiplex.runs import Run
from tests.endpoint import endpoint
from tests.table import OPEN_QUESTION, PANEL, PERSONAS, SCENARIO, Words, answer, play, protocol, turn

R = TypeVar("R", bound=BaseModel)
Told = Callable[[ChooseOption], Mapping[str, float] | Failure | None]
FOUR = SCENARIO.model_copy(
    update={
        "options": tuple(Option(key=key, text=f"Sail {key}") for key in ("north", "east", "south", "west"))
    }
)
POLLED = protocol("open", {"poll": {"orders": 2}}, quorum=0.1)


class Weighing:
    """Answer as the table does, and tell how likely each choice was."""

    name = "weighing"
    weighs = True

    def __init__(self, told: Told) -> None:
        self.asked: list[ChooseOption] = []
        self._told = told

    async def perform(self, act: Act[R], *, seed: int) -> Performed[Any]:
        """Choose what is shown first."""
        if not isinstance(act, ChooseOption):
            return Performed(reply=answer(act, seed))
        self.asked.append(act)
        told = self._told(act)
        if isinstance(told, Failure):
            return Performed(failure=told)
        return Performed(reply=Choice(option=act.order[0]), logprobs=told)


def first_likeliest(act: ChooseOption) -> dict[str, float]:
    return {key: math.log(0.7 if place == 0 else 0.1) for place, key in enumerate(act.order)}


def polled(model: Any, *, scenario: Any = SCENARIO, orders: int = 2, seed: int = 3, **options: Any) -> Run:
    stages = protocol("open", {"poll": {"orders": orders}}, quorum=0.1)
    given: dict[str, Any] = {"personas": PERSONAS, "protocol": stages, "seed": seed, "scores": False}
    return deliberate(scenario, **given, model=model, embedder=Words(), cache=False, **options)


def by_logprobs(run: Run) -> dict[str, Any]:
    assert run.answers.distribution is not None
    found: dict[str, Any] = run.answers.distribution["logprobs"]
    return found


# --- the orders ------------------------------------------------------------------------------


def test_in_as_many_orders_as_there_are_options_each_stands_first_once() -> None:
    responder = Weighing(first_likeliest)
    polled(responder, scenario=FOUR, orders=4)
    for persona in PERSONAS:
        orders = [act.order for act in responder.asked if act.persona is persona]
        assert len(orders) == 4
        assert {order[0] for order in orders} == {"north", "east", "south", "west"}
        assert all(sorted(order) == ["east", "north", "south", "west"] for order in orders)


def test_two_orders_begin_differently_and_orders_differ_between_personas_and_seeds() -> None:
    by_seed = []
    for seed in range(4):
        responder = Weighing(first_likeliest)
        polled(responder, scenario=FOUR, seed=seed)
        orders = {p.name: [a.order for a in responder.asked if a.persona is p] for p in PERSONAS}
        assert all(one[0] != two[0] for one, two in orders.values())
        by_seed.append(orders)
    assert any(len({each[0] for each in orders.values()}) > 1 for orders in by_seed)
    assert len({str(orders) for orders in by_seed}) == 4
    firsts = Counter(order[0] for orders in by_seed for each in orders.values() for order in each)
    assert set(firsts) == {"north", "east", "south", "west"}


def test_the_same_seed_shows_the_same_orders() -> None:
    asked = []
    for _ in range(2):
        responder = Weighing(first_likeliest)
        polled(responder, scenario=FOUR)
        asked.append([(act.persona.name, act.order) for act in responder.asked])
    assert asked[0] == asked[1]


# --- what comes of it ------------------------------------------------------------------------


def test_a_model_that_likes_what_stands_first_likes_nothing_in_the_mean() -> None:
    found = by_logprobs(polled(Weighing(first_likeliest)))
    assert found["overall"] == pytest.approx({"keep": 0.5, "stop": 0.5})
    assert found["by_persona"]["nurse"] == pytest.approx({"keep": 0.5, "stop": 0.5})
    assert found["mass"] == pytest.approx(0.8)
    assert (found["n"], found["abstained"], found["reason"]) == (3, 0, None)


def test_what_is_no_logarithm_of_a_probability_is_left_out_or_bounded() -> None:
    def told(act: ChooseOption) -> dict[str, float]:
        return {"keep": 800.0, "stop": -math.inf if act.order[0] == "keep" else math.nan}

    run = polled(Weighing(told))
    assert by_logprobs(run)["overall"] == {"keep": 1.0, "stop": 0.0}
    assert [act["logprobs"] for act in run.transcript if act["act"] == "choose"] == [{"keep": 0.0}] * 6


def test_a_model_of_ones_own_may_tell_of_a_letter_that_nobody_showed_or_of_none() -> None:
    class Sure:
        name = "sure"

        async def complete(self, *_: Any, sampling: Sampling, **__: Any) -> Completion:
            if sampling.choices:
                return Completion(text="?", logprobs={"A": -math.inf, "B": -0.1, "C": math.nan, "Q": -0.2})
            claim = {"text": "So it was.", "commitment": None}
            said = {"statement": "So be it.", "claims": [claim], "stance": {"keep": 60, "stop": 40}}
            return Completion(text=json.dumps(said))

        async def aclose(self) -> None:
            pass

    run = polled(Sure())
    chosen = [act for act in run.transcript if act["act"] == "choose"]
    assert [list(act["logprobs"].values()) for act in chosen] == [[-0.1]] * 6
    assert Counter(act["reply"]["option"] for act in chosen) == {"keep": 3, "stop": 3}


def test_a_served_models_letters_are_averaged_over_the_orders() -> None:
    with endpoint(logprobs={"A": math.log(0.6), "B": math.log(0.3), "Z": math.log(0.1)}) as server:
        run = polled("openai:test", base_url=server.base_url)
        asked = [body for body in server.requests if body.get("logprobs")]
    assert len(asked) == 2 * len(PERSONAS)
    assert by_logprobs(run)["overall"] == pytest.approx({"keep": 0.5, "stop": 0.5})
    assert by_logprobs(run)["mass"] == pytest.approx(0.9)
    letters = [act for act in run.transcript if act["act"] == "choose"]
    assert all(set(act["logprobs"]) == {"keep", "stop"} for act in letters)
    assert Counter(act["reply"]["option"] for act in letters) == {"keep": 3, "stop": 3}


def test_each_order_weighs_the_same_however_little_fell_on_letters() -> None:
    def told(act: ChooseOption) -> dict[str, float]:
        if act.order[0] == "keep":
            return {"keep": math.log(0.9), "stop": math.log(0.1)}
        return {"keep": math.log(0.001), "stop": math.log(0.001)}

    found = by_logprobs(polled(Weighing(told)))
    assert found["overall"] == pytest.approx({"keep": 0.7, "stop": 0.3})
    assert found["mass"] == pytest.approx(0.501)


def test_an_option_that_was_not_reported_counts_as_nothing() -> None:
    found = by_logprobs(polled(Weighing(lambda act: {"keep": math.log(0.2)})))
    assert found["overall"] == {"keep": 1.0, "stop": 0.0}
    assert found["mass"] == pytest.approx(0.2)


def test_who_tells_nothing_abstains_and_the_others_count() -> None:
    def told(act: ChooseOption) -> Mapping[str, float] | Failure | None:
        if act.persona.name == "nurse":
            return Failure("timeout", "no answer within 9 s")
        return None if act.persona.name == "sailor" else {"stop": 0.0}

    found = by_logprobs(polled(Weighing(told)))
    assert found["by_persona"] == {"miller": {"keep": 0.0, "stop": 1.0}, "sailor": None, "nurse": None}
    assert (found["n"], found["abstained"]) == (1, 2)


def test_who_can_tell_in_one_order_only_counts_with_that_one() -> None:
    def told(act: ChooseOption) -> Mapping[str, float] | None:
        return {"keep": math.log(0.5), "stop": math.log(0.25)} if act.order[0] == "keep" else None

    found = by_logprobs(polled(Weighing(told)))
    assert found["overall"] == pytest.approx({"keep": 2 / 3, "stop": 1 / 3})


# --- where nobody can tell -------------------------------------------------------------------


def test_those_who_cannot_weigh_are_never_asked() -> None:
    responder = ScriptedResponder(answer)
    found = by_logprobs(polled(responder))
    assert not any(isinstance(act, ChooseOption) for act in responder.acts)
    assert found["overall"] is None
    assert found["mass"] is None
    assert found["reason"] == "nobody was asked who can tell how likely its choices are"


def test_the_extractive_default_is_never_asked() -> None:
    run = polled("extractive")
    assert not any(act["act"] == "choose" for act in run.transcript)
    assert by_logprobs(run)["reason"] == "nobody was asked who can tell how likely its choices are"


def letters_without_logprobs(
    messages: Sequence[Message], schema: Mapping[str, Any] | None, sampling: Sampling
) -> str | Completion:
    if sampling.choices:
        return Completion(text=f" {sampling.choices[0]}.")
    claim = '{"text": "So it is.", "commitment": null}'
    stance = '{"keep": 1, "stop": 3}'
    return f'{{"statement": "We wait.", "claims": [{claim}], "stance": {stance}}}'


def test_a_model_without_logprobs_leaves_a_choice_on_record_and_the_reason() -> None:
    run = polled(Scripted(letters_without_logprobs))
    found = by_logprobs(run)
    assert found["overall"] is None
    assert found["reason"] == "no model told how likely its choices were"
    assert run.usage["failures"] == 0
    assert len([act for act in run.transcript if act["act"] == "choose"]) == 6
    assert run.answers.distribution is not None
    assert run.answers.distribution["overall"] == pytest.approx({"keep": 0.25, "stop": 0.75})


@pytest.mark.parametrize("said", ["Because", "As the miller", "I cannot", "?"])
def test_words_are_not_taken_for_letters(said: str) -> None:
    def script(
        messages: Sequence[Message], schema: Mapping[str, Any] | None, sampling: Sampling
    ) -> str | Completion:
        return said if sampling.choices else letters_without_logprobs(messages, schema, sampling)

    state, _, _ = play(POLLED, responder=LanguageModelResponder(Scripted(script)))
    asked = [result for result in state["results"] if result["step"] == "poll.choose"]
    assert [result["reply"] for result in asked] == [None] * 6
    assert all(repr(said) in result["failure"]["reason"] for result in asked)


def test_where_all_asking_failed_the_reason_is_the_failures() -> None:
    failing = Weighing(lambda act: Failure("x", "the line is dead") if act.persona.name != "nurse" else None)
    assert by_logprobs(polled(failing))["reason"] == "the line is dead"


def test_without_options_nobody_is_asked() -> None:
    responder = Weighing(first_likeliest)
    run = polled(responder, scenario=OPEN_QUESTION)
    assert responder.asked == []
    assert run.answers.distribution is None
    assert run.answers.reasons["distribution"] == "the scenario has no closed options"


def test_who_has_not_opened_is_not_asked() -> None:
    class Late(Weighing):
        async def perform(self, act: Act[R], *, seed: int) -> Performed[Any]:
            if act.speaker == "nurse":
                return Performed(failure=Failure("x", "asleep"))
            return await super().perform(act, seed=seed)

    responder = Late(first_likeliest)
    run = polled(responder)
    assert {act.persona.name for act in responder.asked} == {"miller", "sailor"}
    assert by_logprobs(run)["by_persona"]["nurse"] is None


# --- the prompt ------------------------------------------------------------------------------


def test_the_prompt_shares_its_beginning_with_the_card_writers_to_the_end_of_the_persona() -> None:
    responder = LanguageModelResponder(Scripted([]))
    turns = tuple(turn(persona) for persona in PERSONAS)
    for persona in PERSONAS:
        texts = [
            "\n".join(message["content"] for message in responder.messages(act))
            for act in (
                ChooseOption(scenario=SCENARIO, persona=persona, transcript=turns, order=("keep", "stop")),
                ChooseOption(scenario=SCENARIO, persona=persona, transcript=turns, order=("stop", "keep")),
                ArticulateValue(scenario=SCENARIO, persona=persona, transcript=turns),
            )
        ]
        assert len({text[: text.index("</persona>")] for text in texts}) == 1
        assert "A: Keep the ferry every night\nB: Stop the ferry until spring" in texts[0]
        assert "A: Stop the ferry until spring\nB: Keep the ferry every night" in texts[1]


# --- properties ------------------------------------------------------------------------------

weights = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["keep", "stop"]), st.floats(-800, 0), max_size=2)
)


@given(st.lists(st.tuples(st.sampled_from(["miller", "sailor", "nurse"]), weights), max_size=9), st.randoms())
def test_shares_are_shares_in_whatever_order_the_answers_came(asked: list[Any], dice: Any) -> None:
    def found(answers: list[Any]) -> dict[str, Any]:
        results = [
            {
                "step": "poll.choose",
                "round": 1,
                "speaker": speaker,
                "reply": {"option": "keep"},
                "failure": None,
                "logprobs": told,
            }
            for speaker, told in answers
        ]
        turns = [turn(persona).model_dump(mode="json") for persona in PERSONAS]
        context = Context(scenario=SCENARIO, panel=PANEL, seed=1, responders={})
        shares = answers_of({"results": results, "turns": turns}, context, POLLED, notice=None).distribution
        assert shares is not None
        return dict(shares["logprobs"])

    one = found(asked)
    for shares in [one["overall"], *one["by_persona"].values()]:
        if shares is not None:
            assert math.fsum(shares.values()) == pytest.approx(1)
            assert all(0 <= share <= 1 for share in shares.values())
    assert one["n"] + one["abstained"] == len(PERSONAS)
    assert (one["overall"] is None) == (one["reason"] is not None) == (one["mass"] is None)
    shuffled = list(asked)
    dice.shuffle(shuffled)
    assert found(shuffled)["overall"] == pytest.approx(one["overall"])
