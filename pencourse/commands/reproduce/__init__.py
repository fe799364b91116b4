"""``python -m pencourse reproduce EXPERIMENT``: the experiments behind the case studies, as tables and pictures.

An experiment is a list of tasks that do not depend on each other, a function that turns one into rows, and a picture.
joblib carries the tasks to all processors; within `joblib.parallel_config(backend="dask")` or `"ray"` to several
machines (docs/reproduce.md).
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any


def reproduce(arguments: argparse.Namespace) -> int:
    """Run an experiment; write its tables (CSV) and its pictures (PNG) to a folder, and print its summary."""
    if arguments.seeds is not None and arguments.seeds < 1:
        raise SystemExit(f"--seeds is {arguments.seeds}; allowed is an integer, at least 1.")
    if arguments.family and arguments.experiment != "stackelberg":
        raise SystemExit("--family is for stackelberg only.")
    experiment = importlib.import_module(f"{__name__}.{arguments.experiment}")
    folder = Path(arguments.out)
    folder.mkdir(parents=True, exist_ok=True)
    tables = experiment.run(arguments)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    for name, figure in experiment.pictures(tables).items():
        figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
    print(experiment.summary(tables[arguments.experiment]).to_string(float_format=lambda x: f"{x:.3f}"))
    print(f"Tables and pictures are in {folder}.")
    return 0


def sweep(function: Callable[..., list[Any]], tasks: Sequence[Iterable[Any]], *, jobs: int, label: str) -> list[Any]:
    """Call the function with each task's arguments, in `jobs` processes, with a progress bar; return all rows in order.

    With as many processes as processors, the default, each computes on one thread.
    """
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend
    from tqdm.auto import tqdm

    one_by_one = getattr(get_active_backend()[0], "supports_return_generator", False)  # Ray's back end does not
    parallel = Parallel(n_jobs=jobs, return_as="generator" if one_by_one else "list")
    found = parallel(delayed(function)(*task) for task in tasks)
    return [row for rows in tqdm(found, total=len(tasks), desc=label) for row in rows]
