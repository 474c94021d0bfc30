"""How a persona speaks, judges and ratifies from its own commitments."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multiplex.acts import (
    ArticulateValue,
    Ballot,
    Choice,
    ChooseOption,
    Claim,
    Failure,
    JudgeTransition,
    Point,
    Position,
    Rank,
    Ranking,
    Ratify,
    Rejoinder,
    Respond,
    TakePosition,
    Turn,
    ValueArticulated,
    Verdict,
)
from multiplex.content.personas import Commitment, Persona
from multiplex.content.scenarios import Scenario
from multiplex.moral_graph.cards import ValuesCard
from multiplex.responders.extractive.wording import (
    STOPS,
    attention,
    cited,
    fitted,
    is_torn,
    leaning,
    named,
    pick,
    quoted,
)
from multiplex.responders.relevance import Relevance, wording
from multiplex.sentences import sentences

__all__ = [
    "articulate_value",
    "best_policy",
    "choose",
    "coverage",
    "judge_transition",
    "opening_commitments",
    "rank",
    "ratify",
    "reply",
    "speaks_to",
    "take_position",
]

_OPENING = 3
"""How many commitments an opening rests on at the most."""

_CLOSE = 0.8
"""The share of the best commitment's relevance from which another is opened with."""

_SPEAKS_TO = 0.2
"""The relevance of the best commitment below which a persona says that it has nothing on just this question."""

_NEAR_ENOUGH = 0.7
"""The share of the best commitment's relevance from which a new ground is brought into an exchange."""

_SHARPNESS = 12.0
"""How much more the relevant commitments weigh in a stance: weights are exp(sharpness x relevance)."""

_KIN = 0.4
"""The cosine from which a persona knows another's claim by a name of its own."""

_MARGIN = 0.02
"""The least difference of two affinities, as cosines, that a verdict is given on."""

_RELATED = 0.25
"""The cosine of two cards below which a move between them is a change of subject."""

NOTHING = "I have nothing of my own that speaks to just this; what comes nearest is the following."

_FAINT, _FULL = 0.22, 0.72
"""The coverage of a persona's concerns by a statement that counts as 1 and as 7."""


def opening_commitments(relevance: Relevance, persona: Persona, scenario: Scenario) -> list[Commitment]:
    """Return the commitments that a persona opens with."""
    scores = relevance.to_scenario(persona.commitments, scenario)
    chosen = relevance.choose(persona.commitments, scores, _OPENING)
    of = dict(zip((c.key for c in persona.commitments), scores, strict=True))
    return [c for i, c in enumerate(chosen) if i == 0 or of[c.key] >= _CLOSE * of[chosen[0].key]]


def speaks_to(relevance: Relevance, persona: Persona, scenario: Scenario) -> bool:
    """Tell whether anything that a persona stands for bears on the question itself."""
    return bool(relevance.to_scenario(persona.commitments, scenario).max() >= _SPEAKS_TO)


def take_position(relevance: Relevance, act: TakePosition, seed: int) -> Position:
    """State the most relevant commitments, with their sources, and where they lean."""
    phrases = act.persona.phrases
    chosen = opening_commitments(relevance, act.persona, act.scenario)
    stance = _stance(relevance, act.persona, act.scenario)
    lead = pick(phrases.open, seed) if speaks_to(relevance, act.persona, act.scenario) else NOTHING
    paragraphs = [f"{lead} {cited(chosen[0])}"]
    if len(chosen) > 1:
        rest = " ".join(cited(c) for c in chosen[1:])
        paragraphs.append(f"{pick(phrases.add, seed)} {rest}")
    policies = [attention(best_policy(relevance, c, act.scenario)) for c in chosen[:2]]
    closing = f"{pick(phrases.close, seed)} attend to {' and to '.join(policies)}."
    paragraphs.append(
        " ".join(part for part in (leaning(stance, act.scenario.options, seed), closing) if part)
    )
    return Position(
        statement=fitted("\n\n".join(paragraphs), 3000),
        claims=tuple(Claim(text=c.statement, commitment=c.key) for c in chosen),
        stance=_weights(stance),
    )


