"""Bilevel problems with a game below: incentive design, the check of a problem, exact hypergradients, PBRL."""

import importlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from games import Arena, derivative, draw_game, draw_pair, faced, height, one_state, pennies, value_of, visits
from problems import Mixture, accepted
from scipy.optimize import root
from scipy.special import logsumexp, softmax

from pencourse import (
    MDP,
    NoRegularizer,
    SquaredNorm,
    Term,
    check_problem,
    evaluate,
    exact,
    hypergradient,
    hypergradient_descent,
    meta_gradient,
    nikaido_isoda,
    pbrl,
    pbrl_partial,
    solve_zero_sum,
)
from pencourse.baselines import independent_gradient
from pencourse.bilevel import checked, minus_return
from pencourse.cases import incentive_design
from pencourse.simplex import project


def design(seed, *, shape=(3, 2), cost=0.3, bound=1.0, **options):
    game = draw_game(seed, 4, shape, **options)
    designer = np.random.default_rng(1000 + seed).normal(size=game.reward.shape)
    return incentive_design.problem(game, designer, bound=bound, cost=cost)


# Incentive design


def test_an_incentive_is_a_transfer_from_player_2_to_player_1():
    problem, x = design(0), np.random.default_rng(0).uniform(-1, 1, size=(4, 3, 2))
    game, before = problem.lower_model(x), problem.game
    pair = draw_pair(0, game)
    gained = value_of(replace(before, reward=x, temperature=0.0), pair)
    assert np.allclose(evaluate(game, pair).value, evaluate(before, pair).value + gained)
    assert game.transition is before.transition and game.temperature == before.temperature == 0.1
    assert np.array_equal(problem.initial_upper, np.zeros((4, 3, 2))) and before is problem.game


def test_the_designers_objective_by_hand():
    """f = −V_designer(ρ) + (cost/2)‖x‖²: its own reward, no regulariser, and what is announced is paid."""
    problem, rng = design(1, cost=0.7), np.random.default_rng(1)
    x = rng.uniform(-1, 1, size=(4, 3, 2))
    game = problem.lower_model(x)
    pair = draw_pair(1, game)
    found = problem.upper_objective(x, evaluate(game, pair))
    earned = value_of(replace(game, reward=problem.designer_reward, temperature=0.0), pair)
    assert np.isclose(found.value, -game.initial @ earned + 0.35 * (x**2).sum())
    assert np.allclose(found.upper_gradient, 0.7 * x)
    free = incentive_design.problem(game, problem.designer_reward)
    assert np.isclose(free.upper_objective(x, evaluate(game, pair)).value, -game.initial @ earned)


def test_incentives_stay_within_their_bound():
    problem = design(2, bound=0.4)
    far = np.random.default_rng(2).normal(size=(4, 3, 2))
    near = problem.project(far)
    assert np.abs(near).max() == 0.4 and np.array_equal(near[np.abs(far) <= 0.4], far[np.abs(far) <= 0.4])
    assert np.array_equal(np.sign(near), np.sign(far))
    assert not incentive_design.problem(problem.game, problem.designer_reward, bound=0).project(far).any()


@pytest.mark.parametrize("regularizer", [None, SquaredNorm()], ids=["entropy", "squared_norm"])
@pytest.mark.parametrize("branching", [None, 2])
def test_incentive_design_passes_the_check(branching, regularizer):
    table = accepted(design(3, branching=branching, regularizer=regularizer))
    assert len(table) == 7 and (table["error"] <= 1e-7).all()
    assert {"policy_gradient[0]", "policy_gradient[1]"} <= set(table["compared"])


