import copy
import logging
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.vllm.piece import KEY, Slice
from lengthwise.vllm.slices.stitch import _OF_PROMPTS, _WHOLE, Stitcher


def request(id_="a", prompt=10, max_tokens=100, **params):
    given_params = {"max_tokens": max_tokens, "extra_args": None}
    given_params |= dict.fromkeys((*_WHOLE, *_OF_PROMPTS))
    return SimpleNamespace(
        request_id=id_,
        prompt_token_ids=list(range(prompt)),
        prompt_embeds=None,
        mm_features=[],
        resumable=False,
        sampling_params=SimpleNamespace(**(given_params | params)),
    )


def output(id_, tokens, reason=None, events=("queued",)):
    return SimpleNamespace(
        request_id=id_, new_token_ids=tokens, finish_reason=reason, events=list(events)
    )


class Engine:
    """Serves a slice token by token; the next one depends on all before, as in a model."""

    def __init__(self, natural, longest):
        self.natural, self.longest = natural, longest

    def serve(self, piece):
        facts = Slice.of(piece.sampling_params) or Slice([], 0)
        tokens = list(piece.prompt_token_ids) + facts.generated
        done = len(facts.generated)
        while True:
            token = (sum(tokens) * 31 + len(tokens)) % 1009
            tokens.append(token)
            done += 1
            reason = None
            if done == self.natural:
                reason = "stop"
            elif done == piece.sampling_params.max_tokens or len(tokens) >= self.longest:
                reason = "length"
            yield output(piece.request_id, [token], reason)
            if reason:
                return


def served(stitcher, engine, asked):
    """What the output processor sees, and the slices it took."""
    seen, slices, piece = [], [], stitcher.first(asked)
    while piece is not None:
        slices.append(copy.deepcopy(piece))
        following = []
        for out in engine.serve(piece):
            following += stitcher.take([out])
            seen.append(out)
        piece = stitcher.following(following[0]) if following else None
    return seen, slices


lengths = st.integers(1, 200)


@given(lengths, lengths, lengths, st.integers(1, 64), st.integers(1, 40), st.integers(40, 300))
def test_the_output_is_that_of_the_whole_request(prompt, max_tokens, natural, most, block, longest):
    prompt = min(prompt, longest - 1)
    asked = request(prompt=prompt, max_tokens=max_tokens)
    engine = Engine(natural, longest)
    whole = list(engine.serve(asked))
    stitcher = Stitcher(most, block, lambda: longest)
    seen, slices = served(stitcher, engine, asked)
    assert [o.new_token_ids for o in seen] == [o.new_token_ids for o in whole]
    assert [o.finish_reason for o in seen] == [o.finish_reason for o in whole]
    begins = [len(Slice.of(piece.sampling_params).generated) for piece in slices]
    ends = [*begins[1:], len(seen)]
    assert all(0 < end - begin <= most for begin, end in zip(begins, ends, strict=True))
    assert len(stitcher) == 0


def test_the_clients_own_parameters_are_never_changed():
    asked = request(max_tokens=100, extra_args={"tenant": "a"}, prompt_logprobs=2)
    before = copy.deepcopy(asked)
    served(Stitcher(16, 1, lambda: 500), Engine(90, 500), asked)
    assert asked == before


@pytest.mark.parametrize("name", _OF_PROMPTS)
def test_scores_of_the_prompt_are_asked_of_the_first_slice_only(name):
    asked = request(max_tokens=60, skip_reading_prefix_cache=True, **{name: 2})
    _, slices = served(Stitcher(16, 1, lambda: 500), Engine(90, 500), asked)
    params = [piece.sampling_params for piece in slices]
    assert [getattr(each, name) for each in params] == [2, None, None, None]
    assert [each.skip_reading_prefix_cache for each in params] == [True, None, None, None]


def test_only_the_first_slices_events_are_the_requests():
    seen, _ = served(Stitcher(2, 1, lambda: 500), Engine(90, 500), request(max_tokens=4))
    assert [o.events for o in seen] == [["queued"], ["queued"], None, None]


@pytest.mark.parametrize("reason", ["abort", "error", "stop", "repetition"])
def test_any_other_end_of_a_slice_ends_the_request(reason):
    stitcher = Stitcher(4, 1, lambda: 500)
    stitcher.first(request())
    out = output("a", [1, 2], reason)
    assert stitcher.take([out]) == []
    assert out.finish_reason == reason
    assert len(stitcher) == 0


def test_an_aborted_request_gets_no_further_slice():
    stitcher = Stitcher(4, 1, lambda: 500)
    stitcher.first(request())
    assert stitcher.take([output("a", [1, 2, 3, 4], "length")]) == ["a"]
    stitcher.forget(["a"])
    assert stitcher.following("a") is None
    assert stitcher.take([output("a", [1], None)]) == []


def test_requests_do_not_disturb_one_another():
    stitcher = Stitcher(2, 1, lambda: 500)
    for name in ("a", "b"):
        stitcher.first(request(name))
    outs = [output("a", [1, 2], "length"), output("b", [7], "stop")]
    assert stitcher.take(outs) == ["a"]
    assert Slice.of(stitcher.following("a").sampling_params).generated == [1, 2]
    assert stitcher.following("b") is None


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_embeds": object()},
        {"prompt_token_ids": None},
        {"mm_features": ["image"]},
        {"resumable": True},
        {"sampling_params": None},
    ],
)
def test_what_cannot_be_sliced_is_served_whole_and_said_once(change, caplog):
    stitcher = Stitcher(4, 1, lambda: 500)
    with caplog.at_level(logging.WARNING, "vllm.lengthwise"):
        for _ in range(2):
            asked = request()
            vars(asked).update(change)
            assert stitcher.first(asked) is asked
    assert len(stitcher) == 0
    assert len(caplog.records) == 1


@pytest.mark.parametrize("name", ["structured_outputs", "thinking_token_budget"])
def test_sampling_whose_state_cannot_be_taken_up_is_served_whole(name):
    asked = request(**{name: 5})
    assert Stitcher(4, 1, lambda: 500).first(asked) is asked


def test_a_client_cannot_pretend_to_be_a_slice():
    forged = {KEY: {"generated": [10**9], "max_tokens": 5}, "tenant": "a"}
    stitcher = Stitcher(4, 1, lambda: 500)
    piece = stitcher.first(request(extra_args=dict(forged)))
    assert Slice.of(piece.sampling_params).generated == []
    whole = stitcher.first(request(extra_args=dict(forged), structured_outputs=1))
    assert whole.sampling_params.extra_args == {"tenant": "a"}


def test_a_slice_without_tokens_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        Stitcher(0, 1, lambda: 500)


@pytest.mark.parametrize(
    ("asked", "watermarks", "sliced"),
    [(True, False, True), (True, True, False), (False, True, True), (None, True, True)],
)
def test_a_watermark_is_the_engines_not_the_requests(asked, watermarks, sliced):
    """vLLM 0.31 leaves True in every request, whether or not its engine has a watermark."""
    it = request(watermarking=asked)
    piece = Stitcher(4, 1, lambda: 500, watermarks).first(it)
    assert (piece is not it) == sliced
