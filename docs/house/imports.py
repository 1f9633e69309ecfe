"""Who imports whom, read from the sources without running them: every import counts, wherever it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PACKAGES = ("kdzoo", "zoo_registry")

Kind = Literal["at once", "on use", "for types"]


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import of one module by another.

    Args:
        user: dotted name of the module that imports.
        used: dotted name of the module or package that is imported.
        kind: when it happens: as the user loads, in one of its functions, or only for a type checker.
        line: where it stands in the user's file, from 1.
    """

    user: str
    used: str
    kind: Kind
    line: int


@dataclass(frozen=True, kw_only=True)
class Module:
    """One Python file.

    Args:
        name: dotted name; a package's ``__init__.py`` bears the package's.
        path: where it lies.
        lines: how many lines it has.
        purpose: the first line of its docstring, or nothing.
        is_package: whether it is an ``__init__.py``.
        imports: what it imports of the house, in the order of the file, itself left out.
    """

    name: str
    path: Path
    lines: int
    purpose: str
    is_package: bool
    imports: tuple[Import, ...]


def read_house(tree: Path) -> dict[str, Module]:
    """All modules of the packages in ``tree``, by dotted name and in its order.

    Args:
        tree: root of a checkout.
    """
    paths = {_dotted(tree, path): path for package in PACKAGES for path in (tree / package).rglob("*.py")}
    return {name: _read(name, paths[name], frozenset(paths)) for name in sorted(paths)}


def _dotted(tree: Path, path: Path) -> str:
    parts = path.relative_to(tree).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _read(name: str, path: Path, known: frozenset[str]) -> Module:
    text = path.read_text(encoding="utf-8")
    root = ast.parse(text, str(path))
    is_package = path.name == "__init__.py"
    found = _imports(root, name, is_package, known, "at once")
    return Module(
        name=name,
        path=path,
        lines=len(text.splitlines()),
        purpose=(ast.get_docstring(root) or "").partition("\n")[0],
        is_package=is_package,
        imports=tuple(one for one in found if one.used != name),
    )


def _imports(node: ast.AST, user: str, is_package: bool, known: frozenset[str], kind: Kind) -> Iterator[Import]:
    """The imports below ``node``, which itself is reached in the way that ``kind`` says."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        elif isinstance(child, ast.ImportFrom):
            base = _base(child, user, is_package)
            names = [f"{base}.{alias.name}" for alias in child.names]
        else:
            yield from _imports(child, user, is_package, known, _kind_below(child, kind))
            continue
        for used in filter(None, (_nearest(name, known) for name in names)):
            yield Import(user=user, used=used, kind=kind, line=child.lineno)


def _kind_below(node: ast.AST, kind: Kind) -> Kind:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return "on use" if kind == "at once" else kind
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return "for types"
    return kind


def _base(statement: ast.ImportFrom, user: str, is_package: bool) -> str:
    """The module that a ``from`` names, with its leading dots resolved."""
    if not statement.level:
        return statement.module or ""
    parts = user.split(".")
    above = parts[: len(parts) - statement.level + is_package]
    return ".".join([*above, *filter(None, [statement.module])])


def _nearest(name: str, known: frozenset[str]) -> str | None:
    """The module that ``name`` is or lies in: ``kdzoo.errors`` for ``kdzoo.errors.KdzooError``."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None
