"""A number, or the reason why there is none."""

import json

import pytest

from multiplex.scoring.score import Score, plain


def test_a_score_has_a_value_or_a_reason() -> None:
    with pytest.raises(ValueError, match="either a value or a reason"):
        Score(None)
    with pytest.raises(ValueError, match="either a value or a reason"):
        Score(0.5, "because")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_is_finite(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Score(value)


def test_detail_may_not_hide_the_value() -> None:
    with pytest.raises(ValueError, match="detail may not hold"):
        Score(1.0, detail={"value": 2})


def test_a_score_becomes_flat_plain_data_all_the_way_down() -> None:
    inner = Score.undefined("nobody spoke", n=0)
    data = Score(0.5, detail={"n": 2, "by_persona": {"sufi": inner}, "shares": (0.5, 0.5)}).as_dict()
    assert data == {
        "value": 0.5,
        "reason": None,
        "n": 2,
        "by_persona": {"sufi": {"value": None, "reason": "nobody spoke", "n": 0}},
        "shares": [0.5, 0.5],
    }
    assert json.loads(json.dumps(data)) == data
    assert plain([inner]) == [inner.as_dict()]
