"""Zero-sum Markov games: closed forms, certified gaps at every size, stage games against linear programs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.special import logsumexp, softmax, xlogy

from pencourse import (
    MDP,
    ConvergenceError,
    Entropy,
    NoRegularizer,
    SquaredNorm,
    ZeroSumGame,
    best_responses,
    policy_iteration,
    response_mdp,
    solve,
    solve_zero_sum,
)
from pencourse.equilibria import stage, stage_adjoint
from pencourse.simplex import random_policy

TEMPERATURES = [0.0, 1e-3, 0.01, 0.1, 1.0]


def draw_game(seed, n_states=6, shape=(3, 4), discount=0.9, temperature=0.1, branching=None, integer=False):
    """Signed rewards, ρ > 0, dense or Garnet kernel; integer rewards make ties and pure equilibria."""
    rng = np.random.default_rng(seed)
    kept = np.arange(n_states) < (branching or n_states)
    transition = np.where(kept, rng.dirichlet(np.ones(n_states), size=(n_states, *shape)) + 1e-3, 0.0)
    transition = rng.permuted(transition / transition.sum(axis=-1, keepdims=True), axis=-1)
    reward = rng.integers(-2, 3, size=(n_states, *shape)) if integer else rng.normal(size=(n_states, *shape))
    initial = 0.9 * rng.dirichlet(np.ones(n_states)) + 0.1 / n_states
    return ZeroSumGame(transition, reward, discount, initial, temperature)


def matrix_game(reward, discount=0.0, temperature=0.0):
    """One state in which the same matrix game is played for ever."""
    reward = np.asarray(reward, dtype=float)
    return ZeroSumGame(np.ones((1, *reward.shape, 1)), reward[None], discount, [1.0], temperature)


def absorbing_game(reward, stay, discount, end=None):
    """One state that is left with probability 1 − stay, for a state worth nothing, or where `end`, for one worth 1."""
    reward, stay = np.asarray(reward, dtype=float), np.asarray(stay, dtype=float)
    end = np.zeros_like(reward) if end is None else np.asarray(end, dtype=float)
    kernel, rewards = np.zeros((3, *reward.shape, 3)), np.zeros((3, *reward.shape))
    kernel[0] = np.stack([stay, (1 - stay) * end, (1 - stay) * (1 - end)], axis=-1)
    kernel[1, ..., 1] = kernel[2, ..., 2] = 1.0
    rewards[0], rewards[1] = reward, 1.0 - discount
    return ZeroSumGame(kernel, rewards, discount, [1.0, 0.0, 0.0])


def solved(game, **options):
    """Solve; a solver that gives up has failed the test, not broken it."""
    try:
        return solve_zero_sum(game, **options)
    except ConvergenceError as error:
        pytest.fail(str(error))


def exact_gap(game, policies):
    """ψ, each best response found by policy iteration until nothing changes."""
    total = 0.0
    for player, opponent in ((1, policies[1]), (2, policies[0])):
        for plan in itertools.islice(policy_iteration(response_mdp(game, player, opponent)), 60):
            if plan.residual <= 1e-14 * (1 + np.abs(plan.value).max()):
                break
        total += plan.expected_return
    return total


def linear_program(games):
    """The values of matrix games by scipy, one by one."""
    values = []
    for game in games:
        n_rows, n_columns = game.shape
        found = linprog(
            np.r_[np.zeros(n_rows), -1.0],
            A_ub=np.c_[-game.T, np.ones(n_columns)],
            b_ub=np.zeros(n_columns),
            A_eq=[[1.0] * n_rows + [0.0]],
            b_eq=[1.0],
            bounds=[(0, None)] * n_rows + [(None, None)],
        )
        values.append(-found.fun)
    return np.array(values)


def look(games, policies):
    """What player 2 holds player 1 down to, and what player 1 secures, at τ = 0."""
    return np.einsum("sab,sb->sa", games, policies[1]).max(axis=1), np.einsum("sab,sa->sb", games, policies[0]).min(
        axis=1
    )


def settle(games, temperature):
    """Solve stage games with entropy as far as Newton goes."""
    logs = tuple(np.full((len(games), n), -np.log(n)) for n in games.shape[1:])
    try:
        return stage.entropy_games(games, temperature, logs, lambda upper, lower: False)[0]
    except ConvergenceError as error:
        pytest.fail(str(error))


# --- matrix games -----------------------------------------------------------------------------------


def random_games(rng, kind, shape):
    if kind == "normal":
        return rng.normal(size=shape)
    if kind == "ties":
        return rng.integers(-1, 2, size=shape).astype(float)
    if kind == "twins":  # each row and column twice
        half = rng.normal(size=(shape[0], (shape[1] + 1) // 2, (shape[2] + 1) // 2))
        return half.repeat(2, axis=1).repeat(2, axis=2)[:, : shape[1], : shape[2]]
    return 1e6 * rng.integers(-3, 4, size=shape) + 7.0


@pytest.mark.parametrize("kind", ["normal", "ties", "twins", "large"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 1), (2, 2), (3, 7), (7, 3), (5, 5)])
def test_matrix_games_against_linear_programs(kind, shape):
    games = random_games(np.random.default_rng(1), kind, (40, *shape))
    first, second, _ = stage.matrix_games(games)
    upper, lower = look(games, (first, second))
    size = np.abs(games).max()
    assert np.abs(upper - lower).max() <= 1e-12 * size
    assert np.abs(upper - linear_program(games)).max() <= 1e-9 * size  # HiGHS' own accuracy
    for policy in (first, second):
        assert (policy >= 0).all() and np.abs(policy.sum(axis=1) - 1).max() <= 1e-14


def test_matrix_games_need_many_pivots():
    """More than 50, so that Bland's rule takes over."""
    rng = np.random.default_rng(0)
    for games in (rng.normal(size=(3, 60, 60)), rng.integers(-1, 2, size=(3, 60, 60)).astype(float)):
        upper, lower = look(games, stage.matrix_games(games)[:2])
        assert np.abs(upper - lower).max() <= 1e-10


