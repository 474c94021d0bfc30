"""How the moderator puts a panel's words together, and one voice answers alone."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from multiplex.acts import (
    AnswerAlone,
    Answered,
    ClassifyPerspectives,
    Dissent,
    MergeCards,
    Merger,
    Proposal,
    ProposeTransition,
    Reference,
    References,
    Synthesis,
    Synthesise,
    Turn,
)
from multiplex.acts.replies import TakenUp
from multiplex.content.personas import Commitment, Persona
from multiplex.content.scenarios import Option
from multiplex.moral_graph.cards import ValuesCard
from multiplex.responders.extractive.persona import (
    best_policy,
    coverage,
    opening_commitments,
    speaks_to,
)
from multiplex.responders.extractive.wording import (
    attention,
    cited,
    ended,
    fitted,
    is_torn,
    joined,
    lower_first,
    named,
    number,
    pick,
    quoted,
)
from multiplex.responders.relevance import Relevance, wording
from multiplex.sentences import sentences

__all__ = ["answer", "classify_perspectives", "merge_cards", "propose_transition", "synthesise"]

_SAME = 0.8
"""The cosine from which two cards count as one value."""

_ALIKE = 0.4
"""The cosine from which two commitments of different personas count as asking for the same."""

_TAKEN_UP, _NAMED = 3, 5
"""How many objections a revision takes up at the most, and how many policies a revised statement names."""

_SPEAKS = "speaks to just this question; what comes nearest is said."

NOTHING = f"Nothing that they stand for {_SPEAKS}"
"""What the spectrum of views says where nobody's commitments bear on the question."""

_BEARING = 0.25
"""The mean cosine to the question and the setting from which an objection's policy is taken up."""


def merge_cards(relevance: Relevance, act: MergeCards) -> Merger:
    """Group cards all of whose pairs are nearly the same text (complete linkage), within a cluster if there are any."""
    texts = [_text(card) for card in act.cards]
    nearness = relevance.cosines(texts, texts)
    cluster = {id_: place for place, ids in enumerate(act.clusters) for id_ in ids}
    near = nearness >= _SAME
    of = np.array([cluster.get(card.id, -1) for card in act.cards])
    near &= of[:, None] == of
    groups: list[list[int]] = []
    for index in range(len(texts)):
        home = next((g for g in groups if near[index, g].all()), None)
        if home is None:
            groups.append([index])
        else:
            home.append(index)
    return Merger(groups=tuple(tuple(act.cards[i].id for i in g) for g in groups if len(g) > 1))


def propose_transition(relevance: Relevance, act: ProposeTransition) -> Proposal:
    """Propose the nearest card, nearness weighed up by how much of all the cards it takes in."""
    texts = [_text(card) for card in (act.card, *act.others)]
    nearness = relevance.cosines(texts, texts)
    breadth = (nearness.sum(axis=1) - 1) / max(len(texts) - 1, 1)
    score = nearness[0, 1:] + 0.5 * (breadth[1:] - breadth[0])
    other = act.others[int(np.argmax(score))]
    pairs = relevance.cosines(list(act.card.policies), list(other.policies))
    here, there = np.unravel_index(int(np.argmax(pairs)), pairs.shape)
    kept, found = attention(act.card.policies[int(here)]), attention(other.policies[int(there)])
    first = attention(act.card.policies[0 if here else min(1, len(act.card.policies) - 1)])
    matter = lower_first(act.scenario.choice_context or "this question")
    return Proposal(
        to=other.id,
        about=fitted(f"Behind {quoted(act.card.title)} lies attention to {kept}.", 600),
        story=fitted(
            f"Someone faced with {matter} had long been attending to {first} and to {kept}. "
            f"Going on, they came to notice {found} as well, and saw that this was what they had been looking "
            f"for. They did not give up {quoted(act.card.title)}, but found it again within {quoted(other.title)}.",
            1500,
        ),
        mapping={
            str(number): TakenUp(
                how="keeps_what_matters",
                rationale=fitted(
                    f"Nearest to it in wording, in {quoted(other.title)}: {other.policies[int(nearest)].rstrip('. ')}. "
                    "More than wording was not weighed.",
                    400,
                ),
            )
            for number, nearest in enumerate(pairs.argmax(axis=1), start=1)
        },
    )


