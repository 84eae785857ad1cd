import math

import pytest

from lengthwise.workload.clients import LONGEST_NAME, client_of, name_of, shown


@pytest.mark.parametrize(
    ("record", "client"),
    [
        ({}, (None, 0)),
        ({"tenant": "", "priority": ""}, (None, 0)),
        ({"tenant": 7, "priority": "-3"}, ("7", -3)),
        ({"tenant": "a", "priority": 2}, ("a", 2)),
    ],
)
def test_a_record_may_name_a_tenant_and_a_class(record, client):
    assert client_of(record) == client


@pytest.mark.parametrize("priority", [1.5, "soon", True, [1], 2**63, str(-(2**63) - 1), "9" * 5000])
def test_a_class_is_a_whole_number(priority):
    with pytest.raises(ValueError, match="not a whole number"):
        client_of({"priority": priority})


@pytest.mark.parametrize("said", [[1], {}, True, math.nan, math.inf, 2**63, 10**4000])
def test_a_tenant_is_a_name(said):
    with pytest.raises(ValueError, match="a tenant is a name"):
        client_of({"tenant": said})


def test_a_long_name_is_cut():
    assert name_of("a" * 10**6) == "a" * LONGEST_NAME


def test_what_a_client_said_is_shown_short_and_on_one_line():
    assert shown("\n" + "a" * 10**6) == ascii("\n" + "a" * 39) + "..."
    assert (shown(10**5000), shown([1]), shown(-3), shown(math.nan)) == (
        *("a int", "a list", "-3", "nan"),
    )
