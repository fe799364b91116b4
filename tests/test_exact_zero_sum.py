"""The exact equilibria against closed forms, Shapley's iteration without programs, and the library's Newton.

Tolerance. HiGHS keeps the constraints of an MDP's linear program to 1e-7 of max|r|; so V may be off by that over 1 − γ,
and is raised by as much again: 2e-7. With the entropy CLARABEL stops at 1e-9 at the latest. Policies carry the square
root of that over √τ, the function being τ-strongly convex.
"""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq, linprog
from scipy.special import logsumexp, softmax, xlogy

import pencourse as pc
from pencourse import MDP, ConvergenceError, NoRegularizer, SquaredNorm, ZeroSumGame, exact

programs = importlib.import_module("pencourse.exact.zero_sum")

VALUE = 2e-7  # of max(max|r|, τ)/(1−γ)
POLICY = 1e-4
TEMPERATURES = [0.0, 0.01, 0.1, 1.0]


def draw_game(seed, sizes=(4, 3, 2), discount=0.9, temperature=0.0, branching=None, kind="signed"):
    """Draw a game with signed rewards and a ρ that is not uniform; "tied": rewards of −1, 0 and 1 only."""
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(sizes[0], 0.7), size=sizes)
    if branching is not None:
        kept = rng.permuted(np.broadcast_to(np.arange(sizes[0]) < branching, transition.shape), axis=3)
        transition = np.where(kept, transition + 1e-3, 0.0)
        transition /= transition.sum(axis=3, keepdims=True)
    reward = rng.normal(size=sizes) if kind == "signed" else rng.integers(-1, 2, size=sizes).astype(float)
    return ZeroSumGame(transition, reward, discount, rng.dirichlet(np.ones(sizes[0])), temperature)


def matrix_game(reward, discount=0.0, temperature=0.0):
    """One state, in which the two play once (γ = 0) or for ever."""
    reward = np.asarray(reward, dtype=float)[None]
    return ZeroSumGame(np.ones((*reward.shape, 1)), reward, discount, [1.0], temperature)


def unit(game):
    """Return what a value may be off."""
    return VALUE * max(np.abs(game.reward).max(), game.temperature) / (1 - game.discount)


def most(game, second):
    """Return what player 1 can get against π₂ in each state, by value iteration."""
    reward = (game.reward * second[:, None]).sum(axis=2)
    reward = reward + game.temperature * xlogy(second, second).sum(axis=1, keepdims=True)
    kernel = (game.transition * second[:, None, :, None]).sum(axis=2)
    value = np.zeros(game.n_states)
    while True:
        q = reward + game.discount * kernel @ value
        new = game.temperature * logsumexp(q / game.temperature, axis=1) if game.temperature else q.max(axis=1)
        if np.abs(new - value).max() <= 1e-3 * unit(game) * (1 - game.discount):
            return new
        value = new


def turned(game):
    """Return the game as player 2 sees it, who maximises −r."""
    return replace(game, reward=-np.swapaxes(game.reward, 1, 2), transition=np.swapaxes(game.transition, 1, 2))


def accepted(game):
    """Return the exact equilibrium; a refusal is a failed assertion."""
    try:
        return exact.solve_zero_sum(game)
    except (ConvergenceError, ValueError) as error:
        raise AssertionError(f"no certificate: {error}") from error


def certified(game):
    """Return the exact equilibrium once all that it promises has been checked: no player gains by another policy."""
    found = accepted(game)
    first, second = found.policies
    assert first.shape == game.reward.shape[:2] and second.shape == game.reward[:, 0].shape
    for policy in found.policies:
        assert (policy >= 0).all() and np.abs(policy.sum(axis=1) - 1).max() <= 1e-12
    high, low = most(game, second), -most(turned(game), first)
    np.testing.assert_allclose(found.value, high, atol=unit(game))
    assert found.primal == pytest.approx(game.initial @ high, abs=unit(game))
    assert found.dual == pytest.approx(game.initial @ low, abs=unit(game))
    assert (high - low).max() <= 2 * unit(game)  # in every state
    # The enclosure, up to what the value iteration here leaves.
    assert found.primal >= game.initial @ high - 1e-2 * unit(game)
    assert found.dual <= game.initial @ low + 1e-2 * unit(game)
    assert (
        found.primal
        == found.expected_return
        == pytest.approx(game.initial @ found.value, abs=1e-12 * abs(found.primal))
    )
    assert found.gap == found.primal - found.dual
    assert found.program == ("exponential cone, CLARABEL" if game.temperature else "linear, HIGHS")
    return found


