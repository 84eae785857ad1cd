import subprocess
import sys

import pytest

from lengthwise.predictors import NAMES, PREDICTORS
from lengthwise.predictors.registry import _HOMES

RESTORED = """
import sys
from lengthwise.core.query import Query
from lengthwise.predictors.store import BUILTIN, predictors_folder, read_described, read_predictor
predictor = read_predictor(*read_described(BUILTIN), "{role}")
if "{role}" == "prompt":
    assert predictor.lengths([Query("", [1, 2, 3], "", 100)]).mean() > 0
assert predictor.name == "{kind}"
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & {{"sklearn", "scipy"}}))
"""


def test_every_name_has_its_class():
    assert sorted(_HOMES) == list(NAMES)
    assert all(PREDICTORS[name].name == name for name in NAMES)


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        PREDICTORS["none"]


@pytest.mark.parametrize(("role", "kind"), [("prompt", "embeddings"), ("probe", "trail")])
def test_what_is_fitted_is_restored_without_scikit_learn(role, kind):
    """An engine restores predictors at its start, and fits none."""
    program = RESTORED.format(role=role, kind=kind)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
