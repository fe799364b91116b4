"""Bilevel problems: what a problem has to say, how a run is recorded, and a check of a user's own problem.

min over x ∈ X and policies y of f(x, y)   subject to   y ∈ argmax_π V^π(ρ) in the model M(x)        (lesson 03)
"""

from .check import check_problem
from .history import NEVER, Run, State, record
from .problem import (
    BilevelProblem,
    CheckedProblem,
    Objective,
    Term,
    checked,
    default_step,
    minus_return,
    refuse_unregularised,
    upper_derivative,
)

__all__ = [
    "NEVER",
    "BilevelProblem",
    "CheckedProblem",
    "Objective",
    "Run",
    "State",
    "Term",
    "check_problem",
    "checked",
    "default_step",
    "minus_return",
    "record",
    "refuse_unregularised",
    "upper_derivative",
]
