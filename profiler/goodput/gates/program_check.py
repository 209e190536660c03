"""Whether a case names a program that is there, told before a process is started. Runs nothing."""

from __future__ import annotations

import ast
from pathlib import Path

from goodput.gates.declarations import Case
from goodput.report.metrics import nearest


def fault(case: Case, root: Path) -> str:
    """Why a case cannot be run as it is declared; "" where nothing speaks against it."""
    if case.script:
        path = root / case.script[0]
        return "" if path.exists() else f"there is no script {path}"
    place, _, function = case.target.rpartition(":")
    if not place.endswith(".py"):
        return ""
    path = root / place
    if not path.is_file():
        return f"there is no file {path}"
    try:
        names = _names(ast.parse(path.read_bytes()))
    except (SyntaxError, ValueError) as error:
        return f"{path} is no Python: {error}"
    if names is None or function in names:
        return ""
    return f"{path} has no function {function}{nearest(function, sorted(names))}"


def _names(tree: ast.Module) -> set[str] | None:
    """What a module may hold by these names; None where anything may be, by a star import."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return None if "*" in found else found
