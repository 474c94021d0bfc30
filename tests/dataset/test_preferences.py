"""What is preferred: each rule by its cases, and what no rule ever does, whatever the votes."""

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.dataset.material import Material, Text
from multiplex.dataset.preferences import RULES, Pair, Passed, Thresholds, pairs_of
from tests.dataset.made import NAMES, material, pairs, text

NONE = (None, None, None)
HALF, ALL, LITTLE = (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), (0.2, 0.2, 0.2)


def decided(rule: str, *texts: Text, **options: Any) -> Pair | str:
    """Return the pair of a group rule, or why there is none."""
    [found] = [each for each in pairs_of(material(*texts), seed=0, **options) if each.rule == rule]
    return found.why if isinstance(found, Passed) else found


def in_character(*texts: Text, **options: Any) -> dict[str | None, Pair | str]:
    found = [
        each for each in pairs_of(material(*texts), **{"seed": 0, **options}) if each.rule == "in_character"
    ]
    return {each.persona: each.why if isinstance(each, Passed) else each for each in found}


# --- coverage ----------------------------------------------------------------------------------


def test_the_panels_answer_is_preferred_where_it_carries_and_is_endorsed_more() -> None:
    panel, alone = (
        text("overton", votes=(6, 6, 4), carried=ALL),
        text("alone", votes=(3, 4, 4), carried=LITTLE),
    )
    pair = decided("coverage", panel, alone)
    assert isinstance(pair, Pair)
    assert (pair.chosen, pair.rejected, pair.persona) == (panel, alone, None)
    assert pair.margin == pytest.approx(5 / 3 / 6, abs=1e-4)
    assert pair.claims_margin == pytest.approx(0.8)
    assert pair.preferring == {"miller": "chosen", "sailor": "chosen", "nurse": "indifferent"}
    assert "carries 100% of the panel's opening claims, the other 20%" in pair.reason


@pytest.mark.parametrize(
    ("panel", "alone", "why"),
    [
        (None, text("alone", votes=(3, 3, 3), carried=HALF), "missing"),
        (text("overton", votes=(6, 6, 6), carried=ALL), None, "missing"),
        (
            text("overton", votes=(6, 6, 6), carried=NONE),
            text("alone", votes=(3, 3, 3), carried=HALF),
            "missing",
        ),
        (text("overton", votes=(6, 6, 6), carried=HALF), text("alone", votes=(3, 3, 3), carried=HALF), "tie"),
        (
            text("overton", votes=(6, 6, 6), carried=LITTLE),
            text("alone", votes=(3, 3, 3), carried=HALF),
            "reversed",
        ),
        (
            text("overton", votes=(3, 3, 3), carried=ALL),
            text("alone", votes=(4, 4, 4), carried=HALF),
            "reversed",
        ),
        (text("overton", votes=(4, 4, 4), carried=ALL), text("alone", votes=(4, 4, 4), carried=HALF), "tie"),
        # The sailor is heard less than before, and not by half: however glad the others are.
        (
            text("overton", votes=(7, 7, 7), carried=(1.0, 0.4, 1.0)),
            text("alone", votes=(1, 1, 1), carried=(0.0, 0.6, 0.0)),
            "conflict",
        ),
        (
            text("overton", votes=(7, 7, 7), carried=ALL),
            text("alone", votes=(1, 1, 1), carried=LITTLE, said="What the miller says."),
            "conflict",
        ),
    ],
)
def test_there_is_no_pair_of_coverage(panel: Text | None, alone: Text | None, why: str) -> None:
    own = text("steered", persona="miller", said="What the miller says.", carried=ALL)
    assert decided("coverage", *(each for each in (panel, alone, own) if each)) == why


def test_who_was_heard_by_half_in_both_may_be_heard_a_little_less() -> None:
    panel = text("overton", votes=(7, 7, 7), carried=(1.0, 0.5, 1.0))
    alone = text("alone", votes=(1, 1, 1), carried=(0.0, 0.9, 0.0))
    assert isinstance(decided("coverage", panel, alone), Pair)
    assert decided("coverage", panel, alone, thresholds=Thresholds(carried=0.6)) == "conflict"


