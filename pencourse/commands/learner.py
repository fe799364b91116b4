"""What a learner asks: which lesson needs which, and which problem sets pass. Also ``python -m pencourse progress``."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from pencourse import plots
from pencourse.commands import repository

SECONDS = 60.0
PASSES, NOT_YET, NOT_BEGUN = "pass", "not yet", "not begun"


# Problem sets


def command(_: argparse.Namespace) -> int:
    """Table the problem sets of this repository."""
    progress(repository.ROOT / "exercises")
    return 0


def progress(folder: str | Path = "../exercises", seconds: float = SECONDS) -> None:
    """Print a line for each problem set: how many of its tasks pass, and which do not.

    Every set in which an answer is begun is run as it was last saved, in a process of its own. A task passes if all of
    its tests do. Proofs are not counted: a reader grades them.

    Parameters
    ----------
    folder : path
        Holds ``psNN_name/psNN_name.ipynb``.
    seconds : float
        For each set; one that takes longer is stopped, and what it did not reach does not pass.
    """
    paths = sorted(Path(folder).glob("ps*/ps*.ipynb"))
    if not paths:
        print(f"There is no problem set in {folder}.")
    width = max((len(path.stem) for path in paths), default=0)
    with ThreadPoolExecutor(2) as pool:
        for path, said in zip(paths, pool.map(lambda path: _said(path, seconds), paths), strict=True):
            print(f"{path.stem:{width}}  {said}", flush=True)


def tasks(path: Path, seconds: float = SECONDS) -> dict[int, str]:
    """Return for each task of a problem set `PASSES`, `NOT_YET` or `NOT_BEGUN`."""
    cells = nbformat.read(path, as_version=4).cells
    tests = {name: _task(name) for name in map(_graded, cells) if name}
    begun = {_task(cell.metadata.nbgrader.grade_id) for cell in cells if _is_begun(cell)}
    passed = _passed(path, seconds) if begun else set()
    failed = {task for name, task in tests.items() if name not in passed}
    return {
        task: NOT_BEGUN if task not in begun else NOT_YET if task in failed else PASSES
        for task in sorted(set(tests.values()))
    }


def _said(path: Path, seconds: float) -> str:
    try:
        states = tasks(path, seconds)
    except Exception as problem:  # half a file, or none of JSON: the other sets are still counted
        return f"cannot be read: {type(problem).__name__}"
    counted = "1 task" if len(states) == 1 else f"{len(states)} tasks"
    if set(states.values()) <= {NOT_BEGUN}:
        return f"{counted}, none begun"
    rest = [_listed(state, states) for state in (NOT_YET, NOT_BEGUN) if state in states.values()]
    return "; ".join([f"{list(states.values()).count(PASSES)} of {counted} pass", *rest])


def _listed(state: str, states: dict[int, str]) -> str:
    return f"{state}: {', '.join(str(task) for task, found in states.items() if found == state)}"


def _graded(cell: NotebookNode) -> str:
    """Return the name of a test cell, of another cell nothing."""
    marks = cell.metadata.get("nbgrader", {})
    return str(marks.grade_id) if cell.cell_type == "code" and marks.get("grade") else ""


def _is_begun(cell: NotebookNode) -> bool:
    """Tell whether a cell is for an answer and is not as it was released."""
    answer = cell.cell_type == "code" and cell.metadata.get("nbgrader", {}).get("solution")
    return bool(answer) and not re.search(r"# YOUR CODE HERE\s+raise NotImplementedError", cell.source)


def _task(name: str) -> int:
    """Return 3 for task-3-test."""
    return int(name.split("-")[1])


def _passed(path: Path, seconds: float) -> set[str]:
    """Run a problem set in a process of its own; return the names of the tests that passed in time."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "passed")
        report.touch()
        words = [sys.executable, "-m", "pencourse.commands.learner", str(path.resolve()), str(report)]
        quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        try:
            subprocess.run(words, timeout=seconds, env=os.environ | {"MPLBACKEND": "agg"}, check=False, **quiet)
        except subprocess.TimeoutExpired:
            pass
        return set(report.read_text(encoding="utf-8").split())


