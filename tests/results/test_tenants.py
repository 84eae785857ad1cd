import numpy as np

from lengthwise.results.files import plain
from lengthwise.results.tenants import by_tenant


def test_each_tenant_has_figures_of_its_own():
    found = by_tenant(
        ["a", None, "a"],
        np.array([1.0, 5.0, 3.0]),
        np.array([0.5, 4.0, 1.5]),
        np.array([0.6, 4.0, 1.6]),
        np.array([10, 20, 30]),
    )
    assert set(found) == {"a", ""}
    assert plain(found["a"]) == {
        "requests": 2,
        "output_tokens": 40,
        "mean_latency_s": 2.0,
        "p99_latency_s": 2.98,
        "mean_ttft_s": 1.0,
        "mean_max_waiting_s": 1.1,
    }
    assert found[""].output_tokens == 20


def test_without_tenants_there_is_nothing_to_say():
    nothing = np.zeros(2)
    assert by_tenant([], nothing, nothing, nothing, nothing.astype(int)) == {}
    assert by_tenant([None, None], nothing, nothing, nothing, nothing.astype(int)) == {}
