"""vLLM's Python sources, read without importing them: importing vLLM takes seconds, and its GPU
build cannot be imported where there is no GPU."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from zipfile import Path as PathInArchive

Root = Path | PathInArchive
"""Of a package: its folder, or the same in a wheel."""


@dataclass
class Definition:
    """A class of vLLM with all that it inherits from classes of vLLM.

    Attributes:
        names: methods, fields, and what methods set on ``self``.
        methods: the definition of each method, that of the class before its bases', whose
            abstract ones do not count.
        abstract: methods that a subclass must define.
    """

    names: set[str] = field(default_factory=set)
    methods: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    abstract: set[str] = field(default_factory=set)

    def parameters(self, method: str) -> Parameters | None:
        """How a method is called; None if there is no such method."""
        found = self.methods.get(method)
        return None if found is None else Parameters.of(found)

    def reads(self, method: str, name: str) -> bool:
        """Whether a method's own code reads or calls ``self.name``."""
        found = self.methods.get(method)
        return found is not None and any(
            isinstance(node, ast.Attribute) and node.attr == name and _is_self(node.value)
            for node in ast.walk(found)
        )


@dataclass(frozen=True)
class Parameters:
    """What a function takes, without ``self``.

    Attributes:
        names: positional parameters in order.
        required: those of all parameters that have no default.
        more: whether it takes any number of positional arguments.
    """

    names: tuple[str, ...]
    required: frozenset[str]
    more: bool

    @classmethod
    def of(cls, function: ast.FunctionDef | ast.AsyncFunctionDef) -> Parameters:
        """Those of a method's definition."""
        given = function.args
        names = [each.arg for each in (*given.posonlyargs, *given.args)]
        required = names[: len(names) - len(given.defaults)]
        pairs = zip(given.kwonlyargs, given.kw_defaults, strict=True)
        required += [each.arg for each, default in pairs if default is None]
        if "staticmethod" not in _decorators(function):
            names, required = names[1:], required[1:]
        return cls(tuple(names), frozenset(required), given.vararg is not None)

    def take(self, arguments: tuple[str, ...], whole: bool) -> bool:
        """Whether these come first, by name, and, if they are the ``whole`` call, suffice."""
        if self.names[: len(arguments)] != arguments and not self.more:
            return False
        return not whole or self.required <= set(arguments)


class Sources:
    """The package ``vllm`` as source text.

    Args:
        root: where it is.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._module = cache(self._parsed)
        self.definition = cache(self._definition)

    def has_module(self, module: str) -> bool:
        """Whether there is such a module; ``module`` is named without the leading ``vllm.``."""
        return self._module(module) is not None

    def has_name(self, module: str, name: str) -> bool:
        """Whether a module defines or imports a name, or is a package with such a module."""
        tree = self._module(module)
        below = f"{module}.{name}" if module else name
        return (tree is not None and name in _bound(tree)) or self.has_module(below)

    def _parsed(self, module: str) -> ast.Module | None:
        at: Root = self._root
        for part in module.split(".") if module else ():
            at = at / part
        for file in (at / "__init__.py", self._root / (module.replace(".", "/") + ".py")):
            if file.is_file():
                return ast.parse(file.read_text(encoding="utf-8"))
        return None

    def _definition(self, module: str, name: str) -> Definition | None:
        """A class by its module and name; None if it is not there."""
        tree = self._module(module)
        if tree is None:
            return None
        for node in _statements(tree.body):
            if isinstance(node, ast.ClassDef) and node.name == name:
                return self._whole(module, tree, node)
        origin = _imports(tree).get(name)
        return None if origin is None else self.definition(*origin)

    def _whole(self, module: str, tree: ast.Module, node: ast.ClassDef) -> Definition:
        found = _own(node)
        for base in node.bases:
            inherited = self.definition(module, base.id) if isinstance(base, ast.Name) else None
            if inherited is None:
                continue
            found.abstract |= inherited.abstract - found.methods.keys()
            found.names |= inherited.names
            for name, method in inherited.methods.items():
                if name not in inherited.abstract:
                    found.methods.setdefault(name, method)
        return found


def _own(node: ast.ClassDef) -> Definition:
    found = Definition()
    for each in _statements(node.body):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
            found.methods[each.name] = each
            if "abstractmethod" in _decorators(each):
                found.abstract.add(each.name)
            found.names |= _set_on_self(each)
        found.names |= _names_bound_by(each)
    return found


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module or class, with those below ``if`` and ``try``."""
    for each in body:
        yield each
        if isinstance(each, ast.If):
            yield from _statements([*each.body, *each.orelse])
        elif isinstance(each, ast.Try):
            handlers = [inner for handler in each.handlers for inner in handler.body]
            yield from _statements([*each.body, *handlers, *each.orelse])


def _names_bound_by(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {each.asname or each.name.partition(".")[0] for each in node.names}
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return {each.id for each in targets if isinstance(each, ast.Name)}


def _bound(tree: ast.Module) -> set[str]:
    return set().union(*map(_names_bound_by, _statements(tree.body)))


def _imports(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Where the names come from that a module imports from vLLM's own modules."""
    return {
        each.asname or each.name: (node.module.removeprefix("vllm").removeprefix("."), each.name)
        for node in _statements(tree.body)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("vllm")
        for each in node.names
    }


def _set_on_self(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {
        node.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and _is_self(node.value)
    }


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def _decorators(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    return {each.id for each in function.decorator_list if isinstance(each, ast.Name)}