GAME = draw_game(0)
REFUSED_DESIGNS = [
    ({"designer_reward": np.zeros((4, 2, 3))}, r"designer_reward has shape \(4, 2, 3\); allowed is \(4, 3, 2\)"),
    ({"designer_reward": np.full((4, 3, 2), np.nan)}, r"designer_reward\[0, 0, 0\] is nan; allowed is a finite number"),
    ({"bound": -1.0}, r"bound is -1\.0; allowed is a finite number, at least 0"),
    ({"bound": np.inf}, r"bound is inf; allowed is a finite number"),
    ({"bound": np.nan}, r"bound is nan; allowed"),
    ({"cost": -0.1}, r"cost is -0\.1; allowed is a finite number, at least 0"),
    ({"cost": "1"}, r"cost is '1'; allowed is a finite number"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED_DESIGNS, ids=lambda value: str(value)[:30])
def test_bad_designs_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        incentive_design.problem(**({"game": GAME, "designer_reward": np.zeros((4, 3, 2))} | options))


@pytest.mark.parametrize("x", [np.zeros((4, 2, 3)), np.full((4, 3, 2), np.nan)], ids=["shape", "nan"])
def test_bad_incentives_are_refused(x):
    for runner in (pbrl, hypergradient_descent, meta_gradient):
        with pytest.raises(ValueError, match=r"^start"):
            runner(design(0), start=x)
    with pytest.raises(ValueError, match=r"^x"):
        hypergradient(design(0), x)


@pytest.mark.parametrize("cost", ["linear", "quadratic"])
def test_the_referees_least_incentives_make_an_equilibrium_and_nine_tenths_of_them_do_not(cost):
    """With x the profile has ψ = 0; what costs less leaves a gain in some state, and ρ > 0 shows it."""
    for seed in range(4):
        game = draw_game(seed, temperature=0.0)
        profile = [np.random.default_rng(seed).integers(n, size=4) for n in game.n_actions]
        pair = tuple(np.eye(n)[actions] for n, actions in zip(game.n_actions, profile, strict=True))
        least = exact.incentives(game, profile, cost=cost)
        problem = incentive_design.problem(game, np.zeros((4, 3, 2)), bound=np.abs(least.incentives).max())
        assert np.array_equal(problem.project(least.incentives), least.incentives)
        for share, at_equilibrium in ((1.0, True), (0.9, False)):
            left = nikaido_isoda(problem.lower_model(share * least.incentives), pair).value
            assert (abs(left) <= 1e-6) == at_equilibrium and left > -1e-6


# The check of a problem with a game below


@pytest.mark.parametrize("shape", [(3, 2), (2, 2)])
@pytest.mark.parametrize("shapes", ["reward", "kernel", "both"])
def test_a_right_problem_passes(shapes, shape):
    table = accepted(Arena(0, shape=shape, shapes=shapes))
    assert len(table) == 7 and (table["error"] <= 1e-7).all()


class FlipsTheSecondPlayer(Arena):
    def upper_objective(self, x, at, rng):
        found = super().upper_objective(x, at, rng)
        return replace(found, policy_gradient=(found.policy_gradient[0], -found.policy_gradient[1]))


class ForgetsTheFirstPlayersWeights(Arena):
    def upper_objective(self, x, at, rng):
        found = super().upper_objective(x, at, rng)
        return replace(found, policy_gradient=(found.policy_gradient[0] - self.weights[0], found.policy_gradient[1]))


class IgnoresTheKernel(Arena):
    def pull_back(self, x, terms):
        return super().pull_back(x, [Term(term.mass, 0 * term.next_value, term.channel) for term in terms])


class IgnoresTheReward(Arena):
    def pull_back(self, x, terms):
        only = super().pull_back(x, [Term(term.mass, 0 * term.next_value, term.channel) for term in terms])
        return super().pull_back(x, terms) - only


class OnePart(Arena):
    def upper_objective(self, x, at, rng):
        found = super().upper_objective(x, at, rng)
        return replace(found, policy_gradient=found.policy_gradient[0])


class PartsExchanged(Arena):
    def upper_objective(self, x, at, rng):
        found = super().upper_objective(x, at, rng)
        return replace(found, policy_gradient=found.policy_gradient[::-1])


class FlatTerms(Arena):
    def upper_objective(self, x, at, rng):
        found = super().upper_objective(x, at, rng)
        return replace(found, terms=(Term(found.terms[0].mass.sum(axis=2), found.terms[0].next_value),))


WRONG = [
    (FlipsTheSecondPlayer, r"FlipsTheSecondPlayer.upper_objective is off: policy_gradient\[1\] differs"),
    (ForgetsTheFirstPlayersWeights, r"ForgetsTheFirstPlayersWeights.upper_objective is off: policy_gradient\[0\] diff"),
    (IgnoresTheKernel, "IgnoresTheKernel.pull_back is off: the kernel's part, channel 'lower'"),
    (IgnoresTheReward, "IgnoresTheReward.pull_back is off: the reward's part, channel 'lower'"),
    (OnePart, r"OnePart.upper_objective: policy_gradient has 1 parts; allowed is one for each of the 2 policies"),
    (PartsExchanged, r"upper_objective: policy_gradient\[0\] has shape \(4, 2\); allowed is \(4, 3\)"),
    (FlatTerms, r"FlatTerms.upper_objective: terms\[0\].mass has shape \(4, 3\); allowed is \(4, 3, 2\)"),
]


@pytest.mark.parametrize(("kind", "message"), WRONG, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_derivative_is_found_and_named(kind, message):
    with pytest.raises(ValueError, match=message):
        check_problem(kind(0), np.random.default_rng(0))


def test_minus_return_in_a_game_by_differences():
    """f in both policies, along rows that keep their sums."""
    game = draw_game(5)
    pair, reward = draw_pair(5, game, inner=0.5), np.random.default_rng(5).normal(size=(4, 3, 2))
    found = minus_return(evaluate(game, pair), reward)
    plain = replace(game, reward=reward, temperature=0.0)
    for player, gradient in enumerate(found.policy_gradients):
        turn = draw_pair(6, game)[player] - pair[player]

        def total(t, player=player, turn=turn):
            moved = [policy + t * turn if k == player else policy for k, policy in enumerate(pair)]
            return -plain.initial @ value_of(plain, moved)

        size = np.linalg.norm(gradient) * np.linalg.norm(turn)
        assert abs((gradient * turn).sum() - derivative(total, 1e-3)) <= 1e-6 * size
    assert np.isclose(found.value, -plain.initial @ value_of(plain, pair))


# The exact hypergradient of an equilibrium


def equilibrium(game):
    """The root of V = val(Q), log p = Qq/τ − log Σ exp(Qq/τ), log q = −Q'p/τ − log Σ exp(−Q'p/τ); entropy."""
    tau, (n_states, n_first, n_second) = game.temperature, game.reward.shape
    start = solve_zero_sum(game)
    cuts = n_states, n_states * (1 + n_first)

    def parts(z):
        value, first, second = np.split(z, cuts)
        return value, first.reshape(n_states, n_first), second.reshape(n_states, n_second)

    def errors(z):
        value, log_p, log_q = parts(z)
        p, q = np.exp(log_p), np.exp(log_q)
        ahead = game.reward + game.discount * game.transition @ value
        one, two = np.einsum("sab,sb->sa", ahead, q) / tau, -np.einsum("sab,sa->sb", ahead, p) / tau
        worth = np.einsum("sa,sa->s", p, tau * (one - log_p)) + tau * (q * log_q).sum(axis=1)
        off = [log - x + logsumexp(x, axis=1, keepdims=True) for log, x in ((log_p, one), (log_q, two))]
        return np.concatenate([value - worth, off[0].ravel(), off[1].ravel()])

    logs = [np.log(policy).ravel() for policy in start.policies]
    found = root(errors, np.concatenate([start.value, *logs]), tol=1e-12).x
    assert np.abs(errors(found)).max() <= 1e-10
    return tuple(np.exp(log) for log in parts(found)[1:])


def outcome(problem, x):
    """φ(x) = f(x, π*(x))."""
    game = problem.lower_model(x)
    pair = [policy / policy.sum(axis=1, keepdims=True) for policy in equilibrium(game)]
    return problem.upper_objective(x, evaluate(game, pair), None).value


@pytest.fixture
def tight(monkeypatch):
    """Equilibria for hypergradients to 1e-12."""
    module = importlib.import_module("pencourse.baselines.hypergradient")
    monkeypatch.setattr(module, "solve_zero_sum", partial(solve_zero_sum, tolerance=1e-12))


@pytest.mark.parametrize("branching", [None, 2])
@pytest.mark.parametrize("shapes", ["reward", "kernel", "both"])
def test_hypergradient_by_differences(shapes, branching, tight):
    for seed, (shape, temperature) in enumerate([((3, 3), 0.1), ((2, 3), 1.0), ((3, 2), 0.1)]):
        problem = Arena(seed, shape=shape, shapes=shapes, branching=branching, temperature=temperature)
        x, turn = np.random.default_rng(seed).uniform(0.05, 0.25, size=(2, 3))
        found = hypergradient(problem, x)
        measured = derivative(lambda t, p=problem, x=x, turn=turn: outcome(p, x + t * turn), 2e-3 * temperature)
        assert abs(found.gradient @ turn - measured) <= 1e-6 * np.linalg.norm(found.gradient) * np.linalg.norm(turn)
        assert np.isclose(found.value, outcome(problem, x), rtol=0, atol=1e-6)


def test_hypergradient_as_it_comes():
    """With a gap of 1e-8 in units of reward policies are good to its root, over √τ: at τ = 0.1 that is 3e-4."""
    for seed in range(6):
        problem = Arena(seed, shape=(3, 3))
        x = np.full(3, 0.15)
        found = hypergradient(problem, x)
        assert np.isclose(found.value, outcome(problem, x), rtol=0, atol=1e-3)
        game = problem.lower_model(x)
        assert found.best.duality_gap <= 1e-8 * game.scale and found.objective.value == found.value
    assert np.isclose(found.best.expected_return, exact.solve_zero_sum(game).expected_return, rtol=0, atol=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0, 2.0])
def test_paying_for_heads_in_pennies_has_a_closed_form(temperature):
    """Player 1 receives x more where both show heads; at x = 0 both play ½ and, with k = 1/τ,

        dp/dx = (1/8) (k − k²)/(1 + k²),     dq/dx = −(1/8) (k + k²)/(1 + k²),     dV/dx = pq = ¼ :

    the logits τα = (4 + x)q − 2 and −τβ = (4 + x)p − 2 give dp = (k/4)(½ dx + 4dq) and dq = −(k/4)(½ dx + 4dp).
    As τ → 0 both play heads less, p = q = 2/(4 + x); at τ > 1 player 1 plays it more.
    """
    k = 1 / temperature
    slope_p, slope_q = (k - k**2) / (8 * (1 + k**2)), -(k + k**2) / (8 * (1 + k**2))
    one, two, both = np.zeros((3, 1, 2, 2))
    one[0, 0, :], two[0, :, 0] = 1.0, 1.0
    both[0, 0, 0] = 1.0
    for discount in (0.0, 0.8):  # one state: what follows is the same for all actions
        game, later = pennies(discount=discount, temperature=temperature), 1 / (1 - discount)
        for reward, expected in ((one, slope_p), (two, slope_q)):
            found = hypergradient(incentive_design.problem(game, reward), np.zeros((1, 2, 2)))
            assert np.isclose(found.value, -0.5 * later, rtol=0, atol=1e-6)
            assert np.isclose(found.gradient[0, 0, 0], -expected * later, rtol=1e-4, atol=1e-6)
        # paid to player 1 itself, it is worth pq more to it, and what it changes in the policies
        found = hypergradient(incentive_design.problem(game, both), np.zeros((1, 2, 2)))
        assert np.isclose(found.gradient[0, 0, 0], -(slope_p + slope_q) / 2 * later, rtol=1e-4, atol=1e-6)
    assert (slope_p < 0) == (temperature < 1) and slope_q < 0


def test_without_a_rival_who_can_answer_it_is_a_softmax():
    """r = x on player 1's first action: p = σ(x/τ), whatever player 2 does; and the same for player 2, who pays."""
    tau, x = 0.4, 0.3
    sigma = 1 / (1 + np.exp(-x / tau))
    for player, sign in ((0, 1.0), (1, -1.0)):
        incentive, wish = np.zeros((1, 2, 2)), np.zeros((1, 2, 2))
        (incentive[0, 0] if player == 0 else incentive[0, :, 0])[:] = sign * x
        (wish[0, 0] if player == 0 else wish[0, :, 0])[:] = 1.0
        problem = incentive_design.problem(one_state(np.zeros((2, 2)), temperature=tau), wish, cost=0.5)
        found = hypergradient(problem, incentive)
        assert np.isclose(found.value, -sigma + 0.25 * 2 * x**2, rtol=0, atol=1e-6)
        along = found.gradient[0, 0].sum() if player == 0 else found.gradient[0, :, 0].sum()
        assert np.isclose(along, sign * (-sigma * (1 - sigma) / tau + 0.5 * 2 * x), rtol=1e-4)


def test_the_value_of_a_game_moves_by_the_envelope():
    """f = −V of player 1's own reward r + x, plus its entropies: dV*/dx = d π₁π₂ and nothing from the policies."""
    game = draw_game(2, 4, (3, 3))
    pair = equilibrium(game)
    dr = np.random.default_rng(2).normal(size=(4, 3, 3))
    slope = np.einsum("s,sa,sb,sab->", visits(game, pair), *pair, dr)
    moved = [
        game.initial @ value_of(g, equilibrium(g))
        for g in (game.with_reward(game.reward + t * dr) for t in (-1e-3, 1e-3))
    ]
    assert np.isclose(slope, (moved[1] - moved[0]) / 2e-3, rtol=1e-3)


def test_descent_on_the_hypergradient_of_a_game():
    problem = design(8, shape=(2, 2), cost=1.0, discount=0.5, temperature=0.3)
    run = hypergradient_descent(problem, iterations=200, step=0.2, tolerance=1e-6)
    history = run.history
    assert history["gradient_mapping"].iloc[-1] <= 1e-6 and (history["objective"].diff().dropna() <= 1e-6).all()
    assert isinstance(run.lower, tuple) and [y.shape for y in run.lower] == [(4, 2), (4, 2)]
    game = problem.lower_model(run.upper)
    assert abs(nikaido_isoda(game, run.lower).value) <= 1e-7
    assert np.isclose(run.objective, problem.upper_objective(run.upper, evaluate(game, run.lower)).value)
    counts = history["soft_solves"].diff().dropna()
    assert (counts >= 3).all() and history["soft_solves"][0] >= 3  # a value at least, and two answers


def test_only_the_entropy_has_a_hypergradient_in_a_game():
    with pytest.raises(
        ValueError, match="regularizer is 'squared_norm'; allowed at a temperature above 0 is 'entropy'"
    ):
        hypergradient(design(0, regularizer=SquaredNorm()), np.zeros((4, 3, 2)))


# PBRL


def strongly_convex(**options):
    """A large price of incentives, two actions each: φ has one minimiser, inside X."""
    return design(8, shape=(2, 2), cost=1.0, discount=0.5, temperature=0.3, **options)


@pytest.fixture(scope="module")
def optimum():
    """The least φ, found from three starts."""
    rng, found = np.random.default_rng(0), []
    for start in (None, *rng.uniform(-1, 1, size=(2, 4, 2, 2))):
        found.append(hypergradient_descent(strongly_convex(), start=start, iterations=200, step=0.3, tolerance=1e-7))
    assert np.ptp([run.objective for run in found]) <= 1e-6 and np.abs(found[0].upper).max() < 0.99
    return found[0].objective


@pytest.fixture(scope="module")
def ends():
    """Where PBRL ends for three weights."""
    options = {"continuation": 0, "tolerance": 1e-8, "iterations": 3000}
    return {weight: pbrl(strongly_convex(), penalty_weight=weight, **options) for weight in (10.0, 40.0, 160.0)}


def test_pbrl_on_a_game_ends_where_the_penalized_objective_is_stationary(ends):
    """Along random directions in x, in either policy, and in all at once, F_λ has no slope."""
    problem, rng = strongly_convex(), np.random.default_rng(0)
    for weight, run in ends.items():
        assert run.history["gradient_mapping"].iloc[-1] <= 1e-8 and np.abs(run.upper).max() < 0.99
        game = problem.lower_model(run.upper)

        def penalized(z, pair, weight=weight):
            game = problem.lower_model(z)
            return problem.upper_objective(z, evaluate(game, pair)).value + weight * height(game, pair)

        here = penalized(run.upper, run.lower)
        assert np.isclose(here, run.history["penalized_objective"].iloc[-1], rtol=0, atol=1e-7)
        assert np.isclose(height(game, run.lower), run.penalty, rtol=0, atol=1e-9)
        dx = rng.normal(size=run.upper.shape)
        turn = [there - mine for there, mine in zip(draw_pair(1, game), run.lower, strict=True)]
        for shares in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1)):

            def along(t, run=run, shares=shares, dx=dx, turn=turn, penalized=penalized):
                on_x, *on = shares
                return penalized(
                    run.upper + t * on_x * dx, [y + t * k * d for y, k, d in zip(run.lower, on, turn, strict=True)]
                )

            assert abs(derivative(along, 1e-5)) <= 1e-6 * weight  # the least probability is 3e-4; rounding is 1e-8 λ


