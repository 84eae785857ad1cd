from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.online.fitting import FEWEST, cap_of, fit_probe, fit_prompt
from lengthwise.online.messages import Finished
from lengthwise.online.states import States
from lengthwise.predictors.accuracy import tau
from lengthwise.predictors.store import Packed

VOCABULARY = 200
LAYERS, WIDTH = (3, 7), 6


@pytest.fixture(scope="module")
def embedding(tmp_path_factory):
    """A served model with token embeddings."""
    folder = tmp_path_factory.mktemp("embedding")
    table = torch.randn(VOCABULARY, 8, generator=torch.manual_seed(0))
    save_file({"model.embed_tokens.weight": table}, folder / "model.safetensors")
    return str(folder)


def finished(ids, tokens, cut=False, states=None):
    return Finished(Query("", list(ids), "", 10_000), tokens, cut, states=states)


def ended(outcomes):
    """How many answers ended by themselves."""
    return sum(each.tokens > 0 and not each.cut for each in outcomes)


def ranked(predictor, outcomes):
    """Kendall's τ of what it says and the lengths."""
    said = predictor.lengths([each.asked for each in outcomes]).mean()
    return tau(said, np.array([each.tokens for each in outcomes]))


@pytest.mark.parametrize("kind", ["ngrams", "history", "prompt-length", "constant"])
def test_a_predictor_of_that_kind_is_made(kind, outcomes, served):
    made = fit_prompt(outcomes(100), kind, served)
    assert made.name == kind
    again = Packed.of(made).predictor()
    asked = [each.asked for each in outcomes(5, 1)]
    np.testing.assert_allclose(again.lengths(asked).mean(), made.lengths(asked).mean(), rtol=0.02)


def test_a_hundred_requests_are_enough_to_tell_two_kinds_apart(outcomes, served):
    assert ranked(fit_prompt(outcomes(100), "ngrams", served), outcomes(100, 1)) > 0.4


def test_answers_cut_short_are_not_learned_as_short(outcomes, served):
    """Half of the clients allow 20 tokens: the long answers look almost as short as the rest."""
    learned = outcomes(200, 0, max_tokens=20)[:100] + outcomes(200, 1)[:100]
    made = fit_prompt(learned, "ngrams", served)
    long = [each for each in outcomes(100, 2) if each.tokens > 60]
    assert made.lengths([each.asked for each in long]).mean().mean() > 80
    assert ranked(made, outcomes(100, 3)) > 0.4


def test_a_model_without_embeddings_gets_ngrams(outcomes, served):
    assert fit_prompt(outcomes(100), "embeddings", served).name == "ngrams"


def test_a_model_with_embeddings_gets_embeddings(embedding, outcomes):
    assert fit_prompt(outcomes(100), "embeddings", embedding).name == "embeddings"


@pytest.mark.parametrize("kind", ["ltr", "oracle", "trail"])
def test_a_kind_that_reads_more_than_token_ids_is_refused(kind, outcomes, served):
    with pytest.raises(UserError, match="reads token ids"):
        fit_prompt(outcomes(100), kind, served)


def test_nothing_is_learned_from_answers_that_were_all_cut(outcomes, served):
    cut = [replace(each, cut=True) for each in outcomes(100)]
    with pytest.raises(UserError, match="0 ended by themselves"):
        fit_prompt(cut, "ngrams", served)


@given(st.lists(st.tuples(st.integers(1, 5000), st.booleans()), min_size=1, max_size=300))
def test_few_answers_are_longer_than_the_cap(lengths):
    known = [finished([1], tokens, cut) for tokens, cut in lengths]
    tokens = np.array([each.tokens for each in known])
    cap = cap_of(known)
    assert cap <= max(16, tokens.max())
    assert (tokens > cap).mean() <= 0.005


prompts = st.one_of(
    st.just([]),
    st.just([1, 2, 3]),
    st.lists(st.integers(0, 3 * VOCABULARY), max_size=12),
)
answers = st.tuples(prompts, st.integers(0, 400), st.booleans())


