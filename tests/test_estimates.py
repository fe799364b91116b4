"""Hypergradients that are tracked or sampled: what they tend to, how fast, and what a run records."""

import numpy as np
import pytest
from games import Arena
from problems import Mixture

from pencourse import MDP, SquaredNorm, evaluate, hypergradient, solve, worlds
from pencourse.baselines import hpgd, hypergradient_descent, sobirl
from pencourse.cases import reward_shaping, rlhf, stackelberg

TINY = 1e-7  # a step so short that x stays within X: the gradient is what it moves, over the step


def gradient_of(method, problem, x, **options):
    """Return the gradient that the first iteration takes at x."""
    return (x - method(problem, start=x, step=TINY, iterations=1, **options).upper) / TINY


def draw(seed, shapes="both"):
    options = {"branching": (None, 2)[seed % 2], "regularizer": SquaredNorm() if seed > 1 else None}
    return Mixture(seed, shapes=shapes, temperature=(0.1, 0.3)[seed // 2], **options)


class Recorded:
    """A problem that keeps the x and the policies at which f was asked for."""

    def __init__(self, problem):
        self.problem, self.seen = problem, []

    def __getattr__(self, name):
        return getattr(self.problem, name)

    def upper_objective(self, x, at, rng):
        self.seen.append((x.copy(), at.policy))
        return self.problem.upper_objective(x, at, rng)


# Tracking


@pytest.mark.parametrize("shapes", ["reward", "kernel", "both"])
def test_after_many_sweeps_it_is_the_hypergradient(shapes):
    for seed in range(4):
        problem = draw(seed, shapes)
        x = np.random.default_rng(seed).uniform(0.05, 0.25, size=3)
        exact = hypergradient(problem, x).gradient
        found = gradient_of(sobirl, problem, x, sweeps=500)  # 0.9^500 is 1e-23
        assert np.linalg.norm(found - exact) <= 1e-6 * np.linalg.norm(exact)  # 1e-16/TINY


def by_hand(problem, x, sweeps, value, later):
    """V ← TV and z ← γ Σ (u + zπ) P by loops, and the gradient they make; for problems with the entropy."""
    model = problem.lower_model(x)
    gamma, tau, (n, n_actions) = model.discount, model.temperature, model.reward.shape

    def ahead():
        return np.array(
            [[model.reward[s, a] + gamma * model.transition[s, a] @ value for a in range(n_actions)] for s in range(n)]
        )

    for _ in range(sweeps):
        value = tau * np.log(np.exp(ahead() / tau).sum(axis=1))
    policy = np.exp(ahead() / tau)
    policy /= policy.sum(axis=1, keepdims=True)
    objective = problem.upper_objective(x, evaluate(model, policy), None)
    slope = objective.policy_gradient
    u = policy * (slope - (policy * slope).sum(axis=1, keepdims=True)) / tau
    for _ in range(sweeps):
        after = np.zeros(n)
        for s in range(n):
            for a in range(n_actions):
                after += gamma * (u[s, a] + later[s] * policy[s, a]) * model.transition[s, a]
        later = after
    mass = u + later[:, None] * policy
    moved = np.array(
        [
            (
                mass * (problem.lower[k] - problem.lower[0] + gamma * (problem.kernels[k] - problem.kernels[0]) @ value)
            ).sum()
            for k in (1, 2, 3)
        ]
    )
    return objective.upper_gradient + problem.pull_back(x, objective.terms) + moved, value, later, policy


@pytest.mark.parametrize("sweeps", [1, 3])
def test_iterations_by_hand_go_on_where_the_last_one_ended(sweeps):
    problem, step = Mixture(1, temperature=0.3), 1e-3
    x, value, later = problem.initial_upper, np.zeros(5), np.zeros(5)
    for iteration in range(4):
        run = sobirl(problem, step=step, iterations=iteration, sweeps=sweeps)
        assert np.allclose(run.upper, x, rtol=0, atol=1e-12)
        gradient, value, later, policy = by_hand(problem, x, sweeps, value, later)
        assert np.allclose(run.lower, policy, rtol=0, atol=1e-12)
        assert run.history["soft_solves"].iloc[-1] == sweeps * (iteration + 1)
        x = problem.project(x - step * gradient)


def test_with_x_held_the_errors_fall_by_gamma():
    """|V_k − V_{k−1}| falls by γ, and the gradient's error at least like k γ^k: z's own error, driven by V's."""
    problem, gamma = Mixture(3, shapes="reward", branching=2, temperature=0.3), 0.9
    x = problem.initial_upper
    exact = hypergradient(problem, x).gradient
    run = sobirl(problem, start=x, step=TINY / 1000, iterations=60)
    residual = run.history["oracle_residual"].to_numpy()
    assert (residual[1:] <= gamma * residual[:-1] + 1e-8).all()
    errors = {k: np.linalg.norm(gradient_of(sobirl, problem, x, sweeps=k) - exact) for k in (1, 2, 5, 10, 20)}
    for k, error in errors.items():
        assert error <= errors[1] / gamma * k * gamma**k + 1e-8
    assert errors[5] >= 0.1  # there is something to lose


def test_it_lags_behind_a_moving_x_and_the_residual_bounds_the_lag():
    """span τ log(π_k/π*) ≤ 2γ|V_k − V*|, which is at most 2γ²/(1−γ) times what the last sweep changed."""
    recorded = Recorded(Mixture(2, shapes="reward", temperature=0.2))
    run = sobirl(recorded, step=0.003, iterations=50)
    residual, gamma, bound = run.history["oracle_residual"], 0.9, None
    spans, last = [], None
    for k, (x, policy) in enumerate(recorded.seen[-51:]):
        model = recorded.problem.lower_model(x)
        plan = solve(model, tolerance=1e-13)
        if bound is None:
            bound = gamma * np.abs(plan.value).max()
        else:
            moved = np.abs(model.reward - last).max()
            bound = gamma * (bound + moved / (1 - gamma))  # (4) of lesson 14
        last = model.reward
        spans.append(np.ptp(model.temperature * np.log(policy / plan.policy), axis=1).max())
        assert spans[-1] <= 2 * gamma * bound + 1e-9
        assert spans[-1] <= 2 * gamma**2 / (1 - gamma) * residual[k] + 1e-9
    assert max(spans[5:20]) >= 1e-4 and spans[-1] <= max(spans[5:20])


def test_news_takes_a_sweep_a_state():
    """A reward at the end of a corridor is seen at its entrance, and answered at its end, N − 1 sweeps later each."""
    length = 6
    kernel, bonus = np.zeros((length + 2, 2, length + 2)), np.zeros((length + 2, 2, 1))
    kernel[0, 0, 1] = kernel[0, 1, -1] = 1.0
    kernel[-1, :, -1] = 1.0
    kernel[np.arange(1, length + 1), :, np.arange(2, length + 2)] = 1.0
    bonus[length] = 1.0
    wanted = np.zeros((length + 2, 2))
    wanted[0, 0] = 1.0
    world = MDP(kernel, np.zeros((length + 2, 2)), 0.9, np.eye(length + 2)[0], 0.2)
    problem = reward_shaping.problem(world, bonus, true_reward=wanted)
    x = np.array([0.5])
    silent = [gradient_of(sobirl, problem, x, sweeps=k)[0] for k in (length - 1, length)]
    assert silent[0] == 0 and abs(silent[1]) > 1e-3
    run = sobirl(problem, start=x, step=TINY, iterations=length + 2)
    assert len(run.history) == length + 3, "an estimate of 0 ended the run"
    assert (run.history["gradient_mapping"].iloc[: length - 1] == 0).all()
    assert (run.history["gradient_mapping"].iloc[length - 1 :] > 0).all()


def test_it_comes_to_rest_where_the_exact_method_does():
    game = worlds.random_stackelberg_game(np.random.default_rng(5), 4, 2, 3, 0.9, temperature=0.5)
    exact = hypergradient_descent(game, step=0.2, iterations=800)
    run = sobirl(game, step=0.2, iterations=800)
    assert np.abs(run.upper - exact.upper).max() <= 1e-6
    assert abs(run.objective - exact.objective) <= 1e-6
    assert np.isnan(run.penalty) and run.history["hyper_objective"].isna().all()


# Sampling


def exact_mass(problem, x):
    """u + z ⊙ π*, by the transposed solve."""
    found = hypergradient(problem, x)
    plan, slope = found.best, found.objective.policy_gradient
    weights = plan.mdp.regularizer.maximizer_derivative(plan.policy, slope, plan.mdp.temperature)
    return plan.evaluation.action_value_adjoint(weights), weights, plan


class MassOf(Mixture):
    """`Mixture` with x (S, A) added to the reward, so that the gradient is f's own part plus the mass itself."""

    def __init__(self, seed, **options):
        super().__init__(seed, shapes="reward", **options)
        self.base, self.initial_upper = super().lower_model(np.full(3, 0.2)), np.zeros((5, 3))

    def lower_model(self, x):
        return self.base.with_reward(self.base.reward + x)

    def upper_objective(self, x, at, rng):
        found = super().upper_objective(np.zeros(3), at, rng)
        return type(found)(found.value, found.policy_gradient)

    def pull_back(self, x, terms):
        return np.asarray(sum((term.mass for term in terms if term.channel == "lower"), start=np.zeros((5, 3))))

    def project(self, x):
        return np.clip(x, -1.0, 1.0)


@pytest.mark.parametrize("regularizer", [None, SquaredNorm()])
def test_the_mass_is_sampled_without_bias(regularizer):
    """Means of 4,000 single roll-outs in 15 cells; 4.5 standard errors are passed once in 10,000 such tests."""
    problem = MassOf(4, temperature=1.0, regularizer=regularizer)
    x = problem.initial_upper
    mass, weights, _ = exact_mass(problem, x)
    rng = np.random.default_rng(0)
    draws = np.array([gradient_of(hpgd, problem, x, rng=rng, n=20) for _ in range(200)])
    error = draws.std(axis=0, ddof=1) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - mass) <= 4.5 * error + 1e-7).all()
    assert np.linalg.norm(error) <= np.linalg.norm(mass) / 3  # it says something
    if regularizer is None:
        assert (weights < 0).any() and (weights > 0).any()


