"""Audits of preference sets: whose side they take, by records or by estimate, in whatever form they come."""

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from multiplex.dataset.audit import audit
from multiplex.dataset.pair_files import Columns, read_preferences
from multiplex.dataset.pair_sources import data_files
from multiplex.dataset.rows import BadRow
from multiplex.errors import ContentError
from multiplex.scoring.discretion import Case, discretion
from tests.dataset.foreign import ASKED, PACK, audited, lines
from tests.dataset.sound import sound
from tests.table import MILLER, SAILOR, Words

NAMES = ("miller", "sailor", "nurse")
MILLERS = " ".join(f"{c.statement} Attend to {'; '.join(c.attends_to)}." for c in MILLER.commitments)
SAILORS = " ".join(f"{c.statement} Attend to {'; '.join(c.attends_to)}." for c in SAILOR.commitments)


def voted(chosen: Sequence[int | None], rejected: Sequence[int | None], **more: Any) -> dict[str, Any]:
    """Return a row of ours on which the three voted so; None is an abstention."""
    ballots = {
        f"{side}_endorsements": [
            {"persona": name, "endorsement": given} for name, given in zip(NAMES, levels, strict=True)
        ]
        for side, levels in (("chosen", chosen), ("rejected", rejected))
    }
    return {
        "prompt": ASKED,
        "chosen": "All of us.",
        "rejected": "Nobody.",
        "persona": None,
        **ballots,
        **more,
    }


@given(st.lists(st.tuples(*[st.sampled_from(["chosen", "rejected", None, "absent"])] * 3), max_size=30))
def test_running_counts_are_those_of_discretion_over_all_cases(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str | None, ...]]
) -> None:
    levels: dict[str | None, tuple[int | None, int | None]] = {
        "chosen": (6, 2), "rejected": (1, 5), None: (4, 4), "absent": (None, 4)
    }  # fmt: skip
    rows = [voted(*zip(*(levels[side] for side in sides), strict=True)) for sides in drawn]
    asked = [
        {name: side for name, side in zip(NAMES, sides, strict=True) if side != "absent"} for sides in drawn
    ]
    cases = [Case("chosen", "rejected", sides) for sides in asked if sides]
    file = lines(tmp_path_factory.mktemp("drawn") / "set.jsonl", [*rows, voted((7, 7, 7), (1, 1, 1))])
    truth = discretion([*cases, Case("chosen", "rejected", dict.fromkeys(NAMES, "chosen"))])
    found = audited(file)["discretion"]
    assert found["cases"] == truth.cases
    assert found["arbitrariness"]["value"] == pytest.approx(truth.arbitrariness.value, abs=1e-4)
    assert found["arbitrariness"]["complete"] == truth.arbitrariness.detail["complete"]
    assert found["decided"]["consensus"]["against"] == len(truth.contradicted)
    assert sum(found["decided"]["conflict"].values()) == truth.cases["conflict"]
    for name, score in truth.supremacy.items():
        told = found["personas"][name]["supremacy"]
        assert told["value"] == (None if score.value is None else pytest.approx(score.value, abs=1e-4))
        assert (told["taken"], told["conflicts"]) == (score.detail["taken"], score.detail["conflicts"])
        if told["value"] is not None:
            assert 0 <= told["interval"]["low"] <= told["value"] <= told["interval"]["high"] <= 1


