"""``python -m pencourse class-copy``: a private copy of the problem sets, with other instances in every test.

The solutions and the seeds of the hidden tests are public; in the copy, the seeds are the class's own.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
from nbformat import NotebookNode

from pencourse.checks import Task, Wrong
from pencourse.commands import repository
from pencourse.commands.grade.judge import calls, is_test, judge
from pencourse.commands.grade.student import Limits

CALL = re.compile(r"\bchecks\.(\w+)\((\w+)(, seed=\d+)?\)")
FIRST, LAST = 10_000, 1_000_000_000  # the public seeds are all below the first
TRIES = 50
SHORT = 12  # characters


def class_copy(arguments: argparse.Namespace) -> int:
    """Write the copy, release it, and let the solutions take the new tests; return 1 if one does not pass."""
    if importlib.util.find_spec("nbgrader") is None:
        raise ModuleNotFoundError(name="nbgrader")  # now and not after the work
    root: Path = repository.ROOT
    copy = Path(arguments.out or root / "grading" / f"class-{arguments.seed}").resolve()
    if copy.exists() and any(copy.iterdir()):
        sys.exit(f"{copy} is there already; remove it, or choose another with --out.")
    if not arguments.seed:
        sys.exit("Choose a seed that only you know: make class-copy SEED=…")
    if len(arguments.seed) < SHORT:
        print("A short seed can be found from the visible tests, by trying all: take one of a dozen digits or more.")
    copy.mkdir(mode=0o700, parents=True, exist_ok=True)  # the container mounts it without the folder around it
    shutil.copy(root / "nbgrader_config.py", copy)
    failed = False
    for source in repository.select(repository.solutions(), arguments.names):
        with contextlib.redirect_stdout(io.StringIO()):  # what the checks print
            notebook = reseeded(nbformat.read(source, as_version=4), source.stem, arguments.seed)
            target = copy / "solutions" / source.stem
            shutil.copytree(source.parent, target, ignore=shutil.ignore_patterns("*.ipynb", ".ipynb_checkpoints"))
            nbformat.write(notebook, target / source.name)
            lost = unsolved(notebook, source.stem)
        print(f"{source.stem}: {lost or 'other instances; the solution passes'}")
        failed |= bool(lost) or not _released(copy, source.stem)
    print(f"The class's copy is {copy}; keep it to yourself, and hand out what is in its folder exercises.")
    return int(failed)


def reseeded(notebook: NotebookNode, name: str, seed: str) -> NotebookNode:
    """Give each call of a check in a test cell, visible or hidden, a seed of its own."""
    digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    module = importlib.import_module(f"pencourse.checks.{name.split('_')[0]}")

    def other(call: re.Match[str]) -> str:
        return f"checks.{call[1]}({call[2]}, seed={good_seed(getattr(module, call[1]), rng)})"

    for cell in filter(is_test, notebook.cells):
        cell.source = CALL.sub(other, cell.source)
        if any(call.seed < FIRST for call in calls(cell.source)):
            raise ValueError(f"{name}, {cell.metadata.nbgrader.grade_id}: a call of checks was not recognised.")
    return notebook


def good_seed(check: Task, rng: np.random.Generator) -> int:
    """Draw a seed with which the right answer passes, and every known mistake hears its sentence.

    Raises
    ------
    RuntimeError
        If there is none among many.
    """
    for seed in map(int, rng.integers(FIRST, LAST, size=TRIES)):
        try:
            instances = list(check.draw(np.random.default_rng(seed)))
            right = [np.asarray(check.reference(*instance.arguments)) for instance in instances]
        except (ValueError, ArithmeticError, RuntimeError):
            continue
        if all(np.isfinite(one.astype(float)).all() for one in right) and all(
            _heard(check, mistake.compute, seed) == mistake.message for mistake in check.mistakes
        ):
            return seed
    raise RuntimeError(f"Of {TRIES} seeds none tells the mistakes apart.")


def _heard(check: Task, answer: object, seed: int) -> str:
    try:
        Task.__call__(check, answer, seed)  # type: ignore[arg-type]
    except Wrong as wrong:
        return str(wrong)
    return ""


def unsolved(notebook: NotebookNode, name: str) -> str:
    """Grade the solution itself as a student's notebook; return the tests that it does not pass."""
    judge(notebook, notebook, name.split("_")[0], Limits())
    failed = {
        cell.metadata.nbgrader.grade_id: output.evalue
        for cell in filter(is_test, notebook.cells)
        for output in cell.outputs
        if output.output_type == "error"
    }
    return "; ".join(f"{test}: {said}" for test, said in failed.items())


def _released(copy: Path, name: str) -> bool:
    """Write what students get; the gradebook of the copy is made when it is graded."""
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", "--force", "--no-db", name]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, env=os.environ)
    if done.returncode:
        print(done.stderr)
    return done.returncode == 0
