from dataclasses import replace

import pytest

from lengthwise.bench.client import send_all
from lengthwise.bench.job import BenchRequest


def requests(*pairs):
    """Each with its arrival and the tokens it will get."""
    return [
        BenchRequest(f"q{i}", [tokens, 5], arrival) for i, (arrival, tokens) in enumerate(pairs)
    ]


def test_an_answer_is_followed_token_by_token(server):
    (life,) = send_all(server.address, requests((0.0, 4)), 8, "salt")
    assert life.answer == [100, 101, 102, 103]
    assert (life.tokens, life.replica, life.error) == (4, "r0", "")
    assert server.pace <= life.ttft < life.latency
    assert life.latency >= 4 * server.pace
    assert 0 < life.longest_gap < life.latency
    (body,) = server.bodies
    assert (body["prompt"], body["max_tokens"], body["cache_salt"]) == ([4, 5], 8, "salt")
    assert (body["temperature"], body["return_token_ids"]) == (0, True)


def test_the_server_is_told_whose_request_it_is_and_of_which_class(server):
    theirs = {"tenant": "acme", "priority": 2}
    send_all(server.address, [replace(each, **theirs) for each in requests((0.0, 1))], 8, "salt")
    (body,) = server.bodies
    assert (body["vllm_xargs"], body["priority"]) == ({"lengthwise_tenant": "acme"}, 2)


def test_answers_end_at_the_cap(server):
    (life,) = send_all(server.address, requests((0.0, 9)), 3, "salt")
    assert len(life.answer) == 3


def test_a_prompt_may_bring_a_smaller_cap_of_its_own(server):
    own = [replace(requests((0.0, 9))[0], max_tokens=cap) for cap in (2, 99)]
    lives = send_all(server.address, own, 3, "salt")
    assert [len(life.answer) for life in lives] == [2, 3]


def test_the_loop_is_open_nobody_waits_for_those_before(server):
    server.script[3], server.before = "waits", 2
    lives = send_all(server.address, requests((0.0, 3), (0.1, 1), (0.2, 1)), 8, "salt")
    assert [life.error for life in lives] == [""] * 3
    assert [life.sent >= life.arrival for life in lives] == [True] * 3
    assert max(lives[1].sent, lives[2].sent) < lives[0].first


@pytest.mark.parametrize(
    ("what", "said"),
    [("refuse", "HTTP 400"), ("fail", "it broke"), ("cut", "the stream ended before")],
)
def test_what_fails_is_said_and_does_not_count_as_finished(server, what, said):
    server.script[7] = what
    ended = []
    lost, fine = send_all(
        server.address, requests((0.0, 7), (0.0, 2)), 8, "s", lambda: ended.append(1)
    )
    assert said in lost.error
    assert lost.finish is None
    assert fine.finish is not None
    assert len(ended) == 2


def test_an_address_where_nobody_is_fails_the_request_not_the_bench():
    (life,) = send_all("http://127.0.0.1:9", requests((0.0, 1)), 1, "s")
    assert life.error
    assert life.finish is None