def test_a_larger_weight_comes_closer(ends, optimum):
    """F_λ at its end is no more than φ*; what φ exceeds φ* there falls like 1/λ², as ψ does."""
    above = []
    for run in ends.values():
        assert run.history["penalized_objective"].iloc[-1] <= optimum + 1e-6
        above.append(hypergradient(strongly_convex(), run.upper).value - optimum)
    assert -1e-6 <= above[2] <= above[1] / 8 <= above[0] / 64
    penalties = [run.penalty for run in ends.values()]
    slopes = np.diff(np.log(penalties)) / np.log(4.0)
    assert -2.1 < slopes[0] < -1.8 and -2.02 < slopes[1] < -1.95  # up to O(1/λ)


def test_the_penalty_at_a_stationary_pair_is_of_order_the_weight_to_the_minus_two(ends):
    """ψ ≤ Σ_i Σ_s d_i*(s) (span ∇_{π_i}f / (2 d_i(s)))² / (2τλ²), d_i of π_i, d_i* of π_i* with the other's answer."""
    for weight, run in ends.items():
        problem = strongly_convex()
        game = problem.lower_model(run.upper)
        at, nash = nikaido_isoda(game, run.lower), solve_zero_sum(game).policies
        one, two = (plan.policy for plan in at.best)
        slopes = problem.upper_objective(run.upper, evaluate(game, run.lower)).policy_gradients
        there = visits(game, (nash[0], two)), visits(game, (one, nash[1]))
        bound = 0.0
        for slope, far, near in zip(slopes, there, at.weights, strict=True):
            bound += (far * (np.ptp(slope, axis=1) / (2 * near)) ** 2).sum() / (2 * 0.3 * weight**2)
        assert 0 < at.value <= bound + 1e-9


