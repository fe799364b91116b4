"""The least incentives against costs by hand, a program of another form, and best answers to the profile.

Tolerance. x is made from the values V so that it meets every constraint up to rounding; only what it costs depends on
the solvers, HiGHS to 1e-10 times the multipliers (1 at most, without a bound) in every cell, CLARABEL to 1e-9.
"""

import importlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

import pencourse as pc
from pencourse import ConvergenceError, Entropy, NoRegularizer, ZeroSumGame, exact

programs = importlib.import_module("pencourse.exact.incentives")

COST = 1e-8  # of a cost of size 1
COSTS = ["linear", "quadratic"]


def draw_game(seed, sizes=(4, 3, 2), discount=0.9, branching=None):
    """Draw a game with signed rewards and a ρ that is not uniform, and a profile."""
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(sizes[0], 0.7), size=sizes)
    if branching is not None:
        kept = rng.permuted(np.broadcast_to(np.arange(sizes[0]) < branching, transition.shape), axis=3)
        transition = np.where(kept, transition + 1e-3, 0.0)
        transition /= transition.sum(axis=3, keepdims=True)
    game = ZeroSumGame(transition, rng.normal(size=sizes), discount, rng.dirichlet(np.ones(sizes[0])))
    return game, tuple(rng.integers(n, size=sizes[0]) for n in sizes[1:])


def gains(game, profile):
    """Return what the profile is worth, and what each player could gain in each state by answering it for ever."""
    here, (first, second) = np.arange(game.n_states), profile
    value = np.linalg.solve(
        np.eye(game.n_states) - game.discount * game.transition[here, first, second], game.reward[here, first, second]
    )
    found = []
    for sign, at in ((1, (here, slice(None), second)), (-1, (here, first))):
        reward, kernel, best = sign * game.reward[at], game.transition[at], sign * value
        for _ in range(50):  # policy iteration from the profile
            choice = (reward + game.discount * kernel @ best).argmax(axis=1)
            best = np.linalg.solve(np.eye(len(here)) - game.discount * kernel[here, choice], reward[here, choice])
        found.append(best - sign * value)
    return value, np.array(found)


def certified(game, profile, **options):
    """Return the exact incentives once all that they promise has been checked."""
    try:
        found = exact.incentives(game, profile, **options)
    except (ConvergenceError, ValueError) as error:
        raise AssertionError(f"no certificate: {error}") from error
    x, cost, margin = found.incentives, options.get("cost", "linear"), options.get("margin", 0.0)
    value, gained = gains(game.with_reward(game.reward + x), profile)
    unit = max(np.abs(game.reward).max(), margin) / (1 - game.discount)
    np.testing.assert_allclose(found.value, value, atol=1e-9 * unit)
    assert found.expected_return == pytest.approx(game.initial @ value, abs=1e-9 * unit)
    assert gained.max() <= 1e-9 * unit  # an equilibrium, in every state
    # Where both deviate nothing is paid, and every deviation loses the margin in its first step.
    here, (first, second) = np.arange(game.n_states), profile
    ahead = game.reward + x + game.discount * game.transition @ value - value[:, None, None]
    own, other = (np.arange(n) != actions[:, None] for n, actions in zip(game.n_actions, profile, strict=True))
    assert not x[own[:, :, None] & other[:, None]].any()
    assert ahead[here, :, second][own].max(initial=-np.inf) <= -margin + 1e-9 * unit
    assert ahead[here, first][other].min(initial=np.inf) >= margin - 1e-9 * unit
    paid = np.abs(x).sum() if cost == "linear" else (x**2).sum() / 2
    assert found.cost == found.primal == pytest.approx(paid, rel=1e-12, abs=1e-12)
    assert 0 <= found.gap == found.primal - found.dual <= COST * max(unit, unit**2) * (1 + found.primal)
    if options.get("bound") is not None:
        assert np.abs(x).max() <= options["bound"] + 1e-8 * unit * (1 - game.discount)
    assert found.program == {"linear": "linear, HIGHS", "quadratic": "quadratic, CLARABEL"}[cost]
    return found


# By hand.


def pennies(discount=0.0):
    """Player 1 gets 1 if the coins match, −1 if not."""
    reward = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    return ZeroSumGame(np.ones((1, 2, 2, 1)), reward, discount, [1.0])


HEADS = (np.array([0]), np.array([0]))


