"""Values, occupancies and adjoints of one policy (in a game, one pair of policies) in one model, from one LU.

Everything here is a solve with I − γP_π or with its transpose (lesson 01, sections 1 and 2; lesson 06 for adjoints):

    V^π = (I − γP_π)⁻¹ (r_π − τ h(π)),     Q^π = r + γ P V^π,     d^π = (I − γP_π)⁻ᵀ ρ.

A pair of policies in a zero-sum game is one policy over pairs of actions, π(a,b|s) = π₁(a|s) π₂(b|s). What has the
shape (S, A) for an MDP has (S, A, B) for a game (lesson 12).
"""

from functools import cached_property
from typing import Any, overload

import numpy as np
from scipy.linalg.lapack import dgetrf, dgetrs

from .models import MDP, ZeroSumGame
from .simplex import checked_policy, uniform_policy
from .typing import Array
from .validation import checked_distributions, refuse_other


def policy_transition(mdp: MDP | ZeroSumGame, policy: Array) -> Array:
    """Return P_π(s′|s) = Σ_a π(a|s) P(s′|s,a), shape (S, S)."""
    n_states = mdp.n_states
    result: Array = np.matmul(policy.reshape(n_states, 1, -1), mdp.transition.reshape(n_states, -1, n_states))[:, 0, :]
    return result


def evaluation_matrix(mdp: MDP | ZeroSumGame, policy: Array) -> Array:
    """Return I − γP_π, shape (S, S): the system whose solution is a value, and whose transpose gives occupancies."""
    system = policy_transition(mdp, -mdp.discount * policy)
    system.flat[:: mdp.n_states + 1] += 1.0
    return system


def policy_reward(mdp: MDP, policy: Array) -> Array:
    """Return r_π(s) − τ h(π(s)) = Σ_a π(a|s) r(s,a) − τ h(π(·|s)), shape (S,)."""
    reward: Array = np.vecdot(policy, mdp.reward)
    if mdp.temperature:
        reward = reward - mdp.temperature * mdp.regularizer.value(policy)
    return reward


def backup(mdp: MDP | ZeroSumGame, value: Array, reward: Array | None = None) -> Array:
    """Return the one-step look-ahead r(s,a) + γ Σ_{s′} P(s′|s,a) value(s′), shape (S, A); r may be another reward."""
    ahead = mdp.transition.reshape(-1, mdp.n_states) @ value
    result: Array = (mdp.reward if reward is None else reward) + mdp.discount * ahead.reshape(mdp.reward.shape)
    return result


class Evaluation:
    """What one policy is worth in one model; each quantity is computed when first asked for.

    Made by `evaluate`.
    """

    def __init__(self, mdp: MDP, policy: Array) -> None:
        self._factorise(mdp, policy)

    def _factorise(self, mdp: MDP | ZeroSumGame, policy: Array) -> None:
        self.mdp: Any = mdp
        self.policy = policy
        # LAPACK reads columns first: of the transpose, which is no copy, it makes the factors.
        self._factors, self._pivots, _ = dgetrf(evaluation_matrix(mdp, policy).T, overwrite_a=1)

    def solve(self, right: Array, *, transposed: bool = False) -> Array:
        """Solve (I − γP_π) z = right, or with the transpose (the adjoint); right has shape (S,) or (S, k)."""
        result: Array
        result, _ = dgetrs(self._factors, self._pivots, right, trans=0 if transposed else 1)
        return result

    @property
    def policies(self) -> tuple[Array, ...]:
        """The policies of all players: here of one."""
        return (self.policy,)

    def marginal(self, gains: Array) -> tuple[Array, ...]:
        """Return what each player's actions are worth if the others play their policies: here the gains themselves."""
        return (gains,)

    @cached_property
    def value(self) -> Array:
        """V^π, shape (S,)."""
        return self.solve(policy_reward(self.mdp, self.policy))

    @cached_property
    def action_value(self) -> Array:
        """Q^π, shape (S, A): the first action is free, π and its regularisation begin a step later."""
        return backup(self.mdp, self.value)

    @cached_property
    def occupancy(self) -> Array:
        """d^π(s) = Σ_t γᵗ Pr(s_t = s) from ρ, shape (S,); it sums to 1/(1−γ) and is at least ρ."""
        return self.solve(self.mdp.initial, transposed=True)

    @cached_property
    def expected_return(self) -> float:
        """V^π(ρ) = ρᵀ V^π."""
        return float(self.mdp.initial @ self.value)

    @cached_property
    def state_action_occupancy(self) -> Array:
        """d^π(s) π(a|s), shape (S, A): the derivative of V^π(ρ) in r(s, a)."""
        result: Array = _per_state(self.occupancy, self.policy)
        return result

    def side_value(self, reward: Array) -> Array:
        """Return the value of the same policy under another reward (S, A), without regulariser, shape (S,)."""
        return self.solve(_average(self.policy, reward))

    def action_value_adjoint(self, weights: Array) -> Array:
        """Return the derivative of Σ_{s,a} weights(s,a) Q^π(s,a) in r, shape (S, A).

        It is m = w + z ⊙ π with z = (I − γP_π)⁻ᵀ γ Σ_{s,a} w(s,a) P(·|s,a): one transposed solve (lesson 06). On the
        kernel the same mass weighs γ Σ_{s′} dP(s′|s,a) V^π(s′).
        """
        arriving = weights.reshape(-1) @ self.mdp.transition.reshape(-1, self.mdp.n_states)
        later = self.solve(self.mdp.discount * arriving, transposed=True)
        return weights + _per_state(later, self.policy)


