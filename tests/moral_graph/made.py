"""Graphs, judgements and strategies that several tests of moral graphs share."""

from typing import Any

from hypothesis import strategies as st

from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.graph import MoralGraph, aggregate
from multiplex.moral_graph.judgements import Judgement, Opinion


def graph_of(pairs: dict[str, list[Opinion]], *, context: str = "care", title: str = "T") -> MoralGraph:
    cards = [
        ValuesCard(
            id=id_,
            title=f"{title} {id_}",
            description="About it.",
            policies=("MOMENTS x", "SIGNS y", "WAYS z"),
            context=context,
            authors=("sufi",),
        )
        for id_ in "abcdef"
    ]
    return aggregate(cards, judgements_of(pairs, context=context))


def judgements_of(pairs: dict[str, list[Opinion]], *, context: str = "care") -> list[Judgement]:
    return [
        Judgement(transition=pair, source=pair[0], wiser=pair[1], context=context, judge=f"p{i}", verdict=v)
        for pair, verdicts in pairs.items()
        for i, v in enumerate(verdicts)
    ]


pairs_of_values = st.dictionaries(
    st.permutations("abcdef").map(lambda letters: letters[0] + letters[1]),
    st.lists(st.sampled_from(["wiser", "wiser", "wiser", "not_wiser", "unsure"]), min_size=1, max_size=6),
    max_size=12,
)


judgements_in_contexts = st.lists(
    st.builds(
        lambda pair, context, judge, verdict: Judgement(
            transition=pair, source=pair[0], wiser=pair[1], context=context, judge=judge, verdict=verdict
        ),
        st.sampled_from(["ab", "ba", "bc", "cb", "cd", "de"]),
        st.sampled_from(["k", "m", ""]),
        st.sampled_from("pqr"),
        st.sampled_from(["wiser", "wiser", "wiser", "not_wiser", "unsure", "abstained"]),
    ),
    max_size=16,
)


def mgg() -> dict[str, Any]:
    metadata = {"story": "One day.", "context_shifts": [1], "problem": {"p": 1}, "improvements": []}
    return {
        "values": [
            {
                "id": id_,
                "data": {"title": f"Value {id_}", "policies": ["MOMENTS x"], "choice_context": "care"},
            }
            for id_ in ("u1", "u2")
        ],
        "edges": [
            {"from_id": "u1", "to_id": "u2", "context": "care", "metadata": metadata},
            {"from_id": "u2", "to_id": "u1", "context": "work", "metadata": {}},
        ],
        "seed_questions": ["What now?"],
    }
