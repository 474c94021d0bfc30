"""The extractive responder: deterministic, grounded, and never at a loss."""

import asyncio
from typing import Any

import pytest

from multiplex.acts import (
    ACTS,
    Act,
    AnswerAlone,
    ArticulateValue,
    ClassifyPerspectives,
    JudgeTransition,
    MergeCards,
    Objection,
    Performed,
    ProposeTransition,
    Rank,
    Ratify,
    Respond,
    Synthesis,
    Synthesise,
    TakePosition,
)
from multiplex.content.personas import Commitment, Persona, Source, load_pack
from multiplex.content.protocols import load_protocol, protocol_names
from multiplex.content.scenarios import Option, Scenario, load_scenario, scenario_names
from multiplex.moral_graph.cards import ValuesCard
from multiplex.responders.extractive import ExtractiveResponder
from multiplex.responders.extractive.wording import (
    attention,
    cited,
    ended,
    fitted,
    joined,
    leaning,
    lower_first,
)
from multiplex.responders.relevance import Relevance
from tests.table import (
    MILLER,
    NURSE,
    OPEN_QUESTION,
    PERSONAS,
    SAILOR,
    SCENARIO,
    Words,
    card,
    every_act,
    play,
    turn,
)

CIVILIZATIONS = load_pack("civilizations").personas


@pytest.fixture(scope="module")
def table() -> ExtractiveResponder:
    return ExtractiveResponder(Words(), PERSONAS)


@pytest.fixture(scope="module")
def world() -> ExtractiveResponder:
    return ExtractiveResponder(Words(), CIVILIZATIONS)


def ask(responder: ExtractiveResponder, act: Act[Any], seed: int = 1) -> Any:
    performed = asyncio.run(responder.perform(act, seed=seed))
    assert performed.failure is None
    return performed.reply


# --- every act -------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", [SCENARIO, OPEN_QUESTION], ids=["options", "open"])
@pytest.mark.parametrize("name", ACTS)
def test_every_act_is_answered_and_the_same_way_every_time(name: str, scenario: Scenario) -> None:
    [act] = [act for act in every_act(scenario) if act.name == name]

    def reply() -> Any:
        return ask(ExtractiveResponder(Words(), PERSONAS), act)

    act.check(reply())
    assert reply() == reply()


@pytest.mark.parametrize("name", ACTS)
def test_a_persona_alone_is_answered_for(name: str) -> None:
    [act] = [act for act in every_act(personas=[MILLER]) if act.name == name]
    act.check(ask(ExtractiveResponder(Words(), [MILLER]), act))


def test_a_persona_alone_is_not_spoken_of_as_many(table: ExtractiveResponder) -> None:
    act = Synthesise(scenario=SCENARIO, panel=(MILLER,), transcript=(turn(MILLER),))
    synthesis = ask(table, act)
    assert "of us" not in synthesis.consensus
    assert "speakers" not in synthesis.overton
    assert [dissent.persona for dissent in synthesis.dissent] == ["miller"]


def test_nothing_is_counted_as_a_model_call(table: ExtractiveResponder) -> None:
    act = every_act()[0]
    performed: Performed[Any] = asyncio.run(table.perform(act, seed=1))
    assert (performed.usage.calls, performed.usage.prompt_tokens, performed.raw) == (0, 0, ())
    assert performed.usage.seconds > 0


@pytest.mark.parametrize("name", protocol_names())
@pytest.mark.parametrize("scenario", [SCENARIO, OPEN_QUESTION], ids=["options", "open"])
def test_every_protocol_runs_with_inline_personas_of_three_commitments(name: str, scenario: Scenario) -> None:
    state, _, _ = play(
        load_protocol(name), scenario=scenario, responder=ExtractiveResponder(Words(), PERSONAS)
    )
    assert all(result["failure"] is None for result in state["results"])


# --- positions -------------------------------------------------------------------------------


@pytest.mark.parametrize("persona", CIVILIZATIONS, ids=lambda p: p.name)
def test_different_scenarios_are_opened_differently(persona: Persona, world: ExtractiveResponder) -> None:
    openings = {
        name: ask(world, TakePosition(scenario=load_scenario(name), persona=persona))
        for name in ("eldercare", "school_phones", "organ_donation", "village_water")
    }
    grounds = {tuple(claim.commitment for claim in position.claims) for position in openings.values()}
    assert len(grounds) == len(openings)


