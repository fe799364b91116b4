"""The follower's answer at τ = 0, policy switching and the annealed search for a leader's commitment."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from pencourse import StackelbergGame, evaluate, follower_mdp, leader_return, solve, worlds
from pencourse.cases.stackelberg import best_response
from pencourse.descent import anneal, annealing, multistart, switch_policies
from pencourse.simplex import random_policy, uniform_policy


def draw_game(seed, *, sizes=(4, 2, 3), controller="both", temperature=0.0):
    rng = np.random.default_rng(seed)
    return worlds.random_stackelberg_game(rng, *sizes, 0.9, controller=controller, temperature=temperature)


def conitzer_sandholm():
    """Commit to (½, ½): the follower is indifferent, and its second action is worth 3.5 to the leader."""
    leader, follower = [[[2.0, 4.0], [1.0, 3.0]]], [[[1.0, 0.0], [0.0, 1.0]]]
    return StackelbergGame(np.ones((1, 2, 2, 1)), leader, follower, 0.0, [1.0])


def by_enumeration(game, x):
    """Return the leader's returns, lowest and highest, over the follower's optimal deterministic policies."""
    model = follower_mdp(game, x)
    best = solve(model).value
    returns = []
    for actions in itertools.product(range(game.n_follower), repeat=game.n_states):
        answer = np.eye(game.n_follower)[list(actions)]
        if np.abs(evaluate(model, answer).value - best).max() <= 1e-8:
            returns.append(leader_return(game, x, answer))
    return min(returns), max(returns)


def with_ties(game):
    """The same game with a follower who does not care which of its first two actions it takes."""
    transition, reward = game.transition.copy(), game.follower_reward.copy()
    transition[:, :, 1] = transition[:, :, 0]
    reward[:, :, 1] = reward[:, :, 0]
    return replace(game, transition=transition, follower_reward=reward)


@pytest.mark.parametrize("seed", range(8))
def test_ties_are_broken_for_or_against_the_leader(seed):
    game = replace(draw_game(seed), initial=[0.1, 0.2, 0.3, 0.4])
    x = random_policy(np.random.default_rng(seed), 4, 2)
    # The last follower wants nothing, so that it is between futures that its ties have to be broken.
    for kind in (game, with_ties(game), replace(game, follower_reward=np.zeros((4, 2, 3)))):
        low, high = by_enumeration(kind, x)
        for ties, expected in (("leader", high), ("against", low)):
            answer = best_response(kind, x, ties=ties)
            assert np.isclose(answer.leader_return, expected, rtol=0, atol=1e-9)
            assert np.isclose(answer.leader_return, leader_return(kind, x, answer.policy), rtol=0, atol=1e-9)
            assert np.allclose(answer.follower_value, solve(follower_mdp(kind, x)).value, rtol=0, atol=1e-8)
    if seed == 0:
        assert high - low > 1e-3  # ties matter in such games


def test_conitzer_and_sandholms_game():
    game = conitzer_sandholm()
    half = best_response(game, [[0.5, 0.5]])
    assert half.leader_return == 3.5 and half.tied.all() and (half.policy == [[0, 1]]).all()
    assert best_response(game, [[0.5, 0.5]], ties="against").leader_return == 1.5
    assert best_response(game, [[0.501, 0.499]]).leader_return == pytest.approx(1.501)
    near = best_response(game, [[0.5 + 1e-10, 0.5 - 1e-10]])
    assert near.leader_return == pytest.approx(3.5)  # within the tolerance
    assert best_response(game, [[0.5 + 1e-8, 0.5 - 1e-8]]).leader_return < 2.0  # not within


def test_ties_are_seen_where_the_averaged_reward_cancels():
    """0.1 · 1 + 0.2 · 3 − 0.7 · 1 = 0, and so its negative: a tie, which rounding decides by 2e-16."""
    follower, leader = [[[1.0, -1.0], [3.0, -3.0], [-1.0, 1.0]]], np.zeros((1, 3, 2))
    leader[:, :, 1] = 5.0
    answer = best_response(StackelbergGame(np.ones((1, 3, 2, 1)), leader, follower, 0.0, [1.0]), [[0.1, 0.2, 0.7]])
    assert answer.tied.all() and answer.leader_return == pytest.approx(5.0)


def test_a_regularised_follower_has_one_answer():
    game = replace(draw_game(3, temperature=0.2), initial=[0.1, 0.2, 0.3, 0.4])
    x = random_policy(np.random.default_rng(0), 4, 2)
    answer = best_response(game, x)
    assert np.allclose(answer.policy, solve(follower_mdp(game, x)).policy, rtol=0, atol=1e-8)
    assert np.isclose(answer.leader_return, leader_return(game, x, answer.policy))
    assert answer.leader_return == best_response(game, x, ties="against").leader_return


def test_switching_finds_the_best_combination_where_the_leader_controls_the_kernel():
    """Against all combinations of the candidates' rows."""
    for seed in range(10):
        game = draw_game(seed, sizes=(4, 3, 3), controller="leader")
        rng = np.random.default_rng(seed)
        candidates = [random_policy(rng, 4, 3) for _ in range(3)]
        returns = []
        for rows in itertools.product(range(3), repeat=4):
            mixed = np.array([candidates[k][s] for s, k in enumerate(rows)])
            returns.append(best_response(game, mixed).leader_return)
        policy, response = switch_policies(game, candidates)
        assert np.isclose(response.leader_return, max(returns), rtol=0, atol=1e-9)
        assert np.isclose(best_response(game, policy).leader_return, response.leader_return)
        assert all((policy[s] == [x[s] for x in candidates]).all(axis=1).any() for s in range(4))


