import json

import pytest

from lengthwise.cli.theory import theory as command
from lengthwise.errors import UserError

PNG = b"\x89PNG\r\n\x1a\n"
FIGURES = {"response_against_c.png", "memory_against_c.png", "response_against_load.png"}


@pytest.fixture
def theory(tmp_path):
    """Run the command with these flags; results go below tmp_path."""

    def run(*flags):
        command.main(["--out", str(tmp_path / "out"), *flags], standalone_mode=False)
        return tmp_path / "out"

    return run


def test_it_prints_writes_and_draws(theory, capsys):
    out = theory("--predictions", "perfect", "--loads", "0.7,0.5", "--c", "1,0", "--jobs=2000")
    printed = capsys.readouterr().out
    assert "1.4254" in printed
    assert "2.3122" in printed
    assert printed.count("±") == 1 + 3 * 4
    assert printed.count("FCFS") == 2
    assert {path.name for path in out.iterdir()} == FIGURES | {"theory.json"}
    for figure in FIGURES:
        assert (out / figure).read_bytes().startswith(PNG)
        assert figure in printed.replace("\n", "")
    content = json.loads((out / "theory.json").read_text())
    assert (content["predictions"], content["size"], content["jobs"]) == ("perfect", "exp", 2000)
    assert [(point["load"], point["c"]) for point in content["points"]] == [
        (0.5, 0.0),
        (0.5, 1.0),
        (0.7, 0.0),
        (0.7, 1.0),
    ]
    for point in content["points"]:
        assert (
            set(point["theory"])
            == set(point["simulated"])
            == {
                "response",
                "preemptions",
                "memory",
            }
        )
        simulated = point["simulated"]["response"]
        assert abs(simulated["mean"] - point["theory"]["response"]) < 5 * simulated["error"]


def test_theory_alone(theory, capsys):
    out = theory("--loads=0.5", "--c=0.8", "--size=uniform", "--predictions=perfect", "--jobs=0")
    assert capsys.readouterr().out.count("±") == 1  # in the caption
    (point,) = json.loads((out / "theory.json").read_text())["points"]
    assert point["simulated"] is None


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--loads=0.5,1"], "above 0 and below 1"),
        (["--loads=0"], "above 0 and below 1"),
        (["--loads=nan"], "above 0 and below 1"),
        (["--loads=half"], "numbers"),
        (["--loads="], "numbers"),
        (["--c=0.5,1.5"], "between 0 and 1"),
        (["--c=-0.1"], "between 0 and 1"),
        (["--c=x"], "numbers"),
        (["--size=cauchy"], "choose from exp"),
        (["--predictions=psychic"], "choose from perfect"),
        (["--jobs=10"], "at least 1000"),
        (["--jobs=-5"], "at least 1000"),
        (["--seed=-1"], "seed"),
    ],
)
def test_bad_input_is_one_clear_line(theory, tmp_path, flags, says):
    with pytest.raises(UserError, match=says) as refused:
        theory(*flags)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_file_in_place_of_the_folder_is_said_at_once(theory, tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(UserError, match="--out"):
        theory("--loads=0.5", "--c=0.5", "--jobs=0", "--predictions=perfect")