@pytest.mark.parametrize("name", ["eldercare", "news_ranking", "amnesty"])
@pytest.mark.parametrize("persona", CIVILIZATIONS, ids=lambda p: p.name)
def test_every_claim_rests_on_a_commitment_whose_source_is_printed(
    persona: Persona, name: str, world: ExtractiveResponder
) -> None:
    position = ask(world, TakePosition(scenario=load_scenario(name), persona=persona))
    assert 1 <= len(position.claims) <= 3
    for claim in position.claims:
        commitment = persona.commitment(claim.commitment)
        assert claim.text == commitment.statement
        assert commitment.source.brief in position.statement


def test_a_stance_covers_the_options_and_there_is_none_without_them(table: ExtractiveResponder) -> None:
    position = ask(table, TakePosition(scenario=SCENARIO, persona=MILLER))
    assert list(position.stance) == ["keep", "stop"]
    assert sum(position.stance.values()) in range(99, 102)
    assert ask(table, TakePosition(scenario=OPEN_QUESTION, persona=MILLER)).stance == {}


def test_the_seed_changes_the_turn_of_phrase_and_not_the_grounds(table: ExtractiveResponder) -> None:
    positions = [ask(table, TakePosition(scenario=SCENARIO, persona=NURSE), seed) for seed in range(6)]
    assert len({position.statement for position in positions}) > 1
    assert len({position.claims for position in positions}) == 1
    assert all(position.stance == positions[0].stance for position in positions)


# --- replies ---------------------------------------------------------------------------------


@pytest.mark.parametrize("persona", PERSONAS, ids=lambda p: p.name)
def test_a_reply_concedes_to_someone_else_and_objects_only_to_a_course_that_is_not_its_own(
    persona: Persona, table: ExtractiveResponder
) -> None:
    stances = ({"keep": 0.9, "stop": 0.1}, {"keep": 0.5, "stop": 0.5}, {"keep": 0.1, "stop": 0.9})
    turns = tuple(turn(p, stance=stance) for p, stance in zip(PERSONAS, stances, strict=True))
    reply = ask(table, Respond(scenario=SCENARIO, persona=persona, transcript=turns, round=1))
    [granted] = reply.concedes
    assert granted.to != persona.name
    said = {t.speaker: [claim.text for claim in t.claims] for t in turns}
    assert granted.text in said[granted.to]
    label = {p.name: p.label for p in PERSONAS}
    assert label[granted.to] in reply.statement
    leaning_to = {p.name: stance for p, stance in zip(PERSONAS, stances, strict=True)}
    if leaning_to[persona.name]["keep"] == 0.5:
        assert reply.objects == ()
        return
    [refused] = reply.objects
    mine = max(leaning_to[persona.name], key=leaning_to[persona.name].__getitem__)
    theirs = max(leaning_to[refused.to], key=leaning_to[refused.to].__getitem__)
    assert mine != theirs
    assert refused.text == SCENARIO.option(theirs).text
    assert label[refused.to] in reply.statement


def test_a_reply_brings_a_relevant_ground_that_was_not_used_before(table: ExtractiveResponder) -> None:
    brought = []
    for persona in PERSONAS:
        turns = tuple(turn(p, number=0) for p in PERSONAS)
        reply = ask(table, Respond(scenario=SCENARIO, persona=persona, transcript=turns, round=1))
        spoken = [c for c in persona.commitments if c.statement.rstrip(".") in reply.statement]
        assert persona.commitments[0] not in spoken
        brought += spoken
    assert brought


def test_a_reply_to_nobody_objects_to_nobody(table: ExtractiveResponder) -> None:
    act = Respond(scenario=SCENARIO, persona=MILLER, transcript=(turn(MILLER),), round=1)
    reply = ask(table, act)
    assert (reply.concedes, reply.objects) == ((), ())
    assert reply.statement


# --- cards -----------------------------------------------------------------------------------


def test_a_card_is_a_commitment_that_has_no_card_yet(table: ExtractiveResponder) -> None:
    earlier: list[ValuesCard] = []
    for number in range(3):
        act = ArticulateValue(
            scenario=SCENARIO, persona=MILLER, transcript=(turn(MILLER),), earlier=tuple(earlier)
        )
        value = ask(table, act)
        commitment = MILLER.commitment(value.commitment)
        assert value.title == commitment.title
        assert value.policies == commitment.attends_to
        earlier.append(card(MILLER, MILLER.commitments.index(commitment)))
        assert len({c.id for c in earlier}) == number + 1


def test_who_has_no_commitment_left_says_so_and_does_not_break(table: ExtractiveResponder) -> None:
    cards = tuple(card(MILLER, number) for number in range(3))
    act = ArticulateValue(scenario=SCENARIO, persona=MILLER, transcript=(turn(MILLER),), earlier=cards)
    performed: Performed[Any] = asyncio.run(table.perform(act, seed=1))
    assert performed.reply is None
    assert performed.failure is not None
    assert performed.failure.kind == "nothing_left"
    assert (
        performed.failure.reason == "Miller has no commitment left to write a card from; ask for fewer cards"
    )