@pytest.mark.parametrize("discount", [0.0, 0.9])
def test_pennies(discount):
    """Player 2 leaves (heads, heads) for tails and gains 2, unless x(0,1) − x(0,0) ≥ 2.

    With one state the future is the same after every action, so that γ plays no part. Linear: 2, in any division;
    quadratic: half each, ½(1 + 1); no |x| ≤ t < 1 will do.
    """
    game = pennies(discount)
    assert certified(game, HEADS).cost == pytest.approx(2.0, abs=COST)
    found = certified(game, HEADS, cost="quadratic")
    assert found.cost == pytest.approx(1.0, abs=COST)
    np.testing.assert_allclose(found.incentives, [[[-1.0, 1.0], [0.0, 0.0]]], atol=1e-6)
    assert found.expected_return == pytest.approx(0.0, abs=1e-5)
    np.testing.assert_allclose(certified(game, HEADS, bound=1.0).incentives, [[[-1, 1], [0, 0]]], atol=1e-7)
    with pytest.raises(ValueError, match=r"bound is 0\.9; allowed is at least 1: no smaller incentives make this prof"):
        exact.incentives(game, HEADS, bound=0.9)
    # With a margin δ: x(0,1) − x(0,0) ≥ 2 + δ; player 1's deviation loses 2 + x(0,0) ≥ δ as long as δ ≤ 2/3.
    assert certified(game, HEADS, margin=0.5).cost == pytest.approx(2.5, abs=COST)
    assert certified(game, HEADS, margin=0.5, cost="quadratic").cost == pytest.approx(1.25**2, abs=COST)
    # δ = 2: player 1 loses 2 + x(0,0) − x(1,0) ≥ 2, player 2 x(0,1) − x(0,0) − 2 ≥ 2: min ½[u² + v² + w²] with
    # u = −x(0,0), x(0,1) = 4 − u, x(1,0) = −u: u = 4/3, 16/9 + 64/9 + 16/9 over 2.
    assert certified(game, HEADS, margin=2.0, cost="quadratic").cost == pytest.approx(16 / 3, abs=10 * COST)


@pytest.mark.parametrize("player", [1, 2])
def test_the_clerk(player):
    """State 0: stay for 0, or leave for state 1, which pays 1 a step for ever. To make it stay:

    u/(1−γ) + w γ/(1−γ) + z ≥ γ/(1−γ) with u more for staying, w less in state 1, z less for leaving.
    """
    discount = 0.8
    transition = np.zeros((2, 2, 1, 2))
    transition[0, 0, 0, 0] = transition[0, 1, 0, 1] = transition[1, :, 0, 1] = 1.0
    reward = np.array([[[0.0], [0.0]], [[1.0], [1.0]]])
    profile, sign = (np.zeros(2, dtype=int), np.zeros(2, dtype=int)), 1
    if player == 2:
        transition, reward, sign = transition.swapaxes(1, 2), -reward.swapaxes(1, 2), -1
    game = ZeroSumGame(transition, reward, discount, [0.5, 0.5])
    found = certified(game, profile)
    assert found.cost == pytest.approx(discount, abs=COST)  # u = γ is the cheapest
    assert found.incentives[0, 0, 0] == pytest.approx(sign * discount, abs=1e-7)
    np.testing.assert_allclose(found.value, [sign * 4.0, sign * 5.0], atol=1e-6)
    # State 1 has two actions, and to pay less for one means to pay less for both: w costs twice.
    weights = np.array([1.0, discount, 1 - discount])
    prices = np.array([1.0, 2.0, 1.0])
    found = certified(game, profile, cost="quadratic")
    assert found.cost == pytest.approx(discount**2 / (weights**2 / prices).sum() / 2, abs=COST)
    with pytest.raises(ValueError, match=r"allowed is at least 0\.4: no"):  # t (1 + γ + 1 − γ) = γ
        exact.incentives(game, profile, bound=0.399)
    certified(game, profile, bound=0.4)


@pytest.mark.parametrize("cost", COSTS)
def test_an_equilibrium_costs_nothing(cost):
    for seed in range(20):
        game, profile = draw_game(seed, discount=0.8, branching=2)
        made = certified(game, profile, cost=cost, margin=0.1)
        game = game.with_reward(game.reward + made.incentives)
        free = certified(game, profile, cost=cost, bound=0.0)
        assert free.cost <= 1e-7 and np.abs(free.incentives).max() <= 1e-7
        np.testing.assert_allclose(free.value, made.value, atol=1e-6)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("sizes", [(3, 1, 1), (3, 3, 1), (3, 1, 3)])
def test_players_without_a_choice(cost, sizes):
    for seed in range(3):
        game, profile = draw_game(seed, sizes)
        found = certified(game, profile, cost=cost)
        assert found.cost == pytest.approx(0.0, abs=1e-9) if sizes == (3, 1, 1) else found.cost >= 0


