"""Acts: schemas that bound every reply, narrowed to what there is, and checks that refuse nonsense."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from multiplex.acts import (
    ACTS,
    Act,
    AnswerAlone,
    ArticulateValue,
    Ballot,
    Claim,
    ClassifyPerspectives,
    Dissent,
    Failure,
    MergeCards,
    Merger,
    Performed,
    Point,
    Position,
    ProposeTransition,
    Rank,
    Ranking,
    Reference,
    References,
    Respond,
    Synthesis,
    Synthesise,
    TakePosition,
    ValueArticulated,
    Verdict,
)
from multiplex.acts.replies import TakenUp
from multiplex.content.schwartz import SCHWARTZ_VALUES
from tests.table import (
    MILLER,
    NURSE,
    OPEN_QUESTION,
    PERSONAS,
    SCENARIO,
    answer,
    card,
    every_act,
    proposal,
    turn,
)

EVERY = {act.name: act for act in every_act()}


def given(kind: type[Act[Any]]) -> Any:
    """Return the act of that kind and a reply that fits it."""
    act = EVERY[kind.name]
    return act, answer(act, 0)


def complaint(act: Act[Any], reply: BaseModel) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        act.check(reply)
    assert not isinstance(caught.value, ValidationError)
    return str(caught.value)


# --- all acts --------------------------------------------------------------------------------


def test_every_act_is_listed_by_its_name() -> None:
    assert set(EVERY) == set(ACTS)
    assert all(type(act) is ACTS[name] for name, act in EVERY.items())


@pytest.mark.parametrize("name", ACTS)
def test_a_reply_that_makes_sense_passes(name: str) -> None:
    act = EVERY[name]
    act.check(answer(act, 0))
    assert isinstance(answer(act, 0), act.reply)


@pytest.mark.parametrize("name", ACTS)
def test_an_act_is_asked_of_its_persona_or_of_its_agent(name: str) -> None:
    act = EVERY[name]
    assert act.speaker == ("miller" if act.agent == "persona" else act.agent)


def test_an_act_is_frozen() -> None:
    with pytest.raises(AttributeError):
        EVERY["rank"].statements = ()  # type: ignore[attr-defined]


def test_one_model_alone_is_told_by_the_role_of_its_strategy() -> None:
    assert AnswerAlone(scenario=SCENARIO).role == "answer_plain"
    assert AnswerAlone(scenario=SCENARIO, told="multiplex").role == "answer_multiplex"
    assert EVERY["rank"].role == "rank"


def test_an_act_that_was_performed_has_a_reply_or_a_failure() -> None:
    reply, failure = Ballot(endorsement=4, objection=None), Failure("tired", "lost for words")
    performed: Performed[Ballot] = Performed(reply=reply)
    assert (performed.reply, performed.failure, performed.usage.calls) == (reply, None, 0)
    with pytest.raises(ValueError, match="needs either a reply or a failure"):
        Performed()
    with pytest.raises(ValueError, match="needs either a reply or a failure"):
        Performed(reply=reply, failure=failure)


# --- schemas ---------------------------------------------------------------------------------


def parts(schema: Mapping[str, Any], where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Walk every schema below a schema."""
    yield where, schema
    for key in ("properties", "$defs"):
        for name, part in schema.get(key, {}).items():
            yield from parts(part, f"{where}.{name}")
    for index, part in enumerate(schema.get("anyOf", ())):
        yield from parts(part, f"{where}|{index}")
    if "items" in schema:
        yield from parts(schema["items"], f"{where}[]")


