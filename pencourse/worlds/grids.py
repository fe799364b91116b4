"""Worlds with a map: Gymnasium's tables, and gridworlds drawn as text."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..models import MDP
from ..regularizers import Entropy, Regularizer
from ..typing import Array

MOVES = {"left": (0, -1), "down": (1, 0), "right": (0, 1), "up": (-1, 0)}  # FrozenLake's order of actions


def mixed_start(initial: Array, exploration: float) -> Array:
    """Return ρ = (1−ε)ρ_env + ε·uniform, positive everywhere for ε > 0, as the theory's ρ > 0 needs."""
    if not 0 <= exploration <= 1:
        raise ValueError(f"exploration is {exploration!r}; allowed is a number from 0 to 1.")
    result: Array = (1 - exploration) * initial + exploration / len(initial)
    return result


def from_gymnasium(
    environment: Any,
    discount: float,
    *,
    exploration: float = 0.0,
    temperature: float = 0.0,
    regularizer: Regularizer | None = None,
) -> MDP:
    """Turn a tabular Gymnasium environment (FrozenLake, CliffWalking, Taxi, …) into an MDP.

    Every state that a transition enters with `terminated` set is made absorbing with reward 0, whatever the table
    holds for it. The environment's time limit is ignored: the discount takes its place. At τ > 0 an absorbing
    state still collects the regulariser, under the entropy τ log A/(1−γ) (lesson 02); subtract it, or say so, where
    values are shown.

    Parameters
    ----------
    environment : str or gymnasium.Env
        An id such as "FrozenLake-v1", or an environment whose `unwrapped` has the tables `P` and
        `initial_state_distrib`.
    discount : float
        γ.
    exploration : float
        ε in ρ = (1−ε)ρ_env + ε·uniform; positive where a theorem asks for ρ > 0.
    temperature, regularizer
        As in `MDP`.

    Returns
    -------
    MDP

    Raises
    ------
    ValueError
        If the environment has no tables, or a state ends the episode on one transition and not on another.
    """
    if isinstance(environment, str):
        import gymnasium  # only the course needs it

        environment = gymnasium.make(environment)
    table = environment.unwrapped
    if not (hasattr(table, "P") and hasattr(table, "initial_state_distrib")):
        raise ValueError(
            f"environment {environment} has no tables P and initial_state_distrib; allowed are those that do."
        )
    start = np.asarray(table.initial_state_distrib, dtype=np.float64)
    transition, reward = _read_table(table.P, start > 0)
    start = mixed_start(start / start.sum(), exploration)
    return MDP(transition, reward, discount, start, temperature, regularizer or Entropy())


def _read_table(table: Any, starts: np.ndarray) -> tuple[Array, Array]:
    """Return the kernel and the expected reward, terminal states absorbing."""
    n_states, n_actions = len(table), len(table[0])
    transition = np.zeros((n_states, n_actions, n_states))
    reward = np.zeros((n_states, n_actions))
    going_on = np.zeros((n_states, n_states), dtype=bool)
    terminal = np.zeros(n_states, dtype=bool)
    for state in range(n_states):
        for action in range(n_actions):
            for probability, successor, gain, terminated in table[state][action]:
                transition[state, action, successor] += probability
                reward[state, action] += probability * gain
                terminal[successor] |= terminated
                going_on[state, successor] |= not terminated
    # Taxi's table holds states that no episode visits; only what an episode can meet has to be unambiguous.
    reached = starts.copy()
    for _ in range(n_states):
        reached |= going_on[reached & ~terminal].any(axis=0)
    ambiguous = np.flatnonzero(terminal & going_on[reached & ~terminal].any(axis=0))
    if ambiguous.size:
        found = f"state {ambiguous[0]} ends the episode on one transition and not on another"
        raise ValueError(f"{found}; allowed is one of the two.")
    transition /= transition.sum(axis=2, keepdims=True)  # the tables sum to 1 only up to rounding
    _absorb(transition, reward, terminal)
    return transition, reward


def _absorb(transition: Array, reward: Array, terminal: np.ndarray) -> None:
    """Make the marked states absorbing with reward 0, in place."""
    transition[terminal] = 0.0
    transition[terminal, :, terminal] = 1.0
    reward[terminal] = 0.0


def terminal_states(mdp: MDP) -> np.ndarray:
    """Return a mask (S,) of the states that no action leaves and where every reward is 0."""
    stays = np.diagonal(mdp.transition, axis1=0, axis2=2).T  # (S, A): P(s|s,a)
    result: np.ndarray = (stays == 1).all(axis=1) & (mdp.reward == 0).all(axis=1)
    return result


