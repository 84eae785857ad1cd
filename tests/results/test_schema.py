"""One schema for every results.json: what is shipped is what the types say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from lengthwise.errors import UserError
from lengthwise.results import setups
from lengthwise.results.files import (
    RequestRow,
    plain,
    read_requests,
    read_results,
    write_requests,
    write_results,
)
from lengthwise.results.record import Labels, Notes, Run, Seen, Size, Spread
from lengthwise.results.schema import PROMISED, schema, shipped, text
from lengthwise.results.setups import STUDIES

SETUP = setups.Sweep(
    **{"workload": "made", "requests": 9, "resampled": False, "profile": "made"},
    **{"policies": ["fcfs"], "cv": 1.0, "seeds": 1, "until": None, "rates": [None]},
    process="burst",
)
LABELS = Labels(policy="fcfs", engine="made", model="made", rate=None, seed=0)
NOTHING = Run.of(LABELS, Seen(requests=9, finished=0))


def test_the_shipped_schema_is_that_of_the_types() -> None:
    """If not: python -m lengthwise.results.schema writes it anew."""
    assert shipped().read_text() == text()
    Draft202012Validator.check_schema(schema())


def test_every_study_says_what_it_promises() -> None:
    known = set(schema()["$defs"]["Run"]["properties"])
    assert set(PROMISED) == set(STUDIES)
    for names in PROMISED.values():
        assert set(names) <= known


def test_what_was_written_is_read_again(tmp_path: Any, checked: Any) -> None:
    write_results(tmp_path, SETUP, [NOTHING], Size(seats=4))
    content = checked(tmp_path)
    assert (content["schema_version"], content["study"]) == (1, "simulate")
    assert content["setup"]["seats"] == 4
    found = read_results(tmp_path)
    assert found.runs == [NOTHING]
    assert found.setup == content["setup"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"study": "guess"},
        {"setup": {}},
        {"runs": [{"policy": "fcfs"}]},
        {"runs": [{**plain(NOTHING), "finished": 1}]},
        {"runs": [{**plain(NOTHING), "speed": 1}]},
        {"more": 1},
    ],
)
def test_what_does_not_conform_is_refused(tmp_path: Any, change: dict[str, Any]) -> None:
    write_results(tmp_path, SETUP, [NOTHING])
    content = json.loads((tmp_path / "results.json").read_text())
    validator = Draft202012Validator(json.loads(shipped().read_text()))
    validator.validate(content)
    with pytest.raises(ValidationError):
        validator.validate(content | change)


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "cannot be read"), ('{"runs": []}', "schema version"), ("[]", "cannot be read")],
)
def test_a_damaged_or_older_file_is_one_line(tmp_path: Any, text: str, said: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UserError, match=said):
        read_results(tmp_path)


def test_a_folder_without_results_is_one_line(tmp_path: Any) -> None:
    with pytest.raises(UserError, match=r"no results\.json"):
        read_results(tmp_path)


def test_a_run_is_put_together_from_its_parts() -> None:
    run = Run.of(LABELS, Seen(requests=9, finished=0), Spread(failed=2), Spread(failed=3))
    assert (run.policy, run["failed"], run.get("seats"), run.get("seats", 1)) == (
        "fcfs",
        3,
        None,
        1,
    )
    with pytest.raises(KeyError):
        run["seats"]
    with pytest.raises(KeyError):
        run["nonsense"]
    assert "seats" not in plain(run)
    assert plain(run)["rate"] is None


def test_requests_keep_what_their_engine_noted(tmp_path: Any) -> None:
    row = RequestRow(
        **{"id": "a", "arrival": 0.0, "first": None, "finish": None, "longest_gap": 0.0},
        **{"tokens": 0, "prompt_tokens": 3, "error": "it broke"},
    )
    write_requests(tmp_path, 0, [row, row])
    assert read_requests(tmp_path, 0) == [row, row]
    line = json.loads((tmp_path / "requests-0.jsonl").read_text().splitlines()[0])
    assert set(line) == {
        *("id", "arrival", "first", "finish", "longest_gap", "tokens", "prompt_tokens"),
        *("tenant", "priority", "error"),
    }
    (tmp_path / "requests-0.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(UserError, match="requests-0"):
        read_requests(tmp_path, 0)


def test_a_number_that_is_none_is_null(tmp_path: Any) -> None:
    run = Run.of(NOTHING, Notes(simulated_in_s=float("nan")))
    write_results(tmp_path, SETUP, [run])
    assert '"simulated_in_s": null' in (tmp_path / "results.json").read_text()


@pytest.mark.parametrize(
    "damage",
    ['"arrival": 1e300', '"tokens": -1', '"prompt_tokens": 123456789012345678901234567890'],
)
def test_times_and_tokens_that_no_request_has_are_damage(tmp_path: Any, damage: str) -> None:
    row = {"id": "a", "arrival": 0.0, "first": 1.0, "finish": 2.0, "longest_gap": 0.5}
    line = json.dumps(row | {"tokens": 3, "prompt_tokens": 4})
    (tmp_path / "requests-0.jsonl").write_text(line + "\n" + line[:-1] + f", {damage}}}\n")
    with pytest.raises(UserError, match=r"requests-0\.jsonl cannot be read"):
        read_requests(tmp_path, 0)