def test_the_error_falls_like_one_over_the_root_of_n():
    """Standard deviations of 300 draws, each within a relative error of about 1/√600 and what heavy tails add."""
    problem = MassOf(5, temperature=0.5)
    x, rng = problem.initial_upper, np.random.default_rng(1)
    spread = {
        n: np.sqrt(np.array([gradient_of(hpgd, problem, x, rng=rng, n=n) for _ in range(300)]).var(axis=0).sum())
        for n in (5, 45)
    }
    assert abs(spread[5] / spread[45] / 3 - 1) <= 0.2
    # Σ over cells of the variance is below ‖u‖₁² E N², N the length of a roll-out
    _, weights, plan = exact_mass(problem, x)
    gamma = plan.mdp.discount
    assert spread[5] ** 2 <= np.abs(weights).sum() ** 2 * (1 + gamma) / (1 - gamma) ** 2 / 5


def test_in_one_step_the_variance_is_known():
    """γ = 0, two arms: a roll-out is one pair, u = ±s with s = y₁y₂/τ, and the gradient 2s or 0 with a half each."""
    world = MDP(np.ones((1, 2, 1)), [[0.3, 0.0]], 0.0, [1.0], 0.7)
    problem = reward_shaping.problem(world, [[[1.0], [0.0]]], true_reward=[[1.0, 0.0]])
    y = 1 / (1 + np.exp(-0.3 / 0.7))
    s, rng = y * (1 - y) / 0.7, np.random.default_rng(2)
    draws = np.array([gradient_of(hpgd, problem, np.zeros(1), rng=rng, n=1)[0] for _ in range(1000)])
    assert set(np.round(draws, 5)) == {0.0, -round(2 * s, 5)}
    assert abs((draws < 0).mean() - 0.5) <= 4 * 0.5 / np.sqrt(1000)