def step_by_hand(problem, x, pair, weight, move):
    """One iteration: best answers, a step of each policy, best answers again, a step in x."""
    game = problem.lower_model(x)

    def look(pair):
        return problem.upper_objective(x, evaluate(game, pair)), nikaido_isoda(game, pair)

    objective, gap = look(pair)
    slopes = [f + weight * p for f, p in zip(objective.policy_gradients, gap.policy_gradients, strict=True)]
    moved = tuple(move(y, slope, w[:, None]) for y, slope, w in zip(pair, slopes, gap.weights, strict=True))
    objective, gap = look(moved)
    gradient = objective.upper_gradient + weight * gap.reward_gradient
    return moved, gradient, objective.value, gap.value


@pytest.mark.parametrize("update", ["mirror", "projection"])
def test_one_iteration_by_hand(update):
    problem, weight, tau = design(5, shape=(3, 3), bound=5.0), 7.0, 0.1
    x, pair = np.full((4, 3, 3), 0.1), draw_pair(5, problem.game, inner=0.5)

    def move(y, slope, w):
        if update == "projection":
            return project(y - 0.01 / weight * slope, 1e-6)
        new = y * np.exp(-0.3 * slope / (weight * tau * w))
        return new / new.sum(axis=1, keepdims=True)

    moved, gradient, objective, penalty = step_by_hand(problem, x, pair, weight, move)
    options = {"policy_step": 0.01} if update == "projection" else {}
    options |= {"penalty_weight": weight, "continuation": 0, "start": x, "initial_policy": pair, "update": update}
    first = pbrl(problem, iterations=0, **options)
    assert np.array_equal(first.upper, x)
    assert all(np.allclose(mine, yours, rtol=0, atol=1e-9) for mine, yours in zip(first.lower, moved, strict=True))
    assert np.isclose(first.objective, objective) and np.isclose(first.penalty, penalty, rtol=0, atol=1e-8)
    step = 4 * tau / (weight * visits(problem.game, (np.full((4, 3), 1 / 3),) * 2).max())
    for options["step"], size in ((None, step), (0.003, 0.003)):
        second = pbrl(problem, iterations=1, **options)
        assert np.allclose(second.upper, x - size * gradient, rtol=0, atol=1e-7 * size)
        assert np.isnan(second.history["hyper_objective"]).all()
        assert list(second.history["soft_solves"]) == [4, 8]  # two answers to the pair, and two once it has moved


