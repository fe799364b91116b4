"""Where the course's notebooks lie."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def lessons() -> list[Path]:
    """Return the lessons, ``notebooks/NN_name.ipynb``, in order; leave with a message if there are none."""
    found = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found:
        sys.exit(f"There are no lessons in {ROOT / 'notebooks'}: a clone of the repository has them.")
    return found


def solutions() -> list[Path]:
    """Return the sources of the problem sets, ``solutions/psNN_name/psNN_name.ipynb``, in their order."""
    return sorted((ROOT / "solutions").glob("ps*/ps*.ipynb"))


def select(notebooks: Iterable[Path], names: Iterable[str]) -> list[Path]:
    """Keep the notebooks whose name begins with one of ``names``; all of them where no name is given."""
    notebooks, names = list(notebooks), list(names)
    for name in names:
        if not any(path.stem.startswith(name) for path in notebooks):
            known = ", ".join(path.stem for path in notebooks)
            sys.exit(f"No notebook begins with {name}; there are {known}.")
    return [path for path in notebooks if not names or path.stem.startswith(tuple(names))]