def test_duplicates_merge_and_others_do_not(table: ExtractiveResponder) -> None:
    double = card(MILLER).model_copy(update={"id": "nurse.9"})
    act = MergeCards(scenario=SCENARIO, cards=(card(MILLER), card(SAILOR), double))
    assert ask(table, act).groups == (("miller.1", "nurse.9"),)
    apart = MergeCards(scenario=SCENARIO, cards=tuple(card(p) for p in PERSONAS))
    assert ask(table, apart).groups == ()


def test_what_lies_in_different_clusters_does_not_merge(table: ExtractiveResponder) -> None:
    same = tuple(card(MILLER).model_copy(update={"id": f"miller.{n}"}) for n in range(1, 5))
    clusters = (("miller.1", "miller.3"), ("miller.2", "miller.4"))
    assert ask(table, MergeCards(scenario=SCENARIO, cards=same)).groups == (tuple(c.id for c in same),)
    assert ask(table, MergeCards(scenario=SCENARIO, cards=same, clusters=clusters)).groups == clusters


def test_a_wiser_card_is_another_and_the_story_names_both(table: ExtractiveResponder) -> None:
    act = ProposeTransition(scenario=SCENARIO, card=card(MILLER), others=(card(SAILOR), card(NURSE)))
    proposal = ask(table, act)
    wiser = {"sailor.1": card(SAILOR), "nurse.1": card(NURSE)}[proposal.to]
    assert card(MILLER).title in proposal.story
    assert wiser.title in proposal.story
    assert SCENARIO.setting in proposal.story
    assert list(proposal.mapping) == ["1", "2", "3"]
    for taken in proposal.mapping.values():
        assert wiser.title in taken.rationale
        assert any(policy in taken.rationale for policy in wiser.policies)


def test_a_change_of_subject_is_not_judged(table: ExtractiveResponder) -> None:
    act = next(act for act in every_act() if isinstance(act, JudgeTransition))
    numbers = card(MILLER).model_copy(update={"title": "Xylograph", "description": "Quartz zebra jukebox."})
    changed = JudgeTransition(
        scenario=SCENARIO, persona=NURSE, transition=act.transition, source=act.source, wiser=numbers
    )
    assert ask(table, changed).verdict == "unsure"


def test_what_is_nearer_to_ones_own_commitments_is_wiser(table: ExtractiveResponder) -> None:
    act = next(act for act in every_act() if isinstance(act, JudgeTransition))
    text = "I hold that whoever takes the water owes it to those who live below the mill and the ward."
    far = card(SAILOR).model_copy(update={"title": "Water below", "description": text})
    near = card(NURSE, 1).model_copy(update={"title": "Water owed below", "description": text})

    def verdict(persona: Persona, first: Any, second: Any) -> str:
        judged = JudgeTransition(
            scenario=SCENARIO, persona=persona, transition=act.transition, source=first, wiser=second
        )
        return str(ask(table, judged).verdict)

    assert verdict(NURSE, far, near) == "wiser"
    assert verdict(NURSE, near, far) == "not_wiser"
    assert verdict(NURSE, near, near) == "unsure"


# --- statements ------------------------------------------------------------------------------

STREAM = (
    "Whoever decides is asked to attend to streams that others drink from below the mill, to neighbours "
    "downstream who are never asked, to sacks that weigh what they are said to weigh, to customers who cannot "
    "check the scales, to stones that run too hot in a busy week, and to apprentices who are hurried past "
    "their craft."
)
ALIEN = "Quarterly earnings per share rose by four per cent, and the board approved a stock split in May."


def test_a_statement_of_ones_own_policies_is_endorsed_more_than_an_alien_one(
    table: ExtractiveResponder,
) -> None:
    own = ask(table, Ratify(scenario=SCENARIO, persona=MILLER, statement=STREAM))
    alien = ask(table, Ratify(scenario=SCENARIO, persona=MILLER, statement=ALIEN))
    assert own.endorsement >= alien.endorsement + 3
    assert own.objection is None
    assert any(c.title in alien.objection for c in MILLER.commitments)
    rank = Rank(scenario=SCENARIO, persona=MILLER, statements=(ALIEN, STREAM))
    assert ask(table, rank).order == (2, 1)


def test_statements_that_carry_as_much_stay_in_their_order(table: ExtractiveResponder) -> None:
    act = Rank(scenario=SCENARIO, persona=MILLER, statements=(STREAM, STREAM, ALIEN))
    assert ask(table, act).order == (1, 2, 3)