@pytest.mark.parametrize("rejected", [5, 7])
def test_one_persona_who_endorses_the_other_answer_more_is_enough_for_there_to_be_no_pair(
    rejected: int,
) -> None:
    panel = text("overton", votes=(7, 7, 4), carried=ALL)
    assert decided("coverage", panel, text("alone", votes=(1, 1, rejected), carried=LITTLE)) == "conflict"


def test_a_few_ballots_do_not_speak_for_the_panel() -> None:
    panel = text("overton", votes=(7, None, None), carried=ALL)
    alone = text("alone", votes=(1, 3, 3), carried=LITTLE)
    assert decided("coverage", panel, alone) == "missing"
    # Two of three did vote on both; the third can live with what would be rejected.
    heard = text("overton", votes=(7, 7, None), carried=ALL)
    liked = text("alone", votes=(1, 3, 4), carried=LITTLE)
    assert decided("coverage", heard, liked) == "conflict"
    assert isinstance(decided("coverage", heard, alone), Pair)


@pytest.mark.parametrize(
    ("vote", "objects", "why"),
    [(1, False, "conflict"), (3, False, "conflict"), (7, True, "conflict"), (4, False, None)],
)
@pytest.mark.parametrize("rule", ["coverage", "after_critique", "ratified"])
def test_who_cannot_live_with_what_would_be_chosen_counts_without_a_ballot_on_the_other(
    rule: str, vote: int, objects: bool, why: str | None
) -> None:
    against = ("nurse",) if objects else ()
    chosen = {"votes": (7, 7, vote), "carried": ALL, "objects": against}
    rejected = {"votes": (3, 3, None), "carried": LITTLE, "objects": ("miller",)}
    found = decided(
        rule,
        text("overton", **chosen),  # type: ignore[arg-type]
        text("consensus", **chosen),  # type: ignore[arg-type]
        text("draft", **rejected),  # type: ignore[arg-type]
        text("alone", **rejected),  # type: ignore[arg-type]
    )
    if why is not None:
        assert found == why
        return
    assert isinstance(found, Pair)
    assert found.preferring == {"miller": "chosen", "sailor": "chosen", "nurse": None}
    assert "; of those who voted on both the mean endorsement is 4.00 higher, from 1 to 7" in found.reason


def test_where_nobody_was_asked_there_is_no_margin_but_that_of_the_claims() -> None:
    panel, alone = text("overton", carried=ALL), text("alone", carried=HALF)
    pair = decided("coverage", panel, alone)
    assert isinstance(pair, Pair)
    assert (pair.margin, pair.claims_margin) == (None, 0.5)
    assert pair.preferring == {}
    assert pair.reason.endswith("; nobody was asked to endorse both")
    assert decided("coverage", panel, alone, thresholds=Thresholds(margin=0.6)) == "tie"


# --- in character ------------------------------------------------------------------------------

OWN = (
    text("steered", persona="miller", carried=(1.0, 0.0, 0.0)),
    text("steered", persona="sailor", carried=(0.1, 0.8, 0.0)),
    text("steered", persona="nurse", carried=(0.0, 0.7, 0.6)),
)


def test_each_personas_own_answer_is_preferred_to_another_personas_and_never_by_votes() -> None:
    found = in_character(*OWN)
    miller, sailor = found["miller"], found["sailor"]
    assert isinstance(miller, Pair)
    assert isinstance(sailor, Pair)
    assert miller.chosen is OWN[0]
    assert miller.rejected in OWN[1:]
    assert miller.preferring == {"miller": "chosen"}
    assert sailor.rejected is OWN[0]  # the nurse's says too much of what the sailor claims
    assert (sailor.claims_margin, sailor.persona) == (0.8, "sailor")
    assert sailor.margin is None  # nobody endorsed either
    assert found["nurse"] == "unfaithful"


def test_whom_to_set_against_depends_on_the_seed_and_on_nothing_else() -> None:
    by_seed = [in_character(*OWN, seed=seed)["miller"] for seed in range(12)]
    assert [in_character(*OWN, seed=seed)["miller"] for seed in range(12)] == by_seed
    assert {each.rejected.persona for each in by_seed if isinstance(each, Pair)} == {"sailor", "nurse"}