def reply(relevance: Relevance, act: Respond, seed: int) -> Rejoinder:
    """Concede to the nearest claim of another, object to a course that another leans to, and bring a new ground.

    Nobody objects to another's claim: that two claims are far apart in words does not make them contrary.

    What is conceded counts, at half weight, among the grounds of the stance from then on.
    """
    persona, scenario = act.persona, act.scenario
    own_turns = [turn for turn in act.transcript if turn.speaker == persona.name]
    voiced = _voiced(persona, own_turns)
    heard = [
        (turn, claim)
        for turn in act.transcript
        if turn.speaker != persona.name and turn.round == 0
        for claim in turn.claims
    ]
    before = own_turns[-1].stance if own_turns else None
    conceded = _conceded_claims(own_turns, heard)
    scores = relevance.to_scenario(persona.commitments, scenario)
    of = dict(zip((c.key for c in persona.commitments), scores, strict=True))
    new = [
        c
        for c in relevance.choose(persona.commitments, scores, 1, said=voiced)
        if of[c.key] >= _NEAR_ENOUGH * scores.max()
    ]
    paragraphs: list[str] = []
    concedes: tuple[Point, ...] = ()
    objects: tuple[Point, ...] = ()
    if heard:
        near = _most_agreeable(relevance, act, heard, own_turns)
        conceded.append(near[1].text)
        concedes = (Point(to=near[0].speaker, text=near[1].text[:800]),)
        lead = pick(persona.phrases.concede, seed, act.round).format(speaker=near[0].label)
        ground = _nearest(relevance, persona, near[1].text)
        known = f" I know it by another name, {named(ground)}." if ground else ""
        paragraphs.append(f"{lead} {_gist(relevance, scenario, near[1].text)}{known}")
        other = _who_leans_elsewhere(act, own_turns)
        if other is not None:
            course = scenario.option(_leads(other.stance or {}) or "").text.rstrip(".")
            objects = (Point(to=other.speaker, text=course),)
            lead = pick(persona.phrases.object, seed, act.round).format(speaker=other.label)
            paragraphs.append(f"{lead} the course they stand nearest to, ‘{course}’.")
    if new:
        paragraphs.append(f"{pick(persona.phrases.add, seed, act.round)} {cited(new[0])}")
    stance = _stance(relevance, persona, scenario, conceded)
    if sentence := leaning(stance, scenario.options, seed + act.round):
        paragraphs.append(sentence)
    return Rejoinder(
        statement=fitted("\n\n".join(paragraphs), 3000) or "I have nothing to add.",
        concedes=concedes,
        objects=objects,
        stance=_weights(stance),
        moved=_leads(stance) != _leads(before or {}) if before else False,
    )


def articulate_value(relevance: Relevance, act: ArticulateValue) -> ValueArticulated | Failure:
    """Turn the commitment behind the position that has no card yet into one; fail where all have one."""
    opening = opening_commitments(relevance, act.persona, act.scenario)
    scores = relevance.to_scenario(act.persona.commitments, act.scenario)
    rest = [act.persona.commitments[i] for i in np.argsort(-scores, kind="stable")]
    written = {card.title.casefold() for card in act.earlier}
    left = (c for c in [*opening, *rest] if fitted(c.title, 80).casefold() not in written)
    commitment = next(left, None)
    if commitment is None:
        reason = f"{act.persona.label} has no commitment left to write a card from"
        return Failure(kind="nothing_left", reason=f"{reason}; ask for fewer cards")
    return ValueArticulated(
        title=fitted(commitment.title, 80),
        description=commitment.statement,
        policies=tuple(fitted(policy, 300) for policy in commitment.attends_to),
        schwartz=commitment.schwartz,
        commitment=commitment.key,
    )


