"""The case studies as bilevel problems: each turns data into a problem that any of the methods takes."""

from ..bilevel import BilevelProblem
from ..models import StackelbergGame
from . import incentive_design, reward_shaping, rlhf, stackelberg

__all__ = ["incentive_design", "reward_shaping", "rlhf", "stackelberg", "stated"]


def stated(problem: BilevelProblem | StackelbergGame) -> BilevelProblem:
    """Return a game as the bilevel problem that it is; a problem stays what it is."""
    return stackelberg.problem(problem) if isinstance(problem, StackelbergGame) else problem
