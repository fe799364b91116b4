"""The penalties: what they are worth, what they bound, and how they change with the policy and the model."""

import numpy as np
import pytest
from conftest import draw_mdp
from problems import Mixture, clerk
from scipy.special import logsumexp

from pencourse import (
    MDP,
    Entropy,
    NoRegularizer,
    SquaredNorm,
    bellman_penalty,
    evaluate,
    exact,
    hypergradient,
    solve,
    value_penalty,
)
from pencourse.simplex import random_policy, uniform_policy

PENALTIES = (value_penalty, bellman_penalty)
both = pytest.mark.parametrize("penalty", PENALTIES)


def occupancy(mdp, policy):
    """d = ρ + γ P_πᵀ d, from the definition."""
    kernel = np.einsum("sa,sat->st", policy, mdp.transition)
    return np.linalg.inv(np.eye(mdp.n_states) - mdp.discount * kernel).T @ mdp.initial


def gaps(mdp, policy, action_value):
    """G_s(u) from Q* and its definition; the maximum by its closed form."""
    tau, h = mdp.temperature, mdp.regularizer
    if tau == 0:
        return action_value.max(axis=1) - (policy * action_value).sum(axis=1)
    if h.name == "entropy":
        best = tau * logsumexp(action_value / tau, axis=1)
        cost = np.array([sum(u * np.log(u) for u in row if u > 0) for row in policy])
    else:
        optimal = h.maximizer(action_value, tau)
        best = (optimal * action_value).sum(axis=1) - tau * 0.5 * (optimal**2).sum(axis=1)
        cost = 0.5 * (policy**2).sum(axis=1)
    return best - (policy * action_value).sum(axis=1) + tau * cost


# Values, against the referee


@pytest.mark.parametrize("regularizer", [Entropy(), SquaredNorm()], ids=lambda h: h.name)
@pytest.mark.parametrize("temperature", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("branching", "discount"), [(None, 0.9), (2, 0.9), (2, 0.99)])
def test_both_penalties_are_one_gap_under_two_weights(regularizer, temperature, branching, discount):
    for seed in range(6):
        mdp = draw_mdp(seed, discount=discount, temperature=temperature, regularizer=regularizer, branching=branching)
        policy = random_policy(np.random.default_rng(seed), mdp.n_states, mdp.n_actions)
        referee = exact.solve_mdp(mdp)
        action_value = mdp.reward + mdp.discount * mdp.transition @ referee.value
        gap, visits = gaps(mdp, policy, action_value), occupancy(mdp, policy)
        within = 1e-6 / (1 - discount)  # conic values are good to 1e-8, relative to values of size 1/(1−γ)
        assert np.isclose(value_penalty(mdp, policy).value, visits @ gap, rtol=0, atol=within)
        assert np.isclose(bellman_penalty(mdp, policy).value, mdp.initial @ gap, rtol=0, atol=within)
        assert np.allclose(value_penalty(mdp, policy).gap, gap, rtol=0, atol=within)


@pytest.mark.parametrize("temperature", [0.0, 0.01, 0.1, 1.0])
def test_the_sandwich(temperature):
    """p_B ≤ p_V ≤ ‖d/ρ‖_∞ p_B."""
    for seed in range(60):
        mdp = draw_mdp(seed, temperature=temperature, discount=0.5 + 0.49 * (seed % 2), branching=2)
        policy = random_policy(np.random.default_rng(seed), mdp.n_states, mdp.n_actions)
        in_value, in_bellman = (penalty(mdp, policy).value for penalty in PENALTIES)
        ratio = (occupancy(mdp, policy) / mdp.initial).max()
        rounding = 1e-9 * mdp.scale / (1 - mdp.discount)
        assert 0 < in_bellman <= in_value + rounding
        assert in_value <= ratio * in_bellman + rounding


