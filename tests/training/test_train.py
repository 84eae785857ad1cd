import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scipy.stats import kendalltau

from lengthwise.answers.arrays import Answers, split
from lengthwise.answers.files import read_shards
from lengthwise.errors import UserError
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.store import has_probe, load_probe
from lengthwise.predictors.trail_fit import fit_probe, likelihood_loss
from lengthwise.predictors.trail_options import PAPER, VARIANTS, Options
from lengthwise.sim.predictors import make_predictor
from lengthwise.traces import read_workload
from lengthwise.training.train import TrainingPlan, prompt_text, train
from lengthwise.workload import synthetic
from lengthwise.workload.prompts import held_out

CAP = 200
D = 8
SHORT, LONG = 11, 22
QUICK = Fitting(epochs=80)


def states(left, draw):
    """Layer 1 is noise; layer 2 knows the logarithm of what is left, roughly."""
    noise = draw.normal(size=(len(left), 2, D))
    noise[:, 1] *= 0.1
    noise[:, 1, :4] += np.log1p(left)[:, None] * [1.0, -1.0, 0.5, 0.2]
    return noise.astype(np.float16)


def collected(folder, n=160, name="some", spoil_held_out=False, **meta):
    """A folder as ``lengthwise collect`` leaves it: two shards of n prompts in all."""
    draw = np.random.default_rng(0)
    folder.mkdir()
    described = {"model": "llama-1x8-0", "layers": [1, 2], "cap": CAP, "temperature": 0.0}
    (folder / "meta.json").write_text(json.dumps(described | {"every": 8} | meta))
    for shard, numbers in enumerate(np.array_split(np.arange(1, n + 1), 2)):
        rows, arrays = [], {}
        for i, number in enumerate(numbers):
            long = bool(draw.random() < 0.5)
            total = int(draw.gamma(4, 40 if long else 6)) + 1
            cut = min(total, CAP)
            ages = np.array([age for age in range(cut) if age < 4 or age % 8 == 0], dtype=np.int32)
            words = draw.integers(100, 300, size=6).tolist()
            id_ = f"{name}:{number}"
            seen = states(total - ages, draw)
            if spoil_held_out and held_out(id_):
                seen[:] = 0
            arrays |= {f"{i}.ages": ages, f"{i}.states": seen, f"{i}.mean": seen.mean(axis=0)}
            rows.append(
                {
                    "id": id_,
                    "prompt_ids": [LONG if long else SHORT, *words],
                    "output_tokens": cut,
                    "censored": total > CAP,
                }
            )
        save_file(arrays, folder / f"shard-{shard:05d}.safetensors")
        (folder / f"shard-{shard:05d}.json").write_text(json.dumps(rows))
    return folder


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Several threads on so little data only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return collected(tmp_path_factory.mktemp("data") / "collected")


@pytest.fixture(scope="module")
def trained(folder):
    return train(TrainingPlan("trail", [folder], "ngrams", how=QUICK))


def test_hidden_states_that_know_the_length_beat_the_constant_median(trained):
    for kind in ("mae_served", "mae_uncensored"):
        errors = trained.report[kind]
        assert errors["probe_refined"] < 0.5 * errors["constant_median"]
        assert errors["ratio_to_constant"] > 2


def test_words_that_tell_the_length_beat_the_constant_median(trained):
    arrival = trained.report["at_arrival"]
    assert arrival["mae_prompt_only"] < 0.8 * arrival["mae_constant_median"]
    assert arrival["tau_prompt_only"] > 0.3
    assert arrival["tau_probe_refined"] > 0.6


def test_the_layer_that_knows_is_chosen(trained):
    sweep = trained.report["layers_mae_tune"]
    assert sweep[2] < sweep[1]
    assert trained.probe.probe.layer == 2


def test_the_prompts_are_split_by_their_ids(trained):
    sizes = trained.report["prompts"]
    assert sizes["held_out"] == sum(held_out(f"some:{i}") for i in range(1, 161))
    assert sum(sizes.values()) == 160
    assert 0 < sizes["tune"] <= sizes["fit"] / 3


def test_the_report_says_how_many_answers_were_cut(trained):
    assert 0.05 < trained.report["censored_share"] < 0.5


def parameters(trained):
    prompt = trained.prompt
    return [
        *(value.numpy() for value in trained.probe.probe.state_dict().values()),
        *(prompt.idf, prompt.weight, prompt.intercept, prompt.curve.slope, prompt.curve.offset),
    ]


