import json

import pytest

from lengthwise.errors import UserError
from lengthwise.vllm.settings import KEY, Settings


@pytest.mark.parametrize("nothing", [None, {}, {"other": {"policy": "sjf"}}, {KEY: {}}])
def test_defaults_where_nothing_is_said(nothing):
    assert Settings.read(nothing) == Settings()


def test_the_default_policy_is_lengthwise_which_needs_no_predictor(tmp_path):
    assert (Settings().policy, Settings().pause, Settings().record) == ("lengthwise", True, [])
    assert Settings().probe is None
    Settings().check(str(tmp_path))


def test_settings_travel_through_vllms_config_as_json():
    settings = Settings("trail:0.5", "/probe", False, 2.0, 4, [3, 7], 16)
    assert Settings.read(json.loads(json.dumps(settings.additional_config()))) == settings


def test_only_a_place_that_there_is_can_be_trusted(tmp_path):
    with pytest.raises(UserError, match="trust is body, headers, none, not 'proxy'"):
        Settings(trust="proxy").check(str(tmp_path))


def test_what_others_set_there_is_left_alone():
    config = {"theirs": 1, **Settings(policy="sjf").additional_config()}
    assert Settings.read(config).policy == "sjf"


def test_an_unknown_setting_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"'polcy'.*policy") as caught:
        Settings.read({KEY: {"polcy": "sjf"}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("fcfs", None), ("fcfs+slice:64", 64), ("scls:32", 32), ("scls+bound", 128)],
)
def test_whether_requests_are_sliced_is_the_policys(policy, expected):
    assert Settings(policy=policy).slice == expected


def test_no_probe_looks_at_slices():
    assert Settings(policy="sprpt", probe="builtin").probing
    assert not Settings(policy="sprpt+slice:64", probe="builtin").probing
