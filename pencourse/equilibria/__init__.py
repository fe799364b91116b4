"""Equilibria of zero-sum Markov games, best responses, and how an equilibrium moves with its game."""

from .markov import Equilibrium, best_responses, solve_zero_sum
from .stage import stage_adjoint

__all__ = ["Equilibrium", "best_responses", "solve_zero_sum", "stage_adjoint"]
