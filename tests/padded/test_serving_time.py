import pytest

from lengthwise.padded.serving_time import ServingTime


def learned(time, refresh=120.0):
    estimate = ServingTime(time, neighbours=2, refresh=refresh)
    for size in (2, 4, 8):
        for steps in (10, 100):
            for _ in range(2):
                estimate.saw((size, 50, steps), 0.01 * size * steps)
    return estimate


def test_before_any_batch_the_profile_speaks(time):
    estimate = ServingTime(time)
    assert estimate([(4, 100, 50.0)], 0.0) == [time.slice(4, 100, 50)]


def test_the_nearest_batches_are_averaged(time):
    estimate = learned(time)
    assert estimate([(8, 50, 100.0), (2, 50, 10.0)], 0.0) == pytest.approx([8.0, 0.2])


def test_size_counts_though_lengths_are_larger_numbers(time):
    assert learned(time)([(7, 50, 100.0)], 0.0) == pytest.approx([8.0])


def test_it_is_fitted_again_only_after_the_refresh(time):
    estimate = learned(time)
    estimate([(8, 50, 100.0)], 0.0)
    for _ in range(2):
        estimate.saw((8, 50, 101), 80.0)
    assert estimate([(8, 50, 101.0)], 119.0) == pytest.approx([8.0])
    assert estimate([(8, 50, 101.0)], 120.0) == pytest.approx([80.0])
