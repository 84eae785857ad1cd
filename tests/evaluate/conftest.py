import json

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from lengthwise.answers.arrays import Answers

CAP = 200
MODEL = "llama-1x8-0"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Several threads on so little data only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def collected():
    """Makes a folder as ``lengthwise collect`` leaves it.

    One word of a prompt tells whether the answer is long, and the states of layer 2 how
    much is left, both roughly. ``seed`` is the sampler's: it changes lengths, not prompts.
    """

    def make(folder, n=160, name="some", seed=0, **meta):
        prompts, sampler = np.random.default_rng(0), np.random.default_rng([seed, 1])
        rows, arrays = [], {}
        for i in range(n):
            long = bool(prompts.random() < 0.5)
            words = prompts.integers(100, 300, size=6).tolist()
            total = int(sampler.gamma(4, 40 if long else 6)) + 1
            ages = np.array([age for age in range(min(total, CAP)) if age % 8 == 0], np.int32)
            states = sampler.normal(size=(len(ages), 2, 8))
            states[:, 1] *= 0.1
            states[:, 1, :4] += np.log1p(total - ages)[:, None] * [1.0, -1.0, 0.5, 0.2]
            arrays[f"{i}.ages"] = ages
            arrays[f"{i}.states"] = states.astype(np.float16)
            arrays[f"{i}.mean"] = states.mean(axis=0).astype(np.float16)
            rows.append(
                {
                    "id": f"{name}:{i}",
                    "prompt_ids": [22 if long else 11, *words],
                    "output_tokens": min(total, CAP),
                    "censored": total > CAP,
                }
            )
        folder.mkdir(parents=True)
        described = {"model": MODEL, "layers": [1, 2], "cap": CAP, "temperature": 0.0, "every": 8}
        (folder / "meta.json").write_text(json.dumps(described | meta))
        save_file(arrays, folder / "shard-00000.safetensors")
        (folder / "shard-00000.json").write_text(json.dumps(rows))
        return folder

    return make


@pytest.fixture(scope="session")
def folder(collected, tmp_path_factory):
    return collected(tmp_path_factory.mktemp("data") / "collected")


@pytest.fixture(scope="session")
def answers(folder):
    return Answers.read([folder])