def test_each_case_is_told_by_how_it_was_decided(tmp_path: Path) -> None:
    rows = [
        voted((6, 6, 4), (2, 2, 4), rule="ratified"),  # a consensus, one indifferent
        voted((2, 2, 2), (6, 6, 6), rule="ratified", id="bad"),  # against a consensus
        voted((6, 6, 2), (2, 2, 6), rule="ratified"),  # with the majority
        voted((2, 6, 2), (6, 2, 6), rule="coverage"),  # with a minority
        voted((2, 6, None), (6, 2, 6), rule="coverage"),  # even, and one did not vote
        voted((4, 4, 4), (4, 4, 4), rule="coverage"),
    ]
    found = audited(lines(tmp_path / "set.jsonl", rows))
    told = found["discretion"]
    assert told["cases"] == {"consensus": 2, "conflict": 3, "indifference": 1}
    assert told["decided"] == {
        "consensus": {"with": 1, "against": 1},
        "conflict": {"majority": 1, "minority": 1, "even": 1},
    }
    assert (told["arbitrariness"]["value"], told["arbitrariness"]["complete"]) == (0.5, 1)
    assert told["against"] == ["set.jsonl:2 (bad)"]
    sailor = told["personas"]["sailor"]
    assert (sailor["with"], sailor["against"], sailor["indifferent"]) == (4, 1, 1)
    assert sailor["win_rate"]["value"] == 0.8
    assert sailor["supremacy"]["value"] == 1.0
    assert told["personas"]["nurse"]["indifferent"] == 2
    assert sailor["endorsement_of_chosen"]["value"] == pytest.approx((6 + 2 + 6 + 6 + 6 + 4) / 6)
    assert found["rules"]["coverage"]["discretion"]["cases"] == {
        "consensus": 0,
        "conflict": 2,
        "indifference": 1,
    }
    undefined = found["rules"]["coverage"]["discretion"]["arbitrariness"]
    assert (undefined["value"], undefined["reason"]) == (None, "there is no case of consensus")
    rates = [told["personas"][name]["win_rate"]["value"] for name in NAMES]
    mean = sum(rates) / 3
    spread = (sum((rate - mean) ** 2 for rate in rates) / 3) ** 0.5
    assert found["inequity"]["win_rate"]["value"] == pytest.approx(spread, abs=1e-4)
    assert found["inequity"]["endorsement_of_chosen"]["unit"] == "endorsement, 1 to 7"


def test_what_a_rule_says_of_a_persona_of_its_own_is_no_ballot(tmp_path: Path) -> None:
    named = {"supporters": ["miller"], "opponents": ["sailor"], "chosen": "One.", "rejected": "Other."}
    rows = [{**named, "persona": "miller", "rule": "in_character"}, {**named, "persona": None}]
    found = audited(lines(tmp_path / "set.jsonl", rows))
    assert (found["basis"]["kind"], found["basis"]["pairs"], found["pairs"]) == ("recorded", 1, 2)
    assert "in 1 of 2 pairs nobody's is" in found["basis"]["said"]
    assert found["discretion"]["decided"]["conflict"]["even"] == 1
    assert found["discretion"]["personas"]["miller"]["with"] == 1
    nobody = found["discretion"]["personas"]["miller"]["endorsement_of_chosen"]
    assert (nobody["value"], nobody["reason"]) == (None, "endorsed none of these texts")
    alone = found["rules"]["in_character"]
    assert sum(alone["discretion"]["cases"].values()) == 0
    assert alone["inequity"]["win_rate"]["reason"] == "nobody takes a side"


def test_pairs_of_a_rule_that_takes_nobodys_side_are_no_reason_to_estimate_any(tmp_path: Path) -> None:
    ours = {
        "prompt": ASKED,
        "chosen": MILLERS,
        "rejected": SAILORS,
        "persona": "miller",
        "rule": "in_character",
        "supporters": ["miller"],
        "opponents": [],
    }
    found = audited(lines(tmp_path / "set.jsonl", [ours] * 24), sample=24)
    assert (found["basis"]["kind"], found["basis"]["pairs"], found["basis"]["embedding"]) == (
        "recorded",
        0,
        None,
    )
    assert found["basis"]["said"].startswith(
        "sides are those that the rows record; in 24 of 24 pairs nobody's is, "
    )
    assert set(found["discretion"]["cases"].values()) == {0}
    assert found["discretion"]["personas"] == {}
    theirs = [{**ours, "rule": "safety"}, {**ours, "supporters": None}]  # no rule, or no columns, of ours
    for row in theirs:
        other = audited(lines(tmp_path / "other.jsonl", [row] * 2), sample=2)
        assert other["basis"]["kind"] == "estimated"


def test_a_dataset_of_ours_is_audited_by_what_it_records(tmp_path: Path) -> None:
    folder = sound(tmp_path, configs=("sft", "dpo"))
    report = {"rules": {"coverage": {"made": 7, "conflict": 3}, "ratified": {"made": 2}}}
    (folder / "report.json").write_text(json.dumps(report))
    found = audited(folder)
    assert (found["rows"], found["pairs"], found["basis"]["kind"]) == (14, 14, "recorded")
    assert found["discretion"]["personas"]["miller"]["win_rate"]["value"] == 1.0
    assert set(found["rules"]) == {"coverage", "in_character"}
    assert found["rules"]["coverage"]["pairs"] == 7
    assert found["not_made"] == {"coverage": {"conflict": 3}, "ratified": {}}
    assert "made over rural, coastal, urban" in found["notes"][0]  # and not over the table's perspectives


