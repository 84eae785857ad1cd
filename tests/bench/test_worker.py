import pytest

from lengthwise.bench.job import BenchRequest, Job
from lengthwise.bench.worker import _hints
from lengthwise.vllm.hints import ORACLE_HINT
from lengthwise.workload.clients import TENANT_HINT


def job(policy):
    return Job(policy, "", None, 4, 64, None, 0, [])


@pytest.mark.parametrize("policy", ["oracle", "oracle+fair", "oracle+bound:9"])
def test_the_oracles_length_goes_to_oracle_policies(policy):
    request = BenchRequest("x", [1], tokens=7, tenant="a")
    assert _hints(request, job(policy).oracle) == {TENANT_HINT: "a", ORACLE_HINT: 7}


@pytest.mark.parametrize("policy", ["stock", "fcfs", "ltr+fair", "trail"])
def test_and_to_no_other(policy):
    assert _hints(BenchRequest("x", [1], tokens=7), job(policy).oracle) == {}
