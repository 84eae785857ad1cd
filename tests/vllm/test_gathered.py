from types import SimpleNamespace

import numpy as np

from lengthwise.vllm.gathered import Gathered
from lengthwise.vllm.sampled import STATES, SampledStates

D = 2


def output(layers=(3, -1), **ages):
    """What came with a step: requests by name with their ages; a state is age and layer."""
    values = [[[age, layer] for layer in layers] for age in ages.values()]
    states = SampledStates(
        list(ages), np.array(list(ages.values())), layers, np.array(values, dtype=np.float16)
    )
    return SimpleNamespace(**{STATES: states})


def test_states_are_gathered_by_request_and_handed_out_once():
    gathered = Gathered({"a", "b"})
    for step in (output(a=0, b=0), SimpleNamespace(), output(b=1), output(a=2)):
        gathered.take(step)
    found = gathered.finished("a")
    assert found.layers == (3, -1)
    assert found.ages.tolist() == [0, 2]
    assert found.values.tolist() == [[[0, 3], [0, -1]], [[2, 3], [2, -1]]]
    assert found.values.dtype == np.float16
    assert gathered.finished("a") is None
    assert gathered.finished("b").ages.tolist() == [0, 1]


def test_without_its_prompts_end_nothing_is_known_of_a_request():
    gathered = Gathered({"a"})
    gathered.take(output(a=3))
    assert gathered.finished("a") is None
    assert gathered.finished("never seen") is None


def test_what_comes_after_a_request_is_gone_is_dropped():
    living = {"a", "b"}
    gathered = Gathered(living)
    gathered.take(output(a=0, b=0))
    assert gathered.finished("a") is not None
    living.clear()
    gathered.take(output(a=1))
    assert gathered.finished("a") is None
    assert gathered.finished("b") is None


def test_the_next_input_of_a_session_begins_anew():
    gathered = Gathered({"a"})
    for age in (0, 1, 0):
        gathered.take(output(a=age))
    assert gathered.finished("a").ages.tolist() == [0]


def test_a_request_has_the_layers_that_were_kept_all_along():
    gathered = Gathered({"a", "b", "c"})
    gathered.take(output((3, 6, -1), a=0, c=0))
    gathered.take(output((6,), a=1, b=0))
    gathered.take(output((3, 6, -1), b=1))
    gathered.take(output((5,), c=1))
    for name in ("a", "b"):
        found = gathered.finished(name)
        assert found.layers == (6,)
        assert found.values.tolist() == [[[0, 6]], [[1, 6]]]
    assert gathered.finished("c") is None
