"""Zero-sum games: the MDP that one player faces, and what a pair of policies is worth, each from its definition."""

import dataclasses

import numpy as np
import pytest
from games import cost_of, derivative, draw_game, draw_pair, one_state, pennies, value_of, visits

import pencourse as pc
from pencourse import MDP, Entropy, NoRegularizer, SquaredNorm, ZeroSumGame, evaluate, response_mdp, worlds
from pencourse.evaluation import GameEvaluation, checked_policies, evaluation_of, uniform_policies

REGULARIZERS = pytest.mark.parametrize("regularizer", [Entropy(), SquaredNorm()], ids=lambda h: h.name)
SHAPES = [(3, 2), (2, 2), (2, 4), (1, 3), (3, 1)]


# The model


def test_sizes_defaults_and_the_unit():
    game = draw_game(0, 5, (3, 2))
    assert (game.n_states, game.n_actions) == (5, (3, 2))
    plain = ZeroSumGame(game.transition, game.reward, 0.9, game.initial)
    assert plain.temperature == 0.0 and isinstance(plain.regularizer, Entropy)
    assert plain.scale == np.abs(game.reward).max()
    for shape in ((3, 2), (2, 3)):  # the player with more actions has the larger regulariser
        wide = draw_game(0, 5, shape, temperature=2.0)
        assert wide.scale == pytest.approx(np.abs(wide.reward).max() + 2.0 * np.log(3))
    assert one_state([[0.0]], temperature=0.0).scale == 1.0


