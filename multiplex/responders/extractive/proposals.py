"""How the diversity agent makes questions out of two commitments that bear on one matter.

A commitment's policies say what those who hold it attend to. Where two people attend to different things in
one matter, what to do turns on what is looked at first: that is what is asked, in one of several forms.
Nothing is added to what the commitments say; whether the question was ever anybody's is not known.
"""

from itertools import product

from multiplex.acts import Failure, ProposedQuestion, ProposeQuestions, Questions, Tension
from multiplex.content.topics import Topic
from multiplex.responders.extractive.wording import attention, fitted
from multiplex.responders.relevance import Relevance
from multiplex.sentences import folded

__all__ = ["propose_questions"]

_LONGEST = 170
"""Characters of a policy inside a question."""

_WHO_AND_WHERE: dict[Topic, tuple[str, str]] = {
    "family": ("a family", "in family life"),
    "education": ("a school", "in education"),
    "health": ("a hospital", "in caring for the sick"),
    "mental_health": ("those who look after people in distress", "in looking after people in distress"),
    "news": ("a newsroom", "in reporting the news"),
    "speech": ("those who set the rules of public speech", "in public speech"),
    "work": ("an employer", "at work"),
    "economy": ("those who decide about money and trade", "in buying, selling and lending"),
    "government": ("a government", "in government"),
    "law": ("a court", "in law"),
    "technology": ("those who build a technology", "in building and using technology"),
    "environment": ("those who decide about land and water", "in dealing with the living world"),
    "religion": ("a religious community", "in religious life"),
    "community": ("a neighbourhood", "in the life of a community"),
    "peace": ("those who make peace after a conflict", "in making peace"),
    "death": ("those who stand by the dying", "near the end of life"),
}

_OPTIONS = (
    "Look first at {one}",
    "Look first at {other}",
    "Look at both alike, and decide from case to case",
)
_FORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Should {who} look first at {one}, or at {other}?", _OPTIONS),
    ("What should {who} do when watching for {one} leaves little time to watch for {other}?", ()),
    ("When {who} cannot look into everything, which matters more to notice: {one}, or {other}?", _OPTIONS),
    ("How much should {who} care about {one}, compared with {other}?", ()),
    ("Is it ever right, {where}, to look away from {one} so as to look harder at {other}?", ()),
    (
        "If two people disagree {where}, one pointing to {one} and the other to {other}, "
        "how should it be settled what to do?",
        (),
    ),
    (
        "What is missed, {where}, by those who look only at {one}, "
        "and what by those who look only at {other}?",
        (),
    ),
    ("Who should decide, {where}, whether to look first at {one} or at {other}?", ()),
)


def propose_questions(relevance: Relevance, act: ProposeQuestions, seed: int) -> Questions | Failure:
    """Ask of each tension in turn what is to be looked at first, in forms that alternate."""
    who, where = _WHO_AND_WHERE[act.topic]
    seen = {folded(question) for question in act.asked}
    questions: list[ProposedQuestion] = []
    for place in range(4 * act.count if act.tensions else 0):
        tension = act.tensions[place % len(act.tensions)]
        turn = seed + place
        one, other = _at_odds(relevance, act, tension, where, turn // len(_FORMS))
        if turn % 2:  # so that neither side of a tension always comes first
            one, other = other, one
        form, options = _FORMS[turn % len(_FORMS)]
        question = form.format(who=who, where=where, one=one, other=other)
        if one != other and folded(question) not in seen and len(questions) < act.count:
            seen.add(folded(question))
            questions.append(
                ProposedQuestion(
                    question=question,
                    choice_context=fitted(act.scenario.setting, 300),
                    options=tuple(option.format(one=one, other=other) for option in options),
                )
            )
    if not questions:
        return Failure("nothing_new", "the commitments given yield no question that was not asked already")
    return Questions(questions=tuple(questions))


def _at_odds(
    relevance: Relevance, act: ProposeQuestions, tension: Tension, where: str, turn: int
) -> tuple[str, str]:
    """Return a policy of each side: one of the three pairs nearest to each other, to the choice and the topic."""
    ours, theirs = tension.one.commitment.attends_to, tension.other.commitment.attends_to
    nearness = relevance.cosines(ours, theirs)
    bearing = relevance.cosines([*ours, *theirs], [act.scenario.setting, where]) @ (2.0, 1.0)
    pairs = sorted(
        product(range(len(ours)), range(len(theirs))),
        key=lambda pair: (
            -round(float(nearness[pair] + bearing[pair[0]] + bearing[len(ours) + pair[1]]), 6),
            pair,
        ),
    )
    i, j = pairs[turn % min(3, len(pairs))]
    return fitted(attention(ours[i]), _LONGEST), fitted(attention(theirs[j]), _LONGEST)