def judge_transition(relevance: Relevance, act: JudgeTransition) -> Verdict:
    """Judge by which card the rest of one's own commitments carry further.

    The commitments that the cards themselves were made from are left out: a card is not wiser
    because one wrote it.
    """
    if float(relevance.cosines([_text(act.source)], [_text(act.wiser)])[0, 0]) < _RELATED:
        return Verdict(
            verdict="unsure",
            reason=fitted(
                f"{quoted(act.wiser.title)} seems to me another subject than {quoted(act.source.title)}.", 800
            ),
        )
    titles = {act.source.title, act.wiser.title}
    own = [c for c in act.persona.commitments if c.title not in titles] or list(act.persona.commitments)
    first, _ = _affinity(relevance, own, act.source)
    second, ground = _affinity(relevance, own, act.wiser)
    if second - first > _MARGIN:
        return Verdict(
            verdict="wiser",
            reason=fitted(f"It takes in more of what I attend to, above all {named(ground)}.", 800),
        )
    if first - second > _MARGIN:
        _, ground = _affinity(relevance, own, act.source)
        return Verdict(
            verdict="not_wiser",
            reason=fitted(f"The first is nearer to what I attend to, above all {named(ground)}.", 800),
        )
    return Verdict(verdict="unsure", reason=fitted(f"Both carry about as much of {named(ground)}.", 800))


def ratify(relevance: Relevance, act: Ratify) -> Ballot:
    """Endorse a statement by how far it carries the concerns that one opened with."""
    opening = opening_commitments(relevance, act.persona, act.scenario)
    carried = coverage(relevance, opening, act.statement)
    endorsement = _endorsement(float(carried.mean()))
    if endorsement >= 6:
        return Ballot(endorsement=endorsement, objection=None)
    missing = opening[int(np.argmax(2 * relevance.to_scenario(opening, act.scenario) - carried))]
    policy = attention(best_policy(relevance, missing, act.scenario))
    objection = fitted(f"It carries too little of {quoted(missing.title)}: {policy}.", 800)
    return Ballot(endorsement=endorsement, objection=objection)


def choose(relevance: Relevance, act: ChooseOption) -> Choice:
    """Choose the option that the stance leads to: the last one stated, else the one from commitments."""
    stated = [turn.stance for turn in act.transcript if turn.speaker == act.persona.name and turn.stance]
    stance = stated[-1] if stated else _stance(relevance, act.persona, act.scenario)
    return Choice(option=_leads(stance) or act.order[0])


def rank(relevance: Relevance, act: Rank) -> Ranking:
    """Order statements by how far each carries the concerns that one opened with."""
    opening = opening_commitments(relevance, act.persona, act.scenario)
    carried = [float(coverage(relevance, opening, statement).mean()) for statement in act.statements]
    order = sorted(range(len(carried)), key=lambda i: (-round(carried[i], 6), i))
    return Ranking(order=tuple(i + 1 for i in order))


def coverage(relevance: Relevance, commitments: list[Commitment], text: str) -> NDArray[np.float64]:
    """Return, for each commitment, how near its best-carried policy is to the text, as a cosine."""
    parts = [piece.strip() for s in sentences(text) for piece in (s, *s.split(";"), *s.split(","))]
    parts = [part for part in dict.fromkeys(parts) if len(part) > 12]
    found = []
    for commitment in commitments:
        policies = [attention(policy) for policy in commitment.attends_to]
        nearest = relevance.cosines(policies, parts).max(axis=1) if parts else np.zeros(len(policies))
        found.append(float(np.sort(nearest)[-2:].mean()))
    return np.array(found)


def _endorsement(carried: float) -> int:
    place = (carried - _FAINT) / (_FULL - _FAINT)
    return int(np.clip(np.floor(1 + 6 * place + 0.5), 1, 7))


def best_policy(relevance: Relevance, commitment: Commitment, scenario: Scenario) -> str:
    """Return the policy of a commitment that bears most on the scenario."""
    asked = [scenario.question, f"{scenario.label} {scenario.setting}"]
    nearness = relevance.cosines(list(commitment.attends_to), asked).mean(axis=1)
    return commitment.attends_to[int(np.argmax(nearness))]


def _affinity(relevance: Relevance, own: list[Commitment], card: ValuesCard) -> tuple[float, Commitment]:
    """Return how near a card's policies are to the nearest of one's own, and the commitment nearest to it."""
    policies = [policy for c in own for policy in c.attends_to]
    owner = [index for index, c in enumerate(own) for _ in c.attends_to]
    nearness = relevance.cosines(list(card.policies), policies)
    nearest = int(np.argmax(nearness.max(axis=0)))
    return float(nearness.max(axis=1).mean()), own[owner[nearest]]


def _text(card: ValuesCard) -> str:
    return f"{card.title}. {card.description}"


def _weights(stance: dict[str, float]) -> dict[str, int]:
    return {option: round(100 * share) for option, share in stance.items()}