def synthesis(responder: ExtractiveResponder, **more: Any) -> Synthesis:
    turns = tuple(turn(p, stance={"keep": 0.7, "stop": 0.3}) for p in PERSONAS[:2])
    last = turn(PERSONAS[2], stance={"keep": 0.2, "stop": 0.8})
    act = Synthesise(**{"scenario": SCENARIO, "panel": PERSONAS, "transcript": (*turns, last), **more})
    reply = ask(responder, act)
    assert isinstance(reply, Synthesis)
    return reply


@pytest.mark.parametrize(
    ("said", "end"),
    [("Water is for all.", "."), ("Whose is the water?", "?"), ("水は皆のもの。", "。"), ("कुआँ सबका है।", "।")],
)
def test_a_source_stands_before_the_stop_of_any_script(said: str, end: str) -> None:
    commitment = MILLER.commitments[0].model_copy(update={"statement": said})
    assert cited(commitment) == f"{said[:-1]} ({commitment.source.brief}){end}"


def test_the_spectrum_gives_everyone_a_place_and_a_source(table: ExtractiveResponder) -> None:
    overton = synthesis(table).overton
    for persona in PERSONAS:
        assert persona.label in overton
        assert persona.commitments[0].source.brief in overton
    assert "nearest to “Keep the ferry every night” stand Miller and Sailor." in overton
    assert "nearest to “Stop the ferry until spring” stands Nurse." in overton


def test_who_leans_one_way_together_is_not_said_to_lean_apart(table: ExtractiveResponder) -> None:
    turns = tuple(turn(p, stance={"keep": 0.7, "stop": 0.3}) for p in PERSONAS)
    together = ask(table, Synthesise(scenario=SCENARIO, panel=PERSONAS, transcript=turns))
    assert "lean different ways" in synthesis(table).consensus
    assert "lean different ways" not in together.consensus


def test_a_revision_takes_up_what_bears_on_the_question_and_keeps_the_spectrum(
    table: ExtractiveResponder,
) -> None:
    scenario = SCENARIO.model_copy(
        update={"question": "Who stays on nights when the ward is short of staff?", "choice_context": None}
    )
    turns = tuple(turn(p) for p in PERSONAS)
    first = ask(table, Synthesise(scenario=scenario, panel=PERSONAS, transcript=turns))
    bedside = NURSE.commitments[0]

    def revised(policy: str) -> Synthesis:
        text = f"It carries too little of “{bedside.title}”: {attention(policy)}."
        objection = Objection(persona="nurse", label="Nurse", endorsement=2, text=text)
        act = Synthesise(
            scenario=scenario, panel=PERSONAS, transcript=turns, previous=first, objections=(objection,)
        )
        reply = ask(table, act)
        assert isinstance(reply, Synthesis)
        return reply

    patients, nights, _ = bedside.attends_to
    assert f"attend, before anything else, to {attention(nights)}" in revised(nights).consensus
    assert f"anything else, to {attention(patients)}" not in revised(patients).consensus
    assert revised(nights).overton == first.overton


def test_candidates_differ(table: ExtractiveResponder) -> None:
    assert len({synthesis(table, candidate=number).consensus for number in range(3)}) > 1


def test_the_observer_finds_whose_commitment_a_sentence_is(table: ExtractiveResponder) -> None:
    text = f"{NURSE.commitments[0].statement} It rained. {MILLER.commitments[1].statement}"
    act = ClassifyPerspectives(scenario=SCENARIO, text=text, perspectives=("rural", "maritime", "clinical"))
    found = ask(table, act).references
    assert [reference.perspective for reference in found] == ["clinical", "rural"]
    assert all(reference.span in text for reference in found)
    assert {reference.sentiment for reference in found} == {None}  # nearness of words tells none


def test_one_voice_is_one_worldview_and_many_are_several(world: ExtractiveResponder) -> None:
    scenario = load_scenario("eldercare")
    plain = ask(world, AnswerAlone(scenario=scenario)).answer
    many = ask(world, AnswerAlone(scenario=scenario, told="multiplex")).answer
    assert not any(f"A {p.label} view:" in plain for p in CIVILIZATIONS)
    assert sum(f"{p.label}: " in many for p in CIVILIZATIONS) >= 4


# --- the longest that files may hold ---------------------------------------------------------


