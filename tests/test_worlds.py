"""Worlds: Gymnasium's tables, drawings, random models, each against what can be counted by hand."""

import collections
import types

import gymnasium
import numpy as np
import pytest

from pencourse import MDP, Entropy, NoRegularizer, SquaredNorm, ZeroSumGame, cases, evaluate, solve, worlds

LAKES = {"4x4": ["SFFF", "FHFH", "FFFH", "HFFG"]}
NAMES = ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"]


def table_world(table, start=(1.0, 0.0)):
    """A stand-in for an environment with tables."""
    world = types.SimpleNamespace(P=table, initial_state_distrib=np.array(start))
    return types.SimpleNamespace(unwrapped=world)


# --- Gymnasium ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_gymnasium_tables(name):
    """Every entry of the table is in the model; terminal states absorb without reward."""
    environment = gymnasium.make(name).unwrapped
    mdp = worlds.from_gymnasium(name, 0.95)
    n_states, n_actions = environment.observation_space.n, environment.action_space.n
    assert mdp.reward.shape == (n_states, n_actions)
    np.testing.assert_allclose(mdp.transition.sum(axis=2), 1, atol=1e-15)
    np.testing.assert_allclose(mdp.initial, environment.initial_state_distrib, atol=1e-15)
    ends = {t for rows in environment.P.values() for row in rows.values() for _, t, _, over in row if over}
    assert ends and {int(s) for s in np.flatnonzero(worlds.terminal_states(mdp))} == ends
    for s, a in np.ndindex(n_states, n_actions):
        if s in ends:
            assert mdp.transition[s, a, s] == 1.0 and mdp.reward[s, a] == 0.0
            continue
        kernel = collections.Counter()
        for probability, target, _, _ in environment.P[s][a]:
            kernel[target] += probability
        np.testing.assert_allclose(mdp.transition[s, a][list(kernel)], list(kernel.values()), atol=1e-12)
        gain = sum(probability * gain for probability, _, gain, _ in environment.P[s][a])
        assert mdp.reward[s, a] == pytest.approx(gain, abs=1e-12)
    assert (mdp.temperature, mdp.discount) == (0.0, 0.95) and isinstance(mdp.regularizer, Entropy)


def test_values_follow_the_environment_as_it_is_played():
    """Roll-outs of Gymnasium itself, without its time limit, earn what `evaluate` says (three standard errors)."""
    lake = gymnasium.make("FrozenLake-v1").unwrapped
    policy = solve(worlds.from_gymnasium(lake, 0.9)).policy
    earned = []
    for episode in range(2000):
        state, _ = lake.reset(seed=episode)
        over, weight, total = False, 1.0, 0.0
        while not over and weight > 1e-4:
            state, gain, over, _, _ = lake.step(int(policy[state].argmax()))
            total, weight = total + weight * gain, weight * 0.9
        earned.append(total)
    expected = evaluate(worlds.from_gymnasium(lake, 0.9), policy).expected_return
    assert abs(np.mean(earned) - expected) <= 3 * np.std(earned) / np.sqrt(len(earned)) + 1e-4


@pytest.mark.parametrize("name", ["CliffWalking-v1", "Taxi-v4"])
def test_shortest_ways(name):
    """Both worlds move for sure and charge 1 a step, so V* is known from the number of steps to the end."""
    environment = gymnasium.make(name).unwrapped
    mdp = worlds.from_gymnasium(name, 0.95)
    value = solve(mdp).value
    steps, last = {}, {"CliffWalking-v1": -1.0, "Taxi-v4": 20.0}[name]
    ahead = collections.defaultdict(set)
    for s, rows in environment.P.items():
        for ((_, target, gain, over),) in rows.values():
            if over and s not in steps and gain == last:
                steps[s] = 1
            elif gain == -1:
                ahead[target].add(s)
    wave = list(steps)
    while wave:
        wave = [s for t in wave for s in ahead[t] if steps.setdefault(s, steps[t] + 1) == steps[t] + 1 and s != t]
        wave = list(dict.fromkeys(wave)) if len(steps) < len(environment.P) else []
    starts = np.flatnonzero(mdp.initial)
    for s in starts:
        n = steps[int(s)]
        assert value[s] == pytest.approx(-(1 - 0.95 ** (n - 1)) / 0.05 + last * 0.95 ** (n - 1), abs=1e-8)
    if name == "CliffWalking-v1":
        assert steps[36] == 13  # Sutton and Barto (2018), example 6.6: the optimal path returns −13


def test_frozen_lake_to_the_last_digit_known():
    """Without discounting the slippery 4 × 4 lake is crossed with probability 14/17."""
    lake = worlds.from_gymnasium("FrozenLake-v1", 1 - 1e-8)
    assert solve(lake).value[0] == pytest.approx(14 / 17, abs=1e-6)