@pytest.mark.parametrize("scenario", [SCENARIO, OPEN_QUESTION], ids=["options", "open"])
@pytest.mark.parametrize("name", ACTS)
def test_every_schema_is_closed_and_bounded_all_the_way_down(name: str, scenario: Any) -> None:
    [act] = [act for act in every_act(scenario) if act.name == name]
    for where, part in parts(act.schema()):
        kind = part.get("type")
        if kind == "object":
            assert part["additionalProperties"] is False, where
            assert set(part["required"]) == set(part["properties"]), where
        elif kind == "string" and "enum" not in part and "const" not in part:
            assert {"minLength", "maxLength"} <= set(part), where
        elif kind == "array":
            assert "maxItems" in part, where
        elif kind == "integer":
            assert {"minimum", "maximum"} <= set(part), where
        else:
            assert kind in {"string", "boolean", "null", None}, where
        assert kind or {"anyOf", "$ref", "enum", "const"} & set(part), where


def enumerations(act: Act[Any]) -> dict[str, list[str]]:
    return {where: list(part["enum"]) for where, part in parts(act.schema()) if "enum" in part}


def test_schemas_are_narrowed_to_the_values_that_there_are() -> None:
    keys = [c.key for c in MILLER.commitments]
    cards = ["miller.1", "sailor.1", "nurse.1"]
    assert enumerations(EVERY["take_position"]) == {
        ".Claim.commitment|0": keys,
    }
    assert enumerations(EVERY["reply"]) == {
        ".Point.to": ["nurse", "sailor"],
    }
    assert enumerations(EVERY["articulate_value"]) == {
        ".commitment|0": keys,
        ".schwartz[]": list(SCHWARTZ_VALUES),
    }
    assert enumerations(EVERY["merge_cards"]) == {".groups[][]": cards}
    assert enumerations(EVERY["propose_transition"]) == {
        ".to": cards[1:],
        ".TakenUp.how": ["keeps_what_matters", "drops_a_mixed_motive", "is_more_skilful"],
    }
    assert enumerations(EVERY["judge_transition"]) == {".verdict": ["wiser", "not_wiser", "unsure"]}
    assert enumerations(EVERY["synthesise"]) == {".Dissent.persona": [p.name for p in PERSONAS]}
    assert enumerations(EVERY["classify_perspectives"]) == {
        ".Reference.perspective": ["rural", "maritime", "clinical"],
        ".Reference.sentiment": ["positive", "neutral", "negative"],
    }


def test_an_order_of_few_statements_can_be_nothing_else() -> None:
    order = EVERY[Rank.name].schema()["properties"]["order"]
    assert order["enum"] == [[1, 2], [2, 1]]
    four = Rank(scenario=SCENARIO, persona=MILLER, statements=tuple("abcd")).schema()["properties"]["order"]
    assert len(four["enum"]) == 24
    assert all(sorted(each) == [1, 2, 3, 4] for each in four["enum"])
    assert (four["minItems"], four["maxItems"], four["items"]["maximum"]) == (4, 4, 4)


def test_an_order_of_many_statements_takes_as_many_numbers_and_none_beyond_them() -> None:
    order = Rank(scenario=SCENARIO, persona=MILLER, statements=tuple("abcdefg")).schema()["properties"][
        "order"
    ]
    assert "enum" not in order, "5,040 of them"
    assert (order["minItems"], order["maxItems"]) == (7, 7)
    assert (order["items"]["minimum"], order["items"]["maximum"]) == (1, 7)


def test_where_there_is_nothing_to_choose_from_the_list_has_to_be_empty() -> None:
    act = Respond(scenario=OPEN_QUESTION, persona=MILLER, transcript=(turn(MILLER),), round=1)
    assert act.others() == []
    assert enumerations(act) == {}
    properties = act.schema()["properties"]
    assert [properties[name]["maxItems"] for name in ("concedes", "objects")] == [0, 0]
    assert properties["stance"]["properties"] == {}


def test_a_stance_gives_every_option_a_weight() -> None:
    for name in ("take_position", "reply"):
        stance = EVERY[name].schema()["properties"]["stance"]
        assert stance["required"] == list(stance["properties"]) == ["keep", "stop"]
        assert stance["properties"]["keep"] == {"maximum": 100, "minimum": 0, "type": "integer"}