# Games whose solution is known.


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("discount", [0.0, 0.9])
def test_games_that_are_played_uniformly(discount, temperature):
    pennies = [[1, -1], [-1, 1]]
    rock_paper_scissors = [[0, -1, 1], [1, 0, -1], [-1, 1, 0]]
    for reward in (pennies, rock_paper_scissors):
        found = certified(matrix_game(reward, discount, temperature))
        assert found.primal == pytest.approx(0.0, abs=VALUE / (1 - discount))
        for policy in found.policies:
            np.testing.assert_allclose(policy, 1 / len(reward), atol=POLICY)


@pytest.mark.parametrize("discount", [0.0, 0.9])
def test_weights_move_the_policies(discount):
    # Pennies worth 3 and 1: play in inverse proportion. By hand: 3x = 1 − x.
    found = certified(matrix_game([[3, 0], [0, 1]], discount))
    np.testing.assert_allclose(found.policies, [[[0.25, 0.75]]] * 2, atol=1e-6)
    assert found.primal == pytest.approx(0.75 / (1 - discount), abs=3 * VALUE / (1 - discount))
    # Scissors beat paper for a, rock scissors for b, paper rock for c: each is played as often as the fight of the
    # other two is worth: with rows rock, paper, scissors, π ∝ (a, b, c).
    a, b, c = 2.0, 1.0, 4.0
    found = certified(matrix_game([[0, -c, b], [c, 0, -a], [-b, a, 0]], discount))
    np.testing.assert_allclose(found.policies, [[np.array([a, b, c]) / 7]] * 2, atol=1e-6)
    assert found.primal == pytest.approx(0.0, abs=4 * VALUE / (1 - discount))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_each_player_is_paid_for_its_own_entropy(temperature):
    """Where nothing is at stake each plays uniformly: V = (c + τ log A − τ log B)/(1 − γ)."""
    for sizes in ((2, 5), (4, 1), (1, 3)):
        found = certified(matrix_game(np.full(sizes, 0.5), 0.9, temperature))
        value = 10 * (0.5 + temperature * np.log(sizes[0] / sizes[1]))
        assert found.primal == pytest.approx(value, abs=10 * VALUE) == found.value[0]
        assert found.dual == pytest.approx(value, abs=10 * VALUE)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_equilibrium_of_a_stage_game_is_a_fixed_point_of_two_softmaxes(temperature):
    game = draw_game(5, (6, 4, 3), discount=0.8, temperature=temperature)
    found = certified(game)
    q = game.reward + 0.8 * game.transition @ found.value
    first, second = found.policies
    np.testing.assert_allclose(first, softmax(np.einsum("sab,sb->sa", q, second) / temperature, axis=1), atol=POLICY)
    np.testing.assert_allclose(second, softmax(-np.einsum("sab,sa->sb", q, first) / temperature, axis=1), atol=POLICY)