def test_exploration_mixes_the_start():
    mdp = worlds.from_gymnasium("FrozenLake-v1", 0.9, exploration=0.2, temperature=0.3, regularizer=SquaredNorm())
    expected = np.full(16, 0.2 / 16)
    expected[0] += 0.8
    np.testing.assert_allclose(mdp.initial, expected, atol=1e-15)
    assert mdp.temperature == 0.3 and isinstance(mdp.regularizer, SquaredNorm)
    start = np.array([0.3, 0.7])
    np.testing.assert_array_equal(worlds.mixed_start(start, 0.0), start)
    np.testing.assert_allclose(worlds.mixed_start(start, 1.0), 0.5)


def test_an_environment_without_tables_is_refused():
    with pytest.raises(ValueError, match=r"CartPole.*no tables P and initial_state_distrib; allowed"):
        worlds.from_gymnasium("CartPole-v1", 0.9)


def test_a_state_that_ends_the_episode_only_sometimes_is_refused():
    table = {0: {0: [(0.5, 1, 1.0, True), (0.5, 1, 0.0, False)]}, 1: {0: [(1.0, 0, 0.0, False)]}}
    with pytest.raises(ValueError, match=r"state 1 ends the episode on one transition and not on another; allowed"):
        worlds.from_gymnasium(table_world(table), 0.9)


def test_an_ambiguity_that_no_episode_meets_is_none():
    # State 2 would enter state 1 without ending, but nothing enters state 2, and state 1 is left by no episode.
    table = {
        0: {0: [(1.0, 1, 5.0, True)]},
        1: {0: [(1.0, 1, 7.0, False)]},
        2: {0: [(1.0, 1, 0.0, False)]},
    }
    mdp = worlds.from_gymnasium(table_world(table, (1.0, 0.0, 0.0)), 0.5)
    np.testing.assert_array_equal(mdp.transition[1, 0], [0, 1, 0])
    assert mdp.reward.ravel().tolist() == [5.0, 0.0, 0.0]
    # … but where the start itself lies in state 2, it counts.
    with pytest.raises(ValueError, match="state 1"):
        worlds.from_gymnasium(table_world(table, (0.5, 0.0, 0.5)), 0.5)


def test_rounding_in_a_table_is_no_mistake():
    table = {
        0: {0: [(1 / 3, 0, 0.0, False), (1 / 3, 0, 0.0, False), (0.3333, 1, 1.0, True)]},
        1: {0: [(1.0, 1, 0.0, True)]},
    }
    mdp = worlds.from_gymnasium(table_world(table), 0.9)
    assert mdp.transition[0, 0].sum() == pytest.approx(1.0, abs=1e-15)


# --- drawings -------------------------------------------------------------------------------------


def test_a_drawing_by_hand():
    """S #
    . G: states 0 1 / 2 3; moves left, down, right, up; slip .2."""
    mdp = worlds.gridworld(["S#", ".G"], 0.9, slip=0.2, goal_reward=5.0, step_reward=-1.0)
    expected = np.zeros((4, 4, 4))
    # From 0: left stays, down reaches 2, right is the wall, up stays; a slip goes to either side.
    expected[0] = [[0.9, 0, 0.1, 0], [0.2, 0, 0.8, 0], [0.9, 0, 0.1, 0], [1.0, 0, 0, 0]]
    # From 2: left stays, down stays, right reaches 3, up reaches 0.
    expected[2] = [[0.1, 0, 0.9, 0], [0, 0, 0.9, 0.1], [0.1, 0, 0.1, 0.8], [0.8, 0, 0.1, 0.1]]
    expected[1, :, 1] = expected[3, :, 3] = 1.0
    np.testing.assert_allclose(mdp.transition, expected, atol=1e-15)
    reward = np.zeros((4, 4))
    reward[0] = -1.0
    reward[2] = -1.0 + 6.0 * expected[2, :, 3]
    np.testing.assert_allclose(mdp.reward, reward, atol=1e-15)
    np.testing.assert_array_equal(mdp.initial, [1, 0, 0, 0])
    np.testing.assert_array_equal(worlds.terminal_states(mdp), [False, True, False, True])


def test_a_drawing_that_is_not_square_and_has_two_starts():
    mdp = worlds.gridworld(["S.H", "S#G"], 0.9, hazard_reward=-3.0, exploration=0.3, temperature=0.2)
    np.testing.assert_allclose(mdp.initial, np.array([0.35, 0, 0, 0.35, 0, 0]) + 0.05)
    right, down = 2, 1
    assert mdp.transition[1, right, 2] == 1.0 and mdp.reward[1, right] == -3.0
    assert mdp.transition[1, down, 1] == 1.0  # the wall
    assert mdp.transition[0, down, 3] == 1.0
    assert (mdp.temperature, mdp.discount) == (0.2, 0.9)


def test_a_drawing_of_frozen_lake_is_frozen_lake():
    """A slip of 2/3, one third to each side, is Gymnasium's slippery ice."""
    for slip, slippery in ((2 / 3, True), (0.0, False)):
        drawn = worlds.gridworld(LAKES["4x4"], 0.9, slip=slip, hazard_reward=0.0)
        made = worlds.from_gymnasium(gymnasium.make("FrozenLake-v1", is_slippery=slippery), 0.9)
        np.testing.assert_allclose(drawn.transition, made.transition, atol=1e-12)
        np.testing.assert_allclose(drawn.reward, made.reward, atol=1e-12)
        np.testing.assert_array_equal(drawn.initial, made.initial)