# By other means.


def by_linear_program(game, profile, bound, margin):
    """Return the least Σ|x| over (x, V): scipy's program with every constraint written out cell by cell."""
    n_states, (n_first, n_second) = game.n_states, game.n_actions
    size = n_states * n_first * n_second

    def row(s, a, b):  # [r + x + γPV](s,a,b) − V(s) in x⁺, x⁻ and V, and its constant
        x = np.zeros((n_states, n_first, n_second))
        x[s, a, b] = 1.0
        ahead = game.discount * game.transition[s, a, b] - np.eye(n_states)[s]
        return np.concatenate([x.ravel(), -x.ravel(), ahead]), game.reward[s, a, b]

    equal, below = [], []
    for s, (first, second) in enumerate(zip(*profile, strict=True)):
        equal.append(row(s, first, second))
        below += [row(s, a, second) for a in range(n_first) if a != first]
        below += [(-left, -r) for left, r in (row(s, first, b) for b in range(n_second) if b != second)]
    left, right = (np.array(part) for part in zip(*equal, strict=True))
    lower, most = (np.array(part) for part in zip(*below, strict=True))
    prices = np.concatenate([np.ones(2 * size), np.zeros(n_states)])
    sides = [(0, bound)] * (2 * size) + [(None, None)] * n_states
    return linprog(prices, A_ub=lower, b_ub=-margin - most, A_eq=left, b_eq=-right, bounds=sides).fun


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9])
def test_random_games_against_a_program_written_out(discount):
    for seed, (sizes, branching) in enumerate(itertools.product([(1, 3, 3), (3, 2, 4), (5, 4, 3)], [None, 2])):
        game, profile = draw_game(seed, sizes, discount, None if sizes[0] == 1 else branching)
        for margin in (0.0, 0.3):
            found = certified(game, profile, margin=margin)
            assert found.cost == pytest.approx(by_linear_program(game, profile, None, margin), abs=1e-6)
            least = np.abs(certified(game, profile, margin=margin, cost="quadratic").incentives).max()
            bounded = certified(game, profile, margin=margin, bound=least)
            assert bounded.cost == pytest.approx(by_linear_program(game, profile, least, margin), abs=1e-6)


@pytest.mark.parametrize("cost", COSTS)
def test_no_incentives_that_do_are_cheaper(cost):
    """A thousand that do: take any V near the best one, pay what it asks for; and less than that will not do."""
    rng = np.random.default_rng(0)
    for seed in range(5):
        game, profile = draw_game(seed)
        best = certified(game, profile, cost=cost)
        program, _ = programs._program(game, list(profile), 1.0, 0.0)
        for k in range(200):
            value = best.value + 10.0 ** rng.uniform(-6, 1) * rng.normal(size=4) * (k > 0)
            assert programs._cost(program.paid(value), cost).sum() >= best.cost - COST * (1 + best.cost)
        # 99 % of them is no equilibrium: nothing as cheap is.
        less = game.with_reward(game.reward + 0.99 * best.incentives)
        assert gains(less, profile)[1].max() > 1e-4


def test_each_is_the_best_at_its_own_cost():
    for seed in range(5):
        game, profile = draw_game(seed, discount=0.8)
        linear, quadratic = (certified(game, profile, cost=cost) for cost in COSTS)
        assert linear.cost < np.abs(quadratic.incentives).sum()
        assert quadratic.cost < (linear.incentives**2).sum() / 2


@pytest.mark.parametrize("cost", COSTS)
def test_a_bound_binds_and_the_least_one_is_named(cost):
    for seed in range(5):
        game, profile = draw_game(seed)
        free = certified(game, profile, cost=cost)
        with pytest.raises(ValueError, match="allowed is at least") as refusal:
            exact.incentives(game, profile, cost=cost, bound=1e-3)
        least = float(str(refusal.value).split("at least ")[1].split(":")[0])
        assert least < np.abs(free.incentives).max()
        tight = certified(game, profile, cost=cost, bound=least)
        assert tight.cost > free.cost and np.abs(tight.incentives).max() == pytest.approx(least, abs=1e-7)
        with pytest.raises(ValueError, match="allowed is at least"):
            exact.incentives(game, profile, cost=cost, bound=0.999 * least)
        loose = certified(game, profile, cost=cost, bound=2 * np.abs(free.incentives).max())
        assert loose.cost == pytest.approx(free.cost, abs=COST * (1 + free.cost))


