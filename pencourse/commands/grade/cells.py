"""Runs a student's cells and then their functions on request: the one kind of process in which students' code runs.

`student.Student` starts a copy of this file outside the package, beside a copy of the package without its checks, so
it imports nothing from here. What it knows: the cells, and the arguments of each call. It returns numbers, never
objects: whether they are right is decided in the process that started it, in which no student's code ever runs.
"""

import ast
import json
import os
import pickle
import struct
import sys
from collections.abc import Iterator
from copy import deepcopy
from types import CodeType
from typing import Any, BinaryIO

LARGEST = 16_000_000  # bytes of one result
SMALL = 60  # nodes; a shorter function is written alike by many who never saw each other


def fingerprints(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Give for each function that is not tiny its name, and its code without names, comments, docstring and types."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and sum(1 for _ in ast.walk(node)) >= SMALL:
            yield node.name, _nameless(node)


def _nameless(function: ast.FunctionDef) -> str:
    copy, names = deepcopy(function), dict[str, str]()
    copy.body = copy.body[ast.get_docstring(copy) is not None :]
    copy.name, copy.returns, copy.decorator_list = "", None, []
    for node in ast.walk(copy):
        if isinstance(node, ast.arg):
            node.annotation = None
    for node in ast.walk(copy):
        if isinstance(node, ast.arg):
            node.arg = names.setdefault(node.arg, f"v{len(names)}")
        elif isinstance(node, ast.Name):
            node.id = names.setdefault(node.id, f"v{len(names)}")
    return ast.dump(copy)


def facts(cells: list[str]) -> dict[str, Any]:
    """Return what is read off the cells before one of them has run: the names that each function uses, fingerprints."""
    from IPython.core.inputtransformer2 import TransformerManager

    names: dict[str, set[str]] = {}
    prints: list[tuple[str, str]] = []
    for cell in cells:
        try:
            tree = ast.parse(TransformerManager().transform_cell(cell))
            prints += fingerprints(tree)
            for code in compile(tree, "cell", "exec").co_consts:
                if isinstance(code, CodeType):
                    names.setdefault(code.co_name, set()).update(_names(code))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # running it will say what is wrong
    return {"names": {name: sorted(used) for name, used in names.items()}, "prints": prints}


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType)))


def limit(memory: int, disk: int) -> None:
    """Set hard limits in bytes where the system has them: address space, size of a file."""
    if sys.platform == "win32":
        return
    import resource

    for name, most in (("RLIMIT_AS", memory), ("RLIMIT_FSIZE", disk), ("RLIMIT_CORE", 0)):
        try:
            resource.setrlimit(getattr(resource, name), (most, most))
        except (AttributeError, ValueError, OSError):  # macOS refuses the first; the watch from outside remains
            continue


def result(value: Any, asarray: Any) -> tuple[dict[str, Any], bytes]:
    """Return a value as numbers, or what it is instead."""
    if value is None:
        return {"none": True}, b""
    try:
        found = asarray(value)
        if found.dtype.kind == "O" and found.size:
            found = asarray([float(entry) for entry in found.flat]).reshape(found.shape)
        if found.dtype.kind not in "biuf" or found.nbytes > LARGEST:
            raise TypeError
        kind = "|b1" if found.dtype.kind == "b" else "<f8"
        return {"dtype": kind, "shape": list(found.shape)}, found.astype(kind).tobytes()
    except Exception:  # a ragged list, an object whose conversion fails
        return {"type": type(value).__name__[:60]}, b""


def called(function: Any, arguments: tuple[Any, ...], asarray: Any) -> tuple[dict[str, Any], bytes]:
    """Call a student's function; return its result, or which error in which line of its cell stopped it."""
    own, line = getattr(getattr(function, "__code__", None), "co_filename", None), None
    try:
        return result(function(*arguments), asarray)
    except BaseException as error:
        trace = error.__traceback__
        while trace is not None:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == own else line
            trace = trace.tb_next
        try:
            said = str(error)[:300]
        except Exception:
            said = ""
        return {"raised": type(error).__name__[:60], "said": said, "line": line}, b""


def send(replies: BinaryIO, header: dict[str, Any], raw: bytes = b"") -> None:
    """Write one frame: the header's length, the header, as many bytes as it says."""
    text = json.dumps(header | {"bytes": len(raw)}).encode()
    replies.write(struct.pack(">I", len(text)) + text + raw)
    replies.flush()


def main() -> None:
    """Read the cells, tell the facts, run the cells, answer calls until there are no more."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder)]
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    setup = pickle.load(requests)
    limit(setup["memory"], setup["disk"])
    send(replies, facts(setup["cells"]))

    import numpy as np
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    asarray = np.asarray
    shell: Any = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    run_cell = shell.run_cell  # as it is before a cell replaces it
    os.dup2(nowhere, 2)  # students' output goes nowhere, however much there is
    for k, cell in enumerate(setup["cells"]):
        if k not in setup["skip"]:
            send(replies, {"begun": k})
            ran = run_cell(cell, silent=True)
            error = ran.error_before_exec or ran.error_in_exec
            said = "" if error is None else f"{type(error).__name__}: {error}"[:300]
            send(replies, {"ended": k, "said": said})
    send(replies, {"ready": True})
    while True:
        try:
            name, arguments = pickle.load(requests)
        except EOFError:
            return
        function = shell.user_ns.get(name)
        missing = {"missing": name not in shell.user_ns, "type": type(function).__name__[:60]}
        reply = called(function, arguments, asarray) if callable(function) else ({"not_callable": missing}, b"")
        send(replies, *reply)


if __name__ == "__main__":
    main()