@pytest.mark.parametrize("discount", [0.5, 0.9, 0.99])
def test_the_big_match(discount):
    """Blackwell and Ferguson, The Big Match (1968); its discounted value is ½ a step, whatever γ.

    Player 1 guesses player 2's coin. Once it has guessed "heads", what that guess was worth is paid for ever. By hand,
    λ = 1 − γ and values a step: v = val [[1, 0], [(1−λ)v, λ + (1−λ)v]] has v = ½, x = λ/(1+λ), y = ½.
    """
    transition = np.zeros((3, 2, 2, 3))
    transition[0, 0, 0, 1] = transition[0, 0, 1, 2] = transition[0, 1, :, 0] = 1.0
    transition[1, ..., 1] = transition[2, ..., 2] = 1.0
    reward = np.zeros((3, 2, 2))
    reward[0, 0, 0] = reward[0, 1, 1] = reward[1] = 1.0
    found = certified(ZeroSumGame(transition, reward, discount, [1.0, 0.0, 0.0]))
    steps = 1 / (1 - discount)
    np.testing.assert_allclose(found.value, [steps / 2, steps, 0], atol=VALUE * steps)
    guess = (1 - discount) / (2 - discount)
    np.testing.assert_allclose(found.policies[0][0], [guess, 1 - guess], atol=1e-5)
    np.testing.assert_allclose(found.policies[1][0], [0.5, 0.5], atol=1e-5)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_game_for_one_is_an_mdp(temperature):
    for seed in range(3):
        game = draw_game(seed, (5, 3, 1), temperature=temperature)
        plan = exact.solve_mdp(MDP(game.transition[:, :, 0], game.reward[:, :, 0], 0.9, game.initial, temperature))
        np.testing.assert_allclose(certified(game).value, plan.value, atol=unit(game))
        np.testing.assert_allclose(certified(turned(game)).value, -plan.value, atol=unit(game))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_a_symmetric_game_is_worth_nothing(temperature):
    for seed in range(3):
        game = draw_game(seed, (4, 3, 3), temperature=temperature)
        swapped = np.swapaxes(game.reward, 1, 2), np.swapaxes(game.transition, 1, 2)
        game = replace(game, reward=game.reward - swapped[0], transition=(game.transition + swapped[1]) / 2)
        np.testing.assert_allclose(certified(game).value, 0.0, atol=unit(game))


# Random games, by other means.


def stage_value(q, temperature):
    """Return the value of one stage game without cvxpy: scipy's linear program, or for two columns a root in y(0)."""
    if temperature == 0:
        n_first, n_second = q.shape
        matrix = np.hstack([q, -np.ones((n_first, 1))])  # q y ≤ v
        total = np.hstack([np.ones((1, n_second)), [[0.0]]])
        sides = [(0, None)] * n_second + [(None, None)]
        cost = np.eye(n_second + 1)[-1]
        return linprog(cost, A_ub=matrix, b_ub=np.zeros(n_first), A_eq=total, b_eq=[1.0], bounds=sides).fun

    def slope(logit):  # of f(y) = τ log Σ exp(qy/τ) + τh(y), along y(0)
        y = softmax([logit, 0.0])
        return softmax(q @ y / temperature) @ (q[:, 0] - q[:, 1]) + temperature * logit

    y = softmax([brentq(slope, -1e5, 1e5, xtol=1e-12, rtol=1e-14), 0.0])
    return temperature * (logsumexp(q @ y / temperature) + xlogy(y, y).sum())


def by_shapley(game):
    """Return V* within 1e-9, by V ← TV."""
    value = np.zeros(game.n_states)
    while True:
        q = game.reward + game.discount * game.transition @ value
        new = np.array([stage_value(matrix, game.temperature) for matrix in q])
        if np.abs(new - value).max() <= 1e-9 * (1 - game.discount):
            return new
        value = new


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_random_games_against_shapleys_iteration(temperature):
    for seed, discount, branching, kind in [
        (0, 0.0, None, "signed"),
        (1, 0.5, None, "signed"),
        (2, 0.5, 2, "tied"),
        (3, 0.8, 2, "signed"),
    ]:
        game = draw_game(seed, (3, 3, 2), discount, temperature, branching, kind)
        found, value = certified(game), by_shapley(game)
        np.testing.assert_allclose(found.value, value, atol=unit(game))
        assert found.primal >= game.initial @ value - 2e-9 and found.dual <= game.initial @ value + 2e-9


