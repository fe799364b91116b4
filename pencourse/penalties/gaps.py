"""Penalties: how far a policy is from solving the lower level, and how that changes with the policy and the model.

Both penalties are the same gap under two weights (lessons 04 and 05). In every state the Fenchel–Young gap

    G_s(u) = max_v {⟨v, Q*_s⟩ − τh(v)} − ⟨u, Q*_s⟩ + τh(u) ≥ 0

is zero iff the row u is optimal there, and

    value penalty     p_V(y) = V*(ρ) − V^y(ρ) = Σ_s d^y(s) G_s(y_s),
    Bellman penalty   p_B(y) = Σ_s ρ(s) G_s(y_s).

The penalties are those of Shen, Yang and Chen, *Principled Penalty-based Methods for Bilevel Reinforcement Learning and
RLHF* (2025), sections on the value and the Bellman penalty; their form as weighted gaps is derived in the course.
"""

from functools import cached_property

from ..bilevel import Term
from ..evaluation import Evaluation, evaluate
from ..models import MDP
from ..planning import Plan, solve
from ..typing import Array
from ..validation import refuse_other
from .shared import total_mass


class Penalty:
    """A penalty at one policy in one model; each quantity is computed when first asked for.

    Made by `value_penalty` and `bellman_penalty`.
    """

    def __init__(self, at: Evaluation, best: Plan) -> None:
        self.at, self.best = at, best

    @cached_property
    def gap(self) -> Array:
        """G_s(y_s), shape (S,), in units of reward: what one step by y, then optimal play, loses in each state."""
        mdp, action_value = self.at.mdp, self.best.action_value
        loss: Array = mdp.regularizer.conjugate(action_value, mdp.temperature) - (self.at.policy * action_value).sum(1)
        if mdp.temperature:
            loss = loss + mdp.temperature * mdp.regularizer.value(self.at.policy)
        return loss

    @property
    def optimal(self) -> Evaluation:
        """The evaluation of the optimal policy π* that `best` holds."""
        return self.best.evaluation

    @property
    def residual(self) -> float:
        """‖TV − V‖_∞ of the optimal plan."""
        return self.best.residual

    @property
    def weight(self) -> Array:
        """The weight of each state's gap in the penalty, shape (S,)."""
        raise NotImplementedError

    @property
    def weights(self) -> tuple[Array, ...]:
        """The one weight."""
        return (self.weight,)

    @property
    def policy_gradients(self) -> tuple[Array, ...]:
        """The one policy's gradient."""
        return (self.policy_gradient,)

    @property
    def value(self) -> float:
        """p ≥ 0, in units of return, up to the solver's tolerance."""
        raise NotImplementedError

    @property
    def policy_gradient(self) -> Array:
        """∂p/∂y(a|s), shape (S, A); with the entropy −∞ where y(a|s) = 0."""
        raise NotImplementedError

    @property
    def terms(self) -> tuple[Term, ...]:
        """The derivative of p in the model, at fixed y."""
        raise NotImplementedError

    @property
    def reward_gradient(self) -> Array:
        """∂p/∂r(s,a) at fixed y, shape (S, A)."""
        return total_mass(self.terms)

    def _slope(self, action_value: Array) -> Array:
        """Return −Q + τ∇h(y) for an action value Q, shape (S, A)."""
        mdp = self.at.mdp
        slope: Array = -action_value
        if mdp.temperature:
            slope = slope + mdp.temperature * mdp.regularizer.gradient(self.at.policy)
        return slope


class ValuePenalty(Penalty):
    """p_V = V*(ρ) − V^y(ρ)."""

    @property
    def weight(self) -> Array:
        """d^y, the occupancy of y."""
        return self.at.occupancy

    @cached_property
    def value(self) -> float:
        """V*(ρ) − V^y(ρ)."""
        return self.best.expected_return - self.at.expected_return

    @cached_property
    def policy_gradient(self) -> Array:
        """−d^y(s) [Q^y(s,a) − τ ∂h(y_s)/∂y(a|s)]: V* does not depend on y."""
        result: Array = self.at.occupancy[:, None] * self._slope(self.at.action_value)
        return result

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """∇V*(ρ) − ∇V^y(ρ), each Σ d π [dr + γ dP V], the first at π* by Danskin's theorem.

        At τ = 0 and where several policies are optimal V* need have no gradient; π* is then the one that `best` holds.
        """
        optimal = Term(self.optimal.state_action_occupancy, self.best.value)
        return optimal, Term(-self.at.state_action_occupancy, self.at.value)


class BellmanPenalty(Penalty):
    """p_B = g_B(y) − min g_B with g_B(y) = Σ_s ρ(s) [−⟨y_s, Q*_s⟩ + τh(y_s)]: convex in y."""

    @property
    def weight(self) -> Array:
        """ρ, the start distribution."""
        return self.at.mdp.initial

    @cached_property
    def value(self) -> float:
        """Σ_s ρ(s) G_s(y_s)."""
        return float(self.weight @ self.gap)

    @cached_property
    def policy_gradient(self) -> Array:
        """ρ(s) [−Q*(s,a) + τ ∂h(y_s)/∂y(a|s)]."""
        result: Array = self.weight[:, None] * self._slope(self.best.action_value)
        return result

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Σ_{s,a} u(s,a) ∇Q*(s,a) with u = ρ (π* − y), by one adjoint solve.

        The remark on ties at `ValuePenalty.terms` holds here too.
        """
        weights = self.weight[:, None] * (self.best.policy - self.at.policy)
        return (Term(self.optimal.action_value_adjoint(weights), self.best.value),)


def value_penalty(mdp: MDP, policy: Array | Evaluation, *, best: Plan | None = None) -> ValuePenalty:
    """Return the value penalty p_V = V*(ρ) − V^y(ρ) of a policy.

    Parameters
    ----------
    mdp : MDP
    policy : array (S, A) or Evaluation
        y; an evaluation of it in the same model saves a second one.
    best : Plan, optional
        The model's optimal plan, if it is known already; its accuracy is the penalty's.

    Returns
    -------
    ValuePenalty
        With `.value` (float), `.policy_gradient` (S, A), `.terms`, `.reward_gradient` (S, A), `.gap` (S,) and
        `.weight` (S,).

    Raises
    ------
    ValueError
        If the policy has the wrong shape or a row is no distribution.
    ConvergenceError
        If the optimal plan is not found.
    """
    return ValuePenalty(*_at_and_best(mdp, policy, best))


def bellman_penalty(mdp: MDP, policy: Array | Evaluation, *, best: Plan | None = None) -> BellmanPenalty:
    """Return the Bellman penalty p_B = Σ_s ρ(s) G_s(y_s) of a policy.

    Where ρ is 0 it does not look: it is a penalty, zero at solutions only, if ρ > 0 (lesson 05).

    Parameters
    ----------
    mdp : MDP
    policy : array (S, A) or Evaluation
    best : Plan, optional
        All three as in `value_penalty`.

    Returns
    -------
    BellmanPenalty
        With the same attributes as `ValuePenalty`.

    Raises
    ------
    ValueError, ConvergenceError
        As in `value_penalty`.
    """
    return BellmanPenalty(*_at_and_best(mdp, policy, best))


def _at_and_best(mdp: MDP, policy: Array | Evaluation, best: Plan | None) -> tuple[Evaluation, Plan]:
    refuse_other("mdp", mdp, MDP)
    at = policy if isinstance(policy, Evaluation) else evaluate(mdp, policy)
    if at.mdp is not mdp:
        raise ValueError("policy is an evaluation in another model; allowed is one in the model that is given.")
    return at, solve(mdp) if best is None else best
