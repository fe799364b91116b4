"""The one door to cvxpy's solvers: what is no optimum raises ConvergenceError."""

import warnings
from typing import Any

import cvxpy as cp

from ..models import ConvergenceError

PRECISE = dict.fromkeys(("primal_feasibility_tolerance", "dual_feasibility_tolerance"), 1e-10)  # HiGHS's names


def solve_program(problem: cp.Problem, solver: str, caller: str, *stops: str, **options: Any) -> float:
    """Solve a program in place and return its optimal value.

    Parameters
    ----------
    problem : cvxpy.Problem
    solver : str
        cvxpy's name of it.
    caller : str
        Who asks, for the message.
    *stops : str
        Statuses of cvxpy, beside an optimum, with which the caller can do something.
    **options
        The solver's.

    Raises
    ------
    ConvergenceError
        If the solver reports anything else.
    """
    # CLARABEL may call an optimum inaccurate at the first tolerance, and on rare models stops without one, but then
    # reaches the second, some of them by shorter steps; the gap between two programs is the judge of all.
    said = ""
    attempts: list[dict[str, float]] = [{}]
    if solver == cp.CLARABEL:
        tight, loose = (
            dict.fromkeys(("tol_gap_abs", "tol_gap_rel", "tol_feas"), tolerance) for tolerance in (1e-11, 1e-9)
        )
        attempts = [tight, loose, loose | {"max_step_fraction": 0.9}]
    for attempt in attempts:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            try:
                problem.solve(solver=solver, **attempt | options)
                said = problem.status
            except cp.SolverError as error:
                said = str(error)
        if said in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE, *stops):
            return float(problem.value)
    raise ConvergenceError(f"{caller} ({solver}: {said})", float("inf"), 0.0, 1)
