import json

import numpy as np
import pytest

from lengthwise.answers.arrays import Answers, split
from lengthwise.cli import main
from lengthwise.cli.evaluate import evaluate as command
from lengthwise.errors import UserError
from lengthwise.predictors import NAMES, PREDICTORS
from lengthwise.predictors.ngrams import Ngrams
from lengthwise.sim.predictors import make_predictor
from lengthwise.traces import read_workload

PNG = b"\x89PNG\r\n\x1a\n"
FIGURES = {
    *("leaderboard", "calibration", "mae_by_generated"),
    *("mae_by_layer", "predicted_true", "gain_kept"),
}
# No model served these answers, so there are no embeddings for arrivals.
QUICK = ["--resamples=50", "--requests=60", "--repeat=2", "--workers=1", "--arrival=ngrams"]
SPECS = "trail:paper,trail,ngrams,constant,oracle"


class Refuses(Ngrams):
    name = "refuses"

    @classmethod
    def fit(cls, fit, tune, bins, how):
        raise UserError("this machine is too small for it")


@pytest.fixture(scope="module")
def out(folder, collected, tmp_path_factory):
    """One run with everything in it; one of the predictors cannot be fitted."""
    root = tmp_path_factory.mktemp("judged")
    others = collected(root / "others", name="others", seed=5)
    samples = [str(collected(root / str(s), seed=s, temperature=1.0)) for s in (1, 2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PREDICTORS, "refuses", Refuses)
        patch.setattr("lengthwise.predictors.NAMES", (*NAMES, "refuses"))
        specs = ["--predictors", f"refuses,{SPECS}", "--shift", str(others)]
        specs += ["--samples", ",".join(samples)]
        page = ["--report", str(root / "page.html")]
        code = main(["evaluate", str(folder), *specs, *page, "--out", str(root / "out"), *QUICK])
    assert code == 2
    return root / "out"


@pytest.fixture(scope="module")
def board(out):
    return json.loads((out / "leaderboard.json").read_text())


def test_the_names_are_those_of_the_registry():
    assert [PREDICTORS[name].name for name in NAMES] == sorted(NAMES)


def test_the_board_has_the_names_it_promises(board):
    assert list(board["predictors"]) == SPECS.split(",")
    for it in board["predictors"].values():
        assert {"reads", "fit_s", "ms", "arrival", "remaining"} <= set(it)
        assert {"mae", "mae_median", "tau", "pairs", "pinball_0.9", "within_0.8"} <= set(
            it["arrival"]
        )
        assert {"mae", "mae_uncensored_median", "mae_age_32-63"} <= set(it["remaining"])
        assert set(it["arrival"]["mae"]) == {"value", "low", "high"}
        for other in ("constant", "trail:paper"):
            assert set(it[f"times_better_than_{other}"]) == {"arrival", "remaining"}
    assert {
        "seed",
        "cap",
        "prompts",
        "digest",
        "censored_share",
        "constant_median",
        "latency",
    } <= set(board)


def test_what_could_not_be_fitted_is_named_and_the_others_go_on(board):
    assert board["failed"] == {"refuses": "this machine is too small for it"}


def test_better_predictors_come_out_better(board):
    found = {name: it["remaining"]["mae"]["value"] for name, it in board["predictors"].items()}
    assert found["oracle"] == 0
    assert found["trail"] < 0.6 * board["constant_median"]["remaining"]["mae"]["value"]
    assert found["trail"] < found["ngrams"]
    tau = {name: it["arrival"]["tau"]["value"] for name, it in board["predictors"].items()}
    assert tau["oracle"] == pytest.approx(1)
    assert tau["ngrams"] > 0.3
    assert tau["constant"] is None
    beside = board["predictors"]["trail:paper"]["times_better_than_trail:paper"]
    assert beside["remaining"]["mae"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_figures_lie_in_their_intervals(board):
    for it in [*board["predictors"].values(), *board["shift"]["predictors"].values()]:
        for stage in ("arrival", "remaining"):
            for figure in (it[stage]["mae"], it[stage]["mae_median"]):
                assert figure["low"] <= figure["value"] <= figure["high"]


def test_the_same_held_out_prompts_are_judged_whoever_is(board, folder, out):
    held = {each.id for each in split(Answers.read([folder])).test.asked}
    assert board["prompts"] == len(held)
    for spec in SPECS.split(","):
        tracks = out / "tracks" / f"{spec.replace(':', '-')}.jsonl"
        assert set(read_workload(tracks).id) == held


def test_tracks_say_what_a_predictor_said(folder, out):
    """A prompt's word is the first of its track; states speak after n-grams did."""
    early, later = (
        make_predictor(f"recorded:{out / 'tracks' / name}.jsonl").tracks
        for name in ("ngrams", "trail")
    )
    assert all(early[id].arrival == later[id].arrival for id in early)
    assert any(early[id].remaining != later[id].remaining for id in early)
    oracle = make_predictor(f"recorded:{out / 'tracks' / 'oracle'}.jsonl").tracks
    test = split(Answers.read([folder])).test
    for each, tokens in zip(test.asked, test.tokens, strict=True):
        track = oracle[each.id]
        assert track.arrival == tokens
        assert np.array_equal(track.remaining, tokens - np.array(track.ages))


def test_shift_is_a_second_table_of_the_same_predictors(board):
    assert list(board["shift"]["predictors"]) == list(board["predictors"])
    for name in ("trail", "ngrams"):
        one, other = (it["predictors"][name]["arrival"]["mae"] for it in (board, board["shift"]))
        assert one != other


def test_samples_give_a_noise_floor(board):
    (floor,) = board["noise_floor"].values()
    assert floor["arrival"]["mae"]["value"] > 0
    assert 0 < floor["arrival"]["tau"]["value"] < 1


def test_prompt_readers_are_tried_with_and_without_preemption(board):
    burst = board["latency"]["scenarios"]["burst"]
    assert {"trail@ngrams", "sjf@ngrams", "trail@trail", "sjf@oracle"} <= set(burst)
    assert "sjf@trail" not in burst
    assert burst["trail@oracle"]["gain_kept"]["value"] > 0.9


def test_costs_are_measured(board):
    found = {name: it["ms"] for name, it in board["predictors"].items()}
    assert all(it["request"] > 0 for it in found.values())
    assert found["trail"]["token"] > 0
    assert found["ngrams"]["token"] is None
    assert set(board["predictors"]["trail"]["layers_mae_tune"]) == {"1", "2"}


def test_figures_are_drawn(out):
    assert {path.stem for path in out.glob("*.png")} == FIGURES
    for path in out.glob("*.png"):
        assert path.read_bytes().startswith(PNG)


@pytest.fixture
def evaluate(tmp_path):
    """Run the command with these arguments; results go below tmp_path."""

    def run(data, *flags):
        out = ["--out", str(tmp_path / "out")]
        command.main([str(data), *out, *QUICK, *map(str, flags)], standalone_mode=False)

    return run


def test_tables_are_printed_and_a_second_run_says_the_same(evaluate, folder, tmp_path, capsys):
    boards = []
    for _ in range(2):
        evaluate(folder, "--predictors=ngrams,max-tokens")
        printed = capsys.readouterr().out
        assert "held-out prompts of collected" in printed
        assert "sjf@ngrams" in printed
        assert "leaderboard.json" in printed.replace("\n", "")
        board = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
        for it in board["predictors"].values():
            del it["ms"]
        boards.append(board)
    assert boards[0] == boards[1]


def test_readers_of_text_alone_fail_without_a_model(evaluate, folder):
    with pytest.raises(UserError, match=r"1 of 2 predictors could not be judged \(bert\)"):
        evaluate(folder, "--predictors=bert,constant")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--predictors=psychic"], "unknown predictor 'psychic': choose from"),
        (["--predictors=trail:best"], "unknown variant 'best'"),
        (["--predictors=,"], "--predictors names none"),
        (["--arrival=trail"], "does not read prompts"),
        (["--policy=magic"], "unknown policy"),
        (["--seed=-1"], "--seed must be at least 0"),
        (["--resamples=2"], "--resamples must be at least 20"),
        (["--repeat=1"], "--repeat must be at least 2"),
    ],
)
def test_bad_input_is_one_clear_line(evaluate, folder, tmp_path, flags, says):
    with pytest.raises(UserError, match=says) as refused:
        evaluate(folder, "--predictors=ngrams", *flags)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_bad_folders_are_named(evaluate, folder, collected, tmp_path):
    with pytest.raises(UserError, match=r"no collected data in .*nowhere"):
        evaluate(tmp_path / "nowhere", "--predictors=ngrams")
    foreign = collected(tmp_path / "foreign", name="foreign", model="other")
    with pytest.raises(UserError, match="another model"):
        evaluate(folder, "--predictors=ngrams", "--shift", foreign)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--out"):
        evaluate(folder, "--predictors=ngrams", "--out", tmp_path / "file")


def test_the_page_has_every_predictor_and_what_could_not_be_judged(out):
    page = (out.parent / "page.html").read_text()
    assert page.count("<figure>") == len(FIGURES)
    for name in (*SPECS.split(","), "refuses could not be judged: this machine is too small"):
        assert name in page
    beside = {path.name for path in (out.parent / "page").iterdir()}
    assert {"errors.csv", "errors-shifted.csv", "worth.csv", "costs.csv"} <= beside
    assert {f"{name.replace('_', '-')}.png" for name in FIGURES} <= beside