def synthesise(relevance: Relevance, act: Synthesise, seed: int) -> Synthesis:
    """Set out every opening in equal measure, and say what all of them attend to."""
    openings = [turn for turn in act.transcript if turn.round == 0]
    final = {turn.speaker: turn for turn in act.transcript}
    panel = [p for p in act.panel if p.name in final]
    grounds = {p.name: _grounds(relevance, p, openings, act) for p in panel}
    shared = _shared_grounds(relevance, panel, grounds, act)
    camps = _camps(act.scenario.options, panel, final)
    policies = _common_policies(relevance, panel, grounds, act)
    consensus = fitted(_consensus(act, panel, policies, shared, camps, seed), 4000)
    carried = {p.name: coverage(relevance, grounds[p.name], consensus) for p in panel}
    ordered = sorted(panel, key=lambda p: (round(float(carried[p.name].mean()), 6), p.name))
    return Synthesis(
        overton=act.previous.overton
        if act.previous
        else fitted(_overton(relevance, act, panel, grounds, camps, shared, seed), 12000),
        consensus=consensus,
        agreements=tuple(_agreement(pair) for pair in shared),
        disagreements=_disagreements(camps, panel, grounds),
        dissent=tuple(
            Dissent(persona=p.name, text=_left_out(grounds[p.name][int(np.argmin(carried[p.name]))]))
            for p in ordered[:3]
        ),
    )


def classify_perspectives(relevance: Relevance, act: ClassifyPerspectives) -> References:
    """Mark each sentence that stands near to a commitment of one of the perspectives."""
    corpus = [
        (p.perspective, c)
        for p in relevance.corpus
        for c in p.commitments
        if p.perspective in act.perspectives
    ]
    spans = [s for s in sentences(act.text) if len(s) <= 400]
    if not corpus or not spans:
        return References(references=())
    nearness = relevance.cosines(spans, [wording(c) for _, c in corpus])
    found = [
        Reference(perspective=corpus[int(row.argmax())][0], span=span, sentiment=None)
        for span, row in zip(spans, nearness, strict=True)
        if float(row.max()) >= 0.6
    ]
    return References(references=tuple(found[:80]))


def answer(relevance: Relevance, act: AnswerAlone, seed: int) -> Answered:
    """Answer with one voice: the most relevant persona's alone, or, told to be multiplex, many in turn.

    It is the extractive reading of WorldView-Bench's two strategies without a panel: `plain` is one
    worldview, whichever is nearest to the question; `multiplex` draws the most relevant commitments
    of the whole pack, without seating anyone.
    """
    if act.told == "plain":
        best = max(relevance.corpus, key=lambda p: _bearing(relevance, p, act))
        chosen = opening_commitments(relevance, best, act.scenario)
        return Answered(answer=fitted(" ".join(cited(c) for c in chosen), 8000))
    everyone = [(p, c) for p in relevance.corpus for c in p.commitments]
    commitments = [c for _, c in everyone]
    owner = {id(c): p for p, c in everyone}
    ranked = relevance.choose(commitments, relevance.to_scenario(commitments, act.scenario), 40)
    taken: Counter[str] = Counter()
    parts: list[str] = []
    for commitment in ranked:
        persona = owner[id(commitment)]
        if taken[persona.name] < 2 and len(parts) < 8:
            taken[persona.name] += 1
            parts.append(fitted(f"{persona.label}: {cited(commitment)}", 990))
    return Answered(answer="\n\n".join(parts))


def _bearing(relevance: Relevance, persona: Persona, act: AnswerAlone) -> float:
    scores = np.sort(relevance.to_scenario(persona.commitments, act.scenario))
    return float(scores[-3:].mean())


def _text(card: ValuesCard) -> str:
    return f"{card.title}. {' '.join(attention(policy) for policy in card.policies)}"


def _grounds(
    relevance: Relevance, persona: Persona, openings: Sequence[Turn], act: Synthesise
) -> list[Commitment]:
    """Return the commitments that a persona's opening rests on; its most relevant ones where it names none."""
    keys = [claim.commitment for turn in openings if turn.speaker == persona.name for claim in turn.claims]
    known = {c.key: c for c in persona.commitments}
    named = [known[key] for key in keys if key in known]
    return named or opening_commitments(relevance, persona, act.scenario)


Shared = tuple[tuple[Persona, Commitment], tuple[Persona, Commitment]]


