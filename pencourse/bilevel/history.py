"""How a run is recorded: an algorithm yields states, `record` makes a table of them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

import numpy as np

from ..typing import Array


@dataclass(frozen=True, eq=False)
class State:
    """Where an algorithm stands. What it does not compute is NaN.

    Attributes
    ----------
    upper : array like x
    lower : array (S, A), in a game a pair of them
        The policy y.
    objective : float
        f(x, y), minimised.
    penalty : float
        p(x, y); 0 for methods that keep y optimal.
    penalized_objective : float
        F_λ(x, y) = f + λp.
    hyper_objective : float
        φ(x) = f(x, y*(x)).
    gradient_mapping : float
        ‖z − Proj(z − α∇)‖/α: the length of the projected step in units of the gradient; 0 at stationary points.
    oracle_residual : float
        How far the lower-level solver was from its fixed point, in units of reward.
    soft_solves : int
        Lower-level problems solved so far; a mirror-descent step on one counts as one.
    penalty_weight : float
        λ in this iteration.
    """

    upper: Array
    lower: Any
    objective: float
    penalty: float = 0.0
    penalized_objective: float = np.nan
    hyper_objective: float = np.nan
    gradient_mapping: float = np.nan
    oracle_residual: float = np.nan
    soft_solves: int = 0
    penalty_weight: float = np.nan


@dataclass(frozen=True, eq=False)
class Run:
    """The last state of a run, and the table of all.

    Attributes
    ----------
    upper, lower, objective, penalty
        As in `State`.
    history : pandas.DataFrame
        A row an iteration: the numbers of `State` under their names, and `seconds` since the start.
    """

    upper: Array
    lower: Any
    objective: float
    penalty: float
    history: Any


NEVER = -1.0  # a tolerance for methods whose gradient mapping may be 0 on the way: no mapping is below it
NUMBERS = [entry.name for entry in fields(State) if entry.name not in {"upper", "lower"}]


def record(
    states: Iterator[State], iterations: int, *, tolerance: float = 0.0, earliest: int = 0, progress: bool = False
) -> Run:
    """Run an algorithm and record it.

    Parameters
    ----------
    states : iterator of State
        State 0 is the start.
    iterations : int
        Steps after the start, at most.
    tolerance : float
        Stop once the gradient mapping is at or below it.
    earliest : int
        The first iteration after which it may stop: where continuation ends.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Run

    Raises
    ------
    ValueError
        If iterations is negative.
    """
    import pandas as pd  # slow to load, and only runs need it
    from tqdm.auto import tqdm

    if iterations < 0:
        raise ValueError(f"iterations is {iterations!r}; allowed is an integer, at least 0.")
    rows, began = [], time.perf_counter()
    bar = tqdm(islice(states, iterations + 1), total=iterations + 1, disable=not progress)
    for iteration, state in enumerate(bar):
        rows.append([getattr(state, name) for name in NUMBERS] + [time.perf_counter() - began])
        if state.gradient_mapping <= tolerance and iteration >= earliest:
            break
    history = pd.DataFrame(rows, columns=[*NUMBERS, "seconds"]).rename_axis("iteration")
    return Run(state.upper, state.lower, state.objective, state.penalty, history)
