"""What must hold for a row of each config, whoever made it."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from multiplex.dataset.ballots import losers, preferring, rise

__all__ = ["faults_of"]

_Row = Mapping[str, Any]
_Faults = Iterator[tuple[str, str]]

_PAIRS = ("dpo", "reward")
_ENDORSED = ("after_critique", "ratified")
"""The rules that go by endorsement alone."""

_ROUNDED = 1e-4
_ONE_PERSONAS = "the extractive answer without a panel is rejected, which is one persona's own"


def faults_of(config: str, row: _Row, rules: Mapping[str, str] | None) -> _Faults:
    """Yield the faults of a row whose columns are those of its config: each check's name, and what is wrong.

    `rules` are those that the dataset declares, None where that is not known.
    """
    if not row["id"]:
        yield "ids", "has no id"
    if not row["origin"].strip():
        yield "origin", "does not say where its prompt came from"
    if row["is_simulated"] is not True:
        yield "simulated", "does not say that it is simulated"
    yield from _rule(config, row, rules)
    if config in _OF:
        yield from _OF[config](row)


def _rule(config: str, row: _Row, rules: Mapping[str, str] | None) -> _Faults:
    rule = row["rule"]
    if rule is None:
        if config in (*_PAIRS, "kto"):
            yield "rules", "names no rule that prefers it"
    elif rules is not None and rule not in rules:
        yield "rules", f"its rule {rule!r} is not declared in the manifest"
    if rule == "in_character":
        first = {"reward": "chosen", "sft": "messages"}.get(config, "prompt")
        turns = row.get(first) or ()
        if not turns or turns[0]["role"] != "system":
            yield "in_character", "is in character, and no system turn says whose"
        if row["persona"] is None:
            yield "in_character", "is in character, and names no persona"


def _sft(row: _Row) -> _Faults:
    yield from _conversation(row["messages"], "messages", last="assistant")


def _dpo(row: _Row) -> _Faults:
    yield from _conversation(row["prompt"], "prompt", last="user")
    yield from _answer(row["chosen"], "chosen")
    yield from _answer(row["rejected"], "rejected")
    yield from _preferred(row)
    if row["margin"] is None and row["claims_margin"] is None:
        yield "preference", "has no margin, neither from endorsement nor from claims"
    # A majority's text is never to be preferred to what one persona sincerely holds.
    if row["rejected_kind"] == "steered" and row["rule"] != "in_character":
        yield "minority", f"a persona's own answer is rejected under the rule {row['rule']!r}"
    if row["rejected_kind"] == "alone" and row["model"] == "extractive":
        yield "minority", _ONE_PERSONAS
    for side in ("chosen", "rejected"):
        yield from _ballots(row[f"{side}_endorsements"], side)
        voters = [each["persona"] for each in row[f"{side}_endorsements"]]
        if len(set(voters)) < len(voters):
            yield "endorsements", f"{side}: somebody votes twice"
    if row["rule"] != "in_character":
        yield from _as_voted(row)


def _kto(row: _Row) -> _Faults:
    yield from _conversation(row["prompt"], "prompt", last="user")
    yield from _answer(row["completion"], "completion")
    if row["kind"] == "steered" and row["label"] is False and row["rule"] != "in_character":
        yield "minority", f"a persona's own answer is unwanted under the rule {row['rule']!r}"
    if row["kind"] == "alone" and row["label"] is False and row["model"] == "extractive":
        yield "minority", _ONE_PERSONAS


def _reward(row: _Row) -> _Faults:
    for side in ("chosen", "rejected"):
        yield from _conversation(row[side], side, last="assistant")
    yield from _preferred(row)
    if row["chosen"][:-1] != row["rejected"][:-1]:
        yield "messages", "chosen and rejected do not answer the same prompt"


def _grpo(row: _Row) -> _Faults:
    yield from _conversation(row["prompt"], "prompt", last="user")
    yield from _ballots(row["judgements"], "judgements")
    if any(not answer["text"].strip() for answer in row["answers"]):
        yield "judgements", "an answer that was judged is empty"
    seen = set()
    for each in row["judgements"]:
        place = (each["answer"], each["persona"])
        if not 0 <= each["answer"] < len(row["answers"]):
            yield (
                "judgements",
                f"one is of answer {each['answer']}, and there are {len(row['answers'])}, from 0",
            )
        elif place in seen:
            yield "judgements", f"{each['persona']!r} judges answer {each['answer']} twice"
        seen.add(place)


def _distribution(row: _Row) -> _Faults:
    yield from _conversation(row["prompt"], "prompt", last="user")
    keys = [option["key"] for option in row["options"]]
    if len(keys) < 2 or len(set(keys)) < len(keys):
        yield "shares", "needs at least two options with keys of their own"
    shares = [("shares", row["shares"])]
    shares += [(f"the shares of {each['persona']!r}", each["shares"]) for each in row["by_persona"]]
    for name, found in shares:
        if len(found) != len(keys):
            yield "shares", f"{name} are {len(found)} for {len(keys)} options"
        elif any(not 0 <= share <= 1 for share in found) or abs(math.fsum(found) - 1) > 0.001:
            yield "shares", f"{name} are no shares that add up to 1"


def _moral_graph(row: _Row) -> _Faults:
    known = {value["id"] for value in row["values"]}
    for edge in row["edges"]:
        if lost := {edge["source"], edge["wiser"]} - known:
            yield "moral_graph", f"an edge names the value {min(lost)!r}, which is not there"
        # (wiser - less wise) / verdicts: below 0 where more judges found it the other way about.
        if edge["likelihood"] is not None and not -1 <= edge["likelihood"] <= 1:
            yield "moral_graph", f"the likelihood of an edge is {edge['likelihood']} and not between -1 and 1"


_OF: Mapping[str, Callable[[_Row], _Faults]] = {
    "sft": _sft,
    "dpo": _dpo,
    "kto": _kto,
    "reward": _reward,
    "grpo": _grpo,
    "distribution": _distribution,
    "moral_graph": _moral_graph,
}


def _preferred(row: _Row) -> _Faults:
    if row["chosen"] == row["rejected"]:
        yield "preference", "chosen and rejected are the same"
    for name in ("margin", "claims_margin"):
        if (found := row.get(name)) is not None and not 0 < found <= 1:
            yield "preference", f"its {name.replace('_', ' ')} is {found!r} and not above 0 and at most 1"
    if both := set(row["supporters"]) & set(row["opponents"]):
        yield "preference", f"{min(both)!r} both supports and opposes it"
    if row["opponents"] and row["rule"] != "in_character":
        yield "minority", f"{min(row['opponents'])!r} endorses what is rejected more than what is chosen"
    if row["rule"] == "in_character" and row["margin"] is not None:
        yield (
            "preference",
            "is in character, and has a margin, though nobody is asked to endorse another's answer",
        )


def _as_voted(row: _Row) -> _Faults:
    """Hold a pair of a group's texts to its ballots: who is on which side, who would lose by it, and the margin."""
    chosen, rejected = (
        {each["persona"]: each["endorsement"] for each in row[f"{side}_endorsements"]}
        for side in ("chosen", "rejected")
    )
    sides = preferring(chosen, rejected)
    for column, side in (("supporters", "chosen"), ("opponents", "rejected")):
        if sorted(row[column]) != sorted(name for name, preferred in sides.items() if preferred == side):
            yield "preference", f"its {column} are not those who endorse what is {side} more, by the ballots"
    objecting = {each["persona"] for each in row["dissent"]}
    if lost := set(losers(chosen, rejected, objecting)) - set(row["opponents"]):
        yield "minority", f"by the ballots {min(lost)!r} would lose by it"
    margin, higher = row["margin"], rise(chosen, rejected)
    if margin is None:
        if sides or row["rule"] in _ENDORSED:
            yield "preference", "has no margin from endorsement, which its rule goes by"
    elif higher is None:
        few = "fewer than two thirds of those who were asked" if any(sides.values()) else "nobody"
        yield "preference", f"its margin is {margin!r}, and {few} endorsed both"
    elif abs(margin - max(higher, 0.0)) > _ROUNDED:
        yield "preference", f"its margin is {margin!r}, and by the ballots it is {higher:.4f}"


