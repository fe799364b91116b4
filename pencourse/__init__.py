"""pencourse: penalty methods for bilevel reinforcement learning, each statement checked against an exact optimum.

Bottom up: `models`, `regularizers`, `simplex` hold the data and the ground mathematics; `evaluation` the values and
occupancies of a policy; `planning` optimal policies; `exact` the cvxpy referee, which shares nothing with them but
the data; `worlds` the instances; `plots` the pictures; `checks` what the problem sets call.
"""

from typing import TYPE_CHECKING, Any

from .evaluation import Evaluation, evaluate
from .models import MDP, ConvergenceError
from .planning import Plan, mirror_descent, policy_iteration, solve, value_iteration
from .regularizers import Entropy, NoRegularizer, SquaredNorm

if TYPE_CHECKING:
    from . import exact, plots, worlds

__version__ = "0.1.0"
__all__ = [
    "MDP",
    "ConvergenceError",
    "Entropy",
    "Evaluation",
    "NoRegularizer",
    "Plan",
    "SquaredNorm",
    "evaluate",
    "exact",
    "mirror_descent",
    "plots",
    "policy_iteration",
    "solve",
    "value_iteration",
    "worlds",
]


def __getattr__(name: str) -> Any:
    """Load `exact` (cvxpy) and `plots` (matplotlib) on first use, so that importing the package stays quick."""
    if name in {"exact", "plots", "worlds", "checks"}:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
