"""Which cells of a notebook a certificate needs, read from the code without running it.

The answer is used to spare time, so it may be wrong: a cell too many costs its seconds, and one too few lets the
certificate fail in the unbroken package, which `make mutants` tries first, with the very cells that it will run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from functools import cache


def needed(sources: list[str], wanted: Iterable[int]) -> list[int]:
    """Return, in order, the cells that are wanted and those before them that bind or change a name they use.

    A cell changes what it assigns to a part of, or calls a method of in a line for its own sake (x[0] = 1,
    x.append(1)); such a line wants x bound and doesn't mind how it was changed before. A generator of random numbers
    changes wherever it is used. What a function uses is used where the function is. Loops run at least once.
    """
    used, mentioned, chosen = set(), set(), []
    for n, (uses, changed, bound, stored) in reversed(list(enumerate(_flows(tuple(sources))))):
        if n in wanted or (bound | changed) & used or bound & mentioned:
            chosen.append(n)
            used, mentioned = (used - bound) | uses, (mentioned - bound) | (changed - stored)
    return chosen[::-1]


@cache
def _flows(sources: tuple[str, ...]) -> list[tuple[set[str], set[str], set[str], set[str]]]:
    """Return, for each cell, the names it uses, changes, binds in any case, and binds at all."""
    trees = [ast.parse("\n".join(line for line in s.splitlines() if not line.startswith("%"))) for s in sources]
    modules, generators, within = set(), set(), {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules |= _stores(node)
        elif isinstance(node, ast.FunctionDef) or (isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)):
            within |= {name: within.get(name, set()) | _loads(node) for name in _stores(node)}
        elif isinstance(node, ast.Assign) and "default_rng(" in ast.unparse(node.value):
            generators |= _stores(node)
    found = []
    for tree in trees:
        uses, changed, bound = _flow(tree.body)
        while more := {name for load in uses for name in within.get(load, ())} - uses - bound:
            uses |= more
        found.append((uses, (changed - modules) | (uses & generators), bound, _stores(tree)))
    return found


def _flow(statements: list[ast.stmt]) -> tuple[set[str], set[str], set[str]]:
    """Return the names that statements take from before them, those they change, and those they bind."""
    uses, changed, bound = set(), set(), set()
    for statement in statements:
        blocks = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        blocks += [handler.body for handler in getattr(statement, "handlers", [])]
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) or not any(blocks):
            uses |= _loads(statement) - bound
            changed |= _changed(statement) - bound
            bound |= _stores(statement)
            continue
        head = [node for node in ast.iter_child_nodes(statement) if not isinstance(node, ast.stmt | ast.ExceptHandler)]
        for node in head:
            uses |= _loads(node) - bound
        bound |= {name for node in head for name in _stores(node)}
        for block in blocks:
            more, other, new = _flow(block)
            uses, changed = uses | (more - bound), changed | (other - bound)
            if isinstance(statement, ast.For | ast.With):
                bound |= new
            else:
                changed |= new - bound
    return uses, changed, bound


def _loads(node: ast.AST) -> set[str]:
    """Return the names that an expression or a simple statement takes from outside it."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    parts = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.AugAssign):
        parts.append(ast.Name(node.target.id, ast.Load()) if isinstance(node.target, ast.Name) else node.target)
    if isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        parts = [part for part in parts if not isinstance(part, ast.Name)]
    if isinstance(node, ast.Expr) and _changed(node):
        parts = [*node.value.args, *node.value.keywords]
    found = {name for part in parts for name in _loads(part)}
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        found -= {name for child in ast.iter_child_nodes(node) for name in _stores(child)}
        found -= {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
    return found - _own(node)


def _stores(node: ast.AST) -> set[str]:
    """Return the names that a piece of code binds outside it."""
    if isinstance(node, ast.Name):
        return set() if isinstance(node.ctx, ast.Load) else {node.id}
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return {name for child in ast.iter_child_nodes(node) for name in _stores(child)} - _own(node)


def _own(node: ast.AST) -> set[str]:
    """Return the names that belong to a comprehension."""
    return {name for part in getattr(node, "generators", ()) for name in _stores(part.target)}


def _changed(statement: ast.AST) -> set[str]:
    """Return the names of which a simple statement changes a part: x for x[0] = 1, x.a = 1, x.append(1)."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return set()
    parts = [getattr(statement, "target", None), *getattr(statement, "targets", [])]
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        parts = [statement.value.func]
    found = set()
    for part in (part for whole in parts if whole for part in getattr(whole, "elts", [whole])):
        root = part
        while isinstance(root, ast.Subscript | ast.Attribute):
            root = root.value
        if isinstance(root, ast.Name) and root is not part:
            found.add(root.id)
    return found