def test_a_set_of_rewards_alone_is_audited_by_its_supporters(tmp_path: Path) -> None:
    found = audited(sound(tmp_path, configs=("reward",)))
    assert (found["pairs"], found["basis"]["pairs"]) == (7, 7)
    assert found["discretion"]["personas"]["miller"]["with"] == 7
    assert found["discretion"]["decided"]["conflict"] == {"majority": 0, "minority": 0, "even": 0}


def test_foreign_pairs_are_judged_by_what_they_carry_of_each_personas_concerns(tmp_path: Path) -> None:
    row = {"prompt": ASKED, "chosen": MILLERS, "rejected": SAILORS}
    found = audited(lines(tmp_path / "set.jsonl", [row]), sample=10)
    assert (found["basis"]["kind"], found["basis"]["embedding"]) == ("estimated", "words")
    assert "an estimate by embeddings, which cannot tell a claim from its denial" in found["basis"]["said"]
    people = found["discretion"]["personas"]
    assert (people["miller"]["with"], people["sailor"]["against"]) == (1, 1)
    assert (
        people["miller"]["endorsement_of_chosen"]["value"]
        > people["miller"]["endorsement_of_rejected"]["value"]
    )
    assert found["discretion"]["cases"]["conflict"] == 1
    without = audited(lines(tmp_path / "bare.jsonl", [{**row, "prompt": ""}]), sample=10)
    assert without["discretion"]["personas"]["miller"]["with"] == 1
    assert without["discretion"]["personas"]["miller"]["endorsement_of_chosen"]["value"] is None
    wide = audited(tmp_path / "set.jsonl", sample=10, band=2.0)
    assert wide["discretion"]["cases"] == {"consensus": 0, "conflict": 0, "indifference": 1}
    assert wide["discretion"]["longer_preferred"]["value"] is None


def test_the_other_way_round_everyone_wins_what_they_lost(tmp_path: Path) -> None:
    rows = [
        {"prompt": ASKED, "chosen": MILLERS, "rejected": "Nobody."},
        {"prompt": ASKED, "chosen": "The stream is for those below.", "rejected": SAILORS},
        {"prompt": "", "chosen": SAILORS[:200], "rejected": MILLERS[:150]},
    ]
    one = audited(lines(tmp_path / "one.jsonl", rows), sample=10)
    turned = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in rows]
    other = audited(lines(tmp_path / "other.jsonl", turned), sample=10)
    for name in NAMES:
        left, right = one["discretion"]["personas"][name], other["discretion"]["personas"][name]
        assert (left["with"], left["against"]) == (right["against"], right["with"])
        assert left["endorsement_of_chosen"] == right["endorsement_of_rejected"]
    assert one["discretion"]["longer_preferred"] == other["discretion"]["longer_preferred"]
    assert one["length"]["longer_wins"]["value"] == pytest.approx(
        1 - other["length"]["longer_wins"]["value"], abs=1e-3
    )
    assert one["length"]["difference"]["value"] == -other["length"]["difference"]["value"]
    entropies = one["perspective_entropy"], other["perspective_entropy"]
    assert entropies[0]["chosen"]["micro"]["counts"] == entropies[1]["rejected"]["micro"]["counts"]
    micro = entropies[0]["all"]["micro"]
    assert micro["noise_floor"]["sentences"] == micro["sentences"]
    assert micro["interval"]["low"] <= micro["value"] <= micro["interval"]["high"]
    assert "control" in entropies[0]
    assert "control" not in micro


def test_lengths_are_counted_over_all_pairs_and_texts_kept_for_a_sample(tmp_path: Path) -> None:
    rows = [{"chosen": "Yes. " * (n % 7 + 1), "rejected": "No. " * (n % 5 + 1)} for n in range(60)]
    rows[3]["chosen"] = "Long " * 5_000
    file = lines(tmp_path / "set.jsonl", rows)
    found = audited(file, sample=4, seed=3)
    texts = [(row["chosen"].strip(), row["rejected"].strip()) for row in rows]
    more = [len(a) - len(b) for a, b in texts]
    wins = found["length"]["longer_wins"]
    assert (wins["longer"], wins["shorter"], wins["equal"]) == (
        sum(d > 0 for d in more), sum(d < 0 for d in more), more.count(0)
    )  # fmt: skip
    assert wins["interval"]["low"] < wins["value"] < wins["interval"]["high"]
    assert found["length"]["characters"]["chosen"]["value"] == pytest.approx(
        sum(len(a) for a, _ in texts) / 60
    )
    assert found["length"]["difference"]["value"] == pytest.approx(sum(more) / 60, abs=1e-3)
    sample = found["sample"]
    assert (sample["asked"], sample["pairs"], sample["of"], sample["seed"]) == (4, 4, 60, 3)
    assert sum(found["discretion"]["cases"].values()) == 4
    assert audited(file, sample=4, seed=3) == found
    everything = audited(lines(tmp_path / "few.jsonl", rows[2:5]), sample=60)["sample"]
    assert (everything["pairs"], everything["shortened"]) == (3, 1)