def _conversation(turns: Sequence[Mapping[str, str]], column: str, *, last: str) -> _Faults:
    """Check that a system turn comes first if at all, that user and assistant alternate, and who ends."""
    roles = [turn["role"] for turn in turns]
    spoken = roles[1:] if roles[:1] == ["system"] else roles
    expected = [("user", "assistant")[number % 2] for number in range(len(spoken))]
    if not spoken or spoken[-1] != last:
        yield "messages", f"{column} does not end with a turn of the {last}"
    elif spoken != expected:
        yield "messages", f"{column}: the turns are of {', '.join(map(repr, roles[:6]))}"
    yield from _said(turns, column)


def _answer(turns: Sequence[Mapping[str, str]], column: str) -> _Faults:
    if [turn["role"] for turn in turns] != ["assistant"]:
        yield "messages", f"{column} is not one turn of the assistant"
    yield from _said(turns, column)


def _said(turns: Sequence[Mapping[str, str]], column: str) -> _Faults:
    if any(not turn["content"].strip() for turn in turns):
        yield "messages", f"{column} holds an empty turn"


def _ballots(ballots: Sequence[Mapping[str, Any]], column: str) -> _Faults:
    for each in ballots:
        given = each["endorsement"]
        if given is not None and not 1 <= given <= 7:
            yield "endorsements", f"{column}: an endorsement of {given}; they go from 1 to 7"
