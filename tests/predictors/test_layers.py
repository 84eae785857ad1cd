from hypothesis import given
from hypothesis import strategies as st

from lengthwise.predictors.layers import LAST, in_order, tapped_layers


@given(st.integers(1, 200))
def test_a_probe_is_learned_from_a_few_inner_layers_and_the_last_ones_output(depth):
    layers = tapped_layers(depth, offers=True)
    assert layers == in_order(layers)
    assert layers[-1] == LAST
    assert all(1 <= layer <= depth for layer in layers[:-1])
    assert len(layers) == 1 + min(3, depth) or depth < 4


def test_where_a_model_offers_no_inner_layers_its_last_is_enough():
    assert tapped_layers(30, offers=False) == (LAST,)
    assert tapped_layers(30, offers=False, acting=10) == (LAST,)


def test_once_a_probe_acts_its_layer_is_tapped():
    assert tapped_layers(30, offers=True, acting=10) == (10, LAST)
    assert tapped_layers(30, offers=True, acting=LAST) == (LAST,)