def test_without_a_sample_nothing_is_estimated_and_everything_else_is_told(tmp_path: Path) -> None:
    found = audited(lines(tmp_path / "set.jsonl", [{"chosen": "Yes, surely.", "rejected": "No."}]))
    assert found["basis"]["kind"] is None
    nothing = found["perspective_entropy"]["all"]["micro"]
    assert (nothing["value"], nothing["reason"]) == (None, "no pair was sampled")
    assert found["discretion"]["arbitrariness"]["reason"] == "there is no case"
    one = found["length"]["difference"]
    assert (one["value"], one["interval"]["low"], one["interval"]["reason"]) == (
        9.0,
        None,
        "an interval needs two pairs",
    )
    json.dumps(found, allow_nan=False)


def test_rows_that_are_no_pair_are_counted_by_why(tmp_path: Path) -> None:
    good = {"chosen": "Yes.", "rejected": "No."}
    file = lines(
        tmp_path / "set.jsonl",
        [
            good,
            {"chosen": "Same.", "rejected": " Same. "},
            {"chosen": "", "rejected": "No."},
            {"chosen": None, "rejected": "No."},
            {"chosen": "   ", "rejected": "No."},
            {"chosen": 3, "rejected": "No."},
            {"chosen": [{"role": "assistant"}, "x"], "rejected": "No."},
            {"chosen": [{"role": "assistant", "content": "Yes."}], "rejected": "No."},
            {"chosen": "Yes."},
            ["Yes.", "No."],
            {"chosen": "Yes." * 300_000, "rejected": "No."},
        ],
    )
    with file.open("ab") as stream:
        stream.write(b"{\n\n\xff\xfe\n")
    found = audited(file)
    assert (found["pairs"], found["identical"], found["rows"]) == (1, 1, 14)
    assert found["skipped"] == {"empty": 4, "malformed": 5, "column": 1, "too_long": 1, "not_utf8": 1}
    assert found["reasons"][0] == "set.jsonl:3: chosen is empty"
    assert any("has no column 'rejected'" in reason for reason in found["reasons"])


def test_a_set_of_nothing_but_the_same_texts_is_told_and_not_scored(tmp_path: Path) -> None:
    found = audited(lines(tmp_path / "set.jsonl", [{"chosen": "Yes.", "rejected": "Yes."}]), sample=5)
    assert (found["pairs"], found["identical"]) == (0, 1)
    assert found["length"]["longer_wins"]["reason"] == "no two texts differ in length"
    assert found["length"]["characters"]["chosen"]["reason"] == "no two texts differ"