def test_both_at_once_moves_x_by_what_holds_before_the_policies_step():
    problem, x = design(6), np.full((4, 3, 2), 0.1)
    pair = draw_pair(6, problem.game)
    options = {"start": x, "initial_policy": pair, "simultaneous": True, "penalty_weight": 5.0, "continuation": 0}
    run = pbrl(problem, iterations=0, **options)
    game = problem.lower_model(x)
    assert all(np.array_equal(mine, yours) for mine, yours in zip(run.lower, pair, strict=True))
    assert np.isclose(run.penalty, height(game, pair), rtol=0, atol=1e-8)
    gradient = 0.3 * x + nikaido_isoda(game, pair).reward_gradient * 5.0
    after = pbrl(problem, iterations=1, step=1e-3, **options)
    assert np.allclose(after.upper, x - 1e-3 * gradient, rtol=0, atol=1e-10)
    assert list(after.history["soft_solves"]) == [2, 4]


def test_it_starts_at_uniform_policies():
    problem = design(7)
    start = [np.full((4, 3), 1 / 3), np.full((4, 2), 0.5)]
    unsaid, said = (pbrl(problem, iterations=3, initial_policy=pair) for pair in (None, start))
    assert np.array_equal(unsaid.upper, said.upper)
    assert pbrl(problem, iterations=0, simultaneous=True, continuation=0).lower[0].tolist() == start[0].tolist()