def gridworld(
    rows: Sequence[str],
    discount: float,
    *,
    slip: float = 0.0,
    goal_reward: float = 1.0,
    hazard_reward: float = -1.0,
    step_reward: float = 0.0,
    exploration: float = 0.0,
    temperature: float = 0.0,
    regularizer: Regularizer | None = None,
) -> MDP:
    """Build a gridworld from its drawing.

    States are the cells, row by row, walls included (nothing enters them). The four actions are left, down, right,
    up, in FrozenLake's order. A move succeeds with probability 1 − slip and otherwise goes to one of the two sides,
    slip/2 each; a move into a wall or over the border stays. Rewards are paid on entering a cell.

    Parameters
    ----------
    rows : sequence of str
        One string a row, of equal length: S start, G goal, H hazard, # wall, . or F free. Goals and hazards are
        absorbing. Several S share the start evenly.
    discount : float
        γ.
    slip : float
        Probability of sliding sideways, 0 to 1.
    goal_reward, hazard_reward, step_reward : float
        Paid on entering a goal, a hazard, any other cell (also when a move stays where it is).
    exploration : float
        ε in ρ = (1−ε)ρ_env + ε·uniform.
    temperature, regularizer
        As in `MDP`.

    Returns
    -------
    MDP

    Raises
    ------
    ValueError
        If the rows differ in length, hold an unknown letter or no start, or slip is no probability.
    """
    letters = np.array([list(row) for row in rows]) if len({len(row) for row in rows}) == 1 else None
    if letters is None or letters.size == 0:
        raise ValueError(f"rows have lengths {[len(row) for row in rows]}; allowed are equal lengths, at least 1.")
    unknown = ~np.isin(letters, list("SGH#.F"))
    if unknown.any():
        i, j = np.argwhere(unknown)[0]
        raise ValueError(f"rows[{i}][{j}] is {str(letters[i, j])!r}; allowed are S, G, H, #, . and F.")
    if not (letters == "S").any():
        raise ValueError("rows hold no start; allowed is at least one S.")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip is {slip!r}; allowed is a number from 0 to 1.")
    flat = letters.ravel()
    gains = np.select([flat == "G", flat == "H"], [goal_reward, hazard_reward], step_reward)
    landing = np.stack([_landing(letters, move) for move in MOVES.values()])  # (4, S): the cell each move ends in
    transition = np.zeros((flat.size, 4, flat.size))
    cells = np.arange(flat.size)
    for action in range(4):
        for turn, probability in ((0, 1 - slip), (1, slip / 2), (-1, slip / 2)):
            transition[cells, action, landing[(action + turn) % 4]] += probability
    reward = transition @ gains
    _absorb(transition, reward, np.isin(flat, ["G", "H", "#"]))
    start = (flat == "S") / (flat == "S").sum()
    return MDP(transition, reward, discount, mixed_start(start, exploration), temperature, regularizer or Entropy())


def hazard_grid(*, temperature: float = 0.05, exploration: float = 1.0) -> MDP:
    """Return a 5 × 5 gridworld with a goal in a corner and five hazards on the way; γ = 0.9, slip 0.1.

    Entering the goal pays 4, a hazard −4. Read as log-odds, a person who compares two segments prefers the one that
    reaches the goal to one that reaches nothing with probability σ(4) = 0.98.

    Parameters
    ----------
    temperature : float
        τ.
    exploration : float
        ε in ρ = (1−ε)·(upper left corner) + ε·uniform. At 1 segments begin anywhere; at 0 none of five steps would
        ever see the goal.

    Returns
    -------
    MDP
    """
    rows = ["S...H", ".H...", "...H.", ".H...", "...HG"]
    return gridworld(
        rows, 0.9, slip=0.1, goal_reward=4.0, hazard_reward=-4.0, exploration=exploration, temperature=temperature
    )


def _landing(letters: np.ndarray, move: tuple[int, int]) -> np.ndarray:
    """Return for each cell the cell in which the move ends."""
    height, width = letters.shape
    row, column = np.divmod(np.arange(letters.size), width)
    new_row, new_column = row + move[0], column + move[1]
    inside = (new_row >= 0) & (new_row < height) & (new_column >= 0) & (new_column < width)
    target = np.where(inside, new_row * width + new_column, np.arange(letters.size))
    blocked = letters.ravel()[target] == "#"
    result: np.ndarray = np.where(blocked, np.arange(letters.size), target)
    return result
