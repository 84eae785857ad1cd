from types import SimpleNamespace

from lengthwise.vllm.attach import attach


class Late:
    """An output that vLLM fetches later."""

    def __init__(self, fetched):
        self._fetched = fetched

    def get_output(self):
        return self._fetched


def test_an_output_has_it_at_once():
    output = SimpleNamespace()
    attach(output, "one", lambda: 1)
    assert output.one == 1


def test_an_asynchronous_output_gets_it_when_it_is_fetched():
    made = []
    late = Late(SimpleNamespace())
    attach(late, "one", lambda: made.append("now") or 1)
    assert made == []
    assert late.get_output().one == 1
    assert made == ["now"]


def test_two_add_to_one_asynchronous_output_which_is_its_own_again():
    fetched = SimpleNamespace()
    late = Late(fetched)
    attach(late, "one", lambda: 1)
    attach(late, "two", lambda: 2)
    assert late.get_output() is fetched
    assert (fetched.one, fetched.two) == (1, 2)
    assert "get_output" not in vars(late)
