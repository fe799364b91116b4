"""Plant the mistakes of mutations.toml in the library, one by one, and see that each is caught.

Each entry breaks one line of a copy of the package. Under it every certificate that the entry names has to end in an
AssertionError, in that very cell, and every test that it names has to fail by its assertion; any other error, an import
error for instance, is no proof that the statement is watched. The unbroken copy has to pass all of them first.

    python tests/mutants.py                  all mistakes
    python tests/mutants.py operator 01_mdps    those whose text, file, certificates or tests hold one of the words

The exit status is 1 if a mistake survives, cannot be planted, or the unbroken package does not pass.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import slices

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests" / "mutations.toml"
SECONDS = 300  # one mistake may take; a loop without end is a mistake that survives
THEORY = {
    "T0": "models, returns, visits",
    "T1": "regularised MDPs",
    "T2": "value and Bellman penalty",
    "T3": "penalised against bilevel problem",
    "T4": "landscape",
    "T5": "gradients",
    "T6": "PBRL",
    "T7": "exact partial minimisation",
    "T8": "exact Stackelberg",
    "T9": "RLHF",
    "T10": "zero-sum, Nikaido-Isoda",
}  # an entry on one of these says so first
CAUGHT = ("AssertionError", "Failed")  # `Failed` is pytest's, where an error that should be raised is not

# A fresh process for each mistake, which does not wait again for what it imports: it is forked from one that has all
# but the package itself (on Windows it starts from nothing).
PROCESSES: Any = multiprocessing.get_context(
    "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
)
IMPORTED_ONCE = ["cvxpy", "gymnasium", "hypothesis.extra.numpy", "IPython", "matplotlib.pyplot", "nbformat", "pytest"]
IMPORTED_ONCE += ["ipywidgets", "scipy.linalg", "scipy.special", "seaborn", "pandas", "_hypothesis_pytestplugin"]
if PROCESSES.get_start_method() == "forkserver":
    PROCESSES.set_forkserver_preload(IMPORTED_ONCE)


@dataclass(frozen=True)
class Mutation:
    """A mistake: `old` stands once in `file`, `new` is wrong, and what is named has to notice."""

    breaks: str
    file: str
    old: str
    new: str
    certificates: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()

    def plant(self, copy: Path) -> None:
        """Break the copy of the repository's folder in `copy`.

        Raises
        ------
        ValueError
            If `old` does not stand exactly once in the file, or `new` is no change.
        """
        path = copy / self.file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if text.count(self.old) != 1:
            raise ValueError(f"its old text stands {text.count(self.old)} times in {self.file}; allowed is once")
        if self.old == self.new:
            raise ValueError("its old text and its new text are the same")
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


def read(path: Path = LIST) -> list[Mutation]:
    """Read the list of mistakes."""
    entries = tomllib.loads(path.read_text(encoding="utf-8")).get("mutation", [])
    lists = ("certificates", "tests")
    return [Mutation(**entry | {name: tuple(entry.get(name, ())) for name in lists}) for entry in entries]


def select(mutations: Iterable[Mutation], words: Iterable[str]) -> list[Mutation]:
    """Keep the mistakes that hold one of the words; all where there are none."""
    words = tuple(words)

    def text(mutation: Mutation) -> str:
        return " ".join([mutation.breaks, mutation.file, *mutation.certificates, *mutation.tests])

    return [mutation for mutation in mutations if not words or any(word in text(mutation) for word in words)]


def main(arguments: list[str] | None = None) -> int:
    """Plant the mistakes, print a table; return 1 if one survives."""
    parser = argparse.ArgumentParser(description="Plant the mistakes of mutations.toml and see that each is caught.")
    parser.add_argument("words", nargs="*", help="only entries that hold one of these words")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once (default 2)")
    parser.add_argument(
        "--tests-passed", action="store_true", help="the unit tests have just passed; spare their minute"
    )
    options = parser.parse_args(arguments)
    mutations = select(read(), options.words)
    if not mutations:
        sys.exit(f"No entry of {LIST.name} holds {' or '.join(options.words)}.")
    began = time.perf_counter()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # for the processes that are started
    with ThreadPoolExecutor(options.jobs) as pool:
        # In separate processes, so that both processors work.
        sound: list[tuple[set[str], set[str]]] = [(way, set()) for way in ways(mutations)]
        if not options.tests_passed:
            sound.insert(0, (set(), {name for mutation in mutations for name in mutation.tests}))
        troubles = [t for found in pool.map(lambda names: unbroken(*names), sound) for t in found]
        if troubles:
            print("The unbroken package does not pass:", *troubles, sep="\n  ")
            return 1
        survivors: list[Mutation] = []
        for mutation, (seconds, complaints) in zip(mutations, pool.map(judge, mutations), strict=True):
            watched = len(mutation.certificates) + len(mutation.tests)
            verdict = "SURVIVES" if complaints else f"caught by {watched}"
            print(f"{verdict:12} {seconds:5.1f} s  {mutation.file.removeprefix('pencourse/'):16} {mutation.breaks}")
            for complaint in complaints:
                print(f"{'':22}{complaint}")
            survivors += [mutation] if complaints else []
    print(table(mutations, survivors))
    print(f"{len(mutations)} mistakes, {len(survivors)} survive; {time.perf_counter() - began:.0f} s")
    return int(bool(survivors))


def table(mutations: Iterable[Mutation], survivors: list[Mutation]) -> str:
    """Count the mistakes, and those that are caught, for each part of the theory and for all else."""
    parts: dict[str, list[Mutation]] = {name: [] for name in [*THEORY, ""]}
    for mutation in mutations:
        first = re.match(r"T\d+\b", mutation.breaks)
        parts[first.group() if first else ""].append(mutation)
    lines = [f"{'formulas of':38} mistakes  caught  certificates  tests"]
    for name, found in parts.items():
        caught = sum(mutation not in survivors for mutation in found)
        noticing = [len({n for m in found for n in getattr(m, kind)}) for kind in ("certificates", "tests")]
        title = f"{name:3} {THEORY[name]}" if name else "all else: solvers, baselines, commands"
        lines.append(f"{title:38} {len(found):8} {caught:7} {noticing[0]:13} {noticing[1]:6}")
    return "\n".join(lines)


def ways(mutations: Iterable[Mutation]) -> list[set[str]]:
    """Return the certificates that are tried together: each with the cells before it that it has under its mistakes.

    One mistake's way through a lesson that is the beginning of another's is no way of its own.
    """
    found: dict[tuple[Any, ...], set[str]] = {}
    for mutation in mutations:
        for notebook in {name.split("#")[0] for name in mutation.certificates}:
            wanted = {name for name in mutation.certificates if name.split("#")[0] == notebook}
            way = [cell.id for cell in _cells(ROOT / "notebooks", notebook, {name.split("#")[1] for name in wanted})]
            found.setdefault((notebook, *way), set()).update(wanted)
    for way in sorted(found, key=len):
        for other in found:
            if len(other) > len(way) and other[: len(way)] == way:
                found[other] |= found.pop(way)
                break
    return [found[way] for way in sorted(found, reverse=True)]


def unbroken(certificates: Iterable[str], tests: Iterable[str]) -> list[str]:
    """Return what fails in an unbroken copy."""
    with _copy() as copy:
        outcomes = _work(copy, sorted(certificates), sorted(tests))
    return [f"{name}: {said}" for name, said in outcomes.items() if said != "passed"]


def judge(mutation: Mutation) -> tuple[float, list[str]]:
    """Plant one mistake; return the seconds it took and what did not notice."""
    began = time.perf_counter()
    with _copy() as copy:
        try:
            mutation.plant(copy)
        except ValueError as error:
            return 0.0, [str(error)]
        outcomes = _work(copy, mutation.certificates, mutation.tests)
    complaints = [f"{name}: {said}" for name, said in outcomes.items() if said not in CAUGHT]
    if not outcomes:
        complaints = ["it names neither a certificate nor a test"]
    return time.perf_counter() - began, complaints


@contextlib.contextmanager
def _copy() -> Iterator[Path]:
    """Copy the package into a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "pencourse", Path(folder, "pencourse"), ignore=ignored)
        yield Path(folder)


