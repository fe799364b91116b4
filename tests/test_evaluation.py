"""Values and occupancies of a policy against their definitions, and their derivatives."""

import numpy as np
import pytest
from scipy.special import xlogy

from pencourse import MDP, Entropy, NoRegularizer, SquaredNorm, evaluate
from pencourse.evaluation import backup, policy_reward, policy_transition
from pencourse.simplex import random_policy

REGULARIZERS = {
    "entropy": (Entropy(), lambda u: xlogy(u, u).sum(axis=-1)),
    "squared norm": (SquaredNorm(), lambda u: 0.5 * np.einsum("sa,sa->s", u, u)),
    "none": (NoRegularizer(), lambda u: np.zeros(len(u))),
}


def policies(mdp, seed=0):
    """Return a policy inside the simplex, one with zeros, and a deterministic one."""
    rng = np.random.default_rng(seed)
    inside = random_policy(rng, mdp.n_states, mdp.n_actions)
    zeros = np.where(np.arange(mdp.n_actions) == rng.integers(mdp.n_actions, size=(mdp.n_states, 1)), 0.0, inside)
    zeros /= zeros.sum(axis=1, keepdims=True)
    return [inside, zeros, np.eye(mdp.n_actions)[rng.integers(mdp.n_actions, size=mdp.n_states)]]


def by_series(mdp, policy, h, terms=400):
    """Sum what the definitions say, step by step: V(s) = Σ_t γᵗ E[r − τh], d(s) = Σ_t γᵗ Pr(s_t = s)."""
    chain = np.einsum("sa,sat->st", policy, mdp.transition)
    gain = np.einsum("sa,sa->s", policy, mdp.reward) - mdp.temperature * h(policy)
    value, occupancy = np.zeros(mdp.n_states), np.zeros(mdp.n_states)
    ahead, here = np.eye(mdp.n_states), mdp.initial
    for t in range(terms):
        value += mdp.discount**t * ahead @ gain
        occupancy += mdp.discount**t * here
        ahead, here = ahead @ chain, here @ chain
    return value, occupancy


@pytest.mark.parametrize("name", REGULARIZERS)
@pytest.mark.parametrize("branching", [None, 2])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_definitions(draw, name, branching, temperature):
    regularizer, h = REGULARIZERS[name]
    mdp = draw(1, 7, 4, temperature=temperature, regularizer=regularizer, branching=branching)
    for policy in policies(mdp):
        value, occupancy = by_series(mdp, policy, h)
        found = evaluate(mdp, policy)
        np.testing.assert_allclose(found.value, value, atol=1e-11)
        np.testing.assert_allclose(found.occupancy, occupancy, atol=1e-11)
        assert found.expected_return == pytest.approx(sum(mdp.initial * value), abs=1e-11)
        assert isinstance(found.expected_return, float)
        for s, a in np.ndindex(7, 4):  # Q: the first action is given and unregularised
            ahead = sum(mdp.transition[s, a, t] * value[t] for t in range(7))
            assert found.action_value[s, a] == pytest.approx(mdp.reward[s, a] + 0.9 * ahead, abs=1e-11)


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 0.999])
def test_occupancy_and_returns(draw, discount):
    for seed in range(20):
        mdp = draw(seed, 6, 3, discount=discount, branching=2 if seed % 2 else None)
        for policy in policies(mdp, seed):
            found = evaluate(mdp, policy)
            assert found.occupancy.sum() == pytest.approx(1 / (1 - discount), rel=1e-10)
            assert (found.occupancy >= mdp.initial - 1e-12 / (1 - discount)).all()
            gain = (policy * mdp.reward).sum(axis=1) - mdp.temperature * xlogy(policy, policy).sum(axis=1)
            size = np.abs(gain).max() / (1 - discount)
            assert found.expected_return == pytest.approx(found.occupancy @ gain, abs=1e-10 * size)


def test_gamma_zero_one_state_one_action(draw):
    mdp = draw(2, discount=0.0)
    policy = policies(mdp)[0]
    found = evaluate(mdp, policy)
    np.testing.assert_allclose(found.value, policy_reward(mdp, policy), atol=1e-15)
    np.testing.assert_array_equal(found.occupancy, mdp.initial)
    np.testing.assert_array_equal(found.action_value, mdp.reward)
    lone = evaluate(MDP(np.ones((1, 1, 1)), [[3.0]], 0.75, [1.0], temperature=5.0), [[1.0]])
    assert (lone.value[0], lone.occupancy[0]) == (12.0, 4.0)