def test_a_sampled_run():
    problem, options = Mixture(0, temperature=0.3), {"step": 0.01, "iterations": 30, "n": 5}
    run = hpgd(problem, rng=np.random.default_rng(3), **options)
    again = hpgd(problem, rng=np.random.default_rng(3), **options)
    other = hpgd(problem, rng=np.random.default_rng(4), **options)
    assert np.array_equal(run.upper, again.upper) and not np.array_equal(run.upper, other.upper)
    found = hypergradient(problem, run.upper)
    assert np.isclose(run.history["hyper_objective"].iloc[-1], found.value, rtol=1e-9)
    assert (run.history["soft_solves"] == run.history.index + 1).all() and run.penalty == 0
    assert np.allclose(run.lower, found.best.policy, atol=1e-7)


def test_an_f_that_no_policy_moves_leaves_x_where_it_is():
    """u = 0: there is nothing to draw from."""
    world = worlds.random_mdp(np.random.default_rng(0), 3, 2, 0.9, temperature=0.3)
    problem = reward_shaping.problem(world, np.ones((3, 2, 1)), true_reward=np.zeros((3, 2)))
    for run in (
        hpgd(problem, rng=np.random.default_rng(0), step=1.0, iterations=3),
        sobirl(problem, step=1.0, iterations=3),
    ):
        assert run.upper == 0 and len(run.history) == 4