def test_inexact_answers_say_how_inexact_and_cost_their_steps():
    problem = design(3)
    loose, tight = (pbrl(problem, oracle_steps=n, oracle_step=size, iterations=20) for n, size in ((1, 0.2), (25, 1.0)))
    newton = pbrl(problem, iterations=20)
    assert list(loose.history["soft_solves"][:2]) == [4, 8] and tight.history["soft_solves"][0] == 100
    assert loose.history["oracle_residual"].iloc[5] > 1e-3 > 1e-8 > tight.history["oracle_residual"].iloc[5]
    assert np.isclose(tight.objective, newton.objective, rtol=1e-6)
    assert np.isclose(tight.penalty, newton.penalty, rtol=1e-4)


def test_an_inexact_answer_by_hand():
    """One step of size 1 from uniform policies, each player from its own: softmax(Q/τ), judged by its own value."""
    problem = design(4, shape=(3, 3))
    game, pair = problem.game, draw_pair(4, problem.game)
    options = {"initial_policy": pair, "simultaneous": True, "continuation": 0, "iterations": 0}
    found = pbrl(problem, oracle_steps=1, **options)
    answered = []
    for mdp in faced(game, pair):
        action_value = evaluate(mdp, np.full((4, 3), 1 / 3)).action_value
        answered.append(softmax(action_value / 0.1, axis=1))
    high, low = value_of(game, (answered[0], pair[1])), value_of(game, (pair[0], answered[1]))
    assert np.isclose(found.penalty, game.initial @ (high - low), rtol=0, atol=1e-10)
    assert found.penalty < height(game, pair) and list(found.history["soft_solves"]) == [2]