def _work(copy: Path, certificates: Iterable[str], tests: Iterable[str]) -> dict[str, str]:
    """Run certificates and tests on a copy, in a process of its own; return an outcome for each.

    An outcome is "passed", the name of the exception, or a sentence on why there is none.
    """
    names = [*certificates, *tests]
    if not names:
        return {}
    process = PROCESSES.Process(target=work, args=(str(ROOT), str(copy), list(certificates), list(tests)))
    process.start()
    process.join(SECONDS)
    said = f"it ended with status {process.exitcode}"
    if process.is_alive():
        said = f"no end within {SECONDS} s"
        process.kill()
        process.join()
    log, found = copy / "log", copy / "outcomes.json"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    outcomes = json.loads(found.read_text(encoding="utf-8")) if found.is_file() else {}
    return {name: outcomes.get(name, f"not reached: {said}; {''.join(lines[-1:])}") for name in names}


# What runs in the process of its own.


def work(root: str, copy: str, certificates: list[str], tests: list[str]) -> None:
    """Run certificates and tests of `root` on the package in `copy`, and write the outcomes into a file there."""
    with open(Path(copy, "log"), "w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    gc.freeze()  # pytest collects garbage twice, and what was imported before is none
    sys.path.insert(0, copy)
    import pencourse

    here = Path(pencourse.__file__).resolve().parents[1]
    if here != Path(copy).resolve():
        sys.exit(f"The package was imported from {here}, not from the copy in {copy}.")
    outcomes: dict[str, str] = {}
    for notebook in dict.fromkeys(name.split("#")[0] for name in certificates):
        wanted = [name.split("#")[1] for name in certificates if name.split("#")[0] == notebook]
        found = _run_notebook(Path(root, "notebooks"), notebook, wanted)
        outcomes |= {f"{notebook}#{identifier}": said for identifier, said in found.items()}
    if tests:
        outcomes |= _run_tests(root, tests)
    Path(copy, "outcomes.json").write_text(json.dumps(outcomes), encoding="utf-8")


def _named(error: BaseException | None) -> str:
    if error is None:
        return "passed"
    return "AssertionError" if isinstance(error, AssertionError) else type(error).__name__


def _text(error: BaseException | None) -> str:
    return "" if error is None else f" ({error})"


@cache
def _code(path: Path) -> list[Any]:
    """Return a lesson's cells of code; sliders are left out."""
    import nbformat

    cells = nbformat.read(path, as_version=4).cells if path.is_file() else []
    return [cell for cell in cells if cell.cell_type == "code" and "slider" not in cell.metadata.get("tags", [])]


def _cells(folder: Path, notebook: str, wanted: Iterable[str]) -> list[Any]:
    """Return the cells of a lesson that have to run for some of its certificates."""
    cells = _code(folder / f"{notebook}.ipynb")
    chosen = slices.needed([cell.source for cell in cells], [n for n, cell in enumerate(cells) if cell.id in wanted])
    return [cells[n] for n in chosen]


def _run_notebook(folder: Path, notebook: str, wanted: list[str]) -> dict[str, str]:
    """Run a lesson's certificates wanted, and what they need of the cells before; return an outcome for each.

    Pictures are drawn but not stored. A cell that fails does not stop the ones after it: a picture may well need what a
    broken certificate did not define. What has failed before is told of a certificate that should have failed and did
    not.
    """
    import matplotlib
    import matplotlib.pyplot as plt
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    import pencourse.plots

    outcomes = dict.fromkeys(wanted, "there is no such cell")
    matplotlib.use("Agg")
    pencourse.plots.show = lambda figure, alt: plt.close(figure)
    shell, before = InteractiveShell.instance(), ""
    shell.reset(new_session=True)
    shell.showtraceback = lambda *_, **__: None  # a failing cell is what we hope for
    os.chdir(folder)
    for cell in _cells(folder, notebook, wanted):
        with capture_output():
            result = shell.run_cell(cell.source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        said = _named(error)
        if cell.id in wanted:
            outcomes[cell.id] = said if said in CAUGHT else f"{said}{_text(error)}{before}"
        elif error is not None and "certificate" not in cell.metadata.get("tags", []) and not before:
            before = f", after cell {cell.id} ended in {said}{_text(error)}"
    return outcomes


def _run_tests(root: str, nodes: list[str]) -> dict[str, str]:
    """Run tests; a node without brackets stands for all its parameters, and fails if one of them does."""
    import pytest

    unseen = "there is no such test"
    outcomes = dict.fromkeys(nodes, unseen)

    class Recorder:
        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_makereport(self, item, call):
            report = yield
            node = item.nodeid if item.nodeid in outcomes else item.nodeid.split("[")[0]
            said = _named(call.excinfo.value if call.excinfo else None)
            if call.when != "call":
                outcomes[node] = outcomes[node] if said == "passed" else f"{said} in {call.when}"
            elif said in CAUGHT or outcomes[node] in (unseen, "passed"):
                outcomes[node] = said
            return report

    plugins = ["-p", "no:cacheprovider", "-p", "_hypothesis_pytestplugin"]  # and no others: loading them takes longer
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    quiet = ["-q", "--no-header", "--tb=no", "--assert=plain", "--hypothesis-profile=mutants"]
    os.chdir(root)
    status = pytest.main([*plugins, *quiet, *nodes], plugins=[Recorder()])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        missing = f"pytest ended with {status!r}"
        outcomes = {node: missing if said == unseen else said for node, said in outcomes.items()}
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
