import json

import pytest

from lengthwise import __version__
from lengthwise.cli.main import main


@pytest.fixture
def model(tmp_path):
    """A folder is enough: nothing here gets as far as its weights."""
    folder = tmp_path / "model"
    folder.mkdir()
    return str(folder)


@pytest.fixture
def refuse(capsys):
    """Run a command that must end with status 2 and one line; returns the line."""

    def run(*argv):
        assert main([str(word) for word in argv]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("lengthwise: ")
        assert err.endswith("\n")
        assert err.count("\n") == 1
        return err

    return run


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        ("nope", "unknown policy 'nope'"),
        ("stock,trail:2", "between 0 and 1"),
        ("fcfs,trail", "give it --predictor"),
        ("stock,sjf", "give it --predictor"),
        ("", "unknown policy"),
    ],
)
def test_bench_refuses_policies_it_cannot_run(refuse, model, tmp_path, policies, says):
    line = refuse("bench", model, "--policies", policies, "--out", tmp_path / "out")
    assert says in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["bench", "collect"])
def test_a_bad_line_of_prompts_is_named(refuse, model, tmp_path, command):
    path = tmp_path / "mine.jsonl"
    path.write_text('{"prompt": "fine"}\n{"prompt": 5}\n')
    line = refuse(command, model, "--prompts", path, "--out", tmp_path / "out")
    assert "line 2" in line


@pytest.mark.parametrize("command", ["bench", "collect"])
def test_missing_prompts_are_named(refuse, model, tmp_path, command):
    path = tmp_path / "nowhere.jsonl"
    assert str(path) in refuse(command, model, "--prompts", path, "--out", tmp_path / "out")


@pytest.mark.parametrize("command", ["bench", "collect"])
def test_an_unknown_model_is_named(refuse, tmp_path, command):
    folder = tmp_path / "no-model"
    assert f"model '{folder}': no such folder" in refuse(command, folder, "--out", tmp_path / "out")


@pytest.mark.parametrize("flag", ["--rates", "--loads"])
@pytest.mark.parametrize("value", ["x", "1,x", "burst,1;2"])
def test_bad_rates_and_loads_are_named(refuse, model, flag, value):
    assert "is not a number" in refuse("bench", model, "--policies", "stock", flag, value)


def test_serve_without_a_probe_says_so(refuse, model):
    assert "--predictor" in refuse("serve", model, "--policy", "trail", "--learn", "off")


def test_serve_with_a_missing_probe_folder_says_how_to_get_one(refuse, model, tmp_path):
    line = refuse("serve", model, "--predictor", tmp_path / "nowhere")
    assert str(tmp_path / "nowhere") in line
    assert "lengthwise train" in line


def test_serve_learns_only_where_something_predicts(refuse, model, tmp_path):
    line = refuse("serve", model, "--policy", "fcfs", "--learn", tmp_path)
    assert "nothing to learn" in line


@pytest.mark.parametrize(
    ("policy", "says"), [("nope", "unknown policy"), ("oracle", "lengthwise bench only")]
)
def test_serve_refuses_policies_it_cannot_run(refuse, model, policy, says):
    assert says in refuse("serve", model, "--policy", policy)


def test_train_without_data_says_how_to_get_some(refuse, tmp_path):
    line = refuse("train", "trail", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert "lengthwise collect" in line
    assert not (tmp_path / "out").exists()


def test_the_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(
    "argv", [[], ["nope"], ["train"], ["bench", "m", "--wrong"], ["bench", "m", "--seats", "x"]]
)
def test_a_wrong_command_line_is_status_two(capsys, argv):
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lengthwise: ")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--slice", "0"], "at least 1 token"),
        (["--slice", "64", "--no-enable-prefix-caching"], "--no-enable-prefix-caching and slices"),
        (["--slice", "64", "--kv-transfer-config={}"], "--kv-transfer-config and slices"),
    ],
)
def test_serve_refuses_what_slices_do_not_go_with(refuse, model, flags, says):
    assert says in refuse("serve", model, "--policy", "fcfs", *flags)


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("lengthwise simulate fl", "fleet"),
        ("lengthwise bench MODEL --pol", "--policies"),
        ("lengthwise com", "completion"),
    ],
)
def test_a_shell_completes_modes_and_flags(monkeypatch, capsys, words, completed):
    monkeypatch.setenv("_LENGTHWISE_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(words.count(" ")))
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().out.splitlines() == [f"plain,{completed}"]


def test_json_is_all_that_goes_to_standard_output(capsys, tmp_path):
    arguments = ["simulate", "--synthetic", "constant:5,exp:9", "--requests", "8", "--workers", "1"]
    assert main([*arguments, "--rates", "burst", "--json", "--out", str(tmp_path)]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content == json.loads((tmp_path / "results.json").read_text())
    assert content["setup"]["rates"] == ["burst"]
