"""The meta-gradient: the derivative of f through one step of the players, and what a run records."""

import numpy as np
import pytest
from games import Arena, cost_of, derivative, draw_game, draw_pair, one_state, value_of
from problems import Mixture

from pencourse import MDP, Objective, SquaredNorm, evaluate, hypergradient, meta_gradient
from pencourse.bilevel import minus_return
from pencourse.cases import incentive_design
from pencourse.simplex import random_policy

TINY = 1e-7  # a step so short that x stays within X: the gradient is what it moves, over the step


def gradient_of(problem, pair, policy_step, x=None):
    """Return d/dx f(x, π⁺(x)) as `meta_gradient` takes it, and its run."""
    x = problem.initial_upper if x is None else x
    options = {"initial_policy": pair, "policy_step": policy_step, "start": x}
    run = meta_gradient(problem, iterations=1, step=TINY, **options)
    found = (x - run.upper) / TINY  # rounding: 1e-16/1e-7
    assert np.isclose(run.history["gradient_mapping"][0], np.linalg.norm(found), rtol=1e-7, atol=1e-7)
    return found, meta_gradient(problem, iterations=0, step=TINY, **options)


def gains(model, policies):
    """What each action earns its player: Q in an MDP, Σ_b π₂ Q and −Σ_a π₁ Q in a game."""
    if isinstance(model, MDP):
        (policy,) = policies
        kernel = np.einsum("sa,sat->st", policy, model.transition)
        reward = (policy * model.reward).sum(axis=1) - model.temperature * cost_of(model, policy)
        value = np.linalg.solve(np.eye(model.n_states) - model.discount * kernel, reward)
        return (model.reward + model.discount * model.transition @ value,)
    first, second = policies
    ahead = model.reward + model.discount * model.transition @ value_of(model, policies)
    return np.einsum("sab,sb->sa", ahead, second), -np.einsum("sab,sa->sb", ahead, first)


def learned(model, policies, size):
    """π⁺ ∝ π exp(η(Q − τ∇h(π))), each player with its own Q."""
    found = []
    for policy, gain in zip(policies, gains(model, policies), strict=True):
        slope = np.log(policy) if model.regularizer.name == "entropy" else policy
        new = policy * np.exp(size * (gain - model.temperature * slope - gain.max(axis=1, keepdims=True)))
        found.append(new / new.sum(axis=1, keepdims=True))
    return tuple(found)


def after(problem, x, policies, size):
    """f(x, π⁺(x)), π held."""
    model = problem.lower_model(x)
    new = learned(model, policies, size)
    return problem.upper_objective(x, evaluate(model, new if len(new) > 1 else new[0]), None).value


