"""The equilibrium of a zero-sum Markov game, at τ = 0 or with the entropy (lesson 12).

Write q = r + γPV, of shape (S, A, B). In each state Shapley's operator takes the value of a stage game,

    TV(s) = min_y max_x {Σ x(a) q(s,a,b) y(b) − τh(x) + τh(y)} = min_y {max_x {⟨x, q(s)y⟩ − τh(x)} + τh(y)},

h(u) = Σ u log u, and the minimum over y is a convex program: a linear one for τ = 0 (the least v with v ≥ q(s)y), and,
as max_x {⟨x, z⟩ − τh(x)} = τ log Σ exp(z/τ), one of exponential cones for τ > 0. T is a γ-contraction (Shapley 1953),
so V ← TV would do, with 180 rounds of programs at γ = 0.9. Hoffman and Karp's (1966) V needs fewer: it is the most that
player 1 can get, by a best answer for ever, against the y of the stage games at the V before. Let T_y be the maximum
against a given y. Then T_y V ≥ TV for all y, with equality for the y of V's own stage games, and:

    V ≥ TV, and so V ≥ V*, since V = T_y V for the y that it answers;
    V′ = lim T_y′ⁿ V ≤ T_y′ V = TV ≤ V for the y′ of V's stage games, since T_y′ is monotone.

So V falls to V* at least as fast as V ← TV would, and V − V* ≤ max(V − TV)/(1 − γ) ≤ max(V − V′)/(1 − γ). It takes 4 to
8 rounds with the entropy, 8 to 15 without.

The primal is what player 1 gets at most against the last y, the dual what player 2 must leave at least to an x from the
stage games of the other side: primal ≥ V*(ρ) ≥ dual, whatever x and y. Each is the optimum of an MDP, by the
primal program of `solve_mdp`, raised so far that V ≥ T_y V holds in every state: a bound up to rounding, whatever the
solvers did.

References: Shapley, *Stochastic games* (1953); Hoffman and Karp, *On nonterminating stochastic games* (1966).
"""

from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from scipy.special import logsumexp, xlogy

from ..models import MDP, ConvergenceError, ZeroSumGame
from ..typing import Array
from .mdp import _primal
from .solver import PRECISE, solve_program

NAME = "exact.solve_zero_sum"


@dataclass(frozen=True, eq=False)
class ExactEquilibrium:
    """A pair of policies, and bounds on what the game is worth.

    Attributes
    ----------
    value : array (S,)
        The most that player 1 can get against player 2's policy: in every state V* or a little above it.
    policies : tuple of arrays (S, A) and (S, B)
        π₁ and π₂. At τ = 0 one of perhaps many equilibria.
    program : str
        "linear, HIGHS" or "exponential cone, CLARABEL".
    primal, dual : float
        The most that player 1 gets from ρ against π₂, and the least that player 2 leaves it against π₁; V*(ρ) lies
        between.
    """

    value: Array
    policies: tuple[Array, Array]
    program: str
    primal: float
    dual: float

    @property
    def expected_return(self) -> float:
        """V*(ρ), read from the primal."""
        return self.primal

    @property
    def gap(self) -> float:
        """primal − dual: what the two players together could gain by better answers, from ρ."""
        return self.primal - self.dual