@pytest.mark.parametrize("change", [0.0, 1e-3, 0.3, 3.0])
def test_a_basis_from_elsewhere_changes_nothing_but_the_work(change):
    """Where it is not feasible any more, or singular, the game starts afresh."""
    rng = np.random.default_rng(2)
    for kind, shape in itertools.product(("normal", "ties", "twins"), ((5, 5), (3, 6), (6, 3))):
        games = random_games(rng, kind, (60, *shape))
        basis = stage.matrix_games(games)[2]
        moved = games + change * random_games(rng, kind, games.shape)
        first, second, _ = stage.matrix_games(moved, basis)
        upper, lower = look(moved, (first, second))
        assert np.abs(upper - lower).max() <= 1e-12 * np.abs(moved).max()
    first, second, _ = stage.matrix_games(np.zeros_like(games), basis)  # all columns alike: every basis is singular
    assert np.abs(first.sum(axis=1) - 1).max() <= 1e-14 and np.abs(second.sum(axis=1) - 1).max() <= 1e-14


@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5), st.floats(-5, 5))
def test_two_by_two(a, b, c, d):
    """A saddle point if there is one, else p = (d − c, a − b)/(a − b − c + d) and v = (ad − bc)/(a − b − c + d)."""
    game = np.array([[a, b], [c, d]])
    low, high = game.min(axis=1).max(), game.max(axis=0).min()
    value = low if low >= high else (a * d - b * c) / (a - b - c + d)
    first, second, _ = stage.matrix_games(game[None])
    upper, lower = look(game[None], (first, second))
    assert abs(upper[0] - value) <= 1e-10 and abs(lower[0] - value) <= 1e-10
    total = a - b - c + d
    if high - low > 1e-3:
        np.testing.assert_allclose(first[0], np.array([d - c, a - b]) / total, atol=1e-9)
        np.testing.assert_allclose(second[0], np.array([d - b, a - c]) / total, atol=1e-9)