@pytest.mark.parametrize(
    ("carried", "why"),
    [((None, 0.0, 0.0), "missing"), ((0.4, 0.0, 0.0), "unfaithful"), ((0.6, 0.7, 0.0), "unfaithful")],
)
def test_an_answer_that_is_not_in_character_is_not_chosen(carried: Any, why: str) -> None:
    own = text("steered", persona="miller", carried=carried)
    other = text("steered", persona="sailor", carried=(0.0, 1.0, 0.0))
    assert in_character(own, other)["miller"] == why


def test_answers_alike_are_a_tie_and_one_alone_has_nothing_to_be_set_against() -> None:
    alike = [text("steered", persona=name, carried=ALL, said="The same.") for name in NAMES]
    assert set(in_character(*alike).values()) == {"tie"}
    near = text("steered", persona="sailor", carried=(0.8, 1.0, 0.0))
    assert in_character(OWN[0], near)["miller"] == "tie"
    assert in_character(OWN[0])["miller"] == "missing"


# --- after critique, ratified ------------------------------------------------------------------


def test_what_was_revised_is_preferred_to_what_was_objected_to() -> None:
    revised, draft = text("consensus", votes=(6, 6, 5)), text("draft", votes=(3, 6, 5), objects=["miller"])
    pair = decided("after_critique", revised, draft)
    assert isinstance(pair, Pair)
    assert (pair.chosen, pair.rejected) == (revised, draft)
    assert pair.margin == pytest.approx(1 / 6, abs=1e-4)
    assert pair.claims_margin is None  # the rule does not look at claims
    assert pair.preferring == {"miller": "chosen", "sailor": "indifferent", "nurse": "indifferent"}


@pytest.mark.parametrize(
    ("revised", "draft", "why"),
    [
        ((6, 6, 6), None, "missing"),
        (NONE, (3, 3, 3), "missing"),
        ((5, 5, 5), (5, 5, 5), "tie"),
        ((4, 4, 4), (5, 5, 5), "reversed"),
        ((7, 7, 4), (2, 2, 5), "conflict"),
    ],
)
def test_there_is_no_pair_of_a_critique(revised: Any, draft: Any, why: str) -> None:
    before = [] if draft is None else [text("draft", votes=draft, objects=["nurse"])]
    assert decided("after_critique", text("consensus", votes=revised), *before) == why


def test_a_ratified_statement_is_preferred_to_one_objected_to() -> None:
    ratified = text("consensus", votes=(5, 4, 3))
    refused = text("alone", votes=(2, 4, 3), objects=["miller"])
    pair = decided("ratified", ratified, refused)
    assert isinstance(pair, Pair)
    assert (pair.chosen, pair.rejected) == (ratified, refused)
    assert pair.reason.startswith("67% of those who voted on it can live with it, with the other 33%; ")


@pytest.mark.parametrize(
    ("signed", "refused", "why"),
    [
        (text("consensus", votes=(5, 3, 3)), text("alone", votes=(1, 1, 1), objects=["miller"]), "missing"),
        (text("consensus", votes=(5, 5, 5)), text("alone", votes=(1, 1, 1)), "missing"),
        (text("consensus", votes=(5, 5, 5)), text("alone", votes=(4, 4, 1), objects=["nurse"]), "missing"),
        (text("consensus", votes=(4, 4, 2)), text("alone", votes=(1, 1, 3), objects=["miller"]), "conflict"),
        (text("overton", votes=(6, 6, 6)), text("alone", votes=(1, 1, 1), objects=["miller"]), "missing"),
        (text("consensus", votes=NONE), text("alone", votes=NONE, objects=["miller"]), "missing"),
    ],
)
def test_there_is_no_pair_of_ratification(signed: Text, refused: Text, why: str) -> None:
    assert decided("ratified", signed, refused) == why


def test_a_text_is_not_preferred_to_what_a_persona_says_for_itself() -> None:
    own = text("steered", persona="nurse", said="Stay at the bedside.", carried=(0, 0, 1))
    draft = text("draft", votes=(1, 1, 1), objects=["miller"], said="Stay at the bedside.")
    assert decided("after_critique", text("consensus", votes=(6, 6, 6)), draft, own) == "conflict"
    alone = text("alone", votes=(1, 1, 1), objects=["miller"], said="Stay at the bedside.")
    assert decided("ratified", text("consensus", votes=(6, 6, 6)), alone, own) == "conflict"


