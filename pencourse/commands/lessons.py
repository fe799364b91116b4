"""``python -m pencourse course`` and ``execute``: run the lessons in a copy, or anew in place."""

from __future__ import annotations

import argparse
import csv
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from pencourse.commands import repository

CELL_SECONDS = 600
MEGABYTE = 1e6
WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Outcome:
    """What running one notebook took and brought; ``error`` is empty where every cell ran."""

    name: str
    seconds: float
    megabytes: float
    held: int
    certificates: int
    error: str


def course(arguments: argparse.Namespace) -> int:
    """Execute lessons in a copy and print a table; return 1 if one fails, which does not stop the others."""
    paths = repository.select(repository.lessons(), arguments.names)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "notebooks")
        for name in ("notebooks", "exercises", "docs/results"):  # what lessons read
            if (repository.ROOT / name).is_dir():
                ignored = shutil.ignore_patterns(".ipynb_checkpoints")
                shutil.copytree(repository.ROOT / name, Path(folder, name), ignore=ignored)
        outcomes = [outcome for _, outcome in _run_all([copy / path.name for path in paths])]
    print(table(outcomes))
    if arguments.out:
        store(outcomes, Path(arguments.out))
    return int(any(outcome.error for outcome in outcomes))


def execute(arguments: argparse.Namespace) -> int:
    """Execute lessons and solutions in place; return 1 if one fails, which leaves that file as it was."""
    paths = repository.select(repository.lessons() + repository.solutions(), arguments.names)
    results = _run_all(paths)
    for path, (notebook, outcome) in zip(paths, results, strict=True):
        if outcome.error:
            print(f"{path.name} is left as it was: {outcome.error}")
        else:
            path.write_text(settled(notebook), encoding="utf-8", newline="\n")
    return int(any(outcome.error for _, outcome in results))


def table(outcomes: list[Outcome]) -> str:
    """Return the outcomes as a table, a line a notebook, followed by the errors."""
    width = max(len("lesson"), *(len(outcome.name) for outcome in outcomes))
    lines = [f"{'lesson':{width}}  seconds  peak MB  certificates"]
    for outcome in outcomes:
        held = f"{outcome.held}/{outcome.certificates}"
        measured = f"{outcome.seconds:7.1f}  {outcome.megabytes:7.0f}  {held:>12}"
        lines.append(f"{outcome.name:{width}}  {measured}{'  FAILED' if outcome.error else ''}")
    lines += [f"\n{outcome.name}: {outcome.error}" for outcome in outcomes if outcome.error]
    return "\n".join(lines)


def store(outcomes: list[Outcome], path: Path) -> None:
    """Write what lessons took as CSV; rows of lessons that are not among ``outcomes``, or failed, stay as they were."""
    rows = {}
    if path.exists():
        with path.open(encoding="utf-8", newline="") as file:
            rows = {row["lesson"]: row for row in csv.DictReader(file)}
    for outcome in outcomes:
        if not outcome.error:
            measured = {"seconds": f"{outcome.seconds:.0f}", "peak_mb": f"{outcome.megabytes:.0f}"}
            rows[outcome.name] = {"lesson": outcome.name, **measured, "certificates": str(outcome.certificates)}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["lesson", "seconds", "peak_mb", "certificates"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows))


def run(path: Path, after_cell: Callable[[], object] = lambda: None) -> tuple[NotebookNode, Outcome]:
    """Execute a notebook in its folder up to its first error, and measure it.

    Parameters
    ----------
    path
        The notebook; the file is not changed.
    after_cell
        Called after each code cell, as a progress bar needs it.

    Returns
    -------
    The executed notebook, and its outcome. A certificate is a code cell tagged ``certificate``; it is held
    where it ran without an error. The memory is the highest sum of resident sets over the kernel and its
    child processes.
    """
    notebook = _unexecuted(path)
    begun: list[int] = []
    ran: set[int] = set()

    def note(cell_index: int, execute_reply: dict[str, Any], **_: object) -> None:
        if execute_reply["content"]["status"] == "ok":
            ran.add(cell_index)
        after_cell()

    client = _client(notebook, path.parent)
    client.on_cell_execute = lambda cell_index, **_: begun.append(cell_index)
    client.on_cell_executed = note
    error, began = "", time.perf_counter()
    with Memory() as memory:
        client.on_notebook_start = lambda **_: memory.watch(client.km.provisioner.process.pid)
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as problem:
            source = notebook.cells[begun[-1]].source if begun else ""
            error = _brief(len(begun), source, problem)
    certificates = {n for n, cell in enumerate(notebook.cells) if _is_certificate(cell)}
    outcome = Outcome(
        name=path.stem,
        seconds=time.perf_counter() - began,
        megabytes=memory.peak / MEGABYTE,
        held=len(certificates & ran),
        certificates=len(certificates),
        error=error,
    )
    return notebook, outcome


