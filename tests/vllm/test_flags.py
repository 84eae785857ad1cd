"""vLLM's flags, read as vLLM's own parser reads them."""

import pytest

from lengthwise.errors import UserError
from lengthwise.vllm.flags import Flags, additional_config


@pytest.mark.parametrize(
    "given",
    [
        ["--max-num-seqs", "4"],
        ["--max-num-seqs=4"],
        ["--max_num_seqs", "4"],
        ["--max-num-seqs", "9", "--port", "1", "--max_num_seqs=4"],
    ],
)
def test_a_value_in_any_spelling_the_last_counts(given):
    assert Flags(given).value("--max-num-seqs") == "4"


def test_a_flag_with_several_values_has_them_all():
    given = ["--api-key", "one", "two", "--port", "1", "--api_key=three"]
    assert Flags(given).values("--api-key") == ["one", "two", "three"]
    assert Flags(["--port", "1"]).values("--api-key") == []


def test_a_short_name_is_another_spelling():
    assert Flags(["-pp", "2"]).number(1, "--pipeline-parallel-size", "-pp") == 2
    assert Flags(["-pp=2"]).number(1, "--pipeline-parallel-size", "-pp") == 2
    assert Flags([]).number(1, "--pipeline-parallel-size", "-pp") == 1


def test_a_part_of_a_json_flag_sets_it():
    assert Flags(["--speculative_config.method", "ngram"]).sets("--speculative-config")


def test_a_configuration_file_says_what_the_flags_do_not(tmp_path):
    path = tmp_path / "vllm.yaml"
    path.write_text("max_num_seqs: 8\nport: 1\nenable-prefix-caching: false\n")
    flags = Flags(["--config", str(path), "--port", "2"])
    assert flags.value("--max-num-seqs") == "8"
    assert flags.value("--port") == "2"
    assert flags.sets("--no-enable-prefix-caching")
    assert not flags.sets("--enable-prefix-caching")


def test_vllm_reads_the_same(tmp_path):
    """Each of these command lines, read by vLLM's parser and by ours."""
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    path = tmp_path / "vllm.yaml"
    path.write_text("max-num-seqs: 8\npipeline-parallel-size: 2\n")
    for given in (
        ["--max_num_seqs=3"],
        ["--config", str(path)],
        ["--max-num-seqs", "5", "-pp", "1", "--config", str(path)],
        ["-pp=4", "--max-num-seqs", "5", "--max-num-seqs", "6"],
    ):
        parser = FlexibleArgumentParser()
        parser.add_argument("--max-num-seqs", type=int, default=0)
        parser.add_argument("--pipeline-parallel-size", "-pp", type=int, default=1)
        theirs = parser.parse_args([*given])
        ours = Flags(given)
        assert ours.number(0, "--max-num-seqs") == theirs.max_num_seqs
        found = ours.number(1, "--pipeline-parallel-size", "-pp")
        assert found == theirs.pipeline_parallel_size


@pytest.mark.parametrize(
    "given",
    [
        ["--additional-config", '{"theirs": 1}', "--port", "1"],
        ['--additional_config={"theirs": 1}', "--port", "1"],
    ],
)
def test_the_users_additional_config_is_taken_out(given):
    assert additional_config(Flags(given)) == {"theirs": 1}
    assert Flags(given).without("--additional-config") == ["--port", "1"]


@pytest.mark.parametrize("value", ["[]", "1", "{", ""])
def test_an_additional_config_that_is_no_object_is_refused(value):
    with pytest.raises(UserError, match="must be a JSON object"):
        additional_config(Flags(["--additional-config", value]))
