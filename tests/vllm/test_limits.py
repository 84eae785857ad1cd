"""Where the probe cannot read, the policy goes by what the prompt predicts."""

from types import SimpleNamespace

import pytest

from lengthwise.vllm.flags import Flags
from lengthwise.vllm.limits import fit, obstacle, obstacle_in, settings_of
from lengthwise.vllm.settings import Settings


def config(speculative=None, additional=None, **parallel):
    sizes = {"pipeline_parallel_size": 1, "prefill_context_parallel_size": 1}
    sizes |= {"data_parallel_index": 0, **parallel}
    return SimpleNamespace(
        speculative_config=speculative,
        parallel_config=SimpleNamespace(**sizes),
        additional_config=additional or {},
    )


def test_an_engine_that_does_nothing_of_the_kind_is_probed():
    assert obstacle(config()) is None
    assert obstacle_in(Flags(["-tp", "2", "-dp", "2", "-pp", "1", "--api-server-count=2"])) is None


@pytest.mark.parametrize(
    ("flags", "engine", "name"),
    [
        (["-sc", "{}"], config(object()), "speculative"),
        (["--speculative-config.method=ngram"], config(object()), "speculative"),
        (["--spec-method", "ngram"], config(object()), "speculative"),
        (["-pp", "2"], config(pipeline_parallel_size=2), "pipeline"),
        (["--pipeline_parallel_size=2"], config(pipeline_parallel_size=2), "pipeline"),
        (["-pcp", "2"], config(prefill_context_parallel_size=2), "prefill context"),
    ],
)
def test_what_the_probe_does_not_go_with_is_found_in_flags_and_in_the_config(flags, engine, name):
    assert obstacle_in(Flags(flags)) == obstacle(engine)
    assert name in obstacle(engine)


def test_the_policy_goes_on_without_the_probe_and_says_so_once():
    said = []
    trail = Settings(policy="trail", probe="builtin")
    left = settings_of(config(object(), trail.additional_config()), said.append)
    assert (trail.probing, left.probing) == (True, False)
    assert (left.policy, left.probe) == ("trail", "builtin")
    assert len(said) == 1
    assert "speculative decoding" in said[0]
    # What lengthwise serve has said already, the engine does not say again.
    assert settings_of(config(object(), left.additional_config()), said.append) == left
    assert len(said) == 1


def test_nothing_is_learned_from_states_that_cannot_be_read_and_that_is_said_once():
    said = []
    learning = Settings(learn=True)
    left = fit(learning, "pipeline parallelism", said.append)
    assert (learning.sampling, left.sampling, left.learn) == (True, False, True)
    (line,) = said
    assert line.startswith("a learned probe does not go with pipeline parallelism")
    assert fit(left, "pipeline parallelism", said.append) is left
    assert len(said) == 1


@pytest.mark.parametrize(
    "settings",
    [
        Settings(learn=False),
        Settings(policy="mlfq"),
        Settings(policy="sjf", probe="builtin"),
        Settings(policy="trail+slice:64", probe="builtin"),
    ],
)
def test_who_has_no_probe_loses_nothing(settings):
    said = []
    assert fit(settings, "speculative decoding", said.append) is settings
    assert said == []
