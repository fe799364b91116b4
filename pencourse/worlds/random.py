"""Random models, dense and Garnet; each takes a numpy Generator."""

import numpy as np

from ..models import MDP, StackelbergGame, ZeroSumGame
from ..regularizers import Entropy, Regularizer
from ..typing import Array


def random_mdp(
    rng: np.random.Generator,
    n_states: int,
    n_actions: int,
    discount: float,
    *,
    branching: int | None = None,
    temperature: float = 0.0,
    regularizer: Regularizer | None = None,
) -> MDP:
    """Draw a random MDP, dense or Garnet.

    Dense: each P(·|s,a) is uniform on the simplex. Such kernels forget their state in a step or two and are too
    easy as tests of a method; a Garnet model is not. Garnet: each P(·|s,a) has `branching` successors drawn without
    replacement, with probabilities uniform on their simplex. Rewards are uniform in [0, 1]; ρ is uniform.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_states, n_actions : int
    discount : float
        γ.
    branching : int, optional
        Successors of each state and action; all states unless given.
    temperature, regularizer
        As in `MDP`.

    Returns
    -------
    MDP

    Raises
    ------
    ValueError
        If branching is not between 1 and n_states.

    References
    ----------
    Archibald, McKinnon and Thomas, *On the generation of Markov decision processes* (1995): Garnet.
    """
    transition = _random_kernel(rng, (n_states, n_actions), branching)
    reward = rng.random((n_states, n_actions))
    initial = np.full(n_states, 1.0 / n_states)
    return MDP(transition, reward, discount, initial, temperature, regularizer or Entropy())


def random_stackelberg_game(
    rng: np.random.Generator,
    n_states: int,
    n_leader: int,
    n_follower: int,
    discount: float,
    *,
    controller: str = "both",
    branching: int | None = None,
    temperature: float = 0.0,
    regularizer: Regularizer | None = None,
) -> StackelbergGame:
    """Draw a random Stackelberg Markov game: kernel as in `random_mdp`, both rewards uniform in [0, 1], ρ uniform.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_states, n_leader, n_follower : int
    discount : float
        γ.
    controller : str
        Whose action the kernel depends on: "both", "leader" or "follower".
    branching : int, optional
        Successors of each state and pair of actions; all states unless given.
    temperature, regularizer
        The follower's, as in `StackelbergGame`.

    Returns
    -------
    StackelbergGame

    Raises
    ------
    ValueError
        If controller is none of the three, or branching is not between 1 and n_states.
    """
    shapes = {
        "both": (n_states, n_leader, n_follower),
        "leader": (n_states, n_leader, 1),
        "follower": (n_states, 1, n_follower),
    }
    if controller not in shapes:
        raise ValueError(f"controller is {controller!r}; allowed is one of {', '.join(map(repr, shapes))}.")
    full = shapes["both"]
    transition = np.broadcast_to(_random_kernel(rng, shapes[controller], branching), (*full, n_states))
    leader_reward, follower_reward = rng.random(full), rng.random(full)
    initial = np.full(n_states, 1.0 / n_states)
    game = (transition, leader_reward, follower_reward, discount, initial, temperature, regularizer or Entropy())
    return StackelbergGame(*game)


def random_zero_sum_game(
    rng: np.random.Generator,
    n_states: int,
    n_first: int,
    n_second: int,
    discount: float,
    *,
    branching: int | None = None,
    temperature: float = 0.0,
    regularizer: Regularizer | None = None,
) -> ZeroSumGame:
    """Draw a random zero-sum game: kernel as in `random_mdp`, rewards uniform in [0, 1], ρ uniform.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_states, n_first, n_second : int
        States, actions of player 1 and of player 2.
    discount : float
        γ.
    branching : int, optional
        Successors of each state and pair of actions; all states unless given.
    temperature, regularizer
        As in `ZeroSumGame`.

    Returns
    -------
    ZeroSumGame

    Raises
    ------
    ValueError
        If branching is not between 1 and n_states.
    """
    shape = (n_states, n_first, n_second)
    transition, reward = _random_kernel(rng, shape, branching), rng.random(shape)
    initial = np.full(n_states, 1.0 / n_states)
    return ZeroSumGame(transition, reward, discount, initial, temperature, regularizer or Entropy())


def _random_kernel(rng: np.random.Generator, shape: tuple[int, ...], branching: int | None) -> Array:
    """Draw P(·|…), shape (*shape, S) with S = shape[0]: dense, or with `branching` successors each."""
    n_states = shape[0]
    n_successors = n_states if branching is None else branching
    if not 1 <= n_successors <= n_states:
        raise ValueError(f"branching is {branching!r}; allowed is an integer from 1 to n_states = {n_states}.")
    probabilities = rng.dirichlet(np.ones(n_successors), size=shape)
    if n_successors == n_states:
        return probabilities
    order = rng.random((*shape, n_states)).argsort(axis=-1)
    transition = np.zeros((*shape, n_states))
    np.put_along_axis(transition, order[..., :n_successors], probabilities, axis=-1)
    return transition