def test_a_text_that_is_nothing_but_one_personas_claims_is_that_personas_view() -> None:
    panel = text("overton", votes=(7, 7, 7), carried=ALL)
    claimed = material().voice("nurse").claims
    alone = text(
        "alone",
        votes=(1, 1, 4),
        carried=LITTLE,
        said=" ".join(f"{claim.rstrip('.')} (a book (of many), 2.7)." for claim in claimed),
    )
    assert claimed
    assert decided("coverage", panel, alone) == "conflict"
    more = text(
        "alone", votes=(1, 1, 4), carried=LITTLE, said=" ".join((*claimed, "And some say otherwise."))
    )
    assert isinstance(decided("coverage", panel, more), Pair)


def test_the_extractive_answer_without_a_panel_is_a_view_whoever_has_a_seat() -> None:
    # It may be that of a persona of the pack that has none, so that no claim of the panel tells.
    texts = (
        text("overton", votes=(7, 7, 7), carried=ALL),
        text("consensus", votes=(6, 6, 6)),
        text("draft", votes=(3, 3, 3), objects=["miller"]),
        text("alone", votes=(1, 1, 1), carried=LITTLE, objects=["miller"], said="What the eighth one holds."),
    )

    def made(moderator: str) -> dict[str, str]:
        models = {"moderator": moderator, **dict.fromkeys(NAMES, "vllm:small")}
        given = material(*texts)
        of = material(*texts, provenance={**given.provenance, "models": models})
        return {each.rule: getattr(each, "why", "made") for each in pairs_of(of, seed=0)}

    assert made("extractive") == {"coverage": "conflict", "after_critique": "made", "ratified": "conflict"}
    assert set(made("vllm:small").values()) == {"made"}


def test_with_conditions_nothing_is_rejected_under_the_scores_that_it_has() -> None:
    def made(chosen: Text, rejected: Text, conditions: bool) -> dict[str, str]:
        found = pairs_of(material(chosen, rejected, *OWN[:2]), seed=0, conditions=conditions)
        return {f"{each.rule} {each.persona or ''}".rstrip(): getattr(each, "why", "made") for each in found}

    revised = text("consensus", votes=(5, 4, 3))
    near = text("draft", votes=(4, 4, 3), objects=["miller"])  # in steps the same: 3, and 2 at the least
    missing = {"coverage": "missing", "ratified": "missing"}
    own = {"in_character miller": "made", "in_character sailor": "made"}  # none of these has a score
    assert made(revised, near, conditions=False) == {**missing, **own, "after_critique": "made"}
    assert made(revised, near, conditions=True) == {**missing, **own, "after_critique": "same_scores"}
    far = text("draft", votes=(4, 4, 2), objects=["miller"])
    assert made(revised, far, conditions=True) == {**missing, **own, "after_critique": "made"}
    # An answer to the plain question has more scores than a statement; it is those that are stated that count.
    more = text("alone", votes=(3, 6, 3), objects=["miller"], carried=LITTLE, entropy=0.1)
    signed = text("consensus", votes=(4, 6, 3))
    assert made(signed, more, conditions=False)["ratified"] == "made"
    assert made(signed, more, conditions=True)["ratified"] == "same_scores"


def test_a_threshold_that_is_no_share_is_refused() -> None:
    with pytest.raises(ValueError, match=r"margin: needs a share from 0 to 1, not 2"):
        Thresholds(margin=2)


def test_with_no_least_margin_a_tie_is_still_a_tie() -> None:
    none = Thresholds(margin=0, faithful=0)
    same = (5, 5, 5)
    panel, alone = text("overton", votes=same, carried=ALL), text("alone", votes=same, carried=HALF)
    assert decided("coverage", panel, alone, thresholds=none) == "tie"
    revised, draft = text("consensus", votes=same), text("draft", votes=same, objects=["miller"])
    assert decided("after_critique", revised, draft, thresholds=none) == "tie"
    nothing = [text("steered", persona=name, carried=(0, 0, 0)) for name in NAMES]
    assert set(in_character(*nothing, thresholds=none).values()) == {"tie"}


# --- whatever the votes ------------------------------------------------------------------------