def test_narrowing_one_act_leaves_the_next_as_it_was() -> None:
    one = TakePosition(scenario=OPEN_QUESTION, persona=MILLER).schema()
    TakePosition(scenario=SCENARIO, persona=NURSE).schema()
    assert one == TakePosition(scenario=OPEN_QUESTION, persona=MILLER).schema()


@pytest.mark.parametrize("extra", [{"mood": "fine"}, {"reason": ""}, {"verdict": "maybe"}])
def test_replies_are_strict_about_what_they_hold(extra: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Verdict.model_validate({"verdict": "wiser", "reason": "It is.", **extra})


@pytest.mark.parametrize("endorsement", [0, 8])
def test_an_endorsement_is_from_1_to_7(endorsement: int) -> None:
    with pytest.raises(ValidationError):
        Ballot(endorsement=endorsement, objection=None)


# --- nonsense --------------------------------------------------------------------------------


def test_a_stance_names_options_that_there_are_each_once_and_at_least_one_with_weight() -> None:
    act, position = given(TakePosition)

    def stance(*weights: tuple[str, int]) -> Position:
        changed: Position = position.model_copy(update={"stance": dict(weights)})
        return changed

    assert complaint(act, stance(("swim", 3))) == "stance: option 'swim' is none of: keep, stop"
    nothing = "stance: give at least one option a weight above 0"
    assert complaint(act, stance(("keep", 0), ("stop", 0))) == nothing
    assert complaint(act, stance()) == nothing
    act.check(stance(("keep", 1)))


def test_without_options_a_stance_is_empty() -> None:
    act = TakePosition(scenario=OPEN_QUESTION, persona=MILLER)
    reply = answer(TakePosition(scenario=SCENARIO, persona=MILLER), 0)
    assert complaint(act, reply) == "stance: option 'keep' is none of: (there are none)"
    act.check(answer(act, 0))


def test_a_claim_rests_on_a_commitment_of_ones_own_or_on_none() -> None:
    act, position = given(TakePosition)
    wanted = "claims: commitment 'bedside' is none of: mill_stream, honest_measure, slow_stone"
    stranger = Claim(text="So it is.", commitment="bedside")
    assert complaint(act, position.model_copy(update={"claims": (stranger,)})) == wanted
    act.check(position.model_copy(update={"claims": (Claim(text="So it is.", commitment=None),)}))


@pytest.mark.parametrize("field", ["concedes", "objects"])
@pytest.mark.parametrize("to", ["miller", "captain", "moderator"])
def test_a_point_is_made_to_another_who_has_spoken(field: str, to: str) -> None:
    act, rejoinder = given(Respond)
    reply = rejoinder.model_copy(update={field: (Point(to=to, text="So it is."),)})
    assert complaint(act, reply) == f"a point is made to {to!r} is none of: nurse, sailor"


def test_a_card_is_new_and_rests_on_a_commitment_of_ones_own() -> None:
    act, value = given(ArticulateValue)
    again: ValueArticulated = value.model_copy(update={"title": "KEEPING THE STREAM"})
    assert complaint(act, again) == "title: 'KEEPING THE STREAM' is a card that you have already written"
    assert complaint(act, value.model_copy(update={"commitment": "bedside"})).startswith(
        "commitment 'bedside' is none of: mill_stream"
    )
    act.check(value.model_copy(update={"commitment": None}))


def test_groups_are_disjoint_and_name_cards_that_there_are() -> None:
    act = EVERY[MergeCards.name]
    unknown = Merger(groups=(("miller.1", "owl.1"),))
    assert complaint(act, unknown) == "groups: card 'owl.1' is none of: miller.1, sailor.1, nurse.1"
    twice = "groups: a card stands in more than one place"
    assert complaint(act, Merger(groups=(("miller.1", "sailor.1"), ("sailor.1", "nurse.1")))) == twice
    assert complaint(act, Merger(groups=(("miller.1", "miller.1"),))) == twice
    with pytest.raises(ValidationError):
        Merger(groups=(("miller.1",),))


def test_only_cards_of_one_cluster_merge() -> None:
    asked, _ = given(MergeCards)
    act = replace(asked, clusters=(("miller.1", "sailor.1"), ("nurse.1", "owl.1")))
    act.check(Merger(groups=(("sailor.1", "miller.1"),)))
    across = complaint(act, Merger(groups=(("miller.1", "nurse.1"),)))
    assert across == "groups: miller.1, nurse.1 are not of one line, and only those of one line can merge"


def test_a_card_of_the_longest_name_can_be_merged_and_proposed() -> None:
    longest = f"{'n' * 60}.10"
    assert Merger(groups=((longest, "miller.1"),)).groups[0][0] == longest
    act = ProposeTransition(scenario=SCENARIO, card=card(MILLER), others=(card(NURSE),))
    assert proposal(act, longest).to == longest


@pytest.mark.parametrize("to", ["miller.1", "owl.1"])
def test_a_wiser_card_is_another_one(to: str) -> None:
    act, _ = given(ProposeTransition)
    reply = proposal(act, to)
    assert complaint(act, reply) == f"to: card {to!r} is none of: sailor.1, nurse.1"


def test_a_proposal_says_of_every_policy_what_becomes_of_it() -> None:
    act, reply = given(ProposeTransition)
    mapping = act.schema()["properties"]["mapping"]
    assert mapping["required"] == list(mapping["properties"]) == ["1", "2", "3"]
    kept = reply.mapping["1"]
    short = reply.model_copy(update={"mapping": {"1": kept}})
    assert complaint(act, short) == "mapping: leaves out policy 2, 3 of the card miller.1"
    long = reply.model_copy(update={"mapping": {**reply.mapping, "4": kept}})
    assert complaint(act, long) == "mapping: policy '4' is none of: 1, 2, 3"
    with pytest.raises(ValidationError):
        TakenUp.model_validate({"how": "is_louder", "rationale": "It is."})


def test_dissent_is_ascribed_to_someone_on_the_panel() -> None:
    act, synthesis = given(Synthesise)
    reply: Synthesis = synthesis.model_copy(update={"dissent": (Dissent(persona="owl", text="No."),)})
    assert complaint(act, reply) == "dissent: persona 'owl' is none of: miller, sailor, nurse"


@pytest.mark.parametrize("order", [(1,), (1, 1), (1, 3), (2, 1, 3)])
def test_an_order_names_every_statement_once(order: tuple[int, ...]) -> None:
    act = EVERY[Rank.name]
    assert complaint(act, Ranking(order=order)) == "order: needs to name every number from 1 to 2 once"


def references(perspective: str, span: str) -> References:
    return References(references=(Reference(perspective=perspective, span=span, sentiment="neutral"),))


def test_a_reference_is_to_a_perspective_on_the_list_and_its_span_stands_in_the_text() -> None:
    act = EVERY[ClassifyPerspectives.name]
    assert complaint(act, references("martian", "Nobody knows.")) == (
        "references: perspective 'martian' is none of: rural, maritime, clinical"
    )
    assert complaint(act, references("rural", "Somebody knows.")) == (
        "references: the span 'Somebody knows.' does not stand in the text"
    )
    act.check(References(references=()))


@pytest.mark.parametrize("span", ["Nobody  knows", "NOBODY knows", "below.\nNobody", "‹b›"])
def test_a_span_is_found_whatever_its_spacing_case_and_brackets(span: str) -> None:
    text = "Those who live below. Nobody knows <b>."
    act = ClassifyPerspectives(scenario=SCENARIO, text=text, perspectives=("rural",))
    act.check(references("rural", span))


def test_cards_for_tests_are_what_they_say() -> None:
    assert card(NURSE, 1).id == "nurse.2"
