import pytest

from lengthwise.clients import client_of


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


@pytest.mark.parametrize("priority", [1.5, "soon", True, [1]])
def test_a_class_is_a_whole_number(priority):
    with pytest.raises(ValueError, match="not a whole number"):
        client_of({"priority": priority})