class Memory:
    """Watches the resident memory of a process and its children, in bytes, while the block runs."""

    def __init__(self, every: float = 0.1) -> None:
        self.peak = 0
        self._every = every
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def watch(self, pid: int) -> None:
        """Begin to watch the process ``pid``."""
        self._thread = threading.Thread(target=self._sample, args=(psutil.Process(pid),), daemon=True)
        self._thread.start()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()

    def _sample(self, process: psutil.Process) -> None:
        while not self._ended.is_set():
            try:
                family = [process, *process.children(recursive=True)]
                held = sum(_resident(member) for member in family)
                self.peak = max(self.peak, held, _high_water(process.pid))
            except psutil.NoSuchProcess:  # the kernel has ended
                return
            self._ended.wait(self._every)


def settled(notebook: NotebookNode) -> str:
    """Return an executed notebook as the text to store: the same for the same outputs, whoever runs it.

    The times and the language's version are dropped (every patch release would change every file). So are widgets:
    they hold random identifiers and are dead until the cell is run; a static picture stands beside each.
    """
    notebook = deepcopy(notebook)
    notebook.metadata.kernelspec = KERNEL
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    return f"{nbformat.writes(notebook)}\n"


def _run_all(paths: list[Path]) -> list[tuple[NotebookNode, Outcome]]:
    """Run notebooks one after the other behind a progress bar, so that none disturbs another's time."""
    cells = {path: len(_code_cells(nbformat.read(path, as_version=4))) for path in paths}
    results = []
    with tqdm(total=sum(cells.values()), unit=" cells") as bar:
        for path in paths:
            bar.set_description(path.stem)
            expected = bar.n + cells[path]
            results.append(run(path, bar.update))
            bar.update(expected - bar.n)  # the cells that an error has kept from running
    return results


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def _unexecuted(path: Path) -> NotebookNode:
    """Read a notebook without what an earlier run stored, so that nothing old passes for new."""
    notebook: NotebookNode = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _client(notebook: NotebookNode, folder: Path) -> Any:
    client: Any = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,  # else a text is cut into pieces wherever the kernel happened to flush it
        extra_arguments=["--log-level=ERROR"],  # else a kernel's warnings would break the progress bar
        resources={"metadata": {"path": str(folder)}},
    )
    # nbclient's own Output widget writes to the channel on which it awaits the reply, and can wait for ever where a
    # slider draws a large picture. Without it the picture is stored as an ordinary output of the cell.
    client.widget_registry = {}
    return client


def _is_certificate(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and "certificate" in cell.metadata.get("tags", [])


def _brief(number: int, source: str, problem: Exception) -> str:
    """Return one line: which code cell failed, its first line, and the error's."""
    if isinstance(problem, CellExecutionError):
        said = f"{problem.ename}: {problem.evalue}"
    else:
        said = f"{type(problem).__name__}: {problem}"
    first, said = (text.strip().partition("\n")[0] for text in (source, said))
    return f"code cell {number}, {first!r}: {said}"


def _resident(process: psutil.Process) -> int:
    """Return a process's resident memory in bytes, nought for one that has just ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _high_water(pid: int) -> int:
    """Return the most memory in bytes that a process ever held, where the system tells (Linux), else 0.

    It sees the short peaks that fall between two samples.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0
