"""``python -m pencourse grade``: autograde a class, so that no submission can stop, read or change what grades it.

Each submission's code runs in processes of its own (`student`), the decision falls in this one (`judge`), from a
notebook that holds nothing of the student's file but the text of cells (`notebook`). nbgrader then stores the scores.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell
from tqdm import tqdm
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from pencourse.commands import repository

from . import judge, notebook
from .judge import Unknown, calls, is_test
from .student import Limits, Lost, printable


@dataclass(frozen=True)
class Row:
    """One submission: points of the automatic part, or the reason why there are none; seconds; what to look at."""

    student: str
    score: float | None
    most: float
    seconds: float
    remarks: tuple[str, ...]


def grade(arguments: argparse.Namespace) -> int:
    """Grade the submissions of the named problem sets, or of all; return 1 if one has a reason and no score."""
    course = Path(arguments.course or repository.ROOT).resolve()
    sources = sorted((course / "solutions").glob("ps*/ps*.ipynb"))
    limits = Limits(arguments.seconds, arguments.total, arguments.memory, arguments.disk, user=arguments.user)
    warnings.filterwarnings("ignore", module="nbgrader")  # its database warns about the order of what it stores
    # nbgrader calls alembic by its bare name.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    failed = False
    for source in repository.select(sources, arguments.names):
        folders = sorted((course / "grading" / "submitted").glob(f"*/{source.stem}"))
        folders = [path for path in folders if not arguments.student or path.parent.name in arguments.student]
        if folders:
            rows = Assignment(course, source, limits).grade(folders, arguments.jobs)
            print(table(source.stem, rows))
            failed |= any(row.score is None for row in rows)
        elif arguments.names:
            print(f"There is no submission in {course / 'grading' / 'submitted' / '*' / source.stem}.")
            failed = True
    return int(failed)


class Assignment:
    """A problem set, its source and its gradebook; what nbgrader reads and writes on the way is kept in a folder."""

    def __init__(self, course: Path, source: Path, limits: Limits) -> None:
        self.course, self.name, self.limits = course, source.stem, limits
        self.source: NotebookNode = nbformat.read(source, as_version=4)
        self.most = sum(cell.metadata.nbgrader.points for cell in self.source.cells if is_test(cell))
        try:
            for cell in filter(is_test, self.source.cells):
                calls(cell.source)
        except Unknown as unknown:
            sys.exit(f"{self.name}: {unknown}; nbgrader autograde would run it.")

    def grade(self, folders: list[Path], jobs: int) -> list[Row]:
        """Grade submissions, several at once; enter one after the other into the gradebook."""
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(max(1, jobs)) as pool:
            self.staged, nbgrader = Path(folder), self._nbgrader(Path(folder))
            _succeed(nbgrader.generate_assignment(self.name))
            released = Path(folder, "released", self.name, f"{self.name}.ipynb")
            self.released = nbformat.read(released, as_version=4)
            rows = []
            # What the checks print is for a student's eyes.
            with contextlib.redirect_stdout(io.StringIO()), tqdm(total=len(folders), unit=" submissions") as bar:
                for done in as_completed([pool.submit(self.judged, path) for path in folders]):
                    rows.append(self._entered(nbgrader, done.result()))
                    bar.update()
        return sorted(rows, key=lambda row: row.student)

    def judged(self, folder: Path) -> Row:
        """Grade one submission and leave its notebook where nbgrader finds it; whatever happens is in the row."""
        began, remarks, ok = time.monotonic(), [], True
        answers, student = self.released, folder.parent.name
        try:
            path, remark = notebook.find(folder, self.name)
            answers, repaired = notebook.rebuild(self.released, notebook.cells(path))
            remarks = [*filter(None, [remark]), *repaired]
            remarks += judge.judge(self.source, answers, self.name.split("_")[0], self.limits)
            staged = nbformat.writes(answers)
        except (Exception, Lost) as error:  # of one submission; the others go on
            ok, said = False, printable(error) or type(error).__name__
            remarks = [said if isinstance(error, notebook.Unreadable | Lost) else f"{type(error).__name__}: {said}"]
            staged = nbformat.writes(_not_graded(self.released, remarks[0]))
        target = self.staged / "submitted" / student / self.name
        target.mkdir(parents=True)
        (target / f"{self.name}.ipynb").write_text(staged, encoding="utf-8")
        if (folder / "timestamp.txt").is_file():
            shutil.copy(folder / "timestamp.txt", target)
        return Row(student, 0.0 if ok else None, self.most, time.monotonic() - began, tuple(remarks))

    def _entered(self, nbgrader: Any, row: Row) -> Row:
        """Let nbgrader store the outputs as scores; return the row with the gradebook's score."""
        from nbgrader.api import Gradebook

        try:
            _succeed(nbgrader.autograde(self.name, row.student))
            with Gradebook(nbgrader.coursedir.db_url) as book:
                grades = book.find_submission_notebook(self.name, self.name, row.student).grades
                score = sum(grade.auto_score or 0.0 for grade in grades if grade.cell.cell_type == "code")
        except Exception as error:
            return replace(row, score=None, remarks=(*row.remarks, f"nbgrader: {printable(error)}"))
        return row if row.score is None else replace(row, score=score)

    def _nbgrader(self, folder: Path) -> Any:
        """Return nbgrader with this course's settings, but to store what was judged and execute nothing."""
        from nbgrader.apps.api import NbGraderAPI  # loaded here: it takes a second that judging does not need

        config: Config = PyFileConfigLoader("nbgrader_config.py", path=str(self.course)).load_config()
        config.CourseDirectory.submitted_directory = str(folder / "submitted")
        config.CourseDirectory.release_directory = str(folder / "released")
        config.Autograde.sanitize_preprocessors = ["nbgrader.preprocessors.OverwriteCells"]
        stored = ("LimitOutput", "SaveAutoGrades", "AssignLatePenalties")
        config.Autograde.autograde_preprocessors = [f"nbgrader.preprocessors.{name}" for name in stored]
        return NbGraderAPI(config=config)


def _not_graded(released: NotebookNode, reason: str) -> NotebookNode:
    """Return the released notebook with the reason on top, and in each test cell, so that it earns nothing."""
    page = deepcopy(released)
    said = f"This submission could not be graded: {reason}."
    for cell in filter(is_test, page.cells):
        cell.outputs = [nbformat.v4.new_output("error", ename="Wrong", evalue=said, traceback=[said])]
    page.cells.insert(0, new_markdown_cell(said))
    return page


def _succeed(result: dict[str, Any]) -> None:
    if not result["success"]:
        raise RuntimeError((result.get("error") or result.get("log") or "").strip().rpartition("\n")[2])


def table(name: str, rows: list[Row]) -> str:
    """Return the rows as a table: student, score or reason, seconds, remarks."""
    width = max(len("student"), *(len(row.student) for row in rows))
    lines = [name, f"{'student':{width}}  {'score':>9}  seconds  remarks"]
    for row in rows:
        score = "no score" if row.score is None else f"{row.score:g}/{row.most:g}"
        lines.append(f"{row.student:{width}}  {score:>9}  {row.seconds:7.1f}  {'; '.join(row.remarks)}".rstrip())
    return "\n".join(lines)