def _leads(stance: dict[str, float]) -> str | None:
    return max(stance, key=lambda key: stance[key]) if stance else None


def _voiced(persona: Persona, turns: list[Turn]) -> list[Commitment]:
    """Return the commitments that a persona has spoken, by the words of its own turns."""
    said = "\n".join(turn.statement for turn in turns)
    return [c for c in persona.commitments if c.statement.rstrip(STOPS) in said]


def _conceded_claims(own_turns: list[Turn], heard: list[tuple[Turn, Claim]]) -> list[str]:
    granted = {point.text for turn in own_turns for point in turn.concedes}
    return [claim.text for _, claim in heard if claim.text[:800] in granted]


def _stance(
    relevance: Relevance, persona: Persona, scenario: Scenario, conceded: Sequence[str] = ()
) -> dict[str, float]:
    """Return where all that a persona stands for leans, the more relevant the heavier.

    What it has conceded to others weighs as half of its most relevant commitment each.
    """
    scores = relevance.to_scenario(persona.commitments, scenario)
    weights = [float(weight) for weight in np.exp(_SHARPNESS * (scores - scores.max()))]
    everyone = {c.statement: c for p in relevance.corpus for c in p.commitments}
    granted = [everyone[text] for text in conceded if text in everyone]
    return relevance.stance([*persona.commitments, *granted], [*weights, *([0.5] * len(granted))], scenario)


def _nearest(relevance: Relevance, persona: Persona, text: str) -> Commitment | None:
    """Return the persona's own commitment nearest to a text, if any is near."""
    nearness = relevance.cosines([wording(c) for c in persona.commitments], [text])[:, 0]
    best = int(np.argmax(nearness))
    return persona.commitments[best] if float(nearness[best]) >= _KIN else None


def _support(
    relevance: Relevance, act: Respond, heard: list[tuple[Turn, Claim]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return how far the persona's nearest commitments support each claim, and how far it bears on the question."""
    texts = [claim.text for _, claim in heard]
    own = relevance.cosines(texts, [wording(c) for c in act.persona.commitments])
    support: NDArray[np.float32] = np.sort(own, axis=1)[:, -2:].mean(axis=1)
    asked = [act.scenario.question, f"{act.scenario.label} {act.scenario.setting}"]
    return support, relevance.cosines(texts, asked).mean(axis=1)


def _most_agreeable(
    relevance: Relevance, act: Respond, heard: list[tuple[Turn, Claim]], own_turns: list[Turn]
) -> tuple[Turn, Claim]:
    """Return the claim nearest to one's own that bears on the question, of a speaker not conceded to yet."""
    answered = {point.to for turn in own_turns for point in turn.concedes}
    fresh = [h for h in heard if h[0].speaker not in answered] or heard
    support, bearing = _support(relevance, act, fresh)
    return fresh[int(np.argmax(support + bearing))]


def _who_leans_elsewhere(act: Respond, own_turns: list[Turn]) -> Turn | None:
    """Return the latest turn of the speaker who leans furthest from one's own course, both clearly."""
    mine = own_turns[-1].stance if own_turns else None
    if not mine or is_torn(mine):
        return None
    latest = {turn.speaker: turn for turn in act.transcript if turn.stance}
    answered = {point.to for turn in own_turns for point in turn.objects}
    others = [
        turn
        for speaker, turn in latest.items()
        if speaker not in {act.persona.name, *answered}
        and turn.stance
        and not is_torn(turn.stance)
        and _leads(turn.stance) != _leads(mine)
    ]
    return max(others, key=lambda turn: _distance(mine, turn.stance), default=None)


def _distance(left: dict[str, float] | None, right: dict[str, float] | None) -> float:
    if not left or not right:
        return 0.0
    return 0.5 * sum(abs(left.get(key, 0.0) - right.get(key, 0.0)) for key in {*left, *right})


def _gist(relevance: Relevance, scenario: Scenario, claim: str) -> str:
    """Return the sentence of a claim that bears most on the question, in quotation marks."""
    said = sentences(claim)
    nearness = relevance.cosines(said, [scenario.question, f"{scenario.label} {scenario.setting}"]).mean(
        axis=1
    )
    return f"‘{said[int(np.argmax(nearness))]}’"
