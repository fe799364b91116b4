"""Values, occupancies and adjoints of one policy in one model, from one LU factorisation.

Everything here is a solve with I − γP_π or with its transpose (lesson 01, sections 1 and 2; lesson 06 for adjoints):

    V^π = (I − γP_π)⁻¹ (r_π − τ h(π)),     Q^π = r + γ P V^π,     d^π = (I − γP_π)⁻ᵀ ρ.
"""

from functools import cached_property

import numpy as np
from scipy.linalg.lapack import dgetrf, dgetrs

from .models import MDP
from .simplex import checked_policy
from .typing import Array


def policy_transition(mdp: MDP, policy: Array) -> Array:
    """Return P_π(s′|s) = Σ_a π(a|s) P(s′|s,a), shape (S, S)."""
    result: Array = np.matmul(policy[:, None, :], mdp.transition)[:, 0, :]
    return result


def evaluation_matrix(mdp: MDP, policy: Array) -> Array:
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


def backup(mdp: MDP, value: Array, reward: Array | None = None) -> Array:
    """Return the one-step look-ahead r(s,a) + γ Σ_{s′} P(s′|s,a) value(s′), shape (S, A); r may be another reward."""
    n_states, n_actions = mdp.reward.shape
    ahead = mdp.transition.reshape(n_states * n_actions, n_states) @ value
    result: Array = (mdp.reward if reward is None else reward) + mdp.discount * ahead.reshape(n_states, n_actions)
    return result


class Evaluation:
    """What one policy is worth in one model; each quantity is computed when first asked for.

    Made by `evaluate`.
    """

    def __init__(self, mdp: MDP, policy: Array) -> None:
        self.mdp, self.policy = mdp, policy
        # LAPACK reads columns first: of the transpose, which is no copy, it makes the factors.
        self._factors, self._pivots, _ = dgetrf(evaluation_matrix(mdp, policy).T, overwrite_a=1)

    def solve(self, right: Array, *, transposed: bool = False) -> Array:
        """Solve (I − γP_π) z = right, or with the transpose (the adjoint); right has shape (S,) or (S, k)."""
        result: Array
        result, _ = dgetrs(self._factors, self._pivots, right, trans=0 if transposed else 1)
        return result

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
        result: Array = self.occupancy[:, None] * self.policy
        return result

    def side_value(self, reward: Array) -> Array:
        """Return the value of the same policy under another reward (S, A), without regulariser, shape (S,)."""
        return self.solve(np.vecdot(self.policy, reward))

    def action_value_adjoint(self, weights: Array) -> Array:
        """Return the derivative of Σ_{s,a} weights(s,a) Q^π(s,a) in r, shape (S, A).

        It is m = w + z ⊙ π with z = (I − γP_π)⁻ᵀ γ Σ_{s,a} w(s,a) P(·|s,a): one transposed solve (lesson 06). On the
        kernel the same mass weighs γ Σ_{s′} dP(s′|s,a) V^π(s′).
        """
        arriving = weights.reshape(-1) @ self.mdp.transition.reshape(-1, self.mdp.n_states)
        later = self.solve(self.mdp.discount * arriving, transposed=True)
        result: Array = weights + later[:, None] * self.policy
        return result


def evaluate(mdp: MDP, policy: Array) -> Evaluation:
    """Evaluate a policy exactly.

    Parameters
    ----------
    mdp : MDP
    policy : array_like (S, A)
        π(a|s); rows sum to 1, zeros are allowed.

    Returns
    -------
    Evaluation
        With `.value` (S,), `.action_value` (S, A), `.occupancy` (S,) and `.expected_return`.

    Raises
    ------
    ValueError
        If the policy has the wrong shape or a row is no distribution.
    """
    return Evaluation(mdp, checked_policy(policy, mdp.n_states, mdp.n_actions))
