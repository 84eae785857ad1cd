"""Python sources, read and not run."""

import pytest

from lengthwise.vllm.sources import Sources

FILES = {
    "__init__.py": "if TYPE_CHECKING:\n    from vllm.deep.base import Base as Exported\n",
    "deep/__init__.py": "",
    "deep/base.py": """
import torch
from abc import ABC, abstractmethod

class Base(ABC, torch.nn.Module):
    field: int = 0

    @abstractmethod
    def must(self): ...

    @abstractmethod
    def also(self): ...

    def known(self, first, second, third=1, *, switch, quiet=False):
        self.set_here, (self.and_here, other.not_here) = 1, (2, 3)
        with torch.no_grad() as self.entered:
            return self.read.deeper + other.unread

    @staticmethod
    def still(first): ...

    def any(self, *args, **kwargs): ...
""",
    "derived.py": """
try:
    from vllm.deep.base import Base
except ImportError:
    Base = None
from vllm.nowhere import Missing

class Derived(Base, Missing):
    def must(self): ...

    def known(self, other):
        return self.own

    @property
    def computed(self): ...
""",
}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    root = tmp_path_factory.mktemp("vllm")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    return Sources(root)


def test_a_class_has_its_fields_methods_and_what_it_sets(sources):
    found = sources.definition("deep.base", "Base")
    assert {"field", "must", "known", "set_here", "and_here", "entered"} <= found.names
    assert not {"read", "deeper", "unread", "not_here", "other"} & found.names


def test_a_class_has_what_it_inherits_across_modules(sources):
    found = sources.definition("derived", "Derived")
    assert {"field", "set_here", "computed", "still"} <= found.names
    assert found.abstract == {"also"}
    assert found.parameters("also") is None, "it is only promised"


def test_a_class_is_found_where_it_is_imported(sources):
    assert sources.definition("derived", "Base") is sources.definition("deep.base", "Base")
    assert sources.definition("", "Exported") is sources.definition("deep.base", "Base")


def test_what_is_not_there_is_none(sources):
    assert sources.definition("derived", "Missing") is None
    assert sources.definition("derived", "Nothing") is None
    assert sources.definition("nowhere", "Base") is None
    assert sources.definition("deep.base", "Base").parameters("field") is None


def test_a_call_needs_all_that_has_no_default(sources):
    known = sources.definition("deep.base", "Base").parameters("known")
    assert not known.take(("first", "second"), whole=True), "switch has no default"
    assert known.take(("first", "second", "third", "switch"), whole=False) is False
    assert known.take(("first", "second"), whole=False)
    assert not known.take(("second", "first"), whole=False)


def test_the_methods_of_the_class_itself_come_first(sources):
    assert sources.definition("derived", "Derived").parameters("known").take(("other",), True)
    assert sources.definition("derived", "Derived").reads("known", "own")
    assert not sources.definition("derived", "Derived").reads("known", "read")


def test_a_static_method_has_no_self(sources):
    still = sources.definition("deep.base", "Base").parameters("still")
    assert still.take(("first",), whole=True)
    assert not still.take((), whole=True)


def test_any_arguments_are_taken_by_who_takes_any(sources):
    assert sources.definition("deep.base", "Base").parameters("any").take(("a", "b"), whole=True)


def test_names_of_modules(sources):
    assert sources.has_name("deep.base", "torch")
    assert sources.has_name("derived", "Base")
    assert sources.has_name("", "Exported")
    assert sources.has_name("", "deep")
    assert not sources.has_name("deep.base", "Other")
    assert sources.has_module("deep")
    assert not sources.has_module("deep.other")
