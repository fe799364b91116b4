"""The usual ways of learning from preferences: reward first, reward and policy in turn, policy without reward.

All of them stop short of the bilevel problem: the reward is fitted as if the pairs had not come from the policy that it
leads to.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from ..bilevel import Run, State, record, refuse_unregularised
from ..cases.rlhf import Pairs, RlhfProblem, SampledRlhf
from ..models import MDP, ConvergenceError
from ..planning import solve
from ..simplex import checked_policy, uniform_policy
from ..typing import Array
from ..validation import checked_count, checked_distributions, refuse_where


def drlhf_states(
    problem: RlhfProblem, *, pairs: int, rng: np.random.Generator, behaviour: Array | None = None
) -> Iterator[State]:
    """Yield the states of `drlhf`, without end; the first holds the behaviour policy, before any label."""
    if not isinstance(problem, SampledRlhf) or problem.radius is not None:
        raise ValueError("problem has an exact f or a ball for X; allowed is a sampled one over a box: pairs=0, bound.")
    from ..exact import fit_reward  # cvxpy is slow to load

    checked_count("pairs", pairs, 1)
    shape, x, loss, residual = problem.world.reward.shape, problem.initial_upper, np.nan, np.nan
    policy = uniform_policy(*shape) if behaviour is None else checked_policy(behaviour, *shape)
    for solves in count():
        yield State(x, policy, loss, oracle_residual=residual, soft_solves=solves)
        problem.collect(policy, pairs, rng)
        fit = fit_reward(problem.seen.differences, problem.seen.labels, problem.bound)
        plan = solve(problem.lower_model(fit.parameters))
        x, policy, loss, residual = fit.parameters, plan.policy, fit.loss, plan.residual


def drlhf(
    problem: RlhfProblem, *, pairs: int, rounds: int, rng: np.random.Generator, behaviour: Array | None = None
) -> Run:
    """Fit reward and policy in turn, as Christiano et al. do.

    In each round pairs are drawn from the policy and labelled, the reward is fitted to all pairs that the problem
    keeps, and the policy becomes optimal for it.

    Parameters
    ----------
    problem : SampledRlhf
        Over a box.
    pairs : int
        Labelled in each round; iteration k of the history has seen k·pairs of them.
    rounds : int
    rng : numpy.random.Generator
    behaviour : array (S, A), optional
        The policy of the first round; uniform unless given.

    Returns
    -------
    Run
        `.objective` is the loss of the last fit.

    Raises
    ------
    ValueError
        If the problem is exact or X a ball, or a number is out of its range.
    ConvergenceError
        If a fit or a plan fails.

    References
    ----------
    Christiano, Leike, Brown, Martic, Legg and Amodei, *Deep reinforcement learning from human preferences* (2017),
    section 2.2; there all three steps are gradient steps that run side by side.
    """
    return record(drlhf_states(problem, pairs=pairs, rng=rng, behaviour=behaviour), rounds)


def two_stage(problem: RlhfProblem, *, pairs: int, rng: np.random.Generator, behaviour: Array | None = None) -> Run:
    """Fit the reward once, to pairs from a behaviour policy, then plan: `drlhf` with one round.

    Parameters, results and errors are those of `drlhf`.
    """
    return drlhf(problem, pairs=pairs, rounds=1, rng=rng, behaviour=behaviour)


def dpo(world: MDP, pairs: Pairs, *, reference: Array | None = None) -> Array:
    """Find a policy from preferences between two answers to one prompt, without a reward (DPO).

    In one step, with h = KL(·‖π_ref), the optimal policy for r has r(s,a) − r(s,b) = τ log [π(a|s)/π_ref(a|s)]
    − τ log [π(b|s)/π_ref(b|s)]: the normaliser is the same in both and cancels. So the reward model's likelihood is one
    of the policy,

        min_π (1/N) Σ_i [log(1 + e^{z_i}) − q_i z_i],
        z_i = τ log [π(a_i|s_i)/π_ref(a_i|s_i)] − τ log [π(b_i|s_i)/π_ref(b_i|s_i)],

    and the lower level is gone. Only for pairs that do not depend on the policy: this is not the f of on-policy RLHF.

    Parameters
    ----------
    world : MDP
        With γ = 0, the entropy and τ > 0; only τ and the shape are looked at.
    pairs : Pairs
        Of segments of one step that share their state.
    reference : array (S, A), optional
        π_ref, positive; uniform unless given. The same policy is optimal with the entropy for r + τ log π_ref.

    Returns
    -------
    array (S, A)
        Where pairs do not say how probable actions are, they keep their ratio in the reference.

    Raises
    ------
    ValueError
        If world, pairs or reference are of another kind, or the labels are separable: the likelihood has no maximum.
    ConvergenceError
        If no stationary point is reached.

    References
    ----------
    Rafailov, Sharma, Mitchell, Ermon, Manning and Finn, *Direct preference optimization: your language model is
    secretly a reward model* (2023), section 4.
    """
    from ..exact.preferences import refuse_separable

    refuse_unregularised(world)
    if world.discount != 0 or world.regularizer.name != "entropy":
        raise ValueError("world has a discount above 0 or another regulariser; allowed are discount 0 and the entropy.")
    states, actions = pairs.segments.states, pairs.segments.actions
    if states.shape[1] != 2 or (states[:, 0] != states[:, 1]).any():
        raise ValueError("pairs differ in their state or have more steps; allowed is one step, in one state.")
    refuse_where("pairs.segments.states", states, states >= world.n_states, f"below {world.n_states}")
    refuse_where("pairs.segments.actions", actions, actions >= world.n_actions, f"below {world.n_actions}")
    tau, shape, cells = world.temperature, world.reward.shape, states * world.n_actions + actions
    prior = uniform_policy(*shape) if reference is None else checked_distributions("reference", reference, shape)
    refuse_where("reference", prior, prior == 0, "a probability above 0")
    base = np.log(prior)
    contrast = np.eye(base.size)[cells[:, 0]] - np.eye(base.size)[cells[:, 1]]  # of logits: the normaliser cancels
    refuse_separable(contrast, pairs.labels)

    def log_policy(logits: Array) -> Array:
        return np.asarray(log_softmax(logits.reshape(shape), axis=1))

    def loss(logits: Array) -> tuple[float, Array]:
        z = tau * contrast @ (log_policy(logits) - base).ravel()
        slope = tau * (expit(z) - pairs.labels) @ contrast / len(pairs)
        return float(np.mean(np.logaddexp(0.0, z) - pairs.labels * z)), slope

    def curvature(logits: Array) -> Array:
        p = expit(tau * contrast @ (log_policy(logits) - base).ravel())
        return np.asarray(tau**2 * contrast.T @ ((p * (1 - p))[:, None] * contrast) / len(pairs))

    found = minimize(loss, base.ravel(), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-10})
    if not (slope := float(np.abs(found.jac).max())) <= 1e-8:
        raise ConvergenceError("dpo", slope, 1e-8, int(found.nit))
    return np.exp(log_policy(found.x))
