"""pencourse: penalty methods for bilevel reinforcement learning, each statement checked against an exact optimum.

Bottom up: `models`, `regularizers`, `simplex` hold the data and the ground mathematics; `evaluation` the values and
occupancies of a policy; `planning` optimal policies, `equilibria` those of games; `bilevel` what a bilevel problem has
to say; `penalties` how far a policy is from optimal; `cases` the case studies; `descent` PBRL; `baselines` its rivals.
Beside them `exact`, the cvxpy referee, which shares nothing with them but the data; `sampling`, roll-outs and estimates
from them; `worlds`, the instances; `plots`, the pictures; `checks`, what the problem sets call.
"""

from typing import TYPE_CHECKING, Any

from . import cases, sampling
from .baselines import dpo, drlhf, hypergradient, hypergradient_descent, meta_gradient, two_stage
from .bilevel import BilevelProblem, Objective, Run, Term, check_problem
from .cases.stackelberg import leader_return
from .descent import pbrl, pbrl_partial
from .equilibria import Equilibrium, best_responses, solve_zero_sum
from .evaluation import Evaluation, evaluate
from .models import MDP, ConvergenceError, StackelbergGame, ZeroSumGame, follower_mdp, response_mdp
from .penalties import NikaidoIsoda, Penalty, bellman_penalty, nikaido_isoda, value_penalty
from .planning import Plan, mirror_descent, policy_iteration, solve, value_iteration
from .regularizers import Entropy, NoRegularizer, SquaredNorm

if TYPE_CHECKING:
    from . import exact, plots, worlds

__version__ = "0.1.0"
__all__ = [
    "MDP",
    "BilevelProblem",
    "ConvergenceError",
    "Entropy",
    "Equilibrium",
    "Evaluation",
    "NikaidoIsoda",
    "NoRegularizer",
    "Objective",
    "Penalty",
    "Plan",
    "Run",
    "SquaredNorm",
    "StackelbergGame",
    "Term",
    "ZeroSumGame",
    "bellman_penalty",
    "best_responses",
    "cases",
    "check_problem",
    "dpo",
    "drlhf",
    "evaluate",
    "exact",
    "follower_mdp",
    "hypergradient",
    "hypergradient_descent",
    "leader_return",
    "meta_gradient",
    "mirror_descent",
    "nikaido_isoda",
    "pbrl",
    "pbrl_partial",
    "plots",
    "policy_iteration",
    "response_mdp",
    "sampling",
    "solve",
    "solve_zero_sum",
    "two_stage",
    "value_iteration",
    "value_penalty",
    "worlds",
]


def __getattr__(name: str) -> Any:
    """Load `exact` (cvxpy) and `plots` (matplotlib) on first use, so that importing the package stays quick."""
    if name in {"exact", "plots", "worlds", "checks"}:
        import importlib

        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