@pytest.mark.parametrize("a, b, c", [(1, 1, 1), (1, 2, 3), (5, 1, 0.2)])
@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_rock_paper_scissors(a, b, c, temperature):
    """Stakes a, b, c: value 0 and, at τ = 0, play in proportion to (c, b, a)."""
    game = matrix_game([[0, -a, b], [a, 0, -c], [-b, c, 0]], 0.9, temperature)
    found = solved(game)
    assert abs(found.value[0]) <= 1e-8 * game.scale
    np.testing.assert_allclose(found.policies[0], found.policies[1], atol=1e-7 if temperature == 0 else 1e-3)
    if temperature == 0:
        np.testing.assert_allclose(found.policies[0][0], np.array([c, b, a]) / (a + b + c), atol=1e-12)


# --- stage games with entropy -----------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [1e-4, 1e-3, 0.01, 0.1, 1.0, 100.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (4, 1), (2, 2), (5, 5), (3, 6), (6, 3)])
def test_entropy_games_are_mutual_softmax_replies(shape, temperature):
    """p = softmax(Qq/τ) and q = softmax(−Q'p/τ), to rounding, which an error in q enters times |Q|/τ."""
    rng = np.random.default_rng(3)
    for kind in ("normal", "ties", "twins"):
        games = random_games(rng, kind, (50, *shape))
        first, second = settle(games, temperature)
        replies = np.einsum("sab,sb->sa", games, second), -np.einsum("sab,sa->sb", games, first)
        for policy, reply in zip((first, second), replies, strict=True):
            error = reply / temperature - np.log(np.maximum(policy, 1e-300))
            seen = policy > 1e-200
            middle = np.where(seen, error, 0).sum(axis=1, keepdims=True) / seen.sum(axis=1, keepdims=True)
            assert np.abs(np.where(seen, error - middle, 0)).max() <= 2e-8
            assert np.abs(policy.sum(axis=1) - 1).max() <= 1e-12


@pytest.mark.parametrize("temperature", [1e-5, 1e-3, 0.1])
def test_entropy_games_of_all_scales(temperature):
    """Heavy-tailed payoffs and many ties, down to τ of 1e-5: the gap, by scipy, is what rounding leaves of max|Q|."""
    rng = np.random.default_rng(7)
    for shape in ((2, 2), (5, 5), (2, 8), (10, 10)):
        for games in (rng.standard_cauchy(size=(40, *shape)), random_games(rng, "ties", (40, *shape))):
            first, second = settle(games, temperature)
            upper = temperature * logsumexp(np.einsum("sab,sb->sa", games, second) / temperature, axis=1)
            lower = -temperature * logsumexp(-np.einsum("sab,sa->sb", games, first) / temperature, axis=1)
            paid = temperature * (xlogy(first, first).sum(axis=1) + xlogy(second, second).sum(axis=1))
            assert (upper - lower + paid <= 1e-13 * (1 + np.abs(games).max(axis=(1, 2)))).all()


def test_separate_payoffs_are_two_softmaxes():
    """Q = a + b: val = τ log Σ exp(a/τ) − τ log Σ exp(−b/τ)."""
    rng = np.random.default_rng(4)
    a, b, temperature = rng.normal(size=4), rng.normal(size=3), 0.3
    found = solved(matrix_game(a[:, None] + b, 0.5, temperature))
    value = temperature * (logsumexp(a / temperature) - logsumexp(-b / temperature))
    assert found.value[0] == pytest.approx(2 * value, abs=1e-7)
    np.testing.assert_allclose(found.policies[0][0], softmax(a / temperature), atol=1e-6)
    np.testing.assert_allclose(found.policies[1][0], softmax(-b / temperature), atol=1e-6)


