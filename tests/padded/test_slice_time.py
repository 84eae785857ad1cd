import numpy as np
import pytest

from lengthwise.errors import UserError
from lengthwise.padded import SliceTime


def rows(law, noise=0.0):
    """Batch size, length and seconds of a law, perhaps with relative errors."""
    draw = np.random.default_rng(0)
    grid = [(n, length) for n in (1, 2, 4, 8, 16) for length in (16, 64, 256, 1024)]
    return np.array([(n, x, law(n, x) * draw.lognormal(0, noise)) for n, x in grid])


def prefill(n, length):
    return 2e-5 * n * length + 1e-3 * n + 1e-5 * length + 0.02


def decode(n, length):
    return 1e-6 * n * length + 2e-3 * n + 3e-6 * length + 0.03


def test_the_fit_finds_the_coefficients_of_an_exact_profile():
    fitted = SliceTime.fit(rows(prefill), rows(decode), "made")
    assert fitted.prefills == pytest.approx((2e-5, 1e-3, 1e-5, 0.02), rel=1e-4)
    assert fitted.decodes == pytest.approx((1e-6, 2e-3, 3e-6, 0.03), rel=1e-4)
    assert fitted.error < 1e-6


def test_a_noisy_profile_is_fitted_within_its_noise():
    fitted = SliceTime.fit(rows(prefill, 0.1), rows(decode, 0.1), "made")
    assert min(*fitted.prefills, *fitted.decodes) >= 0
    assert fitted.prefill(4, 512) == pytest.approx(prefill(4, 512), rel=0.1)
    assert fitted.decode(4, 511, 1) == pytest.approx(decode(4, 512), rel=0.1)


def test_a_slice_is_its_prefill_and_its_steps_one_by_one():
    fitted = SliceTime.fit(rows(prefill), rows(decode), "made")
    steps = sum(decode(6, 100 + i) for i in range(1, 129))
    assert fitted.slice(6, 100, 128) == pytest.approx(prefill(6, 100) + steps, rel=1e-4)


def test_it_is_saved_and_read_back(tmp_path):
    fitted = SliceTime.fit(rows(prefill), rows(decode), "made")
    fitted.save(tmp_path / "a" / "slices.json")
    assert SliceTime.load(tmp_path / "a" / "slices.json") == fitted


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "slices", "prefills": [1], "decodes": [1]}'])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "slices.json"
    path.write_text(text)
    with pytest.raises(UserError, match="cannot be read"):
        SliceTime.load(path)


def test_a_profile_of_a_made_engine_gives_the_engine_back(time):
    assert SliceTime.profiled(time, 4000, 500).slice(8, 300, 50) == pytest.approx(
        time.slice(8, 300, 50), rel=1e-6
    )


def test_too_few_batches_are_no_profile():
    with pytest.raises(UserError, match="at least 6"):
        SliceTime.fit(rows(prefill)[:3], rows(decode), "made")