def test_both_ends_of_the_sandwich_are_attained():
    """The clerk below the tie: p_B = ρ₀v(γ − x), p_V = p_B/(1 − γv)."""
    for v, ratio in ((0.3, 1 / (1 - 0.27)), (1.0, 10.0)):
        policy = [[v, 1 - v], [0.5, 0.5]]
        in_value, in_bellman = (penalty(clerk(0.4), policy).value for penalty in PENALTIES)
        assert np.isclose(in_bellman, 0.8 * v * 0.5) and np.isclose(in_value, ratio * in_bellman)


@both
@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_zero_exactly_at_optima(penalty, temperature):
    for seed in range(20):
        mdp = draw_mdp(seed, temperature=temperature)
        mdp = MDP(  # the third action is the second's twin, so at τ = 0 there are mixed optima too
            mdp.transition[:, [0, 1, 1]], mdp.reward[:, [0, 1, 1]], mdp.discount, mdp.initial, temperature
        )
        optimal = solve(mdp).policy.copy()
        if temperature == 0:
            shared = optimal[:, 1] + optimal[:, 2]
            optimal[:, 1], optimal[:, 2] = 0.3 * shared, 0.7 * shared
        assert abs(penalty(mdp, optimal).value) <= 1e-8
        worse = 0.9 * optimal + 0.1 * np.roll(optimal, 1, axis=0) + 0.0
        worse[0] = 1 - optimal[0]
        worse /= worse.sum(axis=1, keepdims=True)
        assert penalty(mdp, worse).value > 1e-4


def test_a_start_with_a_zero_hides_a_gap_from_the_bellman_penalty():
    """The start is always in state 0, the mistake happens in state 1: p_B = 0 and p_V = 9."""
    transition = np.zeros((2, 2, 2))
    transition[:, :, 1] = 1.0
    mdp = MDP(transition, [[0.0, 0.0], [1.0, 0.0]], 0.9, [1.0, 0.0])
    always_wrong = [[1.0, 0.0], [0.0, 1.0]]
    assert np.isclose(value_penalty(mdp, always_wrong).value, 9.0)
    assert abs(bellman_penalty(mdp, always_wrong).value) <= 1e-8
    assert bellman_penalty(MDP(transition, mdp.reward, 0.9, [0.99, 0.01]), always_wrong).value > 1e-3


def test_the_bellman_penalty_is_convex_in_the_policy_and_the_value_penalty_is_not():
    rng = np.random.default_rng(5)
    for seed in range(40):
        mdp = draw_mdp(seed, temperature=0.1 * (seed % 2))
        one, other = random_policy(rng, mdp.n_states, mdp.n_actions), random_policy(rng, mdp.n_states, mdp.n_actions)
        middle = bellman_penalty(mdp, (one + other) / 2).value
        ends = (bellman_penalty(mdp, one).value + bellman_penalty(mdp, other).value) / 2
        strong = mdp.temperature / 8 * mdp.initial @ np.abs(one - other).sum(axis=1) ** 2
        assert middle <= ends - strong + 1e-9
    stay, leave = np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]])
    chord = (value_penalty(clerk(1.0), stay).value + value_penalty(clerk(1.0), leave).value) / 2
    assert value_penalty(clerk(1.0), (stay + leave) / 2).value > chord + 0.1


@pytest.mark.parametrize("regularizer", [Entropy(), SquaredNorm()], ids=lambda h: h.name)
def test_quadratic_growth(regularizer):
    """p_V ≥ p_B ≥ (τσ/2) Σρ ‖y − π*‖₁², σ = 1 for the entropy (Pinsker) and 1/A for the squared norm."""
    for seed in range(60):
        mdp = draw_mdp(seed, temperature=0.3, regularizer=regularizer)
        policy = random_policy(np.random.default_rng(seed), mdp.n_states, mdp.n_actions)
        modulus = 0.3 if regularizer.name == "entropy" else 0.3 / mdp.n_actions
        distance = np.abs(policy - exact.solve_mdp(mdp).policy).sum(axis=1) if seed < 5 else None
        distance = np.abs(policy - solve(mdp).policy).sum(axis=1) if distance is None else distance
        grown = modulus / 2 * mdp.initial @ distance**2
        assert value_penalty(mdp, policy).value >= bellman_penalty(mdp, policy).value >= grown - 1e-6