PAIR = b'{"chosen": "Yes.", "rejected": "No."}'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("set.jsonl", b"", "no row is a pair of a chosen and a rejected text; it holds no rows"),
        ("set.json", b"[]", "it holds no rows"),
        ("set.json", b" ", "no row is a pair .* the line is empty"),
        ("set.jsonl", b"Yes, no.\n", "no row is a pair .* is no JSON"),
        ("set.jsonl", b'{"yes": "a", "no": "b"}\n' * 3, "no column 'chosen'; its columns are 'yes', 'no': name those"),
        ("set.csv", b"prompt,chosen\nWho?,Yes.\n", "no column 'rejected'; its columns are 'prompt', 'chosen'"),
        ("set.json", b"[" + PAIR + b", {", "is no JSON behind element 1"),
        ("set.json", b"[" + PAIR, "is no JSON behind element 1"),
        ("set.json", b"[" + PAIR + b"] more", "goes on behind its list of 1"),
        ("set.json", b"[" * 5000, "cannot be read as JSON|is no JSON"),
        ("set.json", b"[\xff]", "cannot be read as JSON"),
        ("set.parquet", b"PAR1 not so", "cannot be read as Parquet"),
        ("set.txt", PAIR, "preferences are read from .* not from '.txt'"),
        ("set.jsonl", b"\x00\x01\x02\x03\x04\x05\x06\x07" * 9, "is binary"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_preference_set_is_one_sentence(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ContentError, match=message) as caught:
        audited(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_columns_are_missed_before_a_large_file_is_read_to_its_end(tmp_path: Path) -> None:
    file = lines(tmp_path / "set.jsonl", [{"text": "Yes."}] * 500)
    rows = read_preferences(data_files([file]), Columns())
    assert [
        entry.kind for _, (_, entry) in zip(range(19), rows, strict=False) if isinstance(entry, BadRow)
    ] == ["column"] * 19
    with pytest.raises(ContentError, match="no column 'chosen'"):
        next(rows)


def test_what_cannot_be_audited_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "prefs.jsonl").write_bytes(PAIR)
    with pytest.raises(ContentError, match=r"no such file; did you mean 'prefs.jsonl'"):
        audited(tmp_path / "pref.jsonl")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ContentError, match=r"no dataset: no \.parquet, .* file is in it"):
        audited(tmp_path / "empty")
    with pytest.raises(ContentError, match="no file or folder"):
        audit(pack=PACK, embedder=Words())
    with pytest.raises(ContentError, match="three different"):
        audited(tmp_path / "prefs.jsonl", columns=Columns(chosen="rejected"))
    with pytest.raises(ContentError, match="sample: needs 0 or more"):
        audited(tmp_path / "prefs.jsonl", sample=-1)
    crowd = [{"persona": f"p{number}", "endorsement": 5} for number in range(1_001)]
    crowded = {
        "chosen": "Yes.",
        "rejected": "No.",
        "chosen_endorsements": crowd,
        "rejected_endorsements": crowd,
    }
    with pytest.raises(ContentError, match="more than 1,000 personas"):
        audited(lines(tmp_path / "crowd.jsonl", [crowded]))


def test_rules_without_end_are_counted_together(tmp_path: Path) -> None:
    rows = [{"chosen": "Yes.", "rejected": "No.", "rule": f"rule {number}"} for number in range(150)]
    found = audited(lines(tmp_path / "set.jsonl", rows))["rules"]
    assert len(found) == 101
    assert found["other rules"]["pairs"] == 50