@pytest.mark.parametrize("policy_step", [0.05, 0.5, 1.0])
@pytest.mark.parametrize("shapes", ["reward", "kernel", "both"])
@pytest.mark.parametrize("players", [1, 2])
def test_the_gradient_by_differences(players, shapes, policy_step):
    for seed in range(4):
        branching, temperature = (None, 2)[seed % 2], (0.1, 0.3)[seed // 2]
        if players == 2:
            shape = ((3, 3), (3, 2), (2, 2), (2, 3))[seed]
            problem = Arena(seed, shape=shape, shapes=shapes, branching=branching, temperature=temperature)
        else:
            norm = SquaredNorm() if seed > 1 else None
            options = {"shapes": shapes, "branching": branching, "temperature": temperature, "regularizer": norm}
            problem = Mixture(seed, **options)
        model = problem.lower_model(problem.initial_upper)
        counts = np.atleast_1d(model.n_actions)
        policies = tuple(0.5 * random_policy(np.random.default_rng(seed), model.n_states, n) + 0.5 / n for n in counts)
        x = np.random.default_rng(seed).uniform(0.05, 0.25, size=3)
        found, run = gradient_of(problem, policies if players == 2 else policies[0], policy_step, x)
        size = policy_step / temperature
        # The exponent is η dQ, dQ of size dx/(1−γ): on the scale 0.1/η a step of a hundredth misses (1/100)⁴.
        step = 1e-3 / max(size, 1.0)
        axes = np.eye(3)
        measured = [derivative(lambda t, e=e: after(problem, x + t * e, policies, size), step) for e in axes]  # noqa: B023
        assert np.linalg.norm(found - measured) <= 1e-6 * np.linalg.norm(measured)
        assert np.isclose(run.objective, after(problem, x, policies, size), rtol=1e-9)


def test_one_step_by_hand():
    """One state, two actions each, γ = 0: π₁⁺ = σ(log-odds (1 − ητ)·l + η(Q₁(0) − Q₁(1))), and −Q for player 2."""
    tau, eta, (p, q), x = 0.5, 0.6, (0.7, 0.4), 0.2
    reward, wish = np.array([[1.0, -0.5], [0.2, 0.3]]), np.array([[1.0, 0.0], [0.0, 0.0]])
    problem = incentive_design.problem(one_state(reward, temperature=tau), wish[None], bound=1.0, cost=0.4)
    paid = np.full((1, 2, 2), 0.0)
    paid[0, 0, 0] = x
    odds_p, odds_q = np.log(p / (1 - p)), np.log(q / (1 - q))
    r = reward + paid[0]
    ahead_p = (1 - eta * tau) * odds_p + eta * ((r[0] - r[1]) @ [q, 1 - q])
    ahead_q = (1 - eta * tau) * odds_q - eta * ((r[:, 0] - r[:, 1]) @ [p, 1 - p])
    new_p, new_q = 1 / (1 + np.exp(-ahead_p)), 1 / (1 + np.exp(-ahead_q))
    pair = [[p, 1 - p]], [[q, 1 - q]]
    found, run = gradient_of(problem, pair, eta * tau, paid)
    assert np.allclose([run.lower[0][0, 0], run.lower[1][0, 0]], [new_p, new_q], rtol=0, atol=1e-12)
    assert np.isclose(run.objective, -new_p * new_q + 0.2 * x**2)
    # f = −p⁺q⁺ + 0.2 x², dp⁺/dx = p⁺(1 − p⁺) η q and dq⁺/dx = −q⁺(1 − q⁺) η p
    slope = -new_p * (1 - new_p) * eta * q * new_q + new_q * (1 - new_q) * eta * p * new_p + 0.4 * x
    assert np.isclose(found[0, 0, 0], slope, rtol=1e-7)


class Bandit:
    """One state, γ = 0, r = x: one step with η = 1/τ is the solution, softmax(x/τ)."""

    initial_upper = np.array([0.3, -0.2, 0.1])

    def lower_model(self, x):
        return MDP(np.ones((1, 3, 1)), x[None], 0.0, [1.0], 0.4)

    def upper_objective(self, x, at, rng):
        gain = minus_return(at, np.array([[1.0, 2.0, -1.0]]))
        return Objective(gain.value, gain.policy_gradient)

    def pull_back(self, x, terms):
        return sum(term.mass[0] for term in terms if term.channel == "lower")

    def project(self, x):
        return np.clip(x, -1.0, 1.0)


def test_where_one_step_solves_the_lower_level_it_is_the_hypergradient():
    exact = hypergradient(Bandit(), Bandit.initial_upper)
    found, run = gradient_of(Bandit(), [[0.2, 0.3, 0.5]], 1.0)
    assert np.allclose(found, exact.gradient, rtol=1e-7) and np.isclose(run.objective, exact.value)
    for eta in (0.5, 0.01):  # of a shorter step it sees only a share
        part, _ = gradient_of(Bandit(), exact.best.policy, eta)
        assert np.allclose(part, eta * exact.gradient, rtol=1e-6)


def test_at_an_equilibrium_it_is_not_the_hypergradient():
    """Of what x changes in the players' answers to each other, one step sees the beginning."""
    game = draw_game(1, 4, (2, 2), temperature=0.3)
    problem = incentive_design.problem(game, np.random.default_rng(1).normal(size=(4, 2, 2)))
    exact = hypergradient(problem, problem.initial_upper)
    found, run = gradient_of(problem, exact.best.policies, 0.2)
    assert all(np.allclose(mine, yours, atol=1e-5) for mine, yours in zip(run.lower, exact.best.policies, strict=True))
    gap = np.linalg.norm(found / np.linalg.norm(found) - exact.gradient / np.linalg.norm(exact.gradient))
    assert gap > 0.1


@pytest.mark.parametrize("players", [1, 2])
def test_a_run(players):
    problem = Arena(3, shape=(2, 2), temperature=0.3) if players == 2 else Mixture(3, temperature=0.3)
    run = meta_gradient(problem, iterations=60, step=0.01)
    history = run.history
    assert (history["soft_solves"] == 2 * (history.index + 1)).all() and history["penalty"].isna().all()
    assert np.isnan(run.penalty)
    at = evaluate(problem.lower_model(run.upper), run.lower)
    assert np.isclose(problem.upper_objective(run.upper, at, None).value, run.objective)
    again = meta_gradient(problem, iterations=60, step=0.01)
    assert np.array_equal(again.upper, run.upper)
    # the first step is from uniform policies, and the second from where the first has led
    model = problem.lower_model(problem.initial_upper)
    policies = tuple(np.full((model.n_states, n), 1 / n) for n in np.atleast_1d(model.n_actions))
    first = meta_gradient(problem, iterations=0, step=0.01)
    expected = learned(model, policies, 0.1 / 0.3)
    mine = first.lower if players == 2 else (first.lower,)
    assert all(np.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(mine, expected, strict=True))
    second = meta_gradient(problem, iterations=1, step=0.01)
    expected = learned(problem.lower_model(second.upper), expected, 0.1 / 0.3)
    mine = second.lower if players == 2 else (second.lower,)
    assert all(np.allclose(a, b, rtol=0, atol=1e-12) for a, b in zip(mine, expected, strict=True))


def test_the_default_step_moves_the_most_pushed_coordinate_by_a_third_or_so():
    problem = incentive_design.problem(draw_game(2), np.random.default_rng(2).normal(size=(4, 3, 2)), bound=5.0)
    assert np.isclose(np.abs(meta_gradient(problem, iterations=1).upper).max(), 0.3)


def test_it_may_start_in_a_corner():
    problem = incentive_design.problem(draw_game(0), np.ones((4, 3, 2)))
    corners = np.eye(3)[[0, 1, 2, 0]], np.eye(2)[[0, 1, 1, 0]]
    run = meta_gradient(problem, initial_policy=corners, iterations=5)
    assert np.isfinite(run.objective) and all(np.allclose(policy.sum(axis=1), 1) for policy in run.lower)
    assert np.isfinite(meta_gradient(Mixture(0), initial_policy=np.eye(3)[[0, 1, 2, 0, 1]], iterations=5).objective)


PAIR = draw_pair(0, draw_game(0))
REFUSED = [
    ({"step": 0.0}, "step is 0.0; allowed is a finite number above 0"),
    ({"policy_step": -1.0}, "policy_step is -1.0; allowed is a finite number above 0"),
    ({"policy_step": np.nan}, "policy_step is nan; allowed"),
    ({"iterations": -1}, "iterations is -1; allowed is an integer, at least 0"),
    ({"initial_policy": PAIR[0]}, "policies are of type ndarray; allowed is a pair"),
    ({"initial_policy": PAIR[::-1]}, r"policies\[0\] has shape \(4, 2\); allowed is \(4, 3\)"),
    ({"start": np.zeros(3)}, r"start has shape \(3,\); allowed is \(4, 3, 2\)"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        meta_gradient(incentive_design.problem(draw_game(0), np.zeros((4, 3, 2))), **options)
