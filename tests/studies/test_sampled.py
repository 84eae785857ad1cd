import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lengthwise.answers.arrays import Answers
from lengthwise.answers.files import Shards
from lengthwise.online import fitting
from lengthwise.studies import sampled

LAYERS, WIDTH, CAP = (1, -1), 4, 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Collected answers, whose first state says what is left of them."""
    folder, draw = tmp_path_factory.mktemp("collected"), np.random.default_rng(0)
    meta = {"model": "made", "layers": LAYERS, "cap": CAP}
    (folder / "meta.json").write_text(json.dumps(meta))
    shards = Shards(folder, 0.0)
    for i in range(100):
        tokens = int(draw.integers(1, CAP + 1))
        ages = np.array([age for age in range(tokens) if age < 4 or age % 8 == 0], np.int32)
        states = draw.normal(size=(len(ages), len(LAYERS), WIDTH))
        states[:, :, 0] = np.log1p(tokens - ages)[:, None]
        row = {
            "id": f"made:{i}",
            "prompt_ids": [i % 7, i],
            "output_tokens": tokens,
            "censored": tokens == CAP,
        }
        states = states.astype(np.float16)
        shards.add(row, ages, states, states.mean(axis=0))
    shards.save()
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_file({"wte.weight": torch.randn(200, 4)}, folder / "model.safetensors")
    return str(folder)


def test_it_sees_few_positions_of_each_answer_the_first_ones_among_them(folder):
    answers = Answers.read([folder])
    for positions in (1, 6, 24):
        known = sampled.outcomes(answers, 1.5, positions)
        for each, (row, arrays) in zip(known, answers.rows, strict=True):
            ages = each.states.ages
            assert ages[0] == 0
            assert (np.diff(ages) > 0).all()
            assert len(ages) <= positions
            assert set(ages) <= set(arrays["ages"])
            assert each.tokens == row["output_tokens"]
            assert len(each.states.values) == len(ages)


@pytest.mark.parametrize("more", [[], ["--cost", "30"]], ids=["errors", "cost"])
def test_it_prints_its_tables(folder, model, more, monkeypatch, capsys):
    given = [str(folder), "--model", model, "--requests=70", "--few=50", "--seeds=1", *more]
    monkeypatch.setattr("sys.argv", ["sampled", *given])
    monkeypatch.setattr(fitting, "SAMPLED", replace(fitting.SAMPLED, epochs=1))
    threads = torch.get_num_threads()
    sampled.main()
    torch.set_num_threads(threads)
    shown = capsys.readouterr().out
    heads = ["peak GiB"] if more else ["pairs right", "remaining MAE", "judged by 30"]
    assert all(head in shown for head in heads)