@pytest.mark.parametrize("temperature", [0.02, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 4), (4, 1), (3, 3), (2, 5), (5, 2)])
def test_stage_adjoint_by_finite_differences(temperature, shape):
    rng = np.random.default_rng(5)
    games, change = rng.normal(size=(4, *shape)), rng.normal(size=(4, *shape))
    slopes = rng.normal(size=(4, shape[0])), rng.normal(size=(4, shape[1]))
    weights = stage_adjoint(settle(games, temperature), games, slopes, temperature)
    step = 1e-4 * temperature
    ahead, back = (settle(games + sign * step * change, temperature) for sign in (1, -1))
    slope = sum((g * (u - w)).sum(axis=1) for g, u, w in zip(slopes, ahead, back, strict=True)) / (2 * step)
    found = (weights * change).sum(axis=(1, 2))
    # The answers change by O(1/τ), and by their third derivative O((h/τ)²) of that.
    np.testing.assert_allclose(found, slope, atol=1e-5 / temperature)
    # A constant on Q, or on a row's slopes, moves nothing.
    assert np.abs(weights.sum(axis=(1, 2))).max() <= 1e-9 / temperature
    shifted = stage_adjoint(settle(games, temperature), games, (slopes[0] + 7, slopes[1] - 3), temperature)
    np.testing.assert_allclose(shifted, weights, atol=1e-9 / temperature)


def test_stage_adjoint_where_probabilities_are_tiny():
    """At τ = 0.01 entries of 1e-200 occur: nothing overflows, and what is never played has no weight."""
    games = np.random.default_rng(6).normal(size=(50, 4, 4)) * 3
    policies = settle(games, 0.01)
    assert min(policy.min() for policy in policies) < 1e-100
    slopes = np.ones((50, 4)) * np.arange(4), np.ones((50, 4)) * np.arange(4)
    with np.errstate(all="raise", under="ignore"):
        weights = stage_adjoint(policies, games, slopes, 0.01)
    assert np.isfinite(weights).all()
    assert np.abs(weights[policies[0] < 1e-50]).max() <= 1e-40


# --- Markov games -----------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 0.99])
def test_the_gap_is_within_the_tolerance(temperature, discount):
    """Hundreds of random games of all shapes: ψ by policy iteration, and V between what the players secure."""
    for seed in range(24):
        rng = np.random.default_rng(1000 + seed)
        n_states, *shape = (int(n) for n in rng.integers(1, 6, size=3))
        branching = None if seed % 2 else min(n_states, 2)
        game = draw_game(seed, n_states, tuple(shape), discount, temperature, branching, integer=seed % 3 == 0)
        with np.errstate(all="raise", under="ignore"):
            found = solved(game)
        gap, rounding = exact_gap(game, found.policies), 1e-13 * game.scale / (1 - discount) ** 2
        assert gap <= 1e-8 * game.scale + rounding
        assert gap - rounding <= found.duality_gap <= 1e-8 * game.scale
        assert found.residual <= 0.4e-8 * (1 - discount) * game.scale
        ahead = np.einsum("sabt,t->sab", game.transition, found.value)
        np.testing.assert_allclose(found.action_value, game.reward + discount * ahead, atol=rounding + 1e-14)
        held = solve(response_mdp(game, 1, found.policies[1])).value
        secured = -solve(response_mdp(game, 2, found.policies[0])).value
        slack = 1e-8 * game.scale / (1 - discount)
        assert (secured - slack <= found.value).all() and (found.value <= held + slack).all()
        assert found.expected_return == pytest.approx(game.initial @ found.value, abs=rounding + 1e-300)
        assert isinstance(found.expected_return, float) and isinstance(found.duality_gap, float)


