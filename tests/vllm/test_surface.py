import pytest

from lengthwise.errors import UserError
from lengthwise.vllm import surface


@pytest.mark.parametrize("version", ["0.32.0", "0.32.7", "0.32.1+cpu", "0.32.0.post1"])
def test_a_version_we_ran_is_taken(version):
    assert surface.check_version(version) is None


@pytest.mark.parametrize("version", ["0.31.9", "0.33.0", "0.3.2", "1.32.0", "0.320.0", "dev"])
def test_another_version_is_refused_with_those_that_work(version):
    with pytest.raises(UserError, match=r"0\.32\.x") as caught:
        surface.check_version(version)
    assert version in str(caught.value)
    assert "\n" not in str(caught.value)


class Scheduler:
    """Everything lengthwise builds on, by name."""

    update_from_output = add_request = finish_requests = None
    _free_request = _preempt_request = _is_blocked_waiting_status = None

    def schedule(self):
        return self.waiting, self.running, self.max_num_active_reqs


class Queue:
    """Likewise."""

    add_request = pop_request = peek_request = prepend_requests = remove_requests = None


def test_what_we_build_on_is_enough():
    assert surface.check("0.32.0", Scheduler, Queue) is None


def test_a_missing_method_is_named():
    class Other:
        add_request = pop_request = prepend_requests = remove_requests = None

    with pytest.raises(UserError, match="lacks peek_request"):
        surface.check("0.32.0", Scheduler, Other)


def test_a_schedule_written_anew_is_noticed():
    class Other(Scheduler):
        def schedule(self):
            return self.waiting, self.running

    with pytest.raises(UserError, match="lacks max_num_active_reqs"):
        surface.check("0.32.0", Other, Queue)