def test_with_the_squared_norm():
    """Its answers move at a rate of 1/τ, the entropy's at 1/(2τ) at most: a quarter of the usual step is right."""
    problem = design(8, shape=(2, 2), cost=1.0, discount=0.5, temperature=1.0, regularizer=SquaredNorm())
    step = 4 / (10 * visits(problem.game, (np.full((4, 2), 0.5),) * 2).max()) / 4
    run = pbrl(problem, penalty_weight=10.0, continuation=0, step=step, iterations=600, tolerance=1e-7)
    assert run.history["gradient_mapping"].iloc[-1] <= 1e-7
    game = problem.lower_model(run.upper)
    here = run.objective + 10.0 * height(game, run.lower)
    rng = np.random.default_rng(0)
    for seed in range(20):  # no way down: a slope s would show as 1e-3 s against a curvature of 1e-6 λ/τ
        x = problem.project(run.upper + 1e-3 * rng.normal(size=run.upper.shape))
        pair = [0.999 * mine + 0.001 * there for mine, there in zip(run.lower, draw_pair(seed, game), strict=True)]
        for z, y in ((x, run.lower), (run.upper, pair), (x, pair)):
            model = problem.lower_model(z)
            assert problem.upper_objective(z, evaluate(model, y)).value + 10.0 * height(model, y) >= here - 1e-7


