"""The flags that ``lengthwise serve`` gives vLLM."""

import pytest

from lengthwise.errors import UserError
from lengthwise.vllm.serve import for_cpus


def test_on_a_cpu_the_model_is_not_compiled_and_one_line_says_so(capsys):
    assert for_cpus(["--max-num-seqs", "4"]) == [
        *("--max-num-seqs", "4", "--dtype", "float32", "--enforce-eager")
    ]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--no-enforce-eager" in err


@pytest.mark.parametrize(
    "flags",
    [
        ["--enforce-eager"],
        ["--no-enforce-eager"],
        ["--no_enforce_eager"],
        ["-O3"],
        ["-O", "2"],
        ["-O=1"],
        ["--optimization-level=1"],
        ["--compilation-config", '{"mode": 3}'],
        ["--compilation_config.mode=3"],
        ["-cc.mode=3"],
        ["-cc", '{"mode": 3}'],
        ["--cudagraph-capture-sizes", "1", "2"],
    ],
)
def test_a_flag_of_compiling_decides(capsys, flags):
    assert for_cpus(flags) == [*flags, "--dtype", "float32"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("flags", [["--dtype", "bfloat16"], ["--dtype=bfloat16"]])
def test_the_users_dtype_is_kept(flags):
    assert for_cpus(flags) == [*flags, "--enforce-eager"]


def test_a_configuration_file_is_read(tmp_path):
    path = tmp_path / "vllm.yaml"
    path.write_text("compilation_config:\n  mode: 3\ndtype: bfloat16\n")
    assert for_cpus(["--config", str(path)]) == ["--config", str(path)]
    path.write_text("enforce-eager: false\n")
    assert for_cpus(["--config", str(path)]) == ["--config", str(path), "--dtype", "float32"]


@pytest.mark.parametrize("text", [None, "- 1", "a: ]", "\x00"])
def test_a_configuration_file_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "vllm.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"--config .*vllm\.yaml cannot be read"):
        for_cpus(["--config", str(path)])
