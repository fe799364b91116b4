"""The case studies as bilevel problems."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import draw_mdp
from problems import accepted

from pencourse import MDP, StackelbergGame, evaluate, follower_mdp, hypergradient, leader_return, worlds
from pencourse.bilevel import Term
from pencourse.cases import reward_shaping, stackelberg
from pencourse.regularizers import SquaredNorm
from pencourse.simplex import random_policy, uniform_policy


def draw_game(seed, **options):
    rng = np.random.default_rng(seed)
    game = worlds.random_stackelberg_game(rng, 4, 3, 2, 0.9, temperature=0.1, **options)
    game = replace(game, initial=[0.1, 0.2, 0.3, 0.4])
    return game, random_policy(rng, 4, 3), random_policy(rng, 4, 2)


# Stackelberg games


@pytest.mark.parametrize("controller", ["both", "leader", "follower"])
def test_the_follower_sees_the_average_over_the_leaders_actions(controller):
    game, x, y = draw_game(1, controller=controller)
    seen = follower_mdp(game, x)
    assert np.allclose(seen.transition, np.einsum("sa,sabt->sbt", x, game.transition))
    assert np.allclose(seen.reward, np.einsum("sa,sab->sb", x, game.follower_reward))
    assert (seen.discount, seen.temperature, seen.regularizer) == (0.9, 0.1, game.regularizer)
    joint = np.einsum("sa,sb->sab", x, y)
    kernel = np.einsum("sab,sabt->st", joint, game.transition)
    reward = (joint * game.leader_reward).sum(axis=(1, 2))
    by_hand = game.initial @ np.linalg.inv(np.eye(4) - 0.9 * kernel) @ reward
    assert np.isclose(leader_return(game, x, y), by_hand)
    objective = stackelberg.problem(game).upper_objective(x, evaluate(seen, y))
    assert np.isclose(objective.value, -by_hand)


def test_a_published_commitment():
    """Conitzer and Sandholm (2006): committing to (½, ½), the leader gets 3.5; alone, in equilibrium, 2."""
    game = StackelbergGame(np.ones((1, 2, 2, 1)), [[[2, 4], [1, 3]]], [[[1, 0], [0, 1]]], 0.0, [1.0])
    assert np.allclose(follower_mdp(game, [[0.5, 0.5]]).reward, 0.5)  # a tie
    assert leader_return(game, [[0.5, 0.5]], [[0.0, 1.0]]) == 3.5
    assert leader_return(game, [[1.0, 0.0]], [[1.0, 0.0]]) == 2.0


@pytest.mark.parametrize("branching", [None, 2])
def test_both_cases_pass_the_check(branching):
    game, _, _ = draw_game(2, branching=branching)
    assert len(accepted(stackelberg.problem(game))) == 6
    mdp = draw_mdp(2, branching=branching)
    rng = np.random.default_rng(1)
    features, true_reward = rng.normal(size=(6, 3, 2)), rng.normal(size=(6, 3))
    problem = reward_shaping.problem(mdp, features, true_reward=true_reward, cost=0.3)
    assert len(accepted(problem)) == 6


@pytest.fixture
def two_cases():
    """A Stackelberg game and reward shaping with a true reward of its own, each with a point of X."""
    game, x, _ = draw_game(9)
    rng = np.random.default_rng(9)
    features, true_reward = rng.normal(size=(6, 3, 2)), rng.normal(size=(6, 3))
    shaping = reward_shaping.problem(draw_mdp(9), features, true_reward=true_reward, cost=0.3)
    return (stackelberg.problem(game), x), (shaping, np.array([0.4, -0.1]))


def test_what_is_pulled_back_of_several_terms_is_the_sum(two_cases):
    """A linear form, whatever reward each term means (THEORY T5); `check_problem` gives one term at a time."""
    rng = np.random.default_rng(0)
    for problem, x in two_cases:
        shape = problem.lower_model(x).reward.shape
        terms = [Term(rng.normal(size=shape), rng.normal(size=shape[0]), kind) for kind in ("lower", "upper", "lower")]
        alone = [problem.pull_back(x, [term]) for term in terms]
        assert np.allclose(problem.pull_back(x, terms), sum(alone)) and np.abs(alone[0]).max() > 0.1


def test_the_upper_reward_is_the_one_that_f_counts(two_cases):
    """f = −V_u + c(x), V_u by its definition: what exact partial minimisation builds on (THEORY T7)."""
    for problem, x in two_cases:
        model = problem.lower_model(x)
        y = random_policy(np.random.default_rng(1), *model.reward.shape)
        chain = np.eye(model.n_states) - 0.9 * np.einsum("sa,sat->st", y, model.transition)
        value = np.linalg.solve(chain, (y * problem.upper_reward(x)).sum(axis=1))
        cost = 0.15 * (x @ x) if x.ndim == 1 else 0.0
        assert np.isclose(problem.upper_objective(x, evaluate(model, y)).value, cost - model.initial @ value)


def test_the_leaders_start_is_uniform_and_the_projection_gives_policies():
    game, _, _ = draw_game(3)
    problem = stackelberg.problem(game)
    assert np.array_equal(problem.initial_upper, uniform_policy(4, 3))
    near = problem.project(np.random.default_rng(0).normal(size=(4, 3)))
    assert np.allclose(near.sum(axis=1), 1) and (near >= 0).all()


def test_controllers_control():
    game, _, _ = draw_game(4, controller="leader")
    assert (game.transition[:, :, 0] == game.transition[:, :, 1]).all()
    assert not (game.transition[:, 0] == game.transition[:, 1]).all()
    game, _, _ = draw_game(4, controller="follower")
    assert (game.transition[:, 0] == game.transition[:, 1]).all()
    with pytest.raises(ValueError, match="controller is 'nobody'; allowed is one of 'both', 'leader', 'follower'"):
        draw_game(4, controller="nobody")


def test_garnet_games_have_few_successors():
    game, _, _ = draw_game(5, branching=2)
    assert ((game.transition > 0).sum(axis=3) == 2).all()
    with pytest.raises(ValueError, match="branching is 5; allowed is an integer from 1 to n_states = 4"):
        draw_game(5, branching=5)


def game_arguments(**changes):
    rng = np.random.default_rng(0)
    given = {
        "transition": rng.dirichlet(np.ones(3), size=(3, 2, 4)),
        "leader_reward": rng.normal(size=(3, 2, 4)),
        "follower_reward": rng.normal(size=(3, 2, 4)),
        "discount": 0.9,
        "initial": np.full(3, 1 / 3),
    }
    return {**given, **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"transition": np.full((3, 2, 4, 2), 0.5)},
            r"transition has shape .*; allowed is \(S, L, F, S\), both S equal",
        ),
        ({"transition": np.full((3, 2, 4, 3), 0.5)}, r"the row sum of transition\[0, 0, 0\] is 1.5"),
        ({"leader_reward": np.zeros((3, 2, 2))}, r"leader_reward has shape \(3, 2, 2\); allowed is \(3, 2, 4\)"),
        ({"follower_reward": np.full((3, 2, 4), np.nan)}, r"follower_reward\[0, 0, 0\] is nan"),
        ({"discount": 1.0}, "discount is 1.0; allowed is 0 <= discount < 1"),
        ({"initial": np.full(3, 0.5)}, "the row sum of initial is 1.5"),
        ({"temperature": -1.0}, "temperature is -1.0"),
    ],
)
def test_a_bad_game_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        StackelbergGame(**game_arguments(**changes))


def test_a_game_knows_its_size_and_a_leaders_policy_is_looked_at():
    game = StackelbergGame(**game_arguments())
    assert (game.n_states, game.n_leader, game.n_follower) == (3, 2, 4)
    with pytest.raises(ValueError, match=r"leader_policy has shape \(3, 4\); allowed is \(3, 2\)"):
        follower_mdp(game, uniform_policy(3, 4))


# Reward shaping


def potentials(mdp):
    """φ_k(s,a) = γP(k|s,a) − 1[s = k]: the shaping that a potential of 1 in state k pays."""
    return mdp.discount * mdp.transition - np.eye(mdp.n_states)[:, None, :]


@pytest.mark.parametrize("regularizer", [None, SquaredNorm()])
def test_potentials_change_nothing(regularizer):
    """Ng, Harada and Russell (1999): the policy stays, so φ is flat, for h too, which sees only the policy."""
    mdp = draw_mdp(7, regularizer=regularizer)
    problem = reward_shaping.problem(mdp, potentials(mdp), bound=2.0)
    x = np.random.default_rng(0).normal(size=6)
    here, there = hypergradient(problem, np.zeros(6)), hypergradient(problem, x)
    assert np.allclose(here.best.policy, there.best.policy, atol=1e-7)
    assert np.isclose(here.value, there.value) and np.abs(there.gradient).max() <= 1e-6


def test_shaping_pays_on_top_and_the_true_reward_counts():
    mdp = draw_mdp(8, temperature=0.2)
    features = np.random.default_rng(1).normal(size=(6, 3, 2))
    problem = reward_shaping.problem(mdp, features, bound=0.5, cost=2.0)
    x, policy = np.array([0.4, -0.1]), uniform_policy(6, 3)
    shaped = problem.lower_model(x)
    assert np.allclose(shaped.reward, mdp.reward + 0.4 * features[..., 0] - 0.1 * features[..., 1])
    true = MDP(mdp.transition, mdp.reward, mdp.discount, mdp.initial)
    objective = problem.upper_objective(x, evaluate(shaped, policy))
    assert np.isclose(objective.value, -evaluate(true, policy).expected_return + 0.17)
    assert np.array_equal(problem.project(np.array([3.0, -0.7])), [0.5, -0.5])
    assert np.array_equal(problem.upper_reward(x), mdp.reward) and np.array_equal(problem.initial_upper, [0, 0])
    assert np.array_equal(problem.pull_back(x, objective.terms), [0, 0])  # the true reward does not move with x


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.zeros((6, 3))}, r"features has shape \(6, 3\); allowed is \(6, 3, any\)"),
        ({"true_reward": np.zeros((6, 2))}, r"true_reward has shape \(6, 2\); allowed is \(6, 3\)"),
        ({"bound": -1.0}, "bound is -1.0; allowed is a finite number, at least 0"),
        ({"cost": np.nan}, "cost is nan; allowed is a finite number, at least 0"),
    ],
)
def test_bad_shaping_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        reward_shaping.problem(draw_mdp(0), **{"features": np.zeros((6, 3, 2)), **changes})