@pytest.mark.parametrize("temperature", TEMPERATURES)
@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_referee_and_library_agree(discount, temperature):
    for seed, (sizes, branching, kind) in enumerate(
        (sizes, branching, kind)
        for sizes in ((1, 2, 2), (3, 2, 4), (6, 4, 3))
        for branching in (None, 2)
        for kind in ("signed", "tied")
    ):
        game = draw_game(100 + seed, sizes, discount, temperature, None if sizes[0] == 1 else branching, kind)
        referee, found = certified(game), pc.solve_zero_sum(game, tolerance=1e-9)
        allowed = unit(game) + 1e-9 * game.scale / (1 - discount)
        np.testing.assert_allclose(found.value, referee.value, atol=allowed)
        assert referee.dual - 1e-9 * game.scale <= found.expected_return <= referee.primal + 1e-9 * game.scale
        if temperature:
            for own, other in zip(found.policies, referee.policies, strict=True):
                np.testing.assert_allclose(own, other, atol=POLICY / np.sqrt(temperature))


@pytest.mark.parametrize("temperature", [0.0, 0.01, 0.1])
def test_ten_states_with_five_actions_each(temperature, monkeypatch):
    stage, rounds = programs._stage, []
    monkeypatch.setattr(programs, "_stage", lambda *rest: rounds.append(1) or stage(*rest))
    for seed in range(2):
        certified(draw_game(seed, (10, 5, 5), 0.9, temperature))
    assert len(rounds) <= 2 * 25  # V ← TV needs log(1e-9)/log γ = 197


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_the_policies_are_an_equilibrium_from_every_state(temperature):
    """ρ may be 0 where the players have to plan all the same."""
    game = draw_game(3, (5, 3, 3), temperature=temperature, branching=2)
    values = [certified(replace(game, initial=start)).value for start in np.eye(5)]
    np.testing.assert_allclose(values, np.tile(values[0], (5, 1)), atol=unit(game))


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_the_reward_does_not_matter(scale):
    for temperature in (0.0, 0.1):
        game = draw_game(4, temperature=temperature)
        scaled = replace(game, reward=scale * game.reward, temperature=scale * temperature)
        np.testing.assert_allclose(certified(scaled).value / scale, certified(game).value, atol=unit(game))


def test_without_rewards():
    found = certified(replace(draw_game(0), reward=np.zeros((4, 3, 2))))
    assert found.primal == found.dual == 0.0 and not found.value.any()


# The bounds.


@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_a_bound_holds_whatever_the_solver_did(temperature, monkeypatch):
    rng, game = np.random.default_rng(0), draw_game(1, temperature=temperature)
    second = rng.dirichlet(np.ones(2), size=4)
    truth = most(game, second)
    program, solver = programs._primal, "CLARABEL" if temperature else "HIGHS"
    assert np.abs(programs._most(game, second, solver) - truth).max() <= unit(game)
    for _ in range(5):
        noise = rng.normal(size=4)
        monkeypatch.setattr(programs, "_primal", lambda *rest, n=noise: program(*rest) + n)
        assert (programs._most(game, second, solver) >= truth - 1e-2 * unit(game)).all()


def test_policies_that_are_no_equilibrium_are_refused(monkeypatch):
    def uniform(game, value, solver):
        return np.full(game.reward[:, 0].shape, 1 / game.reward.shape[2])

    monkeypatch.setattr(programs, "_stage", uniform)
    with pytest.raises(ConvergenceError, match=r"exact.solve_zero_sum \(linear, HIGHS; primal − dual\)"):
        exact.solve_zero_sum(draw_game(0))


def test_regularizers():
    game = draw_game(0)
    for other in (SquaredNorm(), NoRegularizer()):  # at τ = 0 none of them matters
        assert certified(replace(game, regularizer=other)).primal == certified(game).primal
    plain = accepted(replace(game, regularizer=NoRegularizer(), temperature=2.0))
    assert plain.primal == certified(game).primal and plain.program == "linear, HIGHS"
    with pytest.raises(ValueError, match=r"regularizer is 'squared_norm'; allowed are \['entropy', 'none'\]"):
        exact.solve_zero_sum(replace(game, regularizer=SquaredNorm(), temperature=0.1))