CORNERS = (np.eye(3)[[0, 1, 2, 0]], np.eye(2)[[0, 1, 1, 0]])


@pytest.mark.parametrize("options", [{}, {"update": "projection", "policy_step": 0.01}], ids=["mirror", "projection"])
def test_it_may_start_in_a_corner(options):
    run = pbrl(design(0), initial_policy=CORNERS, iterations=10, **options)
    assert np.isfinite(run.history.drop(columns="hyper_objective").to_numpy()).all()
    assert all(np.allclose(policy.sum(axis=1), 1) for policy in run.lower)


# What is refused


GOOD = (np.full((4, 3), 1 / 3), np.full((4, 2), 0.5))
REFUSED = [
    ({"penalty": "value"}, "penalty is 'value'; allowed with a zero-sum game below is 'nikaido_isoda'"),
    ({"penalty": "bellman"}, "penalty is 'bellman'; allowed with a zero-sum game below is 'nikaido_isoda'"),
    ({"initial_policy": GOOD[0]}, "policies are of type ndarray; allowed is a pair"),
    ({"initial_policy": GOOD[::-1]}, r"policies\[0\] has shape \(4, 2\); allowed is \(4, 3\)"),
    ({"initial_policy": (GOOD[0], np.full((4, 2), np.nan))}, r"policies\[1\]\[0, 0\] is nan"),
    ({"policy_step": 0.0}, "policy_step is 0.0; allowed is a finite number above 0"),
    ({"update": "sgd"}, "update is 'sgd'; allowed is 'mirror' or 'projection'"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED, ids=lambda value: str(value)[:40])
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        pbrl(design(0), **options)


def test_a_penalty_for_games_is_refused_for_an_mdp():
    with pytest.raises(
        ValueError, match="penalty is 'nikaido_isoda'; allowed with an MDP below is 'value' or 'bellman'"
    ):
        pbrl(Mixture(0), penalty="nikaido_isoda")


@pytest.mark.parametrize("runner", [pbrl, hypergradient_descent, meta_gradient])
def test_without_a_regulariser_every_method_refuses(runner):
    with pytest.raises(ValueError, match=r"temperature is 0\.0; allowed is a temperature above 0 .* jumps with x"):
        runner(design(0, temperature=0.0), iterations=1)
    with pytest.raises(ValueError, match="regularizer is none; allowed is a temperature above 0"):
        runner(design(0, regularizer=NoRegularizer()), iterations=1)


@pytest.mark.parametrize("runner", [pbrl_partial, independent_gradient])
def test_what_needs_an_mdp_below_refuses_a_game(runner):
    with pytest.raises(ValueError, match=r"lower_model returned a ZeroSumGame; allowed here is an MDP"):
        runner(design(0), iterations=1)


def test_a_lower_model_is_an_mdp_or_a_game():
    safe = checked(Mixture(0))
    assert isinstance(safe.lower_mdp(safe.initial_upper), MDP)

    class Nothing(Arena):
        def lower_model(self, x):
            return None

    with pytest.raises(
        ValueError, match=r"Nothing\.lower_model returned a NoneType; allowed is an MDP or a ZeroSumGame"
    ):
        check_problem(Nothing(0), np.random.default_rng(0))