def solve_zero_sum(game: ZeroSumGame) -> ExactEquilibrium:
    """Solve a zero-sum Markov game by convex programs of its stage games and of the MDPs that the players face.

    Parameters
    ----------
    game : ZeroSumGame
        With no regulariser or the entropy, at any τ ≥ 0.

    Returns
    -------
    ExactEquilibrium

    Raises
    ------
    ConvergenceError
        If a solver reports anything but an optimum, or primal and dual differ by more than 1e-6 of
        max(max|r|, τ)/(1−γ). Conic solvers may give up where τ is about 1e-4 max|r| or less, rarely above.
    ValueError
        If the regulariser is none that a program is written for.
    """
    kind = "none" if game.temperature == 0 else game.regularizer.name
    if kind not in _PROGRAMS:
        raise ValueError(f"regularizer is {kind!r}; allowed are {sorted(_PROGRAMS)}.")
    name, solver = _PROGRAMS[kind]
    # Solvers like rewards of size 1; values scale with them.
    temperature = 0.0 if kind == "none" else game.temperature
    unit = max(float(np.abs(game.reward).max()), temperature) or 1.0
    scaled = replace(game, reward=game.reward / unit, temperature=temperature / unit)
    n_second = game.n_actions[1]
    value = _most(scaled, np.full((game.n_states, n_second), 1 / n_second), solver)
    for _ in range(100):  # the gap is the judge
        before, second = value, _stage(scaled, value, solver)
        value = _most(scaled, second, solver)
        if (before - value).max() <= 1e-9:
            break
    # For player 2 it is a game, too, in which it maximises −r.
    turned = replace(
        scaled, reward=-scaled.reward.swapaxes(1, 2), transition=np.ascontiguousarray(game.transition.swapaxes(1, 2))
    )
    first = _stage(turned, -value, solver)
    primal, dual = float(game.initial @ value), -float(game.initial @ _most(turned, first, solver))
    gap, allowed = abs(primal - dual), 1e-6 / (1 - game.discount)
    if not gap <= allowed:
        raise ConvergenceError(f"{NAME} ({name}, {solver}; primal − dual)", gap * unit, allowed * unit, 1)
    return ExactEquilibrium(unit * value, (first, second), f"{name}, {solver}", unit * primal, unit * dual)


_PROGRAMS = {"none": ("linear", cp.HIGHS), "entropy": ("exponential cone", cp.CLARABEL)}


def _stage(game: ZeroSumGame, value: Array, solver: str) -> Array:
    """Return player 2's part y (S, B) of the equilibria of all stage games at V, from one program."""
    n_states, (n_first, n_second) = game.n_states, game.n_actions
    q = game.reward + game.discount * game.transition @ value
    q = q - q.mean(axis=(1, 2), keepdims=True)  # a constant changes no policy
    # Each state's game, which nothing joins to the others, in its own unit.
    unit = np.maximum(np.abs(q).max(axis=(1, 2), keepdims=True), game.temperature or 1e-300)
    q, temperature = q / unit, game.temperature / unit[:, :, 0]
    row = cp.Variable((n_states, n_second), nonneg=True)
    against = sp.block_diag(list(q), format="csr") @ cp.reshape(row, (n_states * n_second,), order="C")
    against = cp.reshape(against, (n_states, n_first), order="C")
    if game.temperature == 0:
        objective = cp.sum(cp.max(against, axis=1))
    else:
        best = cp.log_sum_exp(cp.multiply(1 / temperature, against), axis=1)
        objective = temperature[:, 0] @ (best - cp.sum(cp.entr(row), axis=1))
    problem = cp.Problem(cp.Minimize(objective), [cp.sum(row, axis=1) == 1])
    solve_program(problem, solver, NAME, **_OPTIONS[solver])
    policy = np.maximum(np.asarray(row.value), 0.0)
    return policy / policy.sum(axis=1, keepdims=True)


_OPTIONS: dict[str, dict[str, float]] = {
    cp.HIGHS: PRECISE,
    cp.CLARABEL: {"max_step_fraction": 0.9},  # with 0.99, its own, it gives up on one game in a few hundred
}


def _most(game: ZeroSumGame, second: Array, solver: str) -> Array:
    """Return an upper bound, exact up to the solver's tolerance, on what player 1 gets against π₂ in each state."""
    reward = np.einsum("sab,sb->sa", game.reward, second)
    reward += game.temperature * xlogy(second, second).sum(axis=1, keepdims=True)
    kernel = np.einsum("sabt,sb->sat", game.transition, second)
    model = MDP(kernel, reward, game.discount, game.initial, game.temperature, game.regularizer)
    kind = "entropy" if game.temperature else "none"
    value = _primal(model, reward, game.temperature, kind, solver)
    q = reward + game.discount * kernel @ value
    best = game.temperature * logsumexp(q / game.temperature, axis=1) if game.temperature else q.max(axis=1)
    return value + max(0.0, float((best - value).max())) / (1 - game.discount)
