import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.online.classes import classes_of
from lengthwise.online.plots import draw_calibration
from lengthwise.online.version import Judged

pairs = st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 9000)), min_size=1)


def judged(found):
    tokens, predicted = zip(*found, strict=True)
    return Judged(len(found), 0.7, 0.6, 0.8, 0.5, 3.0, predicted, tokens)


def test_classes_double():
    found = classes_of(judged([(1, 2.0), (2, 2.0), (3, 7.0), (8, 5.0)]))
    assert [(each.least, each.most, each.requests) for each in found] == [
        (1, 1, 1),
        (2, 3, 2),
        (8, 15, 1),
    ]
    middle = found[1]
    assert (middle.tokens, middle.predicted, middle.mae, middle.bias) == (2.5, 4.5, 2.0, 2.0)


@given(pairs)
def test_together_they_are_all_requests(found):
    classes = classes_of(judged(found))
    assert sum(each.requests for each in classes) == len(found)
    off = sum(each.mae * each.requests for each in classes)
    assert off == pytest.approx(np.abs(np.subtract(*np.array(found).T)).sum(), rel=1e-6, abs=1e-6)
    for each in classes:
        assert each.least <= each.tokens <= each.most
        assert abs(each.bias) <= each.mae + 1e-9


def test_one_that_was_judged_without_keeping_the_predictions_has_none():
    assert classes_of(Judged(60, 0.7, 0.6, 0.8, 0.5, 3.0)) == []


def test_the_picture_is_drawn_whatever_was_predicted(tmp_path):
    path = draw_calibration(judged([(1, 0.0), (1, 1.0), (300, 20.5)]), tmp_path / "a.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    draw_calibration(judged([(1, 0.5)]), tmp_path / "b.png")
