"""Where problems come from: Gymnasium's tables, gridworlds drawn as text, random models, and one smuggler.

Random models take a numpy Generator; nothing here draws a number of its own.
"""

from .grids import MOVES, from_gymnasium, gridworld, hazard_grid, mixed_start, terminal_states
from .random import random_mdp, random_stackelberg_game, random_zero_sum_game
from .smuggler import smuggler_game

__all__ = [
    "MOVES",
    "from_gymnasium",
    "gridworld",
    "hazard_grid",
    "mixed_start",
    "random_mdp",
    "random_stackelberg_game",
    "random_zero_sum_game",
    "smuggler_game",
    "terminal_states",
]