@settings(max_examples=10)
@given(st.lists(answers, min_size=15, max_size=60), st.sampled_from(["embeddings", "ngrams"]))
@example([([], 7, False)] * 100, "embeddings")
@example([([1, 2, 3], 1, False)] * 100, "embeddings")
@example([([1, 2, 3], 1, False), ([4], 20_000, True)] * 50, "ngrams")
def test_whatever_was_served_it_learns_or_says_why_not(embedding, served_answers, kind):
    known = [finished(*each) for each in served_answers]
    if ended(known) < FEWEST:
        with pytest.raises(UserError, match="ended by themselves"):
            fit_prompt(known, kind, embedding)
        return
    made = fit_prompt(known, kind, embedding)
    said = made.lengths([each.asked for each in known]).mean()
    assert np.isfinite(said).all()
    assert (said > 0).all()


def test_a_long_prompt_is_no_harm(embedding):
    known = [finished(range(n), 5 + n % 7) for n in (100_000, *range(20))]
    said = fit_prompt(known, "embeddings", embedding).lengths([known[0].asked]).mean()
    assert np.isfinite(said).all()


def walked(tokens, draw, layers=LAYERS, shown=7):
    """States at a few ages; those of layer ``shown`` say what is left, others are noise."""
    ages = np.unique(np.r_[0, np.cumsum(draw.integers(1, 12, 20))])
    ages = ages[ages < max(tokens, 1)]
    values = draw.normal(size=(len(ages), len(layers), WIDTH))
    if shown in layers:
        values[:, layers.index(shown), 0] = np.log1p(tokens - ages)
    return States(layers, ages, values.astype(np.float16))


@pytest.fixture(scope="module")
def along():
    """``along(n, seed)``: finished requests with states along their answers."""

    def make(n, seed=0, layers=LAYERS):
        draw = np.random.default_rng(seed)
        found = []
        for i in range(n):
            tokens = int(draw.integers(2, 150))
            found.append(finished([i, seed], tokens, states=walked(tokens, draw, layers)))
        return found

    return make


def test_the_probe_reads_the_layer_that_says_what_is_left(along):
    made = fit_probe(along(100), epochs=4)
    assert made.probe.layer == 7
    assert set(made.layer_errors) == set(LAYERS)
    assert made.layer_errors[7] < made.layer_errors[3]


def test_once_one_layer_is_kept_it_learns_from_that_of_all(along):
    made = fit_probe([*along(60), *along(20, 1, layers=(7,))], epochs=1)
    assert set(made.layer_errors) == {7}


def test_answers_without_states_are_not_the_probes(along):
    known = [replace(each, states=None) for each in along(100)]
    with pytest.raises(UserError, match="0 answers"):
        fit_probe(known)


def test_the_probe_can_be_handed_on(along):
    made = fit_probe(along(50), epochs=1)
    again = Packed.of(made).predictor()
    assert again.probe.layer == made.probe.layer
    assert again.bins.edges.tolist() == made.bins.edges.tolist()


@settings(max_examples=8)
@given(
    st.lists(st.tuples(st.integers(0, 300), st.booleans()), min_size=15, max_size=40),
    st.integers(0, 9),
)
@example([(1, False)] * 40, 0)
@example([(100, False)] * 40, 0)
@example([(100, True)] * 30 + [(20, False)] * 10, 0)
def test_whatever_was_kept_it_learns_or_says_why_not(lengths, seed):
    draw = np.random.default_rng(seed)
    known = [finished([i], n, cut, walked(n, draw)) for i, (n, cut) in enumerate(lengths)]
    if ended(known) < FEWEST:
        with pytest.raises(UserError, match="ended by themselves"):
            fit_probe(known)
        return
    made = fit_probe(known, epochs=1)
    assert np.isfinite(list(made.layer_errors.values())).all()