class GameEvaluation(Evaluation):
    """What a pair of policies is worth in a zero-sum game, to player 1.

    Made by `evaluate`. `policy` is the pair's π₁(a|s) π₂(b|s), and `mdp` the game.
    """

    def __init__(self, game: ZeroSumGame, policies: tuple[Array, Array]) -> None:
        first, second = policies
        self.game, self._policies = game, (first, second)
        self._factorise(game, first[:, :, None] * second[:, None, :])

    @property
    def policies(self) -> tuple[Array, ...]:
        """π₁ (S, A) and π₂ (S, B)."""
        return self._policies

    def marginal(self, gains: Array) -> tuple[Array, ...]:
        """Return Σ_b π₂(b|s) gains(s,a,b), shape (S, A), and Σ_a π₁(a|s) gains(s,a,b), shape (S, B)."""
        first, second = self._policies
        return np.matmul(gains, second[:, :, None])[:, :, 0], np.matmul(first[:, None, :], gains)[:, 0, :]

    @cached_property
    def value(self) -> Array:
        """V(s) = E Σ γᵗ [r − τh(π₁) + τh(π₂)], shape (S,)."""
        game, (first, second) = self.game, self._policies
        reward = _average(self.policy, game.reward)
        if game.temperature:
            reward = reward + game.temperature * (game.regularizer.value(second) - game.regularizer.value(first))
        return self.solve(reward)


def _per_state(weights: Array, policy: Array) -> Array:
    """Return weights(s) π(a|s), for actions or pairs of them."""
    result: Array = (weights[:, None] if policy.ndim == 2 else weights[:, None, None]) * policy
    return result


def _average(policy: Array, reward: Array) -> Array:
    """Return Σ_a π(a|s) reward(s,a), for actions or pairs of them, shape (S,)."""
    if policy.ndim == 3:
        policy, reward = policy.reshape(len(policy), -1), reward.reshape(len(policy), -1)
    result: Array = np.vecdot(policy, reward)
    return result


def evaluation_of(model: MDP | ZeroSumGame, policies: tuple[Array, ...]) -> Evaluation:
    """Return the evaluation of the policies of all players, which are not looked at."""
    if isinstance(model, ZeroSumGame):
        first, second = policies
        return GameEvaluation(model, (first, second))
    return Evaluation(model, *policies)


@overload
def evaluate(mdp: MDP, policy: Array) -> Evaluation: ...
@overload
def evaluate(mdp: ZeroSumGame, policy: tuple[Array, Array]) -> GameEvaluation: ...
def evaluate(mdp: MDP | ZeroSumGame, policy: Any) -> Evaluation:
    """Evaluate a policy exactly, or in a game a pair of policies.

    Parameters
    ----------
    mdp : MDP or ZeroSumGame
    policy : array_like (S, A), or for a game a pair of them, (S, A) and (S, B)
        π(a|s); rows sum to 1, zeros are allowed.

    Returns
    -------
    Evaluation
        With `.value` (S,), `.action_value` (S, A), `.occupancy` (S,) and `.expected_return`. For a game a
        `GameEvaluation`, whose values are player 1's and whose `.action_value` has shape (S, A, B).

    Raises
    ------
    ValueError
        If a policy has the wrong shape or a row is no distribution, or there are not two for a game.
    """
    return evaluation_of(mdp, checked_policies(mdp, policy))


def checked_policies(model: MDP | ZeroSumGame, policies: Any) -> tuple[Array, ...]:
    """Return the policies of all players, one (S, A) in an MDP, in a game a pair, as read-only float64 arrays.

    Raises
    ------
    ValueError
        If there are not two in a game, or one has the wrong shape or a row is no distribution; or the model is neither.
    """
    refuse_other("model", model, MDP, ZeroSumGame)
    if isinstance(model, MDP):
        return (checked_policy(policies, model.n_states, model.n_actions),)
    if not isinstance(policies, tuple | list) or len(policies) != 2:
        counted = isinstance(policies, tuple | list)
        found = f"{len(policies)} of them" if counted else f"of type {type(policies).__name__}"
        raise ValueError(f"policies are {found}; allowed is a pair, player 1's (S, A) and player 2's (S, B).")
    return tuple(
        checked_distributions(f"policies[{k}]", policy, (model.n_states, count))
        for k, (policy, count) in enumerate(zip(policies, model.n_actions, strict=True))
    )


def uniform_policies(model: MDP | ZeroSumGame) -> tuple[Array, ...]:
    """Return for each player the policy that plays all its actions alike."""
    return tuple(uniform_policy(model.n_states, int(count)) for count in np.atleast_1d(model.n_actions))