@pytest.mark.parametrize("controller", ["both", "follower"])
def test_switching_never_loses_and_often_wins(controller):
    gains = []
    for seed in range(12):
        game = draw_game(seed, sizes=(8, 3, 3), controller=controller)
        rng = np.random.default_rng(seed)
        candidates = [random_policy(rng, 8, 3) for _ in range(4)]
        best = max(best_response(game, x).leader_return for x in candidates)
        policy, response = switch_policies(game, candidates)
        assert np.isclose(best_response(game, policy).leader_return, response.leader_return)
        gains.append(response.leader_return - best)
    assert min(gains) >= -1e-12 and np.mean(np.array(gains) > 0.1) > 0.5


@pytest.mark.parametrize("controller", ["both", "follower"])
def test_a_switch_is_worth_one_step_by_the_row_with_the_values_of_both_to_come(controller):
    """max {Q_l(s, x_s, b) : b best for Q_f(s, x_s, ·)} by hand, without ties; of the own row it is V_l."""
    for seed in range(5):
        game = draw_game(seed, sizes=(5, 3, 3), controller=controller)
        rng = np.random.default_rng(seed)
        *rows, policy = (random_policy(rng, 5, 3) for _ in range(4))
        response = best_response(game, policy)
        gains, choice = annealing._gains(game, policy, response, np.array(rows))
        for s, gain in enumerate(gains):
            later = 0.9 * game.transition[s] @ np.transpose([response.leader_value, response.follower_value])
            leader, follower = game.leader_reward[s] + later[..., 0], game.follower_reward[s] + later[..., 1]
            worth = [(x[s] @ leader)[(x[s] @ follower).argmax()] for x in (*rows, policy)]
            assert np.isclose(worth[-1], response.leader_value[s], rtol=0, atol=1e-8)
            assert np.isclose(gain, max(worth[:-1]) - worth[-1], rtol=0, atol=1e-9)
            assert choice[s] == np.argmax(worth[:-1])


def test_annealing_finds_the_textbook_commitment():
    """Up to the margin that keeps the follower from the other action, a few times the last temperature, 0.001."""
    game = conitzer_sandholm()
    for start in ([[0.5, 0.5]], [[0.0, 1.0]]):
        x = anneal(game, np.array(start))
        assert 0 <= 0.5 - x[0, 0] < 0.01
        assert np.isclose(best_response(game, x).leader_return, 3 + x[0, 0])
    assert np.allclose(anneal(game, np.array([[1.0, 0.0]])), [[1.0, 0.0]], atol=1e-6)  # the other basin: 2


def test_multistart_is_feasible_repeatable_and_better_than_a_single_start():
    game = draw_game(5, sizes=(20, 4, 4), controller="leader", temperature=0.3)
    found, again = (multistart(game, rng=np.random.default_rng(0), starts=3, rounds=2) for _ in range(2))
    assert (found.upper == again.upper).all()
    hard = replace(game, temperature=0.0)
    assert best_response(hard, found.upper).leader_return == found.leader_return
    history = found.history
    assert (np.diff(history["leader_return"]) >= 0).all()
    assert found.leader_return > history["start_return"].max() + 1e-3
    assert list(history["drawn"]) == [0.0, 1.0, 1.0, 0.5, 0.5]
    assert list(history["soft_solves"]) == [2 * 6 * 41 * k for k in range(1, 6)]


def test_units_do_not_matter():
    """Rewards in other units, λ as many times smaller as the follower's are larger: the same walk."""
    game = draw_game(6, controller="leader")
    scaled = replace(game, follower_reward=1000 * game.follower_reward + 7)
    x = anneal(game, uniform_policy(4, 2), temperatures=[0.1], iterations=10)
    y = anneal(scaled, uniform_policy(4, 2), temperatures=[0.1], iterations=10, penalty_weight=0.1)
    assert np.abs(x - 0.5).max() > 0.1 and np.allclose(x, y, atol=1e-6)


def test_bad_arguments():
    game = draw_game(0, temperature=0.1)
    with pytest.raises(ValueError, match=r"temperature is 0\.1; allowed is 0"):
        switch_policies(game, [uniform_policy(4, 2)])
    with pytest.raises(ValueError, match="ties is 'mine'; allowed is 'leader' or 'against'"):
        best_response(game, uniform_policy(4, 2), ties="mine")
    with pytest.raises(ValueError, match="leader_policy"):
        best_response(game, np.ones((4, 2)))
    rng = np.random.default_rng(0)
    for options in ({"starts": 0}, {"rounds": -1}, {"share": 1.5}):
        with pytest.raises(ValueError, match="allowed"):
            multistart(game, rng=rng, **options)
    with pytest.raises(ValueError, match="allowed"):
        anneal(game, uniform_policy(4, 2), temperatures=[0.0])
