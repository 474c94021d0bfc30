"""The values cards that the commitments of shipped personas make."""

import pytest

from multiplex.content.panels import pack_names
from multiplex.content.personas import Persona, load_pack
from multiplex.content.schwartz import SCHWARTZ_VALUES
from multiplex.moral_graph.cards import ValuesCard
from multiplex.moral_graph.criteria import complaints

SHIPPED = [persona for pack in pack_names() for persona in load_pack(pack).personas]


@pytest.mark.parametrize("persona", SHIPPED, ids=lambda persona: persona.name)
def test_every_shipped_commitment_makes_a_good_card(persona: Persona) -> None:
    assert persona.commitments
    told = [
        (commitment.key, each.where, each.said)
        for commitment in persona.commitments
        for each in complaints(
            ValuesCard(
                id=commitment.key,
                title=commitment.title,
                description=commitment.statement,
                policies=commitment.attends_to,
                schwartz=commitment.schwartz,
                context="",
                authors=(persona.name,),
                sources=(str(commitment.source),),
            ),
            basic_values=SCHWARTZ_VALUES,
        )
    ]
    assert told == []
