import pytest

from lengthwise.answers.arrays import Answers
from lengthwise.bench.padded_lengths import Learning, Measured, Scored, learning
from lengthwise.bench.padded_plan import check
from lengthwise.cli.main import main
from lengthwise.core.bins import Bins
from lengthwise.core.query import Query
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.online.scorer import Scorer
from lengthwise.predictors import find_predictor
from lengthwise.predictors.baselines import Constant

BINS = Bins.log(12, 512.0).with_overflow()


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (["vanilla", "trail"], "use lengthwise bench policies"),
        (["magnus"], "give it --predictor"),
    ],
)
def test_what_cannot_be_served_is_refused_before_a_model_is_loaded(specs, said):
    with pytest.raises(UserError, match=said):
        check(specs, None)
    check(["vanilla", "scls", "magnus@folder"], None)
    check(["magnus"], "folder")


def test_the_bench_of_vllm_names_the_flag_for_batches(tmp_path, capsys):
    model = tmp_path / "model"
    model.mkdir()
    assert main(["bench", str(model), "--policies", "stock,vanilla"]) == 2
    assert "lengthwise bench padded" in capsys.readouterr().err


def test_measured_lengths_are_the_oracles():
    request = Request("a", 0.0, 0, 5)
    assert Measured({"a": 17}).predict(request) == 17.0


class Failing(Constant):
    def lengths(self, asked):
        raise RuntimeError("no")


def answers(n, seed, factor=2):
    """Answers so many times as long as their prompts."""
    sizes = [5 + (7 * i + seed) % 60 for i in range(n)]
    asked = [Query(f"{seed}:{i}", [1] * k, "word " * k, 512) for i, k in enumerate(sizes)]
    rows = [({"output_tokens": factor * k, "censored": False}, {}) for k in sizes]
    return Answers("made", (), 512.0, asked, rows)


def fitted(answers, name):
    kind, how = find_predictor(name)
    return kind.fit(answers, answers, BINS, how)


def test_a_predictor_that_fails_leaves_the_request_unpredicted():
    known = answers(40, 0)
    scorer = Scorer(fitted(known, "constant"))
    asked = {"a": Query("a", [1, 2], "", 512)}
    request = Request("a", 0.0, 0, 2)
    assert Scored(scorer, asked).predict(request) > 1
    scorer.predictor = Failing.restore(BINS, *scorer.predictor.state())
    assert Scored(scorer, asked).predict(request) is None


def test_the_forest_learns_from_what_it_mispredicted(monkeypatch):
    monkeypatch.setattr("lengthwise.bench.padded_lengths.fingerprint", lambda model: "made")
    scorer = Scorer(fitted(answers(80, 0), "magnus:length"))
    served = answers(80, 1, factor=6)
    asked = {each.id: each for each in served.asked}
    learner = Learning(scorer, asked, answers(80, 0), "model", 512)
    errors = []
    for seq, (each, tokens) in enumerate(zip(served.asked, served.tokens, strict=True)):
        request = Request(each.id, 0.0, seq, len(each.prompt_ids), generated=int(tokens))
        errors.append(abs(learner.predict(request) - tokens))
        learner.finished(request, now=3.0 * seq)
    # 240 s: one round of learning, after 60 answers.
    assert learner.rounds == 1
    assert sum(errors[61:]) / 19 < 0.8 * sum(errors[:61]) / 61


def test_only_magnus_learns_this_way():
    with pytest.raises(UserError, match="train magnus"):
        learning(Scorer(fitted(answers(40, 0), "constant")), {}, [], "model", 512)