def test_texts_without_a_pair_are_audited_desirable_against_undesirable(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": ASKED}]
    rows: list[dict[str, Any]] = [
        {"prompt": ASKED, "completion": MILLERS, "label": True, "rule": "kept"},
        {"prompt": chat, "completion": [{"role": "assistant", "content": MILLERS[:300]}], "label": 1},
        {"completion": [*chat, {"role": "assistant", "content": SAILORS}], "label": "False"},
        {"prompt": ASKED, "completion": "Nobody at all.", "label": False},
        {"prompt": ASKED, "completion": "", "label": True},
        {"prompt": ASKED, "completion": "Maybe.", "label": "maybe"},
    ]
    found = audited(lines(tmp_path / "kto.jsonl", rows), sample=10)
    assert (found["form"], found["rows"], found["pairs"]) == ("labels", 6, 0)
    assert found["texts"] == {"desirable": 2, "undesirable": 2}
    assert found["skipped"] == {"empty": 1, "label": 1}
    assert found["discretion"]["value"] is None
    assert "without pairs nothing is decided" in found["discretion"]["reason"]
    assert (found["basis"]["kind"], found["basis"]["texts"]) == ("estimated", 4)
    miller, sailor = found["personas"]["miller"], found["personas"]["sailor"]
    assert miller["difference"]["value"] > 0 > sailor["difference"]["value"]
    assert miller["difference"]["value"] == pytest.approx(
        miller["endorsement_of_desirable"]["value"] - miller["endorsement_of_undesirable"]["value"], abs=1e-3
    )
    differences = [found["personas"][name]["difference"]["value"] for name in NAMES]
    mean = sum(differences) / 3
    assert found["inequity"]["difference"]["value"] == pytest.approx(
        (sum((each - mean) ** 2 for each in differences) / 3) ** 0.5, abs=1e-3
    )
    assert found["length"]["characters"]["desirable"]["value"] == (len(MILLERS) + 300) / 2
    assert found["length"]["longer_wins"]["value"] is None
    assert found["rules"]["kept"]["texts"] == {"desirable": 1, "undesirable": 0}
    one_kind = found["rules"]["kept"]["length"]["difference"]
    assert (one_kind["value"], one_kind["reason"]) == (None, "all texts are of one kind")
    entropy = found["perspective_entropy"]
    assert entropy["desirable"]["micro"]["counts"] != entropy["undesirable"]["micro"]["counts"]
    json.dumps(found, allow_nan=False)
    alone = audited(lines(tmp_path / "bare.jsonl", [{"completion": "Yes.", "label": True}]), sample=10)
    assert alone["basis"]["kind"] is None
    assert alone["personas"]["miller"]["endorsement_of_desirable"]["value"] is None
    assert alone["perspective_entropy"]["undesirable"]["micro"]["value"] is None


def test_texts_under_a_personas_own_system_turn_are_no_desirable_and_no_undesirable_views(
    tmp_path: Path,
) -> None:
    views = [
        {"prompt": ASKED, "completion": MILLERS, "label": True, "rule": "ratified", "persona": None},
        {
            "prompt": ASKED,
            "completion": "Nobody at all.",
            "label": False,
            "rule": "ratified",
            "persona": None,
        },
    ]
    characters = [
        {"prompt": ASKED, "completion": said, "label": label, "rule": "in_character", "persona": persona}
        for persona, (mine, other) in {"miller": (MILLERS, SAILORS), "sailor": (SAILORS, MILLERS)}.items()
        for said, label in ((mine, True), (other, False))
    ]
    alone = audited(lines(tmp_path / "views.jsonl", views), sample=10)
    both = audited(lines(tmp_path / "both.jsonl", [*views, *characters]), sample=10)
    assert both["texts"] == {"desirable": 3, "undesirable": 3}
    assert both["personas"] == alone["personas"]
    assert both["inequity"] == alone["inequity"]
    assert (both["basis"]["kind"], both["basis"]["texts"]) == ("estimated", 2)
    assert "; 4 of 6 sampled texts are judged by nobody, " in both["basis"]["said"]
    assert "judged by nobody" not in alone["basis"]["said"]
    none = audited(lines(tmp_path / "none.jsonl", characters), sample=10)
    assert (none["basis"]["kind"], none["basis"]["texts"]) == (None, 0)
    assert "4 of 4 sampled texts are judged by nobody" in none["basis"]["said"]
    theirs = [
        {**row, "rule": rule}
        for row, rule in zip(characters, ("safety", None, ["in_character"], 3), strict=True)
    ]
    assert audited(lines(tmp_path / "theirs.jsonl", theirs), sample=10)["basis"]["texts"] == 4


def test_the_difference_of_two_means_has_the_interval_of_welch(tmp_path: Path) -> None:
    sizes = {True: (4, 9, 6), False: (3, 1, 8, 2)}
    rows = [{"completion": "x" * n, "label": mark} for mark, of in sizes.items() for n in of]
    told = audited(lines(tmp_path / "kto.jsonl", rows))["length"]["difference"]
    one, other = sizes.values()
    parts = (variance(one) / 3, variance(other) / 4)
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 2 + parts[1] ** 2 / 3)
    reach = float(student.ppf(0.975, degrees)) * sum(parts) ** 0.5
    assert reach > 1.959964 * sum(parts) ** 0.5
    value = fmean(one) - fmean(other)
    assert told["value"] == pytest.approx(value, abs=1e-3)
    assert told["interval"]["low"] == pytest.approx(value - reach, abs=1e-3)
    assert told["interval"]["high"] == pytest.approx(value + reach, abs=1e-3)


def test_the_difference_of_two_lengths_has_students_interval_and_of_one_pair_none(tmp_path: Path) -> None:
    rows = [{"chosen": "x" * n, "rejected": "y"} for n in (8, 14)]
    told = audited(lines(tmp_path / "two.jsonl", rows))["length"]["difference"]
    assert (told["value"], told["interval"]["method"]) == (10, "t")
    reach = 12.7062 * 3  # 3 is the standard error, and 12.7062 the quantile of one degree of freedom
    assert told["interval"]["low"] == pytest.approx(10 - reach, abs=1e-3)
    assert told["interval"]["high"] == pytest.approx(10 + reach, abs=1e-3)
    alone = audited(lines(tmp_path / "one.jsonl", rows[:1]))["length"]["difference"]
    assert alone["interval"]["low"] is None
    assert alone["interval"]["reason"] == "an interval needs two pairs"