_VOTES = st.lists(st.none() | st.integers(1, 7), max_size=3)
_SHARES = st.lists(st.none() | st.sampled_from((0.0, 0.2, 0.5, 0.75, 1.0)), max_size=3)
_WORDS = st.sampled_from(("One.", "Two.", "Three.", None))
_GROUP = st.builds(
    text,
    st.sampled_from(("overton", "consensus", "draft", "alone")),
    votes=_VOTES,
    carried=_SHARES,
    objects=st.lists(st.sampled_from(NAMES), unique=True),
    said=_WORDS,
)
_OWN = st.builds(text, st.just("steered"), persona=st.sampled_from(NAMES), carried=_SHARES, said=_WORDS)
MATERIALS = st.builds(
    lambda group, own: material(*group, *own),
    st.lists(_GROUP, max_size=4, unique_by=lambda each: each.kind),
    st.lists(_OWN, max_size=3, unique_by=lambda each: each.persona),
)
THRESHOLDS = st.builds(
    Thresholds, margin=st.sampled_from((0.0, 0.02, 0.5, 1.0)), faithful=st.sampled_from((0.0, 0.5))
)


@given(MATERIALS, THRESHOLDS, st.integers(0, 9))
def test_every_pair_holds_what_its_rule_promises(found: Material, least: Thresholds, seed: int) -> None:
    made = list(pairs_of(found, seed=seed, thresholds=least))
    steered = {each.persona for each in found.texts if each.kind == "steered"}
    assert [each.rule for each in made] == [
        "coverage",
        *["in_character"] * len(steered),
        "after_critique",
        "ratified",
    ]
    for pair in (each for each in made if isinstance(each, Pair)):
        assert pair.rule in RULES
        decides = pair.claims_margin if pair.margin is None else pair.margin
        assert decides is not None
        assert decides >= round(least.margin, 4)
        assert all(0 < each <= 1 for each in (pair.margin, pair.claims_margin) if each is not None)
        voted = [
            {n for n, v in t.endorsements.items() if v is not None} for t in (pair.chosen, pair.rejected)
        ]
        assert (pair.margin is None) == (not voted[0] & voted[1])
        assert pair.chosen.text != pair.rejected.text or pair.rule == "coverage"
        assert pair.reason
        own = {each.text for each in found.texts if each.kind == "steered"}
        if pair.rule == "in_character":
            assert pair.chosen.persona == pair.persona != pair.rejected.persona
            assert pair.rejected.kind == "steered"
            continue
        assert pair.persona is None
        assert pair.rejected.text not in own  # nobody's sincere view is rejected as a group's
        if pair.rule == "coverage":
            for name, share in pair.chosen.carried.items():
                assert (share or 0) >= min(pair.rejected.carried.get(name) or 0, least.carried)
        assert "rejected" not in pair.preferring.values()
        assert "chosen" in pair.preferring.values() or not pair.preferring
        for name in (each for each, side in pair.preferring.items() if side is None):
            assert (pair.chosen.endorsements.get(name) or 4) >= 4
            assert (pair.rejected.endorsements.get(name) or 1) < 4
            assert name not in pair.chosen.objections


@given(MATERIALS)
def test_nothing_is_preferred_both_ways(found: Material) -> None:
    made = [pair for pair in pairs(found) if pair.persona is None]
    for one, other in combinations(made, 2):
        assert (one.chosen, one.rejected) != (other.rejected, other.chosen)


@given(MATERIALS, st.permutations(NAMES))
def test_who_sits_where_changes_nothing_but_whom_one_is_set_against(found: Material, order: Any) -> None:
    def turned(each: Text) -> Text:
        maps = {
            name: {key: values[key] for key in order if key in values}
            for name, values in (("endorsements", each.endorsements), ("carried", each.carried))
        }
        return each.model_copy(update=maps)

    group = [pair for pair in pairs(found) if pair.persona is None]
    after = [
        pair
        for pair in pairs(found.model_copy(update={"texts": tuple(map(turned, found.texts))}))
        if pair.persona is None
    ]
    assert [(pair.rule, pair.margin, pair.chosen.text) for pair in after] == [
        (pair.rule, pair.margin, pair.chosen.text) for pair in group
    ]
