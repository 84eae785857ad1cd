import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.online.reservoir import Reservoir, in_share, prompt_key

sizes = st.integers(1, 20)


@given(sizes, sizes, st.integers(0, 200))
def test_it_never_holds_more_than_its_bounds(uniform, recent, n):
    reservoir = Reservoir(uniform, recent)
    for i in range(n):
        reservoir.add(i)
        assert len(reservoir) <= uniform + recent
    assert len(reservoir.items()) == len(reservoir)


@given(sizes, sizes, st.integers(0, 200))
def test_the_latest_are_always_there_each_once_and_in_order(uniform, recent, n):
    reservoir = Reservoir(uniform, recent)
    for i in range(n):
        reservoir.add(i)
    items = reservoir.items()
    assert items == sorted(set(items))
    assert items[-min(recent, n) :] == list(range(max(n - recent, 0), n)) or n == 0


@given(sizes, st.integers(0, 20))
def test_everything_is_kept_while_there_is_room(uniform, n):
    reservoir = Reservoir(uniform, 1)
    for i in range(min(n, uniform)):
        reservoir.add(i)
    assert reservoir.items() == list(range(min(n, uniform)))


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_every_item_has_the_same_chance_to_stay(seed):
    size, n, rounds = 10, 50, 400
    stayed = np.zeros(n)
    for i in range(rounds):
        reservoir = Reservoir(size, 1, seed=seed + i)
        for item in range(n):
            reservoir.add(item)
        stayed[reservoir.items()] += 1
    share = stayed[:-1] / rounds
    # Five standard deviations of a share of 0.2 in 400 rounds.
    assert abs(share - size / n).max() < 0.1
    assert abs(share[: n // 2].mean() - share[n // 2 :].mean()) < 0.03


def test_forgetting_leaves_the_latest_and_samples_on():
    reservoir = Reservoir(100, 3)
    for i in range(50):
        reservoir.add(i)
    reservoir.forget()
    assert reservoir.items() == [47, 48, 49]
    reservoir.add(50)
    assert reservoir.items() == [47, 48, 49, 50]


prompts = st.lists(st.integers(0, 200_000), min_size=1, max_size=30)


@given(prompts, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_the_smaller_one(prompt, one, other):
    small, large = sorted((one, other))
    key = prompt_key(prompt)
    assert in_share(key, large, "a") or not in_share(key, small, "a")


def test_a_share_of_the_prompts_is_about_so_many_and_another_salt_chooses_others():
    keys = [prompt_key([i, 2 * i]) for i in range(5000)]
    held = np.array([in_share(key, 0.2, "held back") for key in keys])
    tune = np.array([in_share(key, 0.2, "tune") for key in keys])
    assert abs(held.mean() - 0.2) < 0.03
    assert abs(tune[~held].mean() - 0.2) < 0.03


@given(prompts)
def test_a_prompt_is_known_by_its_ids_alone(prompt):
    assert prompt_key(prompt) == prompt_key(tuple(prompt))
    assert prompt_key(prompt) != prompt_key([*prompt, 0])