@pytest.mark.parametrize("discount", [0.3, 0.9])
def test_the_value_is_shapleys(discount):
    """At τ = 0, V(s) is scipy's value of the stage game r + γPV in every state."""
    for seed in range(4):
        game = draw_game(seed, discount=discount, temperature=0.0, integer=seed % 2 == 0)
        found = solved(game)
        np.testing.assert_allclose(linear_program(found.action_value), found.value, atol=1e-8 * game.scale)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_value_with_entropy(temperature):
    """V(s) = τ log Σ exp(Qq/τ) + τ Σ q log q = p'Qq − τΣ p log p + τΣ q log q, q the reply to p and p to q."""
    game = draw_game(7, temperature=temperature)
    found = solved(game, tolerance=1e-12)
    first, second = found.policies
    payoff = np.einsum("sab,sb->sa", found.action_value, second)
    loss = np.einsum("sab,sa->sb", found.action_value, first)
    np.testing.assert_allclose(first, softmax(payoff / temperature, axis=1), atol=1e-5)
    np.testing.assert_allclose(second, softmax(-loss / temperature, axis=1), atol=1e-5)
    entropy = -xlogy(first, first).sum(axis=1), -xlogy(second, second).sum(axis=1)
    both = np.vecdot(first, payoff) + temperature * (entropy[0] - entropy[1])
    np.testing.assert_allclose(found.value, both, atol=1e-9)
    held = temperature * logsumexp(payoff / temperature, axis=1) - temperature * entropy[1]
    np.testing.assert_allclose(found.value, held, atol=1e-9)


@pytest.mark.parametrize("discount", [0.1, 0.5, 0.9, 0.99])
def test_big_match(discount):
    """Gillette (1957), normalised: worth ½ at every γ; player 1 stops with probability (1−γ)/(2−γ), player 2 tosses.

    By hand: v = val[[1, 0], [γv, 1 − γ + γv]], where stopping against the first column is worth 1 for ever.
    """
    game = absorbing_game([[1 - discount, 0], [0, 1 - discount]], [[0, 0], [1, 1]], discount, end=[[1, 0], [0, 0]])
    found = solved(game)
    # What stops is worth γ·1 next, 1 − γ now.
    np.testing.assert_allclose(found.value, [0.5, 1.0, 0.0], atol=1e-8)
    stop = (1 - discount) / (2 - discount)
    np.testing.assert_allclose(found.policies[0][0], [stop, 1 - stop], atol=1e-7)
    np.testing.assert_allclose(found.policies[1][0], [0.5, 0.5], atol=1e-7)