def test_the_sides_of_one_pair_are_no_independent_ones(tmp_path: Path) -> None:
    rows = [voted((7, 7, 7), (1, 1, 1)) for _ in range(2)]
    found = audited(lines(tmp_path / "two.jsonl", rows))
    sides, wins = found["discretion"]["longer_preferred"], found["length"]["longer_wins"]
    assert (sides["value"], sides["sides"]) == (1, 6)
    assert (sides["interval"]["n"], sides["interval"]["over"]) == (2, "pairs")
    assert sides["interval"]["low"] == wins["interval"]["low"] == pytest.approx(0.342, abs=1e-3)


def test_little_text_has_no_corrected_entropy_and_more_has_it_with_an_interval(tmp_path: Path) -> None:
    row = {"prompt": ASKED, "chosen": MILLER.commitments[0].statement, "rejected": "Nobody."}
    few = audited(lines(tmp_path / "few.jsonl", [row]), sample=10)
    for how in ("micro", "macro"):
        told = few["perspective_entropy"]["chosen"][how]["corrected"]
        assert told["value"] is None
        assert "below 12" in told["reason"]
    row = {"prompt": ASKED, "chosen": f"{MILLERS} {SAILORS} {MILLERS}", "rejected": MILLERS}
    many = audited(lines(tmp_path / "many.jsonl", [row, {**row, "prompt": "Who pays?"}]), sample=10)
    micro = many["perspective_entropy"]["chosen"]["micro"]
    assert micro["sentences"] >= 12
    around = micro["corrected"]["interval"]
    assert 0 <= around["low"] <= micro["corrected"]["value"] <= around["high"] <= 1


def test_a_dataset_of_ours_has_more_configs_to_audit(tmp_path: Path) -> None:
    folder = sound(tmp_path, configs=("sft", "dpo", "kto"))
    found = audited(folder, config="kto")
    assert (found["form"], found["texts"]) == ("labels", {"desirable": 14, "undesirable": 0})
    assert (audited(folder)["config"], audited(folder, split="test")["pairs"]) == ("dpo", 4)
    with pytest.raises(ContentError, match="--config sft holds no preferences"):
        audited(folder, config="sft")
    with pytest.raises(ContentError, match="no split 'validation'; its splits are train, test"):
        audited(folder, split="validation")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        pairs = ({"prompt": ASKED, "chosen": f"{n} " * 90, "rejected": f"{n}"} for n in range(rows))
        file = lines(tmp_path / f"{rows}.jsonl", pairs)
        tracemalloc.start()
        try:
            audited(file, sample=0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    small, large = peak(200), peak(2_000)
    assert large < small + 100_000 < 2_000 * 400


def test_one_pair_that_is_nobodys_leaves_the_others_to_be_estimated(tmp_path: Path) -> None:
    foreign = {"prompt": ASKED, "chosen": MILLERS, "rejected": SAILORS}
    nobodys = {
        **foreign,
        "persona": "miller",
        "rule": "in_character",
        "supporters": ["miller"],
        "opponents": [],
    }
    found = audited(lines(tmp_path / "mixed.jsonl", [*[foreign] * 5, nobodys]), sample=10)
    assert (found["basis"]["kind"], found["basis"]["pairs"], found["pairs"]) == ("estimated", 5, 6)
    assert "on 5 sampled pairs" in found["basis"]["said"]
    assert "in 1 of 6 pairs nobody's is" in found["basis"]["said"]
    assert found["discretion"]["cases"]["conflict"] == 5
    assert sum(found["rules"]["in_character"]["discretion"]["cases"].values()) == 0


def test_pairs_that_record_no_side_beside_others_that_do_are_told_apart_from_nobodys(tmp_path: Path) -> None:
    foreign = {"prompt": ASKED, "chosen": MILLERS, "rejected": SAILORS}
    nobodys = {**foreign, "persona": "miller", "rule": "in_character", "supporters": [], "opponents": []}
    rows = [voted((6, 6, 6), (2, 2, 2)), foreign, foreign, nobodys]
    basis = audited(lines(tmp_path / "mixed.jsonl", rows), sample=10)["basis"]
    assert (basis["kind"], basis["pairs"]) == ("recorded", 1)
    assert basis["said"] == (
        "sides are those that the rows record; in 1 of 4 pairs nobody's is, as under a persona's own system turn; "
        "2 of 4 pairs record none"
    )