# The global relation: ε-minimisers of F_λ, all of them, on a grid


@both
@pytest.mark.parametrize("temperature", [0.0, 0.05])
def test_global_relation(penalty, temperature):
    """f ≤ f* + ε, p ≤ (C + ε)/λ, and nothing with a penalty as small has f below by more than ε."""
    wages, chances = np.linspace(0, 1, 21), np.linspace(0, 1, 41)
    f, p = np.empty((21, 42)), np.empty((21, 42))
    for i, x in enumerate(wages):
        model = clerk(x, temperature=temperature)
        best = solve(model)
        rows = [[[v, 1 - v], best.policy[1]] for v in chances] + [best.policy]  # the solution is in the table
        for j, policy in enumerate(rows):
            at = evaluate(model, policy)
            f[i, j], p[i, j] = 2 * x - at.occupancy[0], penalty(model, at, best=best).value
    optimum = f[p <= 1e-9].min()
    spread = f.max() - f.min()
    for weight in (0.1, 1.0, 10.0, 100.0):
        penalized = f + weight * p
        for slack in (0.0, 0.05, 1.0):
            found = np.argwhere(penalized <= penalized.min() + slack)
            for i, j in found:
                assert f[i, j] <= optimum + slack + 1e-7
                assert p[i, j] <= (spread + slack) / weight + 1e-7
                assert f[i, j] <= f[p <= p[i, j]].min() + slack + 1e-7
    assert f.flat[(f + 0.1 * p).argmin()] < optimum - 1  # a small weight buys infeasibility


# Gradients, against fourth-order central differences