def _run(path: Path, report: Path) -> None:
    """Run a problem set's cells without those that only use an answer; report each test that passes."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    os.chdir(path.parent)
    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and not re.match(r"task-\d+-use", cell.id):
            done = shell.run_cell(cell.source)
            if done.success and _graded(cell):
                with report.open("a", encoding="utf-8") as file:
                    print(_graded(cell), file=file)


# Lessons


def needs(folder: str | Path = ".") -> dict[str, set[str]]:
    """Return for each lesson but 00, by its number, the earlier ones that its line *You need* names."""
    found = {}
    for path in sorted(Path(folder).glob("[0-9][0-9]_*.ipynb"))[1:]:
        first = nbformat.read(path, as_version=4).cells[0].source
        line = first.partition("**You need**")[2].partition("**Time**")[0]
        named = re.findall(r"lessons? (\d\d(?:,?(?:\s+and)?\s+\d\d)*)", re.sub(r"\s*\([^()]*\)", "", line))
        found[path.stem[:2]] = {number for numbers in named for number in re.findall(r"\d\d", numbers)}
    return {lesson: {number for number in named if number in found} for lesson, named in found.items()}


def arrows(given: dict[str, set[str]]) -> dict[str, set[str]]:
    """Leave out what follows from the rest: who needs 03, which needs 02, needs 02 anyway."""
    above: dict[str, set[str]] = {}
    for lesson in sorted(given):
        above[lesson] = given[lesson].union(*(above[number] for number in given[lesson]))
    return {lesson: named.difference(*(above[number] for number in named)) for lesson, named in given.items()}


def way(folder: str | Path = ".") -> tuple[Any, str]:
    """Draw which lesson needs which; return the figure, and the same in words.

    The subjects are those of the map in the welcome notebook.
    """
    folder = Path(folder)
    welcome = "\n".join(cell.source for cell in nbformat.read(folder / "00_welcome.ipynb", as_version=4).cells)
    subjects = dict(re.findall(r"^\| \[(\d\d)\]\(\S+\) \| (?:case: )?(.+?): ", welcome, re.MULTILINE))
    drawn = arrows(needs(folder))
    rows = _rows(drawn)
    figure, (ax,) = plots.canvas(width=7.3, height=0.6 * len(rows))
    boxes = {}
    for depth, row in enumerate(rows):
        for k, lesson in enumerate(row):
            label = textwrap.fill(f"{lesson}  {subjects.get(lesson, '')}", 60 // len(row))
            style = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": plots.BLACK}
            boxes[lesson] = ax.text((k + 0.5) / len(row), -depth, label, ha="center", va="center", bbox=style)
    for lesson, named in drawn.items():
        for number in sorted(named):
            ends = {"patchA": boxes[number].get_bbox_patch(), "patchB": boxes[lesson].get_bbox_patch()}
            arrow = {"arrowstyle": "-|>", "color": plots.BLACK, "shrinkA": 0, "shrinkB": 0, **ends}
            ax.annotate("", boxes[lesson].get_position(), boxes[number].get_position(), arrowprops=arrow)
    ax.set(xlim=(0, 1), ylim=(0.5 - len(rows), 0.5))
    ax.axis("off")
    words = [f"{lesson} needs {_and(named)}" for lesson, named in drawn.items() if named]
    return figure, f"Which lesson needs which, from top to bottom: {'; '.join(words)}; and all that those need."


def _rows(drawn: dict[str, set[str]]) -> list[list[str]]:
    """Put each lesson a row below the lowest that it needs."""
    depths: dict[str, int] = {}
    for lesson in sorted(drawn):
        depths[lesson] = 1 + max((depths[number] for number in drawn[lesson]), default=-1)
    return [[lesson for lesson in depths if depths[lesson] == depth] for depth in range(1 + max(depths.values()))]


def _and(numbers: Iterable[str]) -> str:
    return " and ".join(filter(None, [", ".join(sorted(numbers)[:-1]), sorted(numbers)[-1]]))


if __name__ == "__main__":
    _run(Path(sys.argv[1]), Path(sys.argv[2]))