# Both


class Cold(Mixture):
    def lower_model(self, x):
        return super().lower_model(x).with_temperature(0.0)


METHODS = [
    pytest.param(sobirl, {}, id="sobirl"),
    pytest.param(hpgd, {"rng": np.random.default_rng(0)}, id="hpgd"),
]
REFUSED = [
    ({"step": 0.0}, "step is 0.0; allowed is a finite number above 0"),
    ({"iterations": -1}, "iterations is -1; allowed is an integer, at least 0"),
    ({"start": np.zeros(2)}, r"start has shape \(2,\); allowed is \(3\)"),
]


@pytest.mark.parametrize(("method", "more"), METHODS)
@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_bad_options_are_refused(method, more, options, message):
    with pytest.raises(ValueError, match=message):
        method(Mixture(0), **more, **options)


def test_counts_are_refused():
    with pytest.raises(ValueError, match="sweeps is 0; allowed"):
        sobirl(Mixture(0), sweeps=0)
    with pytest.raises(ValueError, match="n is 0; allowed"):
        hpgd(Mixture(0), n=0, rng=np.random.default_rng(0))


@pytest.mark.parametrize(("method", "more"), METHODS)
def test_temperature_0_and_games_are_refused(method, more):
    with pytest.raises(ValueError, match=r"temperature is 0\.0; allowed is a temperature above 0"):
        method(Cold(0), **more)
    with pytest.raises(ValueError, match=r"Arena\.lower_model returned a ZeroSumGame; allowed here is an MDP"):
        method(Arena(0), **more)


@pytest.mark.parametrize(("method", "more"), METHODS)
def test_a_stackelberg_game_is_taken_as_it_is(method, more):
    game = worlds.random_stackelberg_game(np.random.default_rng(1), 3, 2, 2, 0.9, temperature=0.3)
    rng = {"rng": np.random.default_rng(7)} if more else {}
    run = method(game, step=0.05, iterations=5, **rng)
    rng = {"rng": np.random.default_rng(7)} if more else {}
    same = method(stackelberg.problem(game), step=0.05, iterations=5, **rng)
    assert np.array_equal(run.upper, same.upper) and np.allclose(run.upper.sum(axis=1), 1)


def test_f_may_be_no_return():
    """RLHF's f depends on x directly and on y by scores; both estimates tend to the same slope."""
    world = worlds.random_mdp(np.random.default_rng(0), 3, 2, 0.8, temperature=0.5)
    problem = rlhf.problem(world, bound=3.0)
    x = np.linspace(-1, 1, problem.initial_upper.size)
    exact = hypergradient(problem, x).gradient
    assert np.allclose(gradient_of(sobirl, problem, x, sweeps=300), exact, atol=1e-7)
    rng = np.random.default_rng(0)
    draws = np.array([gradient_of(hpgd, problem, x, rng=rng, n=50) for _ in range(100)])
    assert (np.abs(draws.mean(axis=0) - exact) <= 4.5 * draws.std(axis=0, ddof=1) / 10 + 1e-7).all()
