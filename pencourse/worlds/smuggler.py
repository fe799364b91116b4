"""A small Stackelberg game with a trap at the corner of no control: the map of lessons 07 and 08."""

import numpy as np

from ..models import StackelbergGame

MARKET, ROAD, JAIL = 0, 1, 2


def smuggler_game(temperature: float = 0.15) -> StackelbergGame:
    """Return the game of a customs officer, who leads, and a smuggler, who follows; γ = 0.9, ρ = (0.7, 0.2, 0.1).

    States: 0 market, 1 road, 2 jail. The officer's action 1 is to check (market) or to patrol (road), which costs it
    2 or 3 a step whatever the smuggler does; in jail its actions are the same. Rewards (officer, smuggler) before that
    cost, and where it leads:

    - market, trade (0): (1, 1); to the road with probability 0.2, else it stays;
    - market, load (1): unchecked (−0.5, 2), to the road with probability 0.9, else it stays; checked (0, −1), to jail;
    - road, turn back (0): (0, 0), to the market;
    - road, deliver (1): unpatrolled (−1, 2), to the market; patrolled (0, −3), to jail;
    - jail, wait (0): (0, 0), to the market with probability 0.5, else it stays; bribe (1): (0, −1), to the market.

    Parameters
    ----------
    temperature : float
        τ of the smuggler, with the entropy.

    Returns
    -------
    StackelbergGame
        With three states and two actions each.
    """
    transition = np.zeros((3, 2, 2, 3))
    officer, smuggler = np.zeros((2, 3, 2, 2))
    transition[MARKET, :, 0] = [0.8, 0.2, 0.0]
    officer[MARKET, :, 0] = smuggler[MARKET, :, 0] = 1.0
    transition[MARKET, :, 1] = [[0.1, 0.9, 0.0], [0.0, 0.0, 1.0]]
    officer[MARKET, :, 1], smuggler[MARKET, :, 1] = [-0.5, 0.0], [2.0, -1.0]
    transition[ROAD, :, 0] = [1.0, 0.0, 0.0]
    transition[ROAD, :, 1] = [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    officer[ROAD, :, 1], smuggler[ROAD, :, 1] = [-1.0, 0.0], [2.0, -3.0]
    transition[JAIL, :, 0], transition[JAIL, :, 1] = [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]
    smuggler[JAIL, :, 1] = -1.0
    officer[MARKET, 1] -= 2.0
    officer[ROAD, 1] -= 3.0
    return StackelbergGame(transition, officer, smuggler, 0.9, np.array([0.7, 0.2, 0.1]), temperature)