def _shared_grounds(
    relevance: Relevance, panel: Sequence[Persona], grounds: dict[str, list[Commitment]], act: Synthesise
) -> list[Shared]:
    """Return the nearest pairs of grounds of different personas, each persona in one pair at most.

    Pairs are ordered by how near they are to each other and how far both bear on the question.
    """
    entries = [(p, c) for p in panel for c in grounds[p.name]]
    if not entries:
        return []
    bearing = relevance.to_scenario([c for _, c in entries], act.scenario)
    nearness = relevance.cosines([wording(c) for _, c in entries], [wording(c) for _, c in entries])
    pairs = [
        (float(nearness[i, j]) + float(min(bearing[i], bearing[j])), i, j)
        for i, j in combinations(range(len(entries)), 2)
        if entries[i][0].name != entries[j][0].name
    ]
    used: set[str] = set()
    found: list[Shared] = []
    for _, i, j in sorted(pairs, key=lambda pair: (-round(pair[0], 6), pair[1:])):
        names = {entries[i][0].name, entries[j][0].name}
        if nearness[i, j] >= _ALIKE and not names & used and len(found) < 3:
            used |= names
            found.append((entries[i], entries[j]))
    return found


def _camps(
    options: Sequence[Option], panel: Sequence[Persona], final: dict[str, Turn]
) -> list[tuple[Option, list[Persona]]]:
    """Return each option with the personas whose stance leans to it clearly, the fullest first."""
    camps: dict[str, list[Persona]] = {option.key: [] for option in options}
    for persona in panel:
        stance = final[persona.name].stance
        if stance and not is_torn(stance):
            camps[max(stance, key=lambda key: stance[key])].append(persona)
    found = [(option, camps[option.key]) for option in options if camps[option.key]]
    return sorted(found, key=lambda camp: -len(camp[1]))


def _common_policies(
    relevance: Relevance, panel: Sequence[Persona], grounds: dict[str, list[Commitment]], act: Synthesise
) -> list[str]:
    """Return what to attend to: the policies of the grounds that most of the panel's concerns carry.

    A policy's support by a persona is its nearest policy among the persona's grounds; policies are
    ranked by the geometric mean of their support and by how far they bear on the question, one an
    author, later ones kept apart from earlier ones. Objections put their own policies first, where
    these bear on the question; an objection about something else stays as dissent.
    """
    entries = [(p.name, policy) for p in panel for c in grounds[p.name] for policy in c.attends_to]
    texts = [attention(policy) for _, policy in entries]
    scenario = act.scenario
    around = [scenario.question, f"{scenario.label} {scenario.setting}", *(o.text for o in scenario.options)]
    asked = [attention(policy) for policy in _objected(panel, grounds, act)]
    if asked:
        bearing = relevance.cosines(asked, around[:2]).mean(axis=1)
        asked = [policy for policy, cosine in zip(asked, bearing, strict=True) if cosine >= _BEARING]
    on_point = relevance.cosines(texts, around[:2]).mean(axis=1) >= _BEARING
    support = np.ones(len(texts))
    for persona in panel:
        own = [attention(policy) for c in grounds[persona.name] for policy in c.attends_to]
        nearest = relevance.cosines(texts, own).max(axis=1)
        support *= np.clip(nearest, 0.01, None) ** (1 / max(len(panel), 1))
    support += np.sort(relevance.cosines(texts, around), axis=1)[:, -2:].mean(axis=1)
    chosen = asked[:_TAKEN_UP]
    authors: set[str] = set()
    by_support = list(np.argsort(-support, kind="stable"))
    ranked = [index for index in by_support if on_point[index]]
    ranked += [index for index in by_support if not on_point[index]][: max(_TAKEN_UP - len(ranked), 0)]
    start = act.candidate % len(ranked) if ranked else 0
    order = ranked[start:] + ranked[:start]
    for index in order:
        author, text = entries[index][0], texts[index]
        near = relevance.cosines([text], chosen).max() if chosen else 0.0
        if author not in authors and near < 0.55 and len(chosen) < (_NAMED if asked else _TAKEN_UP):
            authors.add(author)
            chosen.append(text)
    return chosen


def _objected(panel: Sequence[Persona], grounds: dict[str, list[Commitment]], act: Synthesise) -> list[str]:
    """Return a policy for each objection, from the ground that the objection names, the strongest first."""
    found = []
    for objection in sorted(act.objections, key=lambda o: (o.endorsement, o.persona)):
        own = grounds.get(objection.persona, [])
        named = next((c for c in own if c.title in objection.text), None)
        if named is not None:
            told = [policy for policy in named.attends_to if attention(policy) in objection.text]
            found.append((told or list(named.attends_to))[0])
    return found


_SIGNED = (
    "We come from {count} traditions and do not become one by signing this.",
    "The {count} of us do not agree on everything here, and we say so.",
    "None of the {count} of us gives up a tradition by putting a name to these lines.",
)


