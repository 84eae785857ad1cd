import pytest

from lengthwise.core.request import Request
from lengthwise.padded import Limits, SliceTime


@pytest.fixture(scope="session")
def time():
    """A made engine: a prefill and a decode step, each linear in size, length and both."""
    return SliceTime((1e-5, 1e-4, 1e-4, 1e-2), (1e-6, 1e-4, 1e-6, 2e-2))


@pytest.fixture(scope="session")
def limits(time):
    """Instances of that engine."""

    def make(instances=1, memory=4000, longest=1000):
        return Limits(instances, memory, longest, time)

    return make


@pytest.fixture(scope="session")
def request_of():
    """A request with a prompt, perhaps a prediction, and tokens it has generated already."""

    def make(prompt, predicted=None, seq=0, arrival=0.0, generated=0):
        made = Request(str(seq), arrival, seq, prompt, generated=generated)
        made.predict(predicted)
        return made

    return make