def test_nobody_changes_a_game():
    game = draw_game(0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        game.discount = 0.5
    mdp = response_mdp(game, 1, uniform_policies(game)[1])
    for array in (game.reward, game.transition, mdp.reward, mdp.transition):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1.0
    other = game.with_reward(2 * game.reward)
    assert isinstance(other, ZeroSumGame) and other.transition is game.transition
    assert np.array_equal(other.reward, 2 * game.reward) and game.with_temperature(0.7).temperature == 0.7


# The MDP that one player faces


@REGULARIZERS
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("branching", [None, 2])
def test_what_a_player_faces(shape, branching, regularizer):
    """r and P averaged over the opponent; player 2 is paid −r, and each receives what the other's h costs."""
    game = draw_game(1, 4, shape, branching=branching, regularizer=regularizer, temperature=0.3)
    first, second = draw_pair(2, game)
    one, two = response_mdp(game, 1, second), response_mdp(game, 2, first)
    assert np.allclose(one.transition, np.einsum("sb,sabt->sat", second, game.transition), atol=1e-15)
    assert np.allclose(two.transition, np.einsum("sa,sabt->sbt", first, game.transition), atol=1e-15)
    earned, paid = (np.einsum(f"s{i},sab->s{j}", p, game.reward) for i, j, p in (("b", "a", second), ("a", "b", first)))
    assert np.allclose(one.reward, earned + 0.3 * cost_of(game, second)[:, None], atol=1e-14)
    assert np.allclose(two.reward, -paid + 0.3 * cost_of(game, first)[:, None], atol=1e-14)
    for mdp in (one, two):
        assert isinstance(mdp, MDP) and mdp.initial is game.initial
        assert (mdp.discount, mdp.temperature, mdp.regularizer) == (0.9, 0.3, regularizer)


@REGULARIZERS
@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_values_of_both_players_mdps_are_v_and_minus_v(temperature, regularizer):
    for seed in range(20):
        game = draw_game(seed, 5, SHAPES[seed % 5], temperature=temperature, regularizer=regularizer)
        first, second = draw_pair(seed, game)
        by_hand = value_of(game, (first, second))
        assert np.allclose(evaluate(game, (first, second)).value, by_hand, rtol=0, atol=1e-11)
        assert np.allclose(evaluate(response_mdp(game, 1, second), first).value, by_hand, rtol=0, atol=1e-11)
        assert np.allclose(evaluate(response_mdp(game, 2, first), second).value, -by_hand, rtol=0, atol=1e-11)


# A pair of policies


@REGULARIZERS
@pytest.mark.parametrize("temperature", [0.0, 0.1])
def test_a_pair_is_worth_what_the_sums_say(temperature, regularizer):
    """V, Q, d, and the return under another reward: γ-discounted sums, rolled out until γᵗ is below rounding."""
    for seed in range(5):
        game = draw_game(seed, 4, (3, 2), discount=0.8, temperature=temperature, regularizer=regularizer)
        first, second = draw_pair(seed, game)
        at = evaluate(game, (first, second))
        side = np.random.default_rng(seed).normal(size=game.reward.shape)
        joint = np.einsum("sa,sb->sab", first, second)
        kernel = np.einsum("sab,sabt->st", joint, game.transition)
        paid = (joint * game.reward).sum(axis=(1, 2))
        paid = paid - temperature * cost_of(game, first) + temperature * cost_of(game, second)
        power, value, other, seen = np.eye(4), np.zeros(4), np.zeros(4), np.zeros(4)
        for t in range(200):  # 0.8²⁰⁰ is 4e-20
            value, other = value + 0.8**t * power @ paid, other + 0.8**t * power @ (joint * side).sum(axis=(1, 2))
            seen, power = seen + 0.8**t * game.initial @ power, power @ kernel
        assert np.allclose(at.value, value, rtol=0, atol=1e-12) and np.isclose(at.expected_return, game.initial @ value)
        assert np.allclose(at.side_value(side), other, rtol=0, atol=1e-12)
        assert np.allclose(at.occupancy, seen, rtol=0, atol=1e-12)
        assert np.allclose(at.action_value, game.reward + 0.8 * game.transition @ value, rtol=0, atol=1e-12)
        assert np.allclose(at.state_action_occupancy, seen[:, None, None] * joint, rtol=0, atol=1e-12)
        assert np.allclose(at.policy, joint, rtol=0, atol=1e-15) and at.game is game


def test_a_game_is_an_mdp_over_pairs_of_actions():
    """Without a regulariser, of which a pair of policies pays another one: V, Q, d and adjoints of A·B actions."""
    for seed in range(10):
        game = draw_game(seed, 5, (3, 2), temperature=0.0, branching=2)
        first, second = draw_pair(seed, game)
        weights = np.random.default_rng(seed).normal(size=(5, 3, 2))
        joint = MDP(game.transition.reshape(5, 6, 5), game.reward.reshape(5, 6), 0.9, game.initial)
        pairs = evaluate(joint, np.einsum("sa,sb->sab", first, second).reshape(5, 6))
        at = evaluate(game, (first, second))
        for name in ("value", "occupancy", "action_value", "state_action_occupancy", "expected_return"):
            assert np.allclose(np.ravel(getattr(at, name)), np.ravel(getattr(pairs, name)), rtol=0, atol=1e-11), name
        one, other = at.action_value_adjoint(weights), pairs.action_value_adjoint(weights.reshape(5, 6))
        assert np.allclose(one.reshape(5, 6), other, rtol=0, atol=1e-11)


def test_what_an_action_is_worth_against_the_other_players_policy():
    """Σ_b π₂ Q and Σ_a π₁ Q; of Q they are each player's own action values, but for what the other one's h costs."""
    for seed, shape in enumerate(SHAPES):
        game = draw_game(seed, 4, shape)
        first, second = draw_pair(seed, game)
        at = evaluate(game, (first, second))
        one, two = at.marginal(at.action_value)
        assert np.allclose(one, np.einsum("sab,sb->sa", at.action_value, second))
        assert np.allclose(two, np.einsum("sab,sa->sb", at.action_value, first))
        own = evaluate(response_mdp(game, 1, second), first).action_value
        assert np.allclose(one, own - 0.1 * cost_of(game, second)[:, None])
        own = evaluate(response_mdp(game, 2, first), second).action_value
        assert np.allclose(-two, own - 0.1 * cost_of(game, first)[:, None])


@REGULARIZERS
@pytest.mark.parametrize("branching", [None, 2])
def test_adjoint_by_differences(branching, regularizer):
    """Σ w Q in r and in P, at fixed policies: the mass m weighs dr + γ dP V."""
    for seed in range(10):
        game = draw_game(seed, 4, (3, 2), branching=branching, regularizer=regularizer, temperature=0.5)
        pair, rng = draw_pair(seed, game), np.random.default_rng(seed)
        weights, dr = rng.normal(size=(2, *game.reward.shape))
        dp = game.transition * rng.random(game.transition.shape)
        dp -= game.transition * dp.sum(axis=-1, keepdims=True)  # rows stay distributions

        def total(t, game=game, pair=pair, weights=weights, dr=dr, dp=dp):
            moved = dataclasses.replace(game, reward=game.reward + t * dr, transition=game.transition + t * dp)
            return (weights * (moved.reward + 0.9 * moved.transition @ value_of(moved, pair))).sum()

        at = evaluate(game, pair)
        mass = at.action_value_adjoint(weights)
        found = (mass * (dr + 0.9 * dp @ at.value)).sum()
        # V is rational in t, smooth on the scale 1 − γ = 0.1: truncation (1e-3/0.1)⁴ = 1e-8, rounding 1e-15/1e-3
        assert abs(found - derivative(total, 1e-3)) <= 1e-6 * np.linalg.norm(mass) * np.linalg.norm(dr)


def test_matching_pennies_by_hand():
    """V(1−γ) = (2p−1)(2q−1) − τh(p) + τh(q), p and q the probabilities of heads."""
    p, q, tau = 0.7, 0.2, 0.3
    h = [u * np.log(u) + (1 - u) * np.log(1 - u) for u in (p, q)]
    at = evaluate(pennies(discount=0.5, temperature=tau), ([[p, 1 - p]], [[q, 1 - q]]))
    assert np.isclose(at.expected_return, 2 * ((2 * p - 1) * (2 * q - 1) - tau * h[0] + tau * h[1]))


def test_players_change_places():
    """With −r transposed, player 1 is who was player 2: V becomes −V."""
    game = draw_game(4, 4, (3, 2), temperature=0.2)
    turned = ZeroSumGame(game.transition.swapaxes(1, 2), -game.reward.swapaxes(1, 2), 0.9, game.initial, 0.2)
    first, second = draw_pair(5, game)
    assert np.allclose(evaluate(turned, (second, first)).value, -evaluate(game, (first, second)).value)


# Policies of all players


def test_uniform_policies():
    game, mdp = draw_game(0, 4, (3, 2)), response_mdp(draw_game(0, 4, (3, 2)), 2, np.full((4, 3), 1 / 3))
    first, second = uniform_policies(game)
    assert first.shape == (4, 3) and second.shape == (4, 2) and (first == 1 / 3).all() and (second == 0.5).all()
    (only,) = uniform_policies(mdp)
    assert only.shape == (4, 2) and (only == 0.5).all()


def test_policies_are_copied_and_checked_once():
    game = draw_game(0)
    lists = [policy.tolist() for policy in draw_pair(0, game)]  # a list of two is a pair, too
    at = evaluate(game, lists)
    assert isinstance(at, GameEvaluation)
    assert all(not policy.flags.writeable and policy.dtype == np.float64 for policy in at.policies)
    assert np.array_equal(evaluation_of(game, at.policies).value, at.value)
    (policy,) = checked_policies(response_mdp(game, 1, lists[1]), lists[0])
    assert np.array_equal(policy, lists[0])


GOOD = (np.full((4, 3), 1 / 3), np.full((4, 2), 0.5))
BAD_PAIRS = [
    (GOOD[0], r"policies are of type ndarray; allowed is a pair, player 1's \(S, A\) and player 2's \(S, B\)"),
    (np.full((2, 4, 2), 0.5), r"policies are of type ndarray; allowed is a pair"),
    ((*GOOD, GOOD[0]), r"policies are 3 of them; allowed is a pair"),
    ([GOOD[0]], r"policies are 1 of them; allowed is a pair"),
    (None, r"policies are of type NoneType; allowed is a pair"),
    (GOOD[::-1], r"policies\[0\] has shape \(4, 2\); allowed is \(4, 3\)"),
    ((GOOD[0], GOOD[1][:3]), r"policies\[1\] has shape \(3, 2\); allowed is \(4, 2\)"),
    ((GOOD[0], 2 * GOOD[1]), r"the row sum of policies\[1\]\[0\] is 2.0; allowed is a row sum of 1"),
    ((np.full((4, 3), np.nan), GOOD[1]), r"policies\[0\]\[0, 0\] is nan; allowed is a finite number"),
    ((GOOD[0], np.array([[1.5, -0.5]] * 4)), r"policies\[1\]\[0, 1\] is -0.5; allowed is a probability"),
]


@pytest.mark.parametrize(("policies", "message"), BAD_PAIRS, ids=range(len(BAD_PAIRS)))
def test_what_is_no_pair_of_policies_is_refused(policies, message):
    with pytest.raises(ValueError, match=message):
        evaluate(draw_game(0), policies)


@pytest.mark.parametrize("player", [0, 3, -1, "1", None])
def test_there_are_two_players(player):
    with pytest.raises(ValueError, match=r"player is .*; allowed is 1 or 2"):
        response_mdp(draw_game(0), player, GOOD[1])


@pytest.mark.parametrize(
    ("player", "policy", "message"),
    [
        (1, GOOD[0], r"opponent_policy has shape \(4, 3\); allowed is \(4, 2\)"),
        (2, GOOD[1], r"opponent_policy has shape \(4, 2\); allowed is \(4, 3\)"),
        (1, 2 * GOOD[1], r"row sum of opponent_policy\[0\] is 2.0"),
        (2, np.full((4, 3), np.nan), r"opponent_policy\[0, 0\] is nan"),
    ],
)
def test_what_is_no_policy_of_the_opponent_is_refused(player, policy, message):
    with pytest.raises(ValueError, match=message):
        response_mdp(draw_game(0), player, policy)


def test_without_a_regulariser_a_temperature_costs_nothing():
    cold, none = draw_game(3, temperature=0.0), draw_game(3, temperature=0.4, regularizer=NoRegularizer())
    pair = draw_pair(1, cold)
    assert np.array_equal(evaluate(cold, pair).value, evaluate(none, pair).value)
    assert np.array_equal(response_mdp(cold, 1, pair[1]).reward, response_mdp(none, 1, pair[1]).reward)


def test_visits_sum_to_the_horizon():
    for seed in range(5):
        game = draw_game(seed, discount=0.97)
        pair = draw_pair(seed, game)
        found = evaluate(game, pair).occupancy
        assert np.isclose(found.sum(), 1 / 0.03) and (found >= game.initial - 1e-12).all()
        assert np.allclose(found, visits(game, pair))


def test_a_model_of_another_kind_is_refused_by_name(draw):
    mdp, game = draw(0), pc.ZeroSumGame(np.ones((1, 2, 2, 1)), np.zeros((1, 2, 2)), 0.5, [1.0], 0.1)
    pair = (np.full((1, 2), 0.5), np.full((1, 2), 0.5))
    with pytest.raises(ValueError, match="mdp is of type ZeroSumGame; allowed is MDP"):
        pc.solve(game)
    for penalty in (pc.value_penalty, pc.bellman_penalty):
        with pytest.raises(ValueError, match="mdp is of type ZeroSumGame; allowed is MDP"):
            penalty(game, pair)
    with pytest.raises(ValueError, match="game is of type MDP; allowed is ZeroSumGame"):
        pc.nikaido_isoda(mdp, pair)
    with pytest.raises(ValueError, match="model is of type StackelbergGame; allowed is MDP or ZeroSumGame"):
        pc.evaluate(worlds.random_stackelberg_game(np.random.default_rng(0), 2, 2, 2, 0.9), pair)
    with pytest.raises(ValueError, match="game is of type MDP; allowed is ZeroSumGame"):
        pc.cases.incentive_design.problem(mdp, mdp.reward)
