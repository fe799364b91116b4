"""Zero-sum Markov games: the equilibrium, best responses, and the gap between them.

The operator of the game, (TV)(s) = val(Q_V(s,·,·)) with Q_V = r + γPV and val the value of the stage game, is monotone
and satisfies T(V + c) = TV + γc, as that of an MDP does; it is a γ-contraction, and its fixed point is the value of the
game (Shapley 1953; lesson 12).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..evaluation import GameEvaluation, backup, evaluation_matrix
from ..models import ConvergenceError, ZeroSumGame, response_mdp
from ..planning import Plan, solve
from ..simplex import uniform_policy
from ..typing import Array
from ..validation import checked_array, checked_positive
from .stage import Pair, entropy_games, matrix_bounds, matrix_games

MOST_STEPS = 2000


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """The equilibrium of a zero-sum Markov game, as `solve_zero_sum` returns it.

    Attributes
    ----------
    policies : arrays (S, A) and (S, B)
    value : array (S,)
        V with ‖V − V*‖_∞ ≤ residual/(1−γ).
    action_value : array (S, A, B)
        r + γPV.
    duality_gap : float
        A bound, tight up to 0.2·tolerance, of ψ = max V^{·,π₂}(ρ) − min V^{π₁,·}(ρ) at the policies: what the two could
        gain by answering each other.
    iterations : int
        Values that were tried.
    residual : float
        The largest amount by which what the policies secure in a state's stage game at V misses V(s); a bound of
        ‖TV − V‖_∞.
    """

    game: ZeroSumGame
    policies: Pair
    value: Array
    action_value: Array
    duality_gap: float
    iterations: int
    residual: float

    @cached_property
    def expected_return(self) -> float:
        """ρᵀV."""
        return float(self.game.initial @ self.value)

    @cached_property
    def evaluation(self) -> GameEvaluation:
        """The evaluation of the pair of policies: its own values, its occupancy, its factors."""
        return GameEvaluation(self.game, self.policies)


def best_responses(game: ZeroSumGame, policies: Pair, *, warm: tuple[Plan, Plan] | None = None) -> tuple[Plan, Plan]:
    """Return the best response of each player to the other's policy.

    Parameters
    ----------
    game : ZeroSumGame
    policies : arrays (S, A) and (S, B)
    warm : tuple of Plan, optional
        Best responses to policies close by; their values and factors are the start.

    Returns
    -------
    tuple of Plan
        That of player 1 in `response_mdp(game, 1, policies[1])`, and that of player 2, whose values are −V, in
        `response_mdp(game, 2, policies[0])`. The sum of their expected returns is ψ.

    Raises
    ------
    ValueError
        If a policy has the wrong shape or a row is no distribution.
    ConvergenceError
        As `solve` does.
    """
    models = response_mdp(game, 1, policies[1]), response_mdp(game, 2, policies[0])
    if warm is None:
        return solve(models[0]), solve(models[1])
    first, second = (
        solve(model, initial_value=plan.value, factors=plan.evaluation)
        for model, plan in zip(models, warm, strict=True)
    )
    return first, second


def solve_zero_sum(game: ZeroSumGame, *, initial_value: Array | None = None, tolerance: float = 1e-8) -> Equilibrium:
    """Find the equilibrium of a zero-sum Markov game.

    Newton's method on V = TV: the value of the pair of policies that is in equilibrium in every stage game at V
    (Pollatschek and Avi-Itzhak 1969). Alone it may cycle (van der Wal 1978). So its point is taken only if the residual
    falls by the factor (1+γ)/2; otherwise V ← TV + c (Shapley 1953), whose residual does.

    Proof. Let l ≤ TV − V ≤ h and R = max(h, −l). T is monotone and passes constants on with factor γ, so
    γl ≤ T(TV) − TV ≤ γh, and with c = γ/(1−γ)·(l+h)/2 the residual at TV + c is at most γ(h−l)/2 ≤ γR. If l and h come
    from bounds of the stage games that are κR apart, it is at most (γ + (1+γ)κ)R/(1−κ), and κ = (1−γ)/6 makes this
    (1+γ)R/2 or less.

    The residual asked for is 0.4 (1−γ)·tolerance·scale, for a gap of at most 0.8 of what the tolerance allows: against
    π₂ player 1 gets at most V + R in one step with V to come, so at most V + R/(1−γ) for ever, and player 2 likewise.
    Two best responses check it at the end, solved up to the rest.

    Parameters
    ----------
    game : ZeroSumGame
        At τ = 0, or with the entropy, or with NoRegularizer.
    initial_value : array (S,), optional
        A warm start.
    tolerance : float
        On the duality gap, relative to `game.scale` = max|r| + τ max|h|. Policies are good to about the root of the gap
        over τ; where they matter ask for 1e-12, which is in reach unless γ is close to 1.

    Returns
    -------
    Equilibrium
        `.policies`, `.value`, `.action_value`, `.expected_return`, `.duality_gap`, `.iterations`, `.residual`.

    Raises
    ------
    ConvergenceError
        If the tolerance is not reached; it carries what was.
    ValueError
        If initial_value has the wrong shape or is not finite, the tolerance is not positive, or the game has τ > 0 and
        another regulariser.

    References
    ----------
    Shapley, *Stochastic games* (1953); Pollatschek and Avi-Itzhak, *Algorithms for stochastic games with geometrical
    interpretation* (1969); van der Wal, *Discounted Markov games: generalized policy iteration method* (1978).
    """
    if game.temperature > 0 and game.regularizer.name not in ("entropy", "none"):
        raise ValueError(f"regularizer is {game.regularizer.name!r}; allowed at a temperature above 0 is 'entropy'.")
    target = 0.4 * (1.0 - game.discount) * checked_positive("tolerance", tolerance) * game.scale
    start = np.zeros(game.n_states) if initial_value is None else initial_value
    at = _Point(game, target, checked_array("initial_value", start, (game.n_states,)))
    iterations = 1
    while at.residual > target and iterations < MOST_STEPS:
        trial = _Point(game, target, at.newton_point(), at)
        iterations += 1
        if not trial.residual <= max(0.5 * (1.0 + game.discount) * at.residual, target):
            trial = _Point(game, target, at.shapley_point(), at)
            iterations += 1
        at = trial
    if not at.residual <= target:
        raise ConvergenceError("solve_zero_sum", at.residual, target, iterations)
    gap = _duality_gap(game, at.policies, at.value, tolerance)
    if not gap <= tolerance * game.scale:
        raise ConvergenceError("solve_zero_sum", gap, tolerance * game.scale, iterations)
    return Equilibrium(game, at.policies, at.value, at.action_value, gap, iterations, at.residual)


def _duality_gap(game: ZeroSumGame, policies: Pair, value: Array, tolerance: float) -> float:
    """Return ψ, with what the best responses may have missed on top: V* ≤ V + residual/(1−γ) for each of them."""
    accuracy = 0.1 * (1.0 - game.discount) * tolerance
    first = solve(response_mdp(game, 1, policies[1]), initial_value=value, tolerance=accuracy)
    second = solve(response_mdp(game, 2, policies[0]), initial_value=-value, tolerance=accuracy)
    missed = (first.residual + second.residual) / (1.0 - game.discount)
    return first.expected_return + second.expected_return + missed


class _Point:
    """A value V, the equilibria of its stage games, and the two values that may come next."""

    high: float
    low: float
    residual: float

    def __init__(self, game: ZeroSumGame, target: float, value: Array, last: "_Point | None" = None) -> None:
        self.game, self.target, self.value = game, target, value
        self.temperature = 0.0 if game.regularizer.name == "none" else game.temperature
        self.action_value = backup(game, value)
        self.policies: Pair
        self.basis: np.ndarray | None = None if last is None else last.basis
        self.logs: Pair | None = None if last is None else last.logs
        if self.temperature:
            first, second = (np.log(uniform_policy(game.n_states, n)) for n in game.n_actions)
            logs = self.logs or (first, second)
            self.policies, self.logs = entropy_games(self.action_value, self.temperature, logs, self._bracket)
        else:
            first, second, self.basis = matrix_games(self.action_value, self.basis)
            self.policies = first, second
            self._bracket(*matrix_bounds(self.action_value, self.policies))

    def _bracket(self, upper: Array, lower: Array) -> bool:
        """Learn the bounds of TV; return whether they are close enough for the proof of `solve_zero_sum`."""
        self.high, self.low = float((upper - self.value).max()), float((lower - self.value).min())
        self.residual = max(self.high, -self.low)
        return float((upper - lower).max()) <= (1.0 - self.game.discount) / 6.0 * max(self.residual, self.target)

    def stage_value(self) -> Array:
        """p'Qq − τh(p) + τh(q), between the bounds."""
        first, second = self.policies
        result: Array = np.vecdot(first, np.matmul(self.action_value, second[:, :, None])[:, :, 0])
        if self.temperature:
            value = self.game.regularizer.value
            result = result + self.temperature * (value(second) - value(first))
        return result

    def newton_point(self) -> Array:
        """V^{π₁,π₂} = V + (I − γP_π)⁻¹(T_π V − V)."""
        first, second = self.policies
        both = first[:, :, None] * second[:, None, :]
        step = np.linalg.solve(evaluation_matrix(self.game, both), self.stage_value() - self.value)
        return np.asarray(self.value + step, dtype=np.float64)

    def shapley_point(self) -> Array:
        """TV + γ/(1−γ)·(max Δ + min Δ)/2."""
        discount = self.game.discount
        return self.stage_value() + discount / (1.0 - discount) * 0.5 * (self.high + self.low)
