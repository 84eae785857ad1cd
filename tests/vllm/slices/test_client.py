import asyncio
from types import SimpleNamespace

import pytest

from lengthwise.errors import UserError
from lengthwise.vllm.flags import Flags
from lengthwise.vllm.piece import Slice
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.slices.client import AsyncFront, Front, _concerns, _wrapped, check, refuse
from lengthwise.vllm.slices.stitch import _OF_PROMPTS, _WHOLE, Stitcher


def request(id_):
    return SimpleNamespace(
        request_id=id_,
        prompt_token_ids=[1, 2, 3],
        prompt_embeds=None,
        mm_features=[],
        resumable=False,
        sampling_params=SimpleNamespace(
            max_tokens=10, extra_args=None, **dict.fromkeys((*_WHOLE, *_OF_PROMPTS))
        ),
    )


class Core:
    """An engine core that notes what it is sent and answers what it is told to."""

    def __init__(self):
        self.added, self.aborted, self.answers = [], [], []

    def add_request(self, piece):
        self.added.append((piece.request_id, len(Slice.of(piece.sampling_params).generated)))

    def get_output(self):
        ended = [
            SimpleNamespace(request_id=i, new_token_ids=t, finish_reason=r, events=None)
            for i, t, r in self.answers.pop(0)
        ]
        return SimpleNamespace(outputs=ended)

    def abort_requests(self, ids):
        self.aborted += ids


class AsyncCore(Core):
    """The same behind a socket: each call lets others run first."""

    async def add_request_async(self, piece):
        self.add_request(piece)
        await asyncio.sleep(0)

    async def get_output_async(self):
        await asyncio.sleep(0)
        return self.get_output()

    async def abort_requests_async(self, ids):
        self.abort_requests(ids)


FULL = [("a", [1, 2, 3, 4], "length"), ("b", [5, 6, 7, 8], "length")]


def test_the_next_slice_follows_before_the_outputs_are_handed_on():
    core = Core()
    Front(core, Stitcher(4, 1, lambda: 99))
    for name in ("a", "b"):
        core.add_request(request(name))
    core.answers = [FULL, [("a", [9], "stop")]]
    assert [out.finish_reason for out in core.get_output().outputs] == [None, None]
    assert core.added == [("a", 0), ("b", 0), ("a", 4), ("b", 4)]
    assert core.get_output().outputs[0].finish_reason == "stop"
    core.abort_requests(["b"])
    assert core.aborted == ["b"]


def test_who_leaves_while_anothers_slice_is_sent_gets_no_further_slice():
    async def scenario():
        core = AsyncCore()
        AsyncFront(core, Stitcher(4, 1, lambda: 99))
        for name in ("a", "b"):
            await core.add_request_async(request(name))
        core.answers = [FULL]
        reading = asyncio.create_task(core.get_output_async())
        while len(core.added) < 3:
            await asyncio.sleep(0)
        await core.abort_requests_async(["b"])
        await reading
        return core

    core = asyncio.run(scenario())
    assert core.added == [("a", 0), ("b", 0), ("a", 4)]
    assert core.aborted == ["b"]


def config(**changes):
    settings = {
        "cache_config": SimpleNamespace(enable_prefix_caching=True),
        "speculative_config": None,
        "kv_transfer_config": None,
        "parallel_config": SimpleNamespace(pipeline_parallel_size=1),
        "scheduler_config": SimpleNamespace(scheduler_cls="lengthwise.vllm.Scheduler"),
    }
    return SimpleNamespace(**(settings | changes))


def test_an_engine_as_we_build_it_may_serve_in_slices():
    assert check(config()) is None
    assert refuse(Flags(["--port", "8000", "--enforce-eager", "-tp", "2", "-dp", "2"])) is None


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"cache_config": SimpleNamespace(enable_prefix_caching=False)}, "prefix-caching"),
        ({"speculative_config": object()}, "--speculative-config"),
        ({"kv_transfer_config": object()}, "--kv-transfer-config"),
        ({"parallel_config": SimpleNamespace(pipeline_parallel_size=2)}, "--pipeline"),
        ({"scheduler_config": SimpleNamespace(scheduler_cls=None)}, "--scheduler-cls"),
        (
            {"scheduler_config": SimpleNamespace(scheduler_cls="lengthwise.vllm.StockScheduler")},
            "-cls",
        ),
    ],
)
def test_what_slices_were_not_made_for_is_refused_by_its_flag(changes, flag):
    with pytest.raises(UserError, match=flag):
        check(config(**changes))


@pytest.mark.parametrize(
    ("given", "flag"),
    [
        (["--no-enable-prefix-caching"], "--no-enable-prefix-caching"),
        (["--no_enable_prefix_caching"], "--no-enable-prefix-caching"),
        (["-sc", "{}"], "--speculative-config"),
        (["--spec-method=ngram"], "--speculative-config"),
        (["--kv-transfer-config.kv_connector=X"], "--kv-transfer-config"),
        (["--kv-offloading-size", "4"], "--kv-transfer-config"),
        (["-pp", "2"], "--pipeline-parallel-size"),
        (["--scheduler-cls=theirs"], "--scheduler-cls"),
    ],
)
def test_a_flag_is_refused_before_the_server_starts(given, flag):
    with pytest.raises(UserError, match=f"{flag} and slices"):
        refuse(Flags(["--port", "1", *given]))


def test_an_engine_is_refused_before_it_is_built():
    built = []
    sliced = Settings(policy="fcfs+slice:8").additional_config()
    make = _wrapped(lambda given: built.append(given), built.append)
    with pytest.raises(UserError, match="--speculative-config and slices"):
        make(config(additional_config=sliced, speculative_config=object()))
    assert built == []


def test_a_front_end_in_rust_has_no_client_that_cuts(monkeypatch):
    monkeypatch.setenv("VLLM_USE_RUST_FRONTEND", "0")
    refuse(Flags([]))
    monkeypatch.setenv("VLLM_USE_RUST_FRONTEND", "1")
    with pytest.raises(UserError, match="VLLM_USE_RUST_FRONTEND and slices"):
        refuse(Flags([]))


@pytest.mark.parametrize(
    ("scheduler", "config", "ours"),
    [
        ("lengthwise.vllm.Scheduler", None, True),
        (None, {"lengthwise": {}}, True),
        (None, {"theirs": 1}, False),
        ("vllm.v1.core.sched.scheduler.Scheduler", None, False),
    ],
)
def test_hints_are_read_where_the_scheduler_or_a_setting_is_ours(scheduler, config, ours):
    scheduling = SimpleNamespace(scheduler_cls=scheduler)
    given = SimpleNamespace(scheduler_config=scheduling, additional_config=config)
    assert _concerns(given) is ours