def derivative(function, at, direction, step=1e-4):
    """f′ along a direction; error of order step⁴, rounding of order 1e-15/step."""
    at = np.asarray(at, dtype=float)
    values = [function(at + k * step * direction) for k in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


def close(found, measured):
    return np.linalg.norm(found - measured) <= 1e-6 * np.linalg.norm(measured)


def supports(problem, x, step=1e-4):
    """The actions that the optimal policy plays, at all points that the differences visit."""
    points = [x + k * step * axis for axis in np.eye(len(x)) for k in (-2, -1, 0, 1, 2)]
    return np.array([solve(problem.lower_model(point)).policy > 0 for point in points])


MODELS_EACH = 25
FAMILIES = [
    pytest.param(shapes, branching, regularizer, id=f"{shapes}-{branching or 'dense'}-{regularizer.name}")
    for shapes in ("reward", "kernel", "both")
    for branching in (None, 2)
    for regularizer in (Entropy(), SquaredNorm())
]


@pytest.mark.parametrize(("shapes", "branching", "regularizer"), FAMILIES)
def test_gradients_in_the_upper_variable_on_hundreds_of_models(shapes, branching, regularizer):
    """Both penalties and the hyper-objective, x in reward, kernel or both; twelve families of 25 models."""
    kinks = 0
    for seed in range(MODELS_EACH):
        problem = Mixture(seed, shapes=shapes, branching=branching, regularizer=regularizer)
        rng = np.random.default_rng(seed)
        x, policy = rng.uniform(0.05, 0.3, size=3), 0.5 * random_policy(rng, 5, 3) + 1 / 6
        played = supports(problem, x)
        if (played != played[0]).any():
            kinks += 1
            continue

        def best(z, problem=problem):
            return solve(problem.lower_model(z), tolerance=1e-13)

        for penalty in PENALTIES:
            plan = best(x)
            found = problem.pull_back(x, penalty(plan.mdp, policy, best=plan).terms)
            measured = [
                derivative(lambda z: penalty((plan := best(z)).mdp, policy, best=plan).value, x, axis)  # noqa: B023
                for axis in np.eye(3)
            ]
            assert close(found, measured), (penalty.__name__, seed)

        def outcome(z, problem=problem):
            plan = best(z)
            return problem.upper_objective(z, evaluate(plan.mdp, plan.policy), None).value

        measured = [derivative(outcome, x, axis) for axis in np.eye(3)]
        assert close(hypergradient(problem, x).gradient, measured), seed
    assert kinks <= (0 if regularizer.name == "entropy" else 2)


@both
@pytest.mark.parametrize("regularizer", [Entropy(), SquaredNorm(), NoRegularizer()], ids=lambda h: h.name)
@pytest.mark.parametrize("branching", [None, 2])
def test_gradients_in_the_policy(penalty, regularizer, branching):
    for seed in range(MODELS_EACH):
        mdp = draw_mdp(seed, 5, 3, regularizer=regularizer, branching=branching)
        policy = 0.5 * random_policy(np.random.default_rng(seed), 5, 3) + 1 / 6
        best = solve(mdp, tolerance=1e-13)
        found = penalty(mdp, policy, best=best).policy_gradient
        for state in range(5):
            for action in range(2):
                direction = np.zeros((5, 3))
                direction[state, [action, 2]] = 1.0, -1.0
                measured = derivative(lambda y: penalty(mdp, y, best=best).value, policy, direction)  # noqa: B023
                assert abs((found * direction).sum() - measured) <= 1e-6 * np.abs(found).max()


@both
@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_gradient_in_the_reward(penalty, temperature):
    """Also at τ = 0, where the optimal policy is unique for almost every reward."""
    for seed in range(10):
        mdp = draw_mdp(seed, 4, 3, temperature=temperature)
        policy = 0.5 * random_policy(np.random.default_rng(seed), 4, 3) + 1 / 6

        def value(reward, mdp=mdp, policy=policy):
            changed = MDP(mdp.transition, reward, mdp.discount, mdp.initial, mdp.temperature)
            return penalty(changed, policy, best=solve(changed, tolerance=1e-13)).value

        measured = np.array([derivative(value, mdp.reward, axis.reshape(4, 3)) for axis in np.eye(12)])
        assert close(penalty(mdp, policy).reward_gradient, measured.reshape(4, 3))


def test_entropys_slope_at_the_border_is_infinite():
    policy = np.array([[1.0, 0.0], [0.5, 0.5]])
    for penalty in PENALTIES:
        slope = penalty(clerk(0.4, temperature=0.1), policy).policy_gradient
        assert slope[0, 1] == -np.inf and np.isfinite(slope[:, 0]).all()


def test_danskin_fails_at_a_tie():
    """At x = γ the clerk's V*(ρ) has slope 0 on the left and ρ₀/(1 − γ) on the right."""
    tie, step = 0.9, 1e-6

    def optimum(x):
        return exact.solve_mdp(clerk(x)).expected_return

    left = (optimum(tie) - optimum(tie - step)) / step
    right = (optimum(tie + step) - optimum(tie)) / step
    assert abs(left) <= 1e-6 and abs(right - 8.0) <= 1e-6
    wage = np.array([[1.0, 0.0], [0.0, 0.0]])
    plan = solve(clerk(tie))
    for policy, slope in (([[1.0, 0.0], [0.5, 0.5]], right), ([[0.0, 1.0], [0.5, 0.5]], left)):
        chosen = evaluate(plan.mdp, policy)
        assert np.isclose(chosen.expected_return, plan.expected_return)  # both are optimal
        assert np.isclose((chosen.state_action_occupancy * wage).sum(), slope, atol=1e-6)
    central = (optimum(tie + step) - optimum(tie - step)) / (2 * step)
    from_terms = (value_penalty(plan.mdp, uniform_policy(2, 2)).terms[0].mass * wage).sum()
    assert min(abs(from_terms - left), abs(from_terms - right)) <= 1e-6 < 3.9 < abs(from_terms - central)


# The door


def test_an_evaluation_saves_another_one_but_not_in_another_model():
    mdp = draw_mdp(0)
    policy = uniform_policy(6, 3)
    at = evaluate(mdp, policy)
    for penalty in PENALTIES:
        assert penalty(mdp, at).value == penalty(mdp, policy).value
        with pytest.raises(ValueError, match="policy is an evaluation in another model"):
            penalty(draw_mdp(1), at)
        with pytest.raises(ValueError, match="policy has shape"):
            penalty(mdp, policy[:3])