def test_held_out_prompts_change_nothing_but_the_report(trained, tmp_path):
    spoiled = collected(tmp_path / "collected", spoil_held_out=True)
    again = train(TrainingPlan("trail", [spoiled], "ngrams", how=QUICK))
    pairs = zip(parameters(trained), parameters(again), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    assert again.probe.probe.refinement == trained.probe.probe.refinement
    assert again.report["mae_served"] != trained.report["mae_served"]


def test_what_was_trained_can_be_saved(trained, tmp_path):
    trained.save(tmp_path / "out")
    described = json.loads((tmp_path / "out" / "predictors.json").read_text())
    assert described["report"]["mae_served"] == trained.report["mae_served"]
    assert described["model"] == "llama-1x8-0"
    with pytest.raises(UserError, match="no such folder"):
        load_probe(str(tmp_path / "out"), str(tmp_path / "no-model"))


def test_the_papers_own_setting_learns_too(folder):
    found = train(TrainingPlan("trail:paper", [folder], "ngrams"))
    assert found.probe.bins.widths.tolist() == [20.0] * 10
    assert found.probe.probe.inputs == "paper"
    assert found.probe.probe.refinement == {"alpha": 1.0}
    errors = found.report["mae_served"]
    assert errors["probe_refined"] < 0.7 * errors["constant_median"]


@pytest.mark.parametrize(
    "variant", [name for name, how in VARIANTS.items() if name and how.refinement == "tuned"]
)
def test_every_ablation_learns_and_differs_from_ours(folder, variant):
    parts = split(Answers.read([folder]))
    how = replace(VARIANTS[variant], epochs=3, layer=2)
    probe, errors = fit_probe(parts.fit, parts.tune, how)
    ours, _ = fit_probe(parts.fit, parts.tune, Options(epochs=3, layer=2))
    assert set(errors) == {2}
    same = all(
        one.shape == other.shape and torch.equal(one, other)
        for one, other in zip(probe.state_dict().values(), ours.state_dict().values(), strict=True)
    )
    assert not same


def test_a_layer_that_was_not_collected_is_refused(folder):
    parts = split(Answers.read([folder]))
    with pytest.raises(UserError, match="layer 9 was not collected"):
        fit_probe(parts.fit, parts.tune, replace(PAPER, layer=9))


def test_a_prompt_predictor_is_trained_alone(folder, tmp_path):
    trained = train(TrainingPlan("ngrams", [folder]))
    assert trained.probe is None
    assert trained.report["mae_served"]["ratio_to_constant"] > 1
    trained.save(tmp_path / "out")
    assert not has_probe(str(tmp_path / "out"))
    lines = (tmp_path / "out" / "held_out.jsonl").read_text().splitlines()
    assert len(lines) == trained.report["prompts"]["held_out"]


def test_a_predictor_of_text_asks_for_the_model_it_reads_for(folder):
    with pytest.raises(UserError, match="--model"):
        prompt_text(TrainingPlan("ngrams", [folder]))


@pytest.mark.parametrize(("name", "message"), [("nope", "unknown predictor"), ("trail:x", "varia")])
def test_unknown_predictors_are_refused(folder, name, message):
    with pytest.raises(UserError, match=message):
        train(TrainingPlan(name, [folder], "ngrams"))


def test_what_needs_a_prefill_cannot_rank_arrivals(folder):
    with pytest.raises(UserError, match="cannot rank new requests"):
        train(TrainingPlan("trail", [folder], arrival="trail"))


def test_the_tracks_of_held_out_requests_are_saved(trained, tmp_path):
    trained.save(tmp_path)
    workload = read_workload(tmp_path / "held_out.jsonl")
    recorded = make_predictor(f"recorded:{tmp_path}/held_out.jsonl")
    said = recorded.at_arrival(workload, np.random.default_rng(0))
    assert all(held_out(id) for id in workload.id)
    assert kendalltau(said, workload.output).statistic > 0.3
    first = recorded.lengths(workload, said)
    np.testing.assert_allclose(first.mean(), said, atol=0.5)
    later = recorded.start(workload, np.random.default_rng(0))
    index, age = np.arange(len(workload)), np.zeros(len(workload), np.int64)
    means = later.remaining(index, np.ones(len(workload)), age, np.random.default_rng(0))
    np.testing.assert_allclose(later.lengths(index, age).mean(), means, atol=0.5)


def test_several_folders_are_trained_on_together(folder, tmp_path):
    more = collected(tmp_path / "more", n=40, name="other")
    found = train(TrainingPlan("trail", [folder, more], "ngrams", how=Fitting(epochs=1)))
    assert sum(found.report["prompts"].values()) == 200
    assert found.report["data"] == ["collected", "more"]


def test_the_loss_of_a_cut_answer_is_the_mass_of_its_bin_and_all_above():
    torch.manual_seed(0)
    logits = torch.randn(3, 5)
    mass = logits.softmax(dim=1)
    bin_ = torch.tensor([2, 0, 4])
    for i, tail in enumerate([mass[0, 2:].sum(), mass[1].sum(), mass[2, 4]]):
        found = likelihood_loss(logits[[i]], bin_[[i]], torch.tensor([True]))
        assert found.item() == pytest.approx(-tail.log().item(), abs=1e-6)
    both = likelihood_loss(logits[:2], bin_[:2], torch.tensor([True, False]))
    expected = -(mass[0, 2:].sum().log() + mass[1, 0].log()) / 2
    assert both.item() == pytest.approx(expected.item(), abs=1e-6)


def test_without_cut_answers_the_loss_is_cross_entropy():
    torch.manual_seed(0)
    logits, bin_ = torch.randn(6, 5), torch.tensor([0, 1, 2, 3, 4, 4])
    found = likelihood_loss(logits, bin_, torch.zeros(6, dtype=torch.bool))
    assert found.item() == pytest.approx(torch.nn.functional.cross_entropy(logits, bin_).item())


def test_a_cut_answer_pushes_no_mass_below_and_does_not_choose_above():
    logits = torch.zeros(1, 4, requires_grad=True)
    likelihood_loss(logits, torch.tensor([2]), torch.tensor([True])).backward()
    slope = logits.grad[0]
    assert (slope[:2] > 0).all()
    assert (slope[2:] < 0).all()
    assert slope[2].item() == pytest.approx(slope[3].item())


def test_our_bins_know_that_cut_answers_would_go_on(trained):
    bins = trained.probe.bins
    assert bins.edges[-2] == bins.values[-1] == CAP
    assert int(bins.index(np.array([CAP]))[0]) == len(bins) - 1


def test_too_few_prompts_are_refused(tmp_path):
    with pytest.raises(UserError, match="6 collected prompts are too few"):
        train(TrainingPlan("trail", [collected(tmp_path / "few", n=6)]))


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(UserError, match="run lengthwise collect"):
        train(TrainingPlan("trail", [tmp_path]))


def test_a_folder_without_a_finished_shard_is_refused(tmp_path):
    folder = collected(tmp_path / "begun", n=4)
    for path in folder.glob("shard-*.json"):
        path.unlink()
    with pytest.raises(UserError, match="no finished prompts"):
        train(TrainingPlan("trail", [folder]))


@pytest.mark.parametrize(
    ("key", "value"), [("model", "llama-2x8-0"), ("layers", [1, 3]), ("cap", 100)]
)
def test_folders_of_different_kinds_are_refused(folder, tmp_path, key, value):
    other = collected(tmp_path / "other", n=4, name="other", **{key: value})
    with pytest.raises(UserError, match=f"differ in {key}"):
        train(TrainingPlan("trail", [folder, other]))


def test_the_outlook_of_prompts_never_seen_tells_the_length(trained, folder):
    """What the ridge makes of a held-out prompt's end follows the answer's length."""
    rows = [row for row in read_shards(folder) if held_out(row[0]["id"])]
    ends = torch.from_numpy(np.stack([a["states"][0, 1] for _, a in rows])).float()
    outlook = (ends @ trained.probe.probe.outlook).numpy()
    assert kendalltau(outlook, [row["output_tokens"] for row, _ in rows]).statistic > 0.6


def test_the_simulator_can_err_as_they_do(trained, tmp_path):
    """Errors and confusion are saved where the simulator reads them, and make sense there."""
    trained.save(tmp_path)
    refined = make_predictor(f"confusion:{tmp_path}/confusion.json+refined:{tmp_path}/errors.json")
    workload = synthetic(2000, "constant:5", "uniform:1:200", 0)
    rng = np.random.default_rng(0)
    said = refined.at_arrival(workload, rng)
    assert kendalltau(said, workload.output).statistic > 0.2
    ages = np.zeros(2000, dtype=np.int64)
    true = workload.output.astype(float)
    left = refined.start(workload, rng).remaining(np.arange(2000), true, ages, rng)
    assert np.abs(left - true).mean() < 0.5 * np.abs(true - np.median(true)).mean()
