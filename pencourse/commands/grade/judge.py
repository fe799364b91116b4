"""Grades a notebook: its functions run in `student.Student`, everything that decides runs here."""

from __future__ import annotations

import ast
import importlib
import inspect
import time
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

from pencourse.checks import Task, Wrong

from .cells import fingerprints
from .student import Limits, Lost, Student, printable, value

LONGEST = 10_000  # lines of a cell, for a student's word on the line of an error


@dataclass(frozen=True)
class Call:
    """One line of a test cell: ``checks.task(function, seed=seed)``."""

    task: str
    function: str
    seed: int


class Unknown(Exception):
    """A test cell that does more than call the checks, so that it would have to run beside the student's code."""


def calls(source: str) -> list[Call]:
    """Return the calls of the checks in a test cell's source; raise `Unknown` at anything else but an import."""
    found = []
    for statement in ast.parse(source).body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                continue
            case ast.Expr(ast.Call(ast.Attribute(ast.Name("checks"), task), [ast.Name(function)], keywords)):
                named = {keyword.arg: ast.literal_eval(keyword.value) for keyword in keywords}
                found.append(Call(task, function, named.get("seed", 0)))
            case _:
                raise Unknown(f"a test cell holds more than calls of checks: {ast.unparse(statement)}")
    return found


@cache
def prepared(module: str, task: str, seed: int) -> Task:
    """Return a task with its instances drawn and their right results known, once for the whole class."""
    check: Task = getattr(importlib.import_module(f"pencourse.checks.{module}"), task)
    return check.prepared(seed)


@cache
def published(module: str, solution: str) -> dict[str, set[str]]:
    """Return, without their names, the functions that anybody can read: the checks' and the solution's."""
    checks = inspect.getsource(importlib.import_module(f"pencourse.checks.{module}"))
    texts = {"the solution": solution, f"pencourse.checks.{module}": checks}
    return {place: {code for _, code in fingerprints(ast.parse(text))} for place, text in texts.items()}


class Answer:
    """A student's function, as a check calls it."""

    def __init__(self, student: Student, name: str, end: float) -> None:
        self._student, self._name, self._end = student, name, end
        # What a check may ask of a function: the names it uses.
        used = tuple(student.facts.get("names", {}).get(name, ()))
        self.__code__ = SimpleNamespace(co_names=used, co_consts=(), co_filename=f"<{name}>")

    def __call__(self, *arguments: Any) -> Any:
        """Return what the function returns, as numbers, or raise what it raised."""
        header, raw = self._student.call(self._name, arguments, max(0.0, self._end - time.monotonic()))
        if "not_callable" in header:
            self._refuse(header["not_callable"])
        if header.get("raised") == "NotImplementedError":
            raise NotImplementedError
        if "raised" in header:
            self._raise(header)
        return value(header, raw)

    def _refuse(self, held: Any) -> None:
        if isinstance(held, dict) and not held.get("missing"):
            raise Refused(f"A function is asked; this is a {printable(held.get('type'))}.")
        because = "".join(f"; a cell stopped, {said}" for said in list(self._student.errors.values())[:1])
        raise Refused(f"There is no function {self._name}{because}.")

    def _raise(self, header: dict[str, Any]) -> None:
        """Raise an error of the same name, as if from the same line of the cell: the check looks at both."""
        error = type(printable(header["raised"]), (Exception,), {})(printable(header.get("said", "")))
        line = header.get("line")
        if isinstance(line, int) and 0 < line < LONGEST:
            exec(compile("\n" * (line - 1) + "raise error", f"<{self._name}>", "exec"), {"error": error})
        raise error


class Refused(BaseException):
    """What is no function; no Exception, so that it is not taken for the student's error."""


def judge(source: NotebookNode, answers: NotebookNode, module: str, limits: Limits) -> list[str]:
    """Run a rebuilt notebook, write into each test cell of it what a student reads there, and return remarks.

    Parameters
    ----------
    source : NotebookNode
        The solution, with the hidden tests.
    answers : NotebookNode
        What `notebook.rebuild` returned; its outputs are written.
    module : str
        The module of `pencourse.checks`, such as ``ps01``.
    limits : Limits
    """
    tests = {cell.metadata.nbgrader.grade_id: calls(cell.source) for cell in source.cells if is_test(cell)}
    running = [cell for cell in answers.cells if cell.cell_type == "code" and not is_test(cell)]
    remarks: list[str] = []
    with Student([cell.source for cell in running], limits) as student:
        for cell in answers.cells:
            if is_test(cell):
                said = _graded(student, tests[cell.metadata.nbgrader.grade_id], module, remarks)
                cell.outputs = [_error(said)] if said else [new_output("stream", text="Right on all instances.\n")]
        for k, said in student.errors.items():
            running[k].outputs = [_error(f"This cell stopped: {said}.")]
        remarks += [f"a cell was stopped: {student.errors[k]}" for k in student.stopped]
        solution = "\n".join(cell.source for cell in source.cells if "### BEGIN SOLUTION" in cell.source)
        prints = dict(student.facts.get("prints", ()))
    for place, known in published(module, solution).items():
        if same := [printable(name) for name, code in prints.items() if code in known]:
            remarks.append(f"same code as {place}: {', '.join(same)}")
    return list(dict.fromkeys(remarks))


def is_test(cell: NotebookNode) -> bool:
    """Tell whether a cell is graded by running it."""
    return bool(cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("grade"))


def _graded(student: Student, test: list[Call], module: str, remarks: list[str]) -> str:
    """Return the sentence for one test cell, empty if all is right."""
    function = test[0].function
    try:
        student.start()
        end = time.monotonic() + student.limits.seconds
        for call in test:
            prepared(module, call.task, call.seed)(Answer(student, call.function, end), seed=call.seed)
    except Wrong as wrong:
        return str(wrong)
    except Refused as refused:
        return str(refused)
    except Lost as lost:
        remarks.append(f"{function} was stopped: {lost}")
        return f"The function was stopped: {lost}."
    return ""


def _error(sentence: str) -> NotebookNode:
    return new_output("error", ename="Wrong", evalue=sentence, traceback=[sentence])
