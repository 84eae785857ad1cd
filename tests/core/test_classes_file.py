"""The file of service classes: read, refused, written again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.classes_file import BUILTIN, classes_of, read_classes
from lengthwise.core.service import Target
from lengthwise.errors import UserError

FILE = """
default = "standard"
clients_choose = true
[class.interactive]
ttft = "500ms"
tpot = "50 ms"
tenants = ["chat"]
share = 0.3
[class.standard]
ttft = 2
priorities = [0, -1]
[class.batch]
deadline = "1.5h"
tiers = ["flex"]
"""


def read(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "classes.toml"
    path.write_text(text)
    return read_classes(path)


def test_a_file_says_what_is_promised_to_whom(tmp_path: Path) -> None:
    found = read(tmp_path, FILE)
    assert [each.name for each in found.all] == ["interactive", "standard", "batch"]
    assert found.named("interactive").target == Target(ttft=0.5, tpot=0.05)
    assert found.named("interactive").share == 0.3
    assert found.named("standard").target == Target(ttft=2.0)
    assert found.named("standard").priorities == (0, -1)
    assert found.named("batch").target == Target(deadline=5400.0)
    assert found.clients_choose
    assert classes_of(found.plain()) == found


def test_the_only_class_is_the_default(tmp_path: Path) -> None:
    assert read(tmp_path, "[class.all]\nttft = 1").default == "all"


def test_the_builtin_classes_come_back_from_their_plain_form() -> None:
    found = read_classes(BUILTIN)
    assert found.promised
    assert classes_of(found.plain()) == found


ONE = "[class.x]\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = \n", "cannot be read (Invalid value (at line 1"),
        ("", "no class in it"),
        ("class = 3", "no class in it"),
        ("class.x = 3", "class.x is a table"),
        ("defualt = 'x'\n" + ONE, "unknown key defualt: did you mean default?"),
        (ONE + "tttf = 1", "unknown key class.x.tttf: did you mean ttft?"),
        (ONE + "colour = 1", "unknown key class.x.colour: there are ttft, tpot"),
        (ONE + "ttft = '5 parsecs'", 'class.x.ttft: give seconds, or a text like "500ms"'),
        (ONE + "ttft = true", "class.x.ttft: give seconds"),
        (ONE + "ttft = nan", "class.x.ttft: give seconds"),
        (ONE + "ttft = 0", "class.x.ttft must be above 0"),
        (ONE + "ttft = -1", "class.x.ttft must be above 0"),
        (ONE + "ttft = '40000000h'", "below 1e9 seconds"),
        (ONE + "share = 1", "class.x.share must be from 0 to below 1"),
        (ONE + "share = '10%'", "class.x.share must be from 0 to below 1"),
        (ONE + "tenants = 'chat'", "class.x.tenants is a list of texts in brackets"),
        (ONE + "tenants = ['']", "class.x.tenants is a list"),
        (ONE + "priorities = [true]", "class.x.priorities is a list of whole numbers"),
        (ONE + "[class.y]", "name the class of all other requests"),
        ("default = 'z'\n" + ONE, "the default class 'z' is no class: x"),
        ("clients_choose = 1\n" + ONE, "clients_choose is true or false"),
        ("[class.'a b']\nttft = 1", "class 'a b': a name has up to 64 letters"),
        ("default = 'x'\n[class.x]\nshare = 0.6\n[class.y]\nshare = 0.4", "sum to 1 or more"),
    ],
)
def test_a_mistake_is_one_line_with_the_file_and_the_key(
    tmp_path: Path, text: str, says: str
) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    assert says in str(error.value)
    assert "classes.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", ["nowhere.toml", "."])
def test_a_file_that_is_none(tmp_path: Path, path: str) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_classes(tmp_path / path)


def test_a_file_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes("[class.é]".encode("latin-1"))
    with pytest.raises(UserError, match="cannot be read"):
        read_classes(path)


KEYS = st.sampled_from(
    (
        *("default", "class", "clients_choose", "x", "y", "none", "ttft", "tpot", "deadline"),
        *("share", "tenants", "tiers", "priorities"),
    )
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["x", "y", "1s", "5 min", "chat", "", "1e999s"])
)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5)
)


@given(st.dictionaries(KEYS, ANYTHING, max_size=5))
def test_whatever_stands_in_it_gives_classes_or_one_line(plain: dict[str, Any]) -> None:
    try:
        found = classes_of(plain)
    except UserError:
        return
    assert classes_of(found.plain()) == found