def long_winded(name: str) -> Persona:
    def words(start: str, longest: int) -> str:
        return f"{start} {'verbosity and more of it ' * 40}"[: longest - 1].strip() + "."

    return MILLER.model_copy(
        update={
            "name": name,
            "label": words(f"Label {name}", 400),
            "commitments": tuple(
                Commitment(
                    key=f"key_{number}",
                    title=words(f"Title {number}", 400),
                    statement=words(f"I hold number {number}", 700),
                    attends_to=tuple(words(f"MOMENTS {number} {i}", 400) for i in range(7)),
                    schwartz=("Helpful",),
                    topics=("work",),
                    source=Source(work=words("Work", 400), locus=words("Locus", 400)),
                )
                for number in range(5)
            ),
        }
    )


@pytest.mark.parametrize("name", ACTS)
def test_the_longest_content_still_gives_replies_that_fit(name: str) -> None:
    personas = [long_winded(f"speaker_{number}") for number in range(3)]
    scenario = SCENARIO.model_copy(
        update={
            "question": f"Why {'so long a question ' * 200}"[:3900] + "?",
            "choice_context": "c" * 600,
            "options": (Option(key="a" * 60, text="a" * 600), Option(key="b", text="b" * 600)),
        }
    )
    responder = ExtractiveResponder(Words(), personas)
    for act in every_act(scenario, personas):
        if act.name == name:
            act.check(ask(responder, act))


def test_nobody_is_left_out_of_the_spectrum_of_a_large_panel() -> None:
    crowd = tuple(
        p.model_copy(update={"name": f"{p.name}_{i}", "label": f"{p.label} {i}"})
        for i in range(12)
        for p in PERSONAS
    )
    responder = ExtractiveResponder(Words(), crowd)
    act = Synthesise(scenario=SCENARIO, panel=crowd, transcript=tuple(turn(p) for p in crowd))
    overton = ask(responder, act).overton
    assert all(f"{persona.label}" in overton for persona in crowd)


# --- wording ---------------------------------------------------------------------------------


def test_texts_are_cut_after_a_word() -> None:
    assert fitted("One two three", 13) == "One two three"
    assert fitted("One, two three", 9) == "One…"
    assert fitted("Onetwothree", 5) == "Onet…"
    assert all(len(fitted("One, two three " * 9, longest)) <= longest for longest in range(2, 80))


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("MOMENTS when help is needed.", "moments when help is needed"),
        ("GOD'S CREATURES that ask for nothing", "god's creatures that ask for nothing"),
        ("PEOPLE in the USA", "people in the USA"),
    ],
)
def test_policies_read_on_inside_a_sentence(policy: str, said: str) -> None:
    assert attention(policy) == said


def test_lists_read_as_in_prose() -> None:
    assert [joined(["a", "b", "c"][:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]


def test_first_letters_are_lowered_where_they_may_be() -> None:
    assert lower_first("Keep the ferry") == "keep the ferry"
    assert [lower_first(text) for text in ("I go", "I'd go", "NATO goes", "")] == [
        "I go",
        "I'd go",
        "NATO goes",
        "",
    ]


def test_a_stance_that_is_torn_says_so() -> None:
    torn = leaning({"keep": 0.52, "stop": 0.48}, SCENARIO.options, 0)
    assert "Keep the ferry".lower() in torn.lower()
    assert "Stop the ferry".lower() in torn.lower()
    sure = leaning({"keep": 0.1, "stop": 0.9}, SCENARIO.options, 0)
    assert "keep the ferry" not in sure
    assert leaning({}, (), 0) == ""


def test_embeddings_are_asked_for_together() -> None:
    words = Words()
    relevance = Relevance(words, PERSONAS)
    relevance.vectors(["one"])
    assert words.embedded == 3 * (3 + 9) + 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("Should tips be shared", "Should tips be shared?"),
        ("In a strike, may nurses leave", "In a strike, may nurses leave?"),
        ("My neighbour drinks. What should I do", "My neighbour drinks. What should I do?"),
        ("Tell me how to share a well", "Tell me how to share a well."),
        ("He asked: \u201cWhy?\u201d", "He asked: \u201cWhy?\u201d"),
        ("Share it.", "Share it."),
        ("水该怎么分", "水该怎么分。"),
    ],
)
def test_what_was_asked_ends_with_its_mark(asked: str, said: str) -> None:
    assert ended(asked) == ended(said) == said


def test_the_spectrum_keeps_the_question_apart_from_what_follows(table: ExtractiveResponder) -> None:
    scenario = SCENARIO.model_copy(update={"question": "Should tips be shared"})
    assert synthesis(table, scenario=scenario).overton.startswith("Should tips be shared? ")


def test_the_questions_of_shipped_scenarios_stay_as_they_are() -> None:
    asked = [load_scenario(name).question for name in scenario_names()]
    assert asked
    assert [ended(question) for question in asked] == asked
