"""The referee: optima computed by cvxpy from a model's data alone.

Nothing of the package is imported here but `pencourse.models`, for the data, so that an error in a solver and an
error in its referee cannot be the same error. Conic optima are good to about 1e-8 in value and 1e-4 in policy.
"""

from .incentives import ExactIncentives, incentives
from .mdp import ExactPlan, solve_mdp
from .preferences import RewardFit, fit_reward
from .stackelberg import ExactStackelberg, stackelberg
from .zero_sum import ExactEquilibrium, solve_zero_sum

__all__ = [
    "ExactEquilibrium",
    "ExactIncentives",
    "ExactPlan",
    "ExactStackelberg",
    "RewardFit",
    "fit_reward",
    "incentives",
    "solve_mdp",
    "solve_zero_sum",
    "stackelberg",
]