def _consensus(
    act: Synthesise,
    panel: Sequence[Persona],
    policies: Sequence[str],
    shared: Sequence[Shared],
    camps: Sequence[tuple[Option, list[Persona]]],
    seed: int,
) -> str:
    matter = lower_first(act.scenario.choice_context or "this matter")
    alone = "One tradition was heard here, and these lines speak for no other."
    lines = [
        pick(_SIGNED, seed).format(count=number(len(panel))) if len(panel) > 1 else alone,
        f"In {matter}, whoever decides is asked to attend, before anything else, "
        f"{joined([f'to {policy}' for policy in policies])}.",
    ]
    if shared:
        (left, one), (right, two) = shared[0]
        lines.append(
            f"Some of us come near to one another by different roads: {left.label} by {named(one)}, "
            f"{right.label} by {named(two)}."
        )
    if len(panel) == 1:
        lines.append("These are the things that it would look for in any answer.")
    elif len(camps) > 1:
        lines.append(
            "On the courses open here we lean different ways; whichever is taken, "
            "these are the things that each of us would look for in it."
        )
    else:
        lines.append("These are the things that each of us would look for in any answer, our own included.")
    return " ".join(lines)


_SAYS = (
    "The {label} speaker says: {first} With it goes {second}.",
    "From the {label} seat: {first} To this is added {second}.",
    "In the {label} voice: {first} Beside it stands {second}.",
    "Speaking as {label}: {first} And there is {second}.",
)


def _overton(
    relevance: Relevance,
    act: Synthesise,
    panel: Sequence[Persona],
    grounds: dict[str, list[Commitment]],
    camps: Sequence[tuple[Option, list[Persona]]],
    shared: Sequence[Shared],
    seed: int,
) -> str:
    # A large panel is heard more briefly, and nobody is left out.
    room = max((10_500 - len(act.scenario.question)) // max(len(panel), 1), 100)
    voice = {
        p.name: fitted(_voice(relevance, p, grounds[p.name], act, seed + i), room)
        for i, p in enumerate(panel)
    }
    heard = (
        f"The {number(len(panel))} speakers have the same facts before them and begin from different places."
        if len(panel) > 1
        else "One speaker was heard."
    )
    silent = [p.label for p in panel if not speaks_to(relevance, p, act.scenario)]
    if silent:
        heard += (
            f" {NOTHING}"
            if len(silent) == len(panel)
            else f" Nothing that {joined(silent)} {'stands' if len(silent) == 1 else 'stand'} for {_SPEAKS}"
        )
    paragraphs = [f"{ended(act.scenario.question)} {heard}"]
    grouped = [p.name for _, people in camps for p in people]
    for option, people in camps:
        stand = "stands" if len(people) == 1 else "stand"
        head = f"By their reasons, nearest to “{option.text.rstrip('.')}” {stand} {joined([p.label for p in people])}."
        paragraphs += [head, *(voice[p.name] for p in people)]
    between = [p for p in panel if p.name not in grouped]
    if between and camps:
        stand = "stands" if len(between) == 1 else "stand"
        paragraphs.append(f"Between the courses {stand} {joined([p.label for p in between])}.")
    paragraphs += [voice[p.name] for p in between]
    paragraphs += [_agreement(pair) for pair in shared[:1]]
    return "\n\n".join(paragraphs)


def _voice(
    relevance: Relevance, persona: Persona, grounds: Sequence[Commitment], act: Synthesise, offset: int
) -> str:
    policy = attention(best_policy(relevance, grounds[-1 if len(grounds) < 2 else 1], act.scenario))
    opened, _, joins = pick(_SAYS, offset).partition("{first}")
    said = f"{opened.format(label=persona.label)}{cited(grounds[0])}"
    if len(grounds) == 1:
        return f"{said} It is a matter of attending to {policy}."
    return said + joins.format(second=f"{named(grounds[1])}, attending to {policy}")


def _agreement(pair: Shared) -> str:
    (left, one), (right, two) = pair
    said = f"{left.label} and {right.label} come near to each other in {named(one)} and {named(two)}."
    return fitted(said, 800)


def _disagreements(
    camps: Sequence[tuple[Option, list[Persona]]],
    panel: Sequence[Persona],
    grounds: dict[str, list[Commitment]],
) -> tuple[str, ...]:
    if len(camps) > 1:
        return tuple(
            fitted(f"{joined([p.label for p in people])}: nearest to “{option.text.rstrip('.')}”.", 800)
            for option, people in camps
        )
    return tuple(
        fitted(f"{p.label} begins from {quoted(grounds[p.name][0].title)}.", 800) for p in panel[:12]
    )


def _left_out(commitment: Commitment) -> str:
    return fitted(f"The statement carries too little of {quoted(commitment.title)}: {cited(commitment)}", 800)