@pytest.mark.parametrize("discount", [0.75, 0.8, 0.95])
@pytest.mark.parametrize("start", [0.0, 4.0, 12.0])
def test_where_newton_alone_cycles(discount, start):
    """Van der Wal (1978): T(v) = val[[3 + .75v, 6 + .25v], [2 + .75v, 1 + .75v]], v* = 8; Newton goes 12, 4, 12, …"""
    stay = np.array([[0.75, 0.25], [0.75, 0.75]]) / discount
    game = absorbing_game([[3, 6], [2, 1]], stay, discount)
    found = solved(game, initial_value=np.array([start, 1.0, 0.0]))
    np.testing.assert_allclose(found.value[0], 8.0, atol=1e-7)
    np.testing.assert_allclose(found.policies[0][0], [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(found.policies[1][0], [0.0, 1.0], atol=1e-12)
    # The cycle, by the library's own stage games and evaluation.
    value = 12.0
    for expected in (4.0, 12.0, 4.0):
        rewards = np.array([[3, 6], [2, 1]]) + discount * stay * value
        first, second, _ = stage.matrix_games(rewards[None])
        both = first[0][:, None] * second[0]
        value = float((both * [[3, 6], [2, 1]]).sum() / (1 - discount * (both * stay).sum()))
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("discount", [0.2, 0.5, 0.9])
def test_a_value_that_is_a_root(discount):
    """v = val[[2, γv], [γv, 1]]: equalised, (2γ − γ²)v² − 3v + 2 = 0, irrational for rational data."""
    found = solved(absorbing_game([[2, 0], [0, 1]], [[0, 1], [1, 0]], discount))
    factor = 2 * discount - discount**2
    assert found.value[0] == pytest.approx((3 - np.sqrt(9 - 8 * factor)) / (2 * factor), abs=1e-7)


@pytest.mark.parametrize("temperature", [0.0, 0.1])
@pytest.mark.parametrize("player", [1, 2])
def test_a_player_without_choice_leaves_an_mdp(temperature, player):
    game = draw_game(8, shape=(4, 1) if player == 1 else (1, 4), temperature=temperature, branching=2)
    found = solved(game)
    sign = 1 if player == 1 else -1
    kernel, reward = game.transition.reshape(6, 4, 6), sign * game.reward.reshape(6, 4)
    plan = solve(MDP(kernel, reward, 0.9, game.initial, temperature))
    np.testing.assert_allclose(sign * found.value, plan.value, atol=1e-7)
    np.testing.assert_allclose(found.policies[player - 1], plan.policy, atol=1e-5)


@given(st.integers(0, 10_000), st.sampled_from(TEMPERATURES), st.sampled_from([0.0, 0.7, 0.95]))
def test_players_change_places(seed, temperature, discount):
    """With −r(b,a) in place of r(a,b) the value is −V and the policies change hands."""
    game = draw_game(seed, 4, (2, 3), discount, temperature)
    swapped = ZeroSumGame(
        game.transition.transpose(0, 2, 1, 3), -game.reward.transpose(0, 2, 1), discount, game.initial, temperature
    )
    one, other = solved(game), solved(swapped)
    slack = 1e-8 * game.scale / (1 - discount) * 6
    np.testing.assert_allclose(other.value, -one.value, atol=slack)
    # Each half of one solution with a half of the other is an equilibrium, too.
    assert exact_gap(game, (one.policies[0], other.policies[0])) <= 5e-8 * game.scale
    assert exact_gap(game, (other.policies[1], one.policies[1])) <= 5e-8 * game.scale


@given(st.integers(0, 10_000), st.sampled_from(TEMPERATURES), st.floats(-3, 3), st.floats(0.1, 10))
def test_constants_and_units(seed, temperature, constant, unit):
    """Adding c to the reward adds c/(1−γ) to the value; with r and τ in other units V is in those units."""
    game = draw_game(seed, 4, (3, 2), 0.8, temperature)
    value = solved(game).value
    shifted = solved(game.with_reward(game.reward + constant))
    slack = 1e-8 * (game.scale + abs(constant)) / 0.2
    np.testing.assert_allclose(shifted.value, value + constant / 0.2, atol=slack)
    scaled = solved(game.with_reward(unit * game.reward).with_temperature(unit * temperature))
    np.testing.assert_allclose(scaled.value, unit * value, atol=2 * unit * slack)


@pytest.mark.parametrize("temperature", [0.0, 0.01, 1.0])
def test_a_symmetric_game_is_worth_nothing(temperature):
    """r(s,a,b) = −r(s,b,a) in dynamics that do not tell the players apart."""
    game = draw_game(9, 5, (4, 4), 0.9, temperature)
    kernel = 0.5 * (game.transition + game.transition.transpose(0, 2, 1, 3))
    reward = game.reward - game.reward.transpose(0, 2, 1)
    found = solved(ZeroSumGame(kernel, reward, 0.9, game.initial, temperature))
    np.testing.assert_allclose(found.value, 0, atol=1e-7)


def test_small_temperatures_approach_none():
    """|V_τ − V_0| ≤ τ max(log A, log B)/(1−γ), as each player gains at most τ log of its actions a step."""
    game = draw_game(10, 5, (3, 4), 0.9, 0.0)
    hard = solved(game).value
    for temperature in (1.0, 0.1, 0.01, 1e-3, 1e-4):
        soft = solved(game.with_temperature(temperature)).value
        assert np.abs(soft - hard).max() <= temperature * np.log(4) / 0.1 + 1e-6


def test_no_regularizer_means_no_temperature():
    game = draw_game(11, temperature=0.5)
    plain = ZeroSumGame(game.transition, game.reward, 0.9, game.initial, 0.5, NoRegularizer())
    np.testing.assert_allclose(solved(plain).value, solved(game.with_temperature(0.0)).value, atol=1e-7)
    squared = ZeroSumGame(game.transition, game.reward, 0.9, game.initial, 0.0, SquaredNorm())
    np.testing.assert_allclose(solved(squared).value, solved(plain).value, atol=1e-7)


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_no_rewards_at_all(temperature):
    found = solved(matrix_game(np.zeros((2, 3)), 0.9, temperature))
    # Player 1 collects τ log 2 a step, player 2 τ log 3.
    assert found.value[0] == pytest.approx(temperature * np.log(2 / 3) / 0.1, abs=1e-8)


@pytest.mark.parametrize("temperature", [0.0, 0.1])
@pytest.mark.parametrize("branching", [None, 4])
def test_a_hundred_states(temperature, branching):
    game = draw_game(12, 100, (5, 5), 0.99, temperature, branching)
    found = solved(game)
    assert exact_gap(game, found.policies) <= 1e-8 * game.scale
    assert found.iterations <= 12
    near = game.with_reward(game.reward + 1e-4)
    again = solved(near, initial_value=found.value + 1e-4 / 0.01)
    assert again.iterations <= 2


# --- best responses ---------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_best_responses(temperature):
    """By `solve` in each player's MDP; warm, the same with less work; their returns add up to ψ ≥ 0."""
    rng = np.random.default_rng(13)
    game = draw_game(13, 8, (3, 4), 0.95, temperature, branching=2)
    policies = random_policy(rng, 8, 3), random_policy(rng, 8, 4)
    first, second = best_responses(game, policies)
    for plan, mdp in ((first, response_mdp(game, 1, policies[1])), (second, response_mdp(game, 2, policies[0]))):
        np.testing.assert_allclose(plan.value, solve(mdp).value, atol=1e-12)
    gap = first.expected_return + second.expected_return
    assert gap == pytest.approx(exact_gap(game, policies), abs=1e-7) and gap > 0
    near = game.with_reward(game.reward + 1e-6 * rng.normal(size=game.reward.shape))
    warm, cold = best_responses(near, policies, warm=(first, second)), best_responses(near, policies)
    for quick, slow in zip(warm, cold, strict=True):
        np.testing.assert_allclose(quick.value, slow.value, atol=1e-7)
        assert quick.iterations < slow.iterations


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, message",
    [
        ({"initial_value": np.zeros(5)}, r"initial_value has shape \(5,\)"),
        ({"initial_value": np.full(6, np.nan)}, r"initial_value\[0\] is nan"),
        ({"tolerance": 0.0}, r"tolerance is 0.0; allowed"),
        ({"tolerance": -1.0}, r"tolerance is -1.0; allowed"),
        ({"tolerance": np.nan}, r"tolerance is nan; allowed"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        solve_zero_sum(draw_game(0), **options)


def test_other_regularizers_are_refused():
    game = draw_game(0)
    squared = ZeroSumGame(game.transition, game.reward, 0.9, game.initial, 0.1, SquaredNorm())
    with pytest.raises(
        ValueError, match="regularizer is 'squared_norm'; allowed at a temperature above 0 is 'entropy'"
    ):
        solve_zero_sum(squared)
    assert solved(ZeroSumGame(game.transition, game.reward, 0.9, game.initial, 0.1, Entropy())).iterations


def test_bad_policies_are_refused():
    game = draw_game(0)
    good = np.full((6, 3), 1 / 3), np.full((6, 4), 1 / 4)
    with pytest.raises(ValueError, match="opponent_policy has shape"):
        best_responses(game, good[::-1])
    with pytest.raises(ValueError, match="row sum of opponent_policy"):
        best_responses(game, (good[0], good[1] / 2))


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_the_impossible_is_refused(temperature):
    with pytest.raises(ConvergenceError) as caught:
        solve_zero_sum(draw_game(0, discount=0.99, temperature=temperature), tolerance=1e-30)
    assert caught.value.residual > 0 and caught.value.iterations > 1