def test_terminal_states_pay_nothing_and_are_never_left():
    kernel = np.zeros((3, 2, 3))
    kernel[0, :, 0] = kernel[1, :, 1] = kernel[2, 0, 2] = kernel[2, 1, 0] = 1.0
    mdp = MDP(kernel, [[0, 0], [0, 1], [0, 0]], 0.9, [0, 0, 1])
    np.testing.assert_array_equal(worlds.terminal_states(mdp), [True, False, False])


# --- random models --------------------------------------------------------------------------------


def test_random_models_come_from_the_generator_alone():
    made = [worlds.random_mdp(np.random.default_rng(5), 6, 3, 0.9, branching=b) for b in (None, 2, None, 2)]
    for first, second in ((made[0], made[2]), (made[1], made[3])):
        np.testing.assert_array_equal(first.transition, second.transition)
        np.testing.assert_array_equal(first.reward, second.reward)
    rng = np.random.default_rng(5)
    first, second = (worlds.random_mdp(rng, 6, 3, 0.9) for _ in range(2))
    assert (first.reward != second.reward).all()


@pytest.mark.parametrize("branching", [1, 3, 8, None])
def test_branching(branching):
    mdp = worlds.random_mdp(
        np.random.default_rng(6), 8, 3, 0.8, branching=branching, temperature=0.4, regularizer=NoRegularizer()
    )
    np.testing.assert_array_equal((mdp.transition > 0).sum(axis=2), branching or 8)
    assert mdp.reward.shape == (8, 3) and (mdp.reward >= 0).all() and (mdp.reward <= 1).all()
    np.testing.assert_array_equal(mdp.initial, 1 / 8)
    assert (mdp.discount, mdp.temperature, mdp.regularizer.name) == (0.8, 0.4, "none")


@pytest.mark.parametrize("branching", [1, 3, None])
def test_random_zero_sum_games(branching):
    games = [
        worlds.random_zero_sum_game(
            np.random.default_rng(seed), 8, 3, 2, 0.8, branching=branching, temperature=0.4, regularizer=SquaredNorm()
        )
        for seed in (6, 6, 7)
    ]
    game = games[0]
    assert isinstance(game, ZeroSumGame) and (game.n_states, game.n_actions) == (8, (3, 2))
    np.testing.assert_array_equal((game.transition > 0).sum(axis=3), branching or 8)
    assert game.reward.shape == (8, 3, 2) and (game.reward >= 0).all() and (game.reward <= 1).all()
    assert np.ptp(game.reward) > 0.8  # 48 draws
    np.testing.assert_array_equal(game.initial, 1 / 8)
    assert (game.discount, game.temperature, game.regularizer.name) == (0.8, 0.4, "squared_norm")
    np.testing.assert_array_equal(game.reward, games[1].reward)
    np.testing.assert_array_equal(game.transition, games[1].transition)
    assert (game.reward != games[2].reward).all()
    plain = worlds.random_zero_sum_game(np.random.default_rng(6), 8, 3, 2, 0.8)
    assert plain.temperature == 0.0 and isinstance(plain.regularizer, Entropy)


def test_every_successor_is_as_likely_as_another():
    mdp = worlds.random_mdp(np.random.default_rng(7), 10, 2000, 0.9, branching=3)
    drawn = (mdp.transition > 0).mean(axis=(0, 1))  # 20,000 draws of 3 in 10
    np.testing.assert_allclose(drawn, 0.3, atol=5 * np.sqrt(0.21 / 20000))
    assert mdp.transition[mdp.transition > 0].var() == pytest.approx(1 / 18, abs=0.003)  # uniform on three's simplex


def test_the_smugglers_corner_is_a_trap_of_the_landscape_and_of_its_steep_penalty():
    """Lessons 07 and 08 rest on this: giving up is a local optimum of φ and of φ₂₀, and none of φ₁."""
    game = worlds.smuggler_game()
    problem = cases.stackelberg.problem(game)

    def heights(check, patrol):
        x = np.array([[1 - check, check], [1 - patrol, patrol], [1.0, 0.0]])
        model = problem.lower_model(x)
        plan = solve(model)
        phi = problem.upper_objective(x, evaluate(model, plan.policy)).value
        tilted = [solve(model.with_reward(model.reward + problem.upper_reward(x) / w)) for w in (20.0, 1.0)]
        gaps = [plan.expected_return - best.expected_return for best in tilted]
        return [phi, 20.0 * gaps[0], gaps[1]]

    corner = np.array(heights(0.0, 0.0))
    for check, patrol in ((0.03, 0.0), (0.0, 0.03), (0.03, 0.03)):
        phi, at_twenty, at_one = np.array(heights(check, patrol)) - corner
        assert phi > 0 and at_twenty > 0 > at_one
    assert (np.array(heights(0.25, 0.37)) < corner - 3).all()
