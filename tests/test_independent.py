"""Independent policy gradient: where it rests nobody gains alone, and the leader has lost what commitment brings."""

import numpy as np
import pytest
from scipy.special import softmax

from pencourse import StackelbergGame, evaluate, follower_mdp, hypergradient_descent, solve, worlds
from pencourse.baselines import independent_gradient
from pencourse.cases.stackelberg import best_response
from pencourse.simplex import random_policy


def draw_game(seed, controller="both"):
    rng = np.random.default_rng(seed)
    return worlds.random_stackelberg_game(rng, 6, 3, 3, 0.9, controller=controller, temperature=0.1)


def test_it_rests_where_nobody_gains_alone():
    """The follower's policy is optimal for x, and no leader's policy does better against that policy."""
    for seed in range(3):
        game = draw_game(seed)
        run = independent_gradient(game, iterations=3000, step=0.1)
        if run.history["gradient_mapping"].iloc[-1] > 1e-6:
            continue  # it may cycle: nothing guarantees that it rests
        assert np.abs(run.lower - solve(follower_mdp(game, run.upper)).policy).max() <= 1e-6
        for other in [random_policy(np.random.default_rng(k), 6, 3) for k in range(50)]:
            step = run.upper + 1e-4 * (other - run.upper)  # stationary means: to first order
            at = evaluate(follower_mdp(game, step), run.lower)
            reward = np.einsum("sa,sab->sb", step, game.leader_reward)
            assert -game.initial @ at.side_value(reward) >= run.objective - 1e-6
        return
    pytest.fail("none of three games came to rest")


def test_commitment_is_worth_more():
    """In Conitzer and Sandholm's game the first row dominates: without commitment 2, with it nearly 3.5."""
    game = StackelbergGame(np.ones((1, 2, 2, 1)), [[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], 0.0, [1.0], 0.02)
    alone = independent_gradient(game, iterations=200, step=0.1)
    assert np.allclose(alone.upper, [[1.0, 0.0]]) and np.isclose(-alone.objective, 2.0, atol=1e-3)
    ahead = hypergradient_descent(game, iterations=2000, step=2e-4, start=np.array([[0.3, 0.7]]))
    assert -ahead.objective > 3.2
    assert np.isclose(best_response(game, ahead.upper).leader_return, -ahead.objective)


def test_the_record():
    game = draw_game(1)
    run = independent_gradient(game, iterations=20, lower_steps=3)
    assert list(run.history["soft_solves"][:3]) == [3, 6, 9]
    answer = best_response(game, run.upper)
    assert np.isclose(run.history["hyper_objective"].iloc[-1], -answer.leader_return)
    at = evaluate(follower_mdp(game, run.upper), run.lower)
    assert np.isclose(run.penalty, game.initial @ answer.follower_value - at.expected_return)
    moved = independent_gradient(game, iterations=1, step=0.01)  # its first step, in units of the gradient
    assert np.isclose(moved.history["gradient_mapping"][0], np.linalg.norm(moved.upper - 1 / 3) / 0.01)
    slow = independent_gradient(game, iterations=20, lower_step=0.01)
    assert slow.penalty > 10 * run.penalty >= 0
    assert np.isclose(slow.history["hyper_objective"].iloc[-1], -best_response(game, slow.upper).leader_return)
    model = follower_mdp(game, np.full((6, 3), 1 / 3))  # a step of size 1 from the uniform policy: softmax(Q/τ)
    once = softmax(evaluate(model, np.full((6, 3), 1 / 3)).action_value / 0.1, axis=1)
    assert np.allclose(independent_gradient(game, iterations=0).lower, once, rtol=0, atol=1e-12)


def test_bad_arguments():
    game = draw_game(0)
    for options in ({"step": 0.0}, {"lower_step": -1.0}, {"lower_steps": 0}):
        with pytest.raises(ValueError, match="allowed"):
            independent_gradient(game, **options)
    with pytest.raises(ValueError, match="temperature is"):
        independent_gradient(worlds.random_stackelberg_game(np.random.default_rng(0), 3, 2, 2, 0.9))
