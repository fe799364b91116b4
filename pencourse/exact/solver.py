"""The one door to cvxpy's solvers: what is no optimum raises ConvergenceError."""

import warnings
from typing import Any

import cvxpy as cp

from ..models import ConvergenceError


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
    # reaches the second; the gap between the two programs is the judge of both.
    said = ""
    for tolerance in (1e-11, 1e-9) if solver == cp.CLARABEL else (0.0,):
        names = ("tol_gap_abs", "tol_gap_rel", "tol_feas") if tolerance else ()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Solution may be inaccurate")
            try:
                problem.solve(solver=solver, **dict.fromkeys(names, tolerance), **options)
                said = problem.status
            except cp.SolverError as error:
                said = str(error)
        if said in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE, *stops):
            return float(problem.value)
    raise ConvergenceError(f"{caller} ({solver}: {said})", float("inf"), 0.0, 1)
