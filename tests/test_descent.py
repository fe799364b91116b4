"""PBRL: what it converges to, what its parts do, what it refuses; and the landscape that it moves on."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import draw_mdp
from problems import Mixture, clerk

from pencourse import (
    MDP,
    SquaredNorm,
    bellman_penalty,
    evaluate,
    exact,
    hypergradient,
    hypergradient_descent,
    leader_return,
    pbrl,
    pbrl_partial,
    solve,
    value_penalty,
    worlds,
)
from pencourse.baselines import independent_gradient
from pencourse.bilevel import Objective, minus_return
from pencourse.cases import stackelberg
from pencourse.simplex import project, random_policy, uniform_policy

PENALTIES = (value_penalty, bellman_penalty)


def draw_game(seed, *, n_states=6, temperature=0.1, regularizer=None, branching=None):
    rng = np.random.default_rng(seed)
    return worlds.random_stackelberg_game(
        rng, n_states, 3, 3, 0.9, temperature=temperature, regularizer=regularizer, branching=branching
    )


class Shaped(Mixture):
    """`Mixture` whose f is minus a return and a cost of x: exact partial minimisation applies."""

    def upper_reward(self, x):
        return self.mix(self.upper, x)

    def upper_objective(self, x, at, rng):
        gain = minus_return(at, self.upper_reward(x))
        return Objective(gain.value + 0.5 * x @ x, gain.policy_gradient, x, gain.terms)


def penalized_minimum(problem, x, weight):
    """φ_λ(x) by two conic programs: c(x) + λ[V*_r − V*_{r + r_u/λ}], and its minimiser."""
    model = problem.lower_model(x)
    tilted = replace(model, reward=model.reward + problem.upper_reward(x) / weight)
    plain, turned = exact.solve_mdp(model), exact.solve_mdp(tilted)
    return 0.5 * x @ x + weight * (plain.expected_return - turned.expected_return), turned.policy


# T4: the landscape


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_gradient_dominance(temperature):
    """V* − V^π ≤ ‖d*/d‖_∞ max⟨π′ − π, ∇V^π⟩, from random policies; the maximum is attained at one action a state."""
    for seed in range(60):
        mdp = draw_mdp(seed, temperature=temperature, branching=2 + seed % 3, discount=0.9)
        policy = random_policy(np.random.default_rng(seed), 6, 3)
        gap = value_penalty(mdp, policy)
        slope = -gap.policy_gradient
        steepest = (slope.max(axis=1) - (policy * slope).sum(axis=1)).sum()
        referee = exact.solve_mdp(mdp) if seed < 6 else solve(mdp)
        at, best = evaluate(mdp, policy), evaluate(mdp, np.maximum(referee.policy, 0) / referee.policy.sum(1)[:, None])
        ratio = (best.occupancy / at.occupancy).max()
        assert gap.value <= ratio * steepest + 1e-6
        assert ratio <= (best.occupancy / mdp.initial).max() <= 1 / (0.1 * mdp.initial.min()) + 1e-9


def test_gradient_dominance_fails_with_a_zero_in_the_start():
    """State 1 is never visited from the start under π, so nothing says that it would be worth a visit."""
    transition = np.zeros((2, 2, 2))
    transition[0, 0, 0] = transition[0, 1, 1] = transition[1, :, 1] = 1.0
    mdp = MDP(transition, [[0.1, 0.0], [1.0, 0.0]], 0.9, [1.0, 0.0])
    stuck = np.array([[1.0, 0.0], [0.0, 1.0]])  # stays, and would be lazy where it could go
    gap = value_penalty(mdp, stuck)
    slope = -gap.policy_gradient
    assert (slope.max(axis=1) - (stuck * slope).sum(axis=1)).sum() <= 1e-12
    assert gap.value > 7.0


@pytest.mark.parametrize("weight", [5.0, 50.0])
def test_the_penalty_at_a_stationary_point_is_of_order_the_weight_to_the_minus_two(weight):
    """p_V ≤ Σ d*(s) (span ∇_{y_s}f / (2 d(s)))² / (2τλ²)."""
    for seed in range(10):
        problem = Shaped(seed)
        x = problem.initial_upper
        _, policy = penalized_minimum(problem, x, weight)
        policy = policy / policy.sum(axis=1, keepdims=True)
        model = problem.lower_model(x)
        at, best = evaluate(model, policy), evaluate(model, solve(model).policy)
        slope = problem.upper_objective(x, at, None).policy_gradient
        bound = (best.occupancy * (np.ptp(slope, axis=1) / (2 * at.occupancy)) ** 2).sum() / (2 * 0.1 * weight**2)
        assert value_penalty(model, policy).value <= bound + 1e-7


# T3 and T7: φ_λ below φ, how far, and by which two programs


def test_partial_minimum_is_a_difference_of_two_optimal_values():
    """Against the definition: no policy makes F_λ(x, ·) smaller, and the one that descent finds attains it."""
    for seed in range(5):
        problem, weight = Shaped(seed, temperature=0.2), 4.0
        x = problem.initial_upper
        lowest, _ = penalized_minimum(problem, x, weight)
        model = problem.lower_model(x)
        start = uniform_policy(5, 3)
        run = pbrl(Fixed(problem, x), penalty_weight=weight, continuation=0, iterations=60, initial_policy=start)
        assert np.isclose(run.history["penalized_objective"].iloc[-1], lowest, rtol=0, atol=1e-6)
        rng = np.random.default_rng(seed)
        for _ in range(50):
            policy = random_policy(rng, 5, 3)
            f = problem.upper_objective(x, evaluate(model, policy), None).value
            assert f + weight * value_penalty(model, policy).value >= lowest - 1e-7


class Fixed:
    """A problem whose x may not move: PBRL on it minimises F_λ(x, ·)."""

    def __init__(self, problem, x):
        self.inner, self.initial_upper = problem, np.array(x)

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def project(self, x):
        return self.initial_upper


def test_bias_of_the_penalized_minimum():
    """0 ≤ φ − φ_λ ≤ B²/(8λτ(1−γ)), and λ(φ − φ_λ) → (1/2τ) Σ d* Var Q_u; λ²p tends to the same."""
    for seed in range(6):
        problem, tau = Shaped(seed), 0.1
        x = problem.initial_upper
        model = problem.lower_model(x)
        best = evaluate(model, solve(model).policy)
        reward = problem.upper_reward(x)
        ahead = reward + 0.9 * model.transition @ best.side_value(reward)
        value = problem.upper_objective(x, best, None).value
        spread = np.ptp(ahead, axis=1).max()
        mean = (best.policy * ahead).sum(axis=1, keepdims=True)
        limit = best.occupancy @ (best.policy * (ahead - mean) ** 2).sum(axis=1) / (2 * tau)
        gaps, penalties = {}, {}
        for weight in (2.0, 20.0, 200.0):
            lowest, _ = penalized_minimum(problem, x, weight)
            gaps[weight] = value - lowest
            tilted = solve(replace(model, reward=model.reward + reward / weight))
            penalties[weight] = value_penalty(model, tilted.policy).value
            assert -1e-6 <= gaps[weight] <= spread**2 / (8 * weight * tau * 0.1)
        assert abs(200 * gaps[200.0] / limit - 1) < 0.1
        assert abs(200**2 * penalties[200.0] / limit - 1) < 0.2
        slope = np.log(penalties[200.0] / penalties[20.0]) / np.log(10.0)
        assert -2.2 < slope < -1.6


def test_the_clerks_penalized_minimum_by_hand():
    """For x < γ: φ_λ = κx + min{−ρ₀, ρ₀(λ(γ − x) − 1)/(1 − γ)}; from the weight κ(1 − γ)/ρ₀ on x = γ is optimal."""
    kappa, start = 2.0, 0.8
    wages, chances = np.linspace(0, 1, 41), np.linspace(0, 1, 21)
    for weight in (0.1, 0.24, 0.26, 1.0):
        lowest = []
        for x in wages:
            model = clerk(x)
            best = solve(model)
            rows = [evaluate(model, [[v, 1 - v], [0.5, 0.5]]) for v in chances]
            values = [kappa * x - at.occupancy[0] + weight * value_penalty(model, at, best=best).value for at in rows]
            lowest.append(min(values))
            if x < 0.9 - 1e-9:
                by_hand = kappa * x + min(-start, start * (weight * (0.9 - x) - 1) / 0.1)
                assert np.isclose(lowest[-1], by_hand, rtol=0, atol=1e-7)
        at_tie = wages[int(np.argmin(lowest))]
        assert np.isclose(at_tie, 0.9 if weight > kappa * 0.1 / start else 0.0)


# T6: PBRL


@pytest.mark.parametrize("penalty", ["value", "bellman"])
@pytest.mark.parametrize("regularizer", [None, SquaredNorm()], ids=["entropy", "squared_norm"])
def test_pbrl_ends_where_the_penalized_objective_is_stationary(penalty, regularizer):
    problem = Shaped(8, regularizer=regularizer, temperature=0.3)
    run = pbrl(problem, penalty=penalty, penalty_weight=10.0, iterations=1500, step=3e-3, tolerance=1e-7)
    assert run.history["gradient_mapping"].iloc[-1] <= 1e-7
    x, model = run.upper, problem.lower_model(run.upper)
    make = dict(zip(("value", "bellman"), PENALTIES, strict=True))[penalty]

    def penalized(x, y):
        model = problem.lower_model(x)
        return problem.upper_objective(x, evaluate(model, y), None).value + 10.0 * make(model, y).value

    here = penalized(x, run.lower)
    assert np.isclose(here, run.objective + 10.0 * run.penalty)
    rng = np.random.default_rng(0)
    for _ in range(40):  # no way down by steps of 1e-3, in x or in y or in both
        to_x, to_y = problem.project(x + rng.normal(size=3)), random_policy(rng, *model.reward.shape)
        for share in ((1e-3, 0), (0, 1e-3), (1e-3, 1e-3)):
            moved = penalized(x + share[0] * (to_x - x), run.lower + share[1] * (to_y - run.lower))
            assert moved >= here - 1e-6


@pytest.mark.parametrize("penalty", ["value", "bellman"])
@pytest.mark.parametrize("update", ["mirror, entropy", "mirror, squared norm", "projection"])
def test_one_iteration_and_its_gradient_mapping_by_hand(penalty, update):
    """y⁺ with β = η/λ or, in the mirror step, η/(λτw(s)), and ‖G‖² = ‖x − x⁺‖²/α² + Σ_s ‖y_s − y_s⁺‖²/β(s)².

    ρ is 0 in five states, where the Bellman penalty has no weight w: there β is η/(λτ).
    """
    game = draw_game(0, regularizer=SquaredNorm() if "squared" in update else None)
    problem, weight, alpha, eta = stackelberg.problem(replace(game, initial=np.eye(6)[0])), 7.0, 1e-3, 0.05
    x, y = (0.5 * random_policy(np.random.default_rng(k), 6, 3) + 1 / 6 for k in range(2))
    at = evaluate(problem.lower_model(x), y)
    gap = dict(zip(("value", "bellman"), PENALTIES, strict=True))[penalty](at.mdp, at)
    f = problem.upper_objective(x, at)
    slope = f.policy_gradient + weight * gap.policy_gradient
    gradient = problem.pull_back(x, [*f.terms, *(term.scaled(weight) for term in gap.terms)])
    own = 0.1 * np.where(gap.weight > 0, gap.weight, 1.0) if "mirror" in update else np.ones(6)
    beta = eta / (weight * own[:, None])
    new = y * np.exp(-beta * slope) if "entropy" in update else project(y - beta * slope)
    run = pbrl(
        problem,
        penalty=penalty,
        penalty_weight=weight,
        update=update.split(",")[0],
        step=alpha,
        policy_step=eta,
        policy_floor=0.0,
        start=x,
        initial_policy=y,
        continuation=0,
        simultaneous=True,
        iterations=1,
    )
    assert np.allclose(run.lower, new / new.sum(axis=1, keepdims=True), rtol=0, atol=1e-9)
    assert np.allclose(run.upper, project(x - alpha * gradient), rtol=0, atol=1e-9)
    in_x, in_y = (x - run.upper) / alpha, (y - run.lower) / beta
    assert np.isclose(run.history["gradient_mapping"][0], np.hypot(np.linalg.norm(in_x), np.linalg.norm(in_y)))


def test_pbrl_with_a_large_weight_stays_at_a_local_optimum_of_the_hyper_objective():
    """From the end of hypergradient descent; from elsewhere it may find another basin."""
    for seed in range(4):
        game = draw_game(seed)
        reference = hypergradient_descent(game, iterations=600, step=0.1)
        options = {"penalty_weight": 500.0, "continuation": 0, "step": 0.02, "start": reference.upper}
        for found in (pbrl(game, iterations=200, **options), pbrl_partial(game, iterations=200, **options)):
            assert abs(found.history["hyper_objective"].iloc[-1] / reference.objective - 1) < 5e-3
            assert found.penalty <= 1e-4
            assert np.isclose(
                hypergradient(stackelberg.problem(game), found.upper).value, found.history["hyper_objective"].iloc[-1]
            )


def test_pbrl_does_not_stop_before_continuation_has_ended():
    """On this problem the gradient mapping is 0 already where λ is 1.04."""
    problem = Shaped(8, regularizer=SquaredNorm(), temperature=0.3)
    options = {"step": 3e-3, "tolerance": 1e-7, "initial_weight": 1.0, "initial_temperature": 0.3}
    run = pbrl(problem, penalty_weight=10.0, iterations=1500, **options)
    assert run.history["penalty_weight"].iloc[-1] == 10.0 and run.history["gradient_mapping"][:20].min() <= 1e-7


def test_partial_minimisation_takes_the_exact_minimiser_and_its_gradient():
    problem, weight, step = Shaped(8), 7.0, 1e-3
    run = pbrl_partial(problem, penalty_weight=weight, iterations=2, step=step)
    x = problem.initial_upper
    lowest, policy = penalized_minimum(problem, x, weight)
    assert np.isclose(run.history["penalized_objective"][0], lowest, rtol=0, atol=1e-6)

    def minimum(z):
        return penalized_minimum(problem, z, weight)[0]

    slopes = [(minimum(x + 1e-3 * axis) - minimum(x - 1e-3 * axis)) / 2e-3 for axis in np.eye(3)]
    moved = pbrl_partial(problem, penalty_weight=weight, iterations=1, step=step).upper
    assert np.allclose((x - moved) / step, slopes, rtol=1e-3, atol=1e-3)
    again = pbrl_partial(problem, penalty_weight=weight, iterations=0).lower
    assert np.abs(again - policy).max() <= 1e-3
    assert list(run.history["soft_solves"]) == [2, 4, 6]


def test_the_mean_squared_gradient_mapping_falls_like_one_over_iterations():
    """K⁻¹ Σ ‖G_k‖² ≤ C/K for the simultaneous projected form: eight times the iterations, a sixth of the mean."""
    problem = Shaped(8, regularizer=SquaredNorm(), temperature=0.5)
    run = pbrl(
        problem,
        penalty_weight=5.0,
        continuation=0,
        update="projection",
        policy_floor=0.0,
        policy_step=0.01 * 5.0,
        step=1e-3,
        simultaneous=True,
        iterations=800,
        initial_policy=uniform_policy(5, 3),
    )
    values = run.history["penalized_objective"].to_numpy()
    assert (np.diff(values) <= 1e-9).all()  # a step below 1/L descends
    squares = run.history["gradient_mapping"].to_numpy() ** 2  # it may stop before, where nothing moves any more
    assert squares.sum() / 800 <= squares[:100].sum() / 100 / 6


def test_a_lagging_policy_enters_with_the_factor_of_the_weight():
    """The same step converges when the policy moves first, and stays far from stationary when both move at once."""
    game = draw_game(1, n_states=20)
    options = {"penalty_weight": 50.0, "continuation": 0, "iterations": 200, "step": 2.0}
    first, at_once = pbrl(game, **options), pbrl(game, **options, simultaneous=True)
    assert first.penalty < 0.01 < 0.1 < at_once.penalty


def test_an_inexact_oracle_says_how_inexact_and_costs_its_steps():
    game = draw_game(2)
    loose = pbrl(game, oracle_steps=1, oracle_step=0.2, iterations=40)
    tight = pbrl(game, oracle_steps=25, oracle_step=1.0, iterations=40)
    newton = pbrl(game, iterations=40)
    assert list(loose.history["soft_solves"][:3]) == [1, 2, 3] and tight.history["soft_solves"][0] == 25
    assert loose.history["oracle_residual"].iloc[5] > 1e-3 > 1e-8 > tight.history["oracle_residual"].iloc[5]
    assert np.isclose(tight.objective, newton.objective, rtol=1e-6)


def test_continuation_runs_to_the_last_weight_and_to_the_models_temperature():
    game = draw_game(3)
    run = pbrl(game, penalty_weight=16.0, iterations=10, continuation=0.4, initial_weight=1.0, initial_temperature=0.8)
    assert np.allclose(run.history["penalty_weight"][:6], [1, 2, 4, 8, 16, 16])
    constant = pbrl(game, penalty_weight=16.0, iterations=10, continuation=0)
    assert (constant.history["penalty_weight"] == 16).all()
    default = pbrl(game, penalty_weight=16.0, iterations=4)
    assert np.allclose(default.history["penalty_weight"], [4, 8, 16, 16, 16])
    small = pbrl(game, penalty_weight=0.5, initial_weight=3.0, iterations=2)  # never from above
    assert (small.history["penalty_weight"] == 0.5).all()
    model = stackelberg.problem(game).lower_model(run.upper)
    assert np.isclose(value_penalty(model, run.lower).value, run.penalty)  # the end is at the model's own τ


def test_it_starts_at_the_lower_levels_answer_at_the_first_temperature():
    """y₁ = π̂(x₁) (THEORY T6), at 3τ where continuation begins, unless another temperature is given."""
    game, x = draw_game(5), uniform_policy(6, 3)
    model = stackelberg.problem(game).lower_model(x)
    for options, temperature in (({"continuation": 0}, 0.1), ({}, 0.3), ({"initial_temperature": 0.8}, 0.8)):
        run = pbrl(game, iterations=4, simultaneous=True, **options)
        answer = solve(model.with_temperature(temperature)).policy
        assert np.isclose(-run.history["objective"][0], leader_return(game, x, answer), rtol=0, atol=1e-8)


def test_the_default_step_moves_the_most_pushed_coordinate_by_a_third_or_so():
    problem = Shaped(8)
    for runner in (pbrl, pbrl_partial, hypergradient_descent):
        free = Free(problem)
        moved = runner(free, iterations=1).upper - free.initial_upper
        assert np.isclose(np.abs(moved).max(), 0.3)


class Free(Fixed):
    """X is the whole space; only the first step is asked for."""

    def __init__(self, problem):
        super().__init__(problem, problem.initial_upper)

    def lower_model(self, x):
        return self.inner.lower_model(self.inner.project(x))

    def project(self, x):
        return np.asarray(x)


def test_where_it_starts():
    game = draw_game(4)
    x, y = random_policy(np.random.default_rng(0), 6, 3), random_policy(np.random.default_rng(1), 6, 3)
    run = pbrl(game, start=x, initial_policy=y, iterations=0, simultaneous=True)
    assert np.allclose(run.upper, x) and np.allclose(run.lower, y)
    corner = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    assert np.isfinite(pbrl(game, initial_policy=corner, iterations=3).history.to_numpy()).all()


REFUSED = [
    ({"penalty": "nash"}, "penalty is 'nash'; allowed with an MDP below is 'value' or 'bellman'"),
    ({"update": "sgd"}, "update is 'sgd'; allowed is 'mirror' or 'projection'"),
    ({"penalty_weight": 0.0}, "penalty_weight is 0.0; allowed is a finite number above 0"),
    ({"step": -1.0}, "step is -1.0; allowed is a finite number above 0"),
    ({"policy_step": np.nan}, "policy_step is nan"),
    ({"oracle_steps": 0}, "oracle_steps is 0; allowed is an integer, at least 1"),
    ({"oracle_steps": 2, "oracle_step": 0.0}, "oracle_step is 0.0"),
    ({"continuation": 1.5}, "continuation is 1.5; allowed is a number from 0 to 1"),
    ({"initial_weight": -1.0}, "initial_weight is -1.0"),
    ({"initial_temperature": 0.0}, "initial_temperature is 0.0"),
    ({"initial_policy": uniform_policy(6, 2)}, r"policy has shape \(6, 2\); allowed is \(6, 3\)"),
    ({"iterations": -1}, "iterations is -1"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pbrl(draw_game(0), **options)


@pytest.mark.parametrize("runner", [pbrl, pbrl_partial, hypergradient_descent])
def test_without_a_regulariser_every_method_refuses(runner):
    with pytest.raises(ValueError, match=r"temperature is 0\.0; allowed is a temperature above 0"):
        runner(draw_game(0, temperature=0.0), iterations=1)


def test_partial_minimisation_refuses_what_is_not_minus_a_return():
    with pytest.raises(ValueError, match="Mixture has no upper_reward"):
        pbrl_partial(Mixture(0), iterations=1)

    class Claims(Mixture):
        def upper_reward(self, x):
            return self.mix(self.upper, x)

    with pytest.raises(ValueError, match="upper_objective is not minus the return under upper_reward"):
        pbrl_partial(Claims(0), iterations=1)


@pytest.mark.parametrize("seed", [0, 3])
def test_at_the_papers_size(seed):
    """100 states, 5 by 5 actions: against the exact hypergradient on one grid of steps, and as it comes."""
    rng = np.random.default_rng(seed)
    game = worlds.random_stackelberg_game(rng, 100, 5, 5, 0.9, temperature=0.1)
    grid = (1.0, 3.0, 10.0)
    reference = max(-hypergradient_descent(game, iterations=300, step=step).objective for step in grid)
    runs = [pbrl_partial(game, penalty_weight=100.0, iterations=149, step=step) for step in grid]
    assert all(run.history["soft_solves"].iloc[-1] <= 301 for run in runs)
    assert max(-run.history["hyper_objective"].iloc[-1] for run in runs) >= 0.995 * reference
    default = pbrl(game)
    assert -default.history["hyper_objective"].iloc[-1] >= 0.97 * reference and default.penalty < 1e-2


@pytest.mark.parametrize("runner", [pbrl, pbrl_partial, hypergradient_descent, independent_gradient])
def test_a_bad_start_is_named(runner):
    for start in ([1.0, 2.0], np.full((6, 3), np.nan)):
        with pytest.raises(ValueError, match=r"^start"):
            runner(draw_game(0), start=start)
    assert runner(draw_game(0), start=uniform_policy(6, 3).tolist(), iterations=0).upper.shape == (6, 3)


@pytest.mark.parametrize("penalty", ["value", "bellman"])
@pytest.mark.parametrize("regularizer", [None, SquaredNorm()], ids=["entropy", "squared_norm"])
def test_a_state_without_weight_moves_by_the_slope_of_the_objective_alone(penalty, regularizer):
    """ρ = (1, 0, …) gives the Bellman penalty no weight elsewhere; a state that nobody enters has none in the other."""
    game = draw_game(0, regularizer=regularizer)
    transition = game.transition.copy()
    transition[:, :, :, 5] = 0.0
    transition /= transition.sum(axis=3, keepdims=True)
    game = replace(game, transition=transition, initial=np.eye(6)[0])
    run = pbrl(game, penalty=penalty, iterations=20)
    assert np.isfinite(run.history).all().all()
    assert np.allclose(run.lower.sum(axis=1), 1.0)