@pytest.mark.parametrize("cost", COSTS)
def test_a_margin_makes_the_profile_the_only_equilibrium(cost):
    for seed in range(5):
        game, profile = draw_game(seed, (4, 3, 3))
        made = certified(game, profile, cost=cost, margin=0.05)
        found = exact.solve_zero_sum(game.with_reward(game.reward + made.incentives))
        np.testing.assert_allclose(found.value, made.value, atol=1e-5)
        for policy, actions in zip(found.policies, profile, strict=True):
            np.testing.assert_allclose(policy, np.eye(3)[actions], atol=1e-4)
        for player, policies in ((1, np.eye(3)[profile[1]]), (2, np.eye(3)[profile[0]])):
            plan = pc.solve(pc.response_mdp(game.with_reward(game.reward + made.incentives), player, policies))
            assert (plan.policy.argmax(axis=1) == profile[player - 1]).all()


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_the_reward_does_not_matter(scale):
    game, profile = draw_game(0)
    for cost, power in zip(COSTS, (1, 2), strict=True):
        one = exact.incentives(game, profile, cost=cost, bound=2.5, margin=0.1)
        other = exact.incentives(
            game.with_reward(scale * game.reward), profile, cost=cost, bound=2.5 * scale, margin=0.1 * scale
        )
        assert other.cost / scale**power == pytest.approx(one.cost, rel=1e-7)
        assert other.dual / scale**power == pytest.approx(one.dual, rel=1e-7)
        assert other.expected_return / scale == pytest.approx(one.expected_return, abs=1e-3)


@pytest.mark.parametrize("cost", COSTS)
@pytest.mark.parametrize("bound", [None, 3.0])
def test_the_dual_bound_holds_whatever_the_solver_did(cost, bound):
    rng = np.random.default_rng(0)
    for seed in range(5):
        game, profile = draw_game(seed)
        optimum = certified(game, profile, cost=cost, bound=bound, margin=0.1).cost
        program, _ = programs._program(game, list(profile), 1.0, 0.1)
        most = np.inf if bound is None else bound
        _, multiplier = programs._solve(program, cost, most)
        assert program.dual(multiplier, cost, most) == pytest.approx(optimum, abs=COST * (1 + optimum))
        for k in range(50):
            poor = multiplier + 10.0 ** rng.uniform(-6, 0) * rng.normal(size=multiplier.shape)
            assert program.dual(-multiplier if k == 0 else poor, cost, most) <= optimum + COST * (1 + optimum)


# Refusals.


def test_refusals():
    game, (first, second) = draw_game(0)
    with pytest.raises(
        ValueError, match=r"temperature is 0\.1; allowed is 0: with the entropy every equilibrium mixes"
    ):
        exact.incentives(replace(game, temperature=0.1, regularizer=Entropy()), (first, second))
    plain = exact.incentives(replace(game, temperature=0.1, regularizer=NoRegularizer()), (first, second))
    assert plain.cost == exact.incentives(game, (first, second)).cost
    with pytest.raises(ValueError, match=r"cost is 'cubic'; allowed are \['linear', 'quadratic'\]"):
        exact.incentives(game, (first, second), cost="cubic")
    for name, number in itertools.product(("bound", "margin"), (-1.0, np.nan, np.inf)):
        with pytest.raises(ValueError, match=f"{name} is {number}; allowed is a finite number, at least 0"):
            exact.incentives(game, (first, second), **{name: number})
    with pytest.raises(ValueError, match=r"profile\[1\]\[2\] is 2; allowed is an action from 0 to 1\."):
        exact.incentives(game, (first, [0, 1, 2, 5]))
    with pytest.raises(ValueError, match=r"profile\[0\]\[0\] is -1; allowed is an action from 0 to 2\."):
        exact.incentives(game, ([-1, 0, 0, 0], second))
    with pytest.raises(
        ValueError, match=r"profile\[0\] has shape \(4,\) and type float64; allowed are integers of shap"
    ):
        exact.incentives(game, (first + 0.0, second))
    with pytest.raises(
        ValueError, match=r"profile\[1\] has shape \(3,\) and type int64; allowed are integers of shape"
    ):
        exact.incentives(game, (first, second[:3]))
    with pytest.raises(ValueError, match="profile has 1 parts; allowed are 2"):
        exact.incentives(game, (first,))


def test_programs_that_disagree_are_refused(monkeypatch):
    solve = programs._solve
    monkeypatch.setattr(programs, "_solve", lambda *rest: (solve(*rest)[0] + 0.01, solve(*rest)[1]))
    game, profile = draw_game(0)
    with pytest.raises(ConvergenceError, match=r"exact.incentives \(linear, HIGHS\)"):
        exact.incentives(game, profile)
