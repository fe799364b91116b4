"""Models: checked, frozen data. What is wrong with an array is said when the model is made, not later."""

from .games import StackelbergGame, ZeroSumGame, averaged, follower_mdp, response_mdp
from .mdp import MDP, ConvergenceError

__all__ = ["MDP", "ConvergenceError", "StackelbergGame", "ZeroSumGame", "averaged", "follower_mdp", "response_mdp"]