def test_pieces(draw):
    mdp = draw(3, 5, 3)
    policy = policies(mdp)[0]
    np.testing.assert_allclose(
        policy_transition(mdp, policy), np.einsum("sa,sat->st", policy, mdp.transition), atol=1e-15
    )
    gain = (policy * mdp.reward).sum(axis=1) - 0.1 * xlogy(policy, policy).sum(axis=1)
    np.testing.assert_allclose(policy_reward(mdp, policy), gain, atol=1e-15)
    value = np.random.default_rng(0).normal(size=5)
    np.testing.assert_allclose(
        backup(mdp, value), mdp.reward + 0.9 * np.einsum("sat,t->sa", mdp.transition, value), atol=1e-14
    )


def test_solve_and_its_adjoint(draw):
    mdp = draw(4, 6, 3, branching=2)
    policy = policies(mdp)[0]
    found = evaluate(mdp, policy)
    system = np.eye(6) - 0.9 * np.einsum("sa,sat->st", policy, mdp.transition)
    right, other = np.random.default_rng(1).normal(size=(2, 6, 3))
    np.testing.assert_allclose(system @ found.solve(right), right, atol=1e-12)
    np.testing.assert_allclose(system.T @ found.solve(right, transposed=True), right, atol=1e-12)
    np.testing.assert_allclose(found.solve(right)[:, 1], found.solve(right[:, 1]), atol=1e-12)
    left = np.sum(found.solve(right) * other)
    assert left == pytest.approx(np.sum(right * found.solve(other, transposed=True)), abs=1e-11)


def test_a_constant_in_every_reward_moves_every_value(draw):
    mdp = draw(5)
    moved = MDP(mdp.transition, mdp.reward + 2.5, mdp.discount, mdp.initial, mdp.temperature)
    for policy in policies(mdp):
        np.testing.assert_allclose(evaluate(moved, policy).value, evaluate(mdp, policy).value + 25.0, atol=1e-11)
        np.testing.assert_allclose(evaluate(moved, policy).occupancy, evaluate(mdp, policy).occupancy, atol=1e-15)


def test_each_quantity_is_computed_once(draw):
    mdp = draw(6)
    found = evaluate(mdp, policies(mdp)[0])
    assert found.value is found.value and found.occupancy is found.occupancy
    assert found.action_value is found.action_value


def return_of(mdp, kernel, reward, policy, h):
    """ρᵀ(I − γP_π)⁻¹(r_π − τh) written for rows of any sum, so that it may leave the simplex."""
    chain = np.einsum("sa,sat->st", policy, kernel)
    gain = np.einsum("sa,sa->s", policy, reward) - mdp.temperature * h(policy)
    return mdp.initial @ np.linalg.solve(np.eye(len(gain)) - mdp.discount * chain, gain)


@pytest.mark.parametrize("name", ["entropy", "squared norm"])
def test_derivatives_of_the_return(draw, name):
    """T5: on r the derivative is d π, on P it is γ d π V(s′), on π it is d (Q − τ∇h); central differences."""
    regularizer, h = REGULARIZERS[name]
    rng = np.random.default_rng(11)
    for seed in range(10):
        mdp = draw(seed, 5, 3, temperature=0.4, regularizer=regularizer, branching=2 if seed % 2 else None)
        policy = 0.8 * policies(mdp, seed)[0] + 0.2 / 3
        found = evaluate(mdp, policy)
        mass = found.occupancy[:, None] * policy
        parts = {
            "reward": (mass, rng.normal(size=(5, 3))),
            "kernel": (0.9 * mass[:, :, None] * found.value, rng.normal(size=(5, 3, 5))),
            "policy": (
                found.occupancy[:, None] * (found.action_value - 0.4 * regularizer.gradient(policy)),
                rng.normal(size=(5, 3)),
            ),
        }
        step = 1e-6
        for part, (gradient, direction) in parts.items():
            moved = []
            for sign in (1, -1):
                point = {"kernel": mdp.transition, "reward": mdp.reward, "policy": policy}
                point[part] = point[part] + sign * step * direction
                moved.append(return_of(mdp, **point, h=h))
            slope = (moved[0] - moved[1]) / (2 * step)
            # rounding 1e-16·|V|/step, and step² times third derivatives, which stay below 1e4 here
            assert slope == pytest.approx(np.sum(gradient * direction), rel=1e-6, abs=1e-6), part


def test_derivative_along_kernels_by_the_library_itself(draw):
    """The same within the simplex, from kernel to kernel, through `evaluate`."""
    mdp, other = draw(20, 5, 3), draw(21, 5, 3)
    policy = policies(mdp)[0]
    found = evaluate(mdp, policy)
    direction, step = other.transition - mdp.transition, 1e-6
    returns = []
    for weight in (step, 0.0):
        kernel = mdp.transition + weight * direction
        returns.append(evaluate(MDP(kernel, mdp.reward, 0.9, mdp.initial, 0.1), policy).expected_return)
    gradient = 0.9 * (found.occupancy[:, None] * policy)[:, :, None] * found.value
    assert (returns[0] - returns[1]) / step == pytest.approx(np.sum(gradient * direction), rel=1e-3)
