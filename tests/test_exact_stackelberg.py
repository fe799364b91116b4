"""The exact commitments against enumeration, published optima and thousands of commitments that are merely allowed.

Tolerance. HiGHS keeps every constraint to 1e-10, so a value is good to 1e-10 λ/(1−γ), λ the largest multiplier of the
follower's constraints; random games have λ up to some hundred: 1e-7 of max|r|/(1−γ), and 1e-9 where games are by hand.
"""

import importlib
import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog

import pencourse as pc
from pencourse import ConvergenceError, StackelbergGame, exact, worlds

# The package's attribute of that name is the function.
programs = importlib.import_module("pencourse.exact.stackelberg")

VALUE = 1e-7  # of max|r|/(1−γ)


def draw_game(seed, sizes=(4, 3, 3), controller="leader", *, discount=0.9, branching=None, kind="signed"):
    """Draw a game with signed rewards and a ρ that is not uniform; "tied": rewards of 0, ½ and 1 only."""
    rng = np.random.default_rng(seed)
    game = worlds.random_stackelberg_game(rng, *sizes, discount, controller=controller, branching=branching)
    shape = game.leader_reward.shape
    leader, follower = rng.normal(size=(2, *shape)) if kind == "signed" else rng.integers(0, 3, size=(2, *shape)) / 2
    return replace(game, leader_reward=leader, follower_reward=follower, initial=rng.dirichlet(np.ones(sizes[0])))


def matrix_game(leader, follower, discount=0.0):
    """One state, in which the two play once (γ = 0) or for ever."""
    leader, follower = np.asarray(leader, dtype=float)[None], np.asarray(follower, dtype=float)[None]
    return StackelbergGame(np.ones((*leader.shape, 1)), leader, follower, discount, [1.0])


def unit(game):
    """Return what a value may be off."""
    return VALUE * max(np.abs(game.leader_reward).max(), 1e-300) / (1 - game.discount)


def accepted(game, **options):
    """Return the exact commitment; a refusal is a failed assertion."""
    try:
        return exact.stackelberg(game, **options)
    except (ConvergenceError, ValueError) as error:
        raise AssertionError(f"no certificate: {error}") from error


def certified(game, *, finished=True, **options):
    """Return the exact commitment once all that it promises has been checked."""
    found = accepted(game, **options)
    x, y = found.leader_policy, found.follower_policy
    assert (x >= 0).all() and np.abs(x.sum(axis=1) - 1).max() <= 1e-12
    assert set(np.unique(y)) <= {0.0, 1.0} and (y.sum(axis=1) == 1).all()
    # The follower's policy is optimal in every state, which a solver that shares nothing with the program says.
    model = pc.follower_mdp(replace(game, temperature=0.0), x)
    allowed = 1e-9 * np.abs(game.follower_reward).max()
    at = pc.evaluate(model, y)
    assert (at.action_value.max(axis=1) - at.value).max() <= allowed
    assert np.abs(pc.solve(model).value - found.follower_value).max() <= 2 * allowed / (1 - game.discount)
    assert np.abs(at.value - found.follower_value).max() <= allowed
    # What the pair is worth, and that the bounds enclose it.
    assert found.expected_return == found.primal
    assert abs(pc.leader_return(game, x, y) - found.primal) <= unit(game)
    assert abs(game.initial @ found.value - found.primal) <= unit(game)
    assert 0 <= found.gap == found.dual - found.primal
    assert not finished or found.gap <= unit(game)
    assert (found.value.shape, found.follower_value.shape) == ((game.n_states,), (game.n_states,))
    assert isinstance(found.primal, float) and isinstance(found.dual, float)
    return found


# Optima by enumeration, with numpy alone.


def vertices(rows, equal, right):
    """Return the points with rows @ x ≥ 0 and equal @ x = right at which as many rows vanish as x has freedoms."""
    found = []
    for active in itertools.combinations(range(len(rows)), rows.shape[1] - len(equal)):
        system = np.vstack([equal, rows[list(active)]])
        if np.linalg.matrix_rank(system) == rows.shape[1]:
            x = np.linalg.solve(system, np.concatenate([right, np.zeros(len(active))]))
            if (rows @ x >= -1e-10).all():
                found.append(x)
    return found


def by_vertices_of_each_state(game):
    """Leader-controlled: the best stationary choice of a vertex of a best-answer polytope in each state."""
    size = game.n_leader
    choices = []
    for leader, follower in zip(game.leader_reward, game.follower_reward, strict=True):
        regions = [np.vstack([np.eye(size), (follower[:, [b]] - follower).T]) for b in range(game.n_follower)]
        pairs = [(x, b) for b, rows in enumerate(regions) for x in vertices(rows, np.ones((1, size)), [1.0])]
        choices.append([(x, x @ leader[:, b]) for x, b in pairs])
    best = -np.inf
    for chosen in itertools.product(*choices):
        moves = np.stack([x @ game.transition[s, :, 0] for s, (x, _) in enumerate(chosen)])
        value = np.linalg.solve(np.eye(len(moves)) - game.discount * moves, [reward for _, reward in chosen])
        best = max(best, game.initial @ value)
    return best


def by_vertices_of_each_answer(game):
    """Follower-controlled: for each pure policy b the polytope of all x that b is optimal for, in which W is linear."""
    n_states, size, n_follower = game.leader_reward.shape
    states, kernel = np.arange(n_states), game.transition[:, 0]

    def blocks(reward):  # the matrix (S, S·L) that takes x to Σ_a x(a|s) reward(s,a)
        return np.concatenate([np.diag(column) for column in reward.T], axis=1)

    total, best = blocks(np.ones((n_states, size))), -np.inf
    for answer in itertools.product(range(n_follower), repeat=n_states):
        later = np.linalg.inv(np.eye(n_states) - game.discount * kernel[states, answer])
        value, worth = (later @ blocks(r[states, :, list(answer)]) for r in (game.follower_reward, game.leader_reward))
        gains = [
            value - blocks(game.follower_reward[:, :, b]) - game.discount * kernel[:, b] @ value
            for b in range(n_follower)
        ]
        others = [gains[b][s] for b in range(n_follower) for s in states if b != answer[s]]
        for x in vertices(np.vstack([np.eye(n_states * size), *others]), total, np.ones(n_states)):
            best = max(best, game.initial @ worth @ x)
    return best


def by_one_program_per_answer(leader, follower):
    """Conitzer and Sandholm (2006): the best over b of max_x {Σ x r_l(·,b) : b is a best answer to x}."""
    values = []
    for b in range(leader.shape[1]):
        one = np.ones((1, len(leader)))
        found = linprog(
            -leader[:, b], A_ub=(follower - follower[:, [b]]).T, b_ub=np.zeros(leader.shape[1]), A_eq=one, b_eq=1
        )
        values.append(-found.fun if found.status == 0 else -np.inf)
    return max(values)


# Matrix games.

PUBLISHED = {
    # Conitzer and Sandholm, Computing the optimal strategy to commit to (2006), section 1: play half and half, get 3.5.
    "conitzer-sandholm": ([[2, 4], [1, 3]], [[1, 0], [0, 1]], [1 / 2, 1 / 2], 3.5),
    # The table of Paruchuri and others, Playing games for security (2008); by hand: x ≥ 2(1−x), and 4x + 3(1−x).
    "security": ([[2, 4], [1, 3]], [[1, 0], [0, 2]], [2 / 3, 1 / 3], 11 / 3),
    # Bagwell, Commitment and observability in games (1995): 5 for a pure commitment; by hand, 5.5 for a mixed one.
    "bagwell": ([[5, 3], [6, 4]], [[2, 1], [3, 4]], [1 / 2, 1 / 2], 5.5),
    # Mailath and Samuelson, Repeated games and reputations (2006), the product-choice game: 5/2, 2 if pure.
    "product choice": ([[2, 0], [3, 1]], [[3, 2], [0, 1]], [1 / 2, 1 / 2], 2.5),
    # Zero sum: a commitment is worth the game's value, and is a maximin strategy (von Stengel and Zamir 2010).
    "rock, paper, scissors": (
        [[0, -1, 1], [1, 0, -1], [-1, 1, 0]],
        [[0, 1, -1], [-1, 0, 1], [1, -1, 0]],
        [1 / 3] * 3,
        0,
    ),
    # One guard, places worth 6, 3 and 2 to a thief: guard so that 6(1−x₁) = 3(1−x₂) = 2(1−x₃) = t; t = 2.
    "one guard": (
        [[0, -3, -2], [-6, 0, -2], [-6, -3, 0]],
        [[0, 3, 2], [6, 0, 2], [6, 3, 0]],
        [2 / 3, 1 / 3, 0],
        -2,
    ),
}


@pytest.mark.parametrize("discount", [0.0, 0.9])
@pytest.mark.parametrize("name", PUBLISHED)
def test_published_matrix_games(name, discount):
    leader, follower, x, value = PUBLISHED[name]
    found = certified(matrix_game(leader, follower, discount))
    assert found.family == "matrix game"
    np.testing.assert_allclose(found.leader_policy, [x], atol=1e-9)
    assert found.primal == pytest.approx(value / (1 - discount), abs=1e-8)
    assert found.dual == pytest.approx(value / (1 - discount), abs=1e-8)


@pytest.mark.parametrize("kind", ["signed", "tied"])
def test_without_a_future_every_kernel_is_a_matrix_game_in_each_state(kind):
    for seed in range(10):
        game = draw_game(seed, (4, 3, 4), "both", discount=0.0, kind=kind)
        found = certified(game)
        rewards = zip(game.leader_reward, game.follower_reward, strict=True)
        values = [by_one_program_per_answer(*reward) for reward in rewards]
        np.testing.assert_allclose(found.value, values, atol=unit(game))
        assert found.family == "matrix game"
        one = certified(matrix_game(game.leader_reward[0], game.follower_reward[0], 0.9))
        assert one.primal == pytest.approx(10 * values[0], abs=10 * unit(game))


# Leader-controlled games.


@pytest.mark.parametrize("sizes", [(2, 2, 2), (2, 2, 3), (2, 3, 2), (3, 2, 2)])
@pytest.mark.parametrize("kind", ["signed", "tied"])
def test_leader_controlled_games_against_enumeration(sizes, kind):
    for seed in range(8):
        game = draw_game(seed, sizes, "leader", kind=kind, discount=0.8)
        found = certified(game)
        assert found.family == "leader-controlled"
        assert found.program == "leader-controlled: linear, HIGHS, τ = 0"
        best = by_vertices_of_each_state(game)
        assert abs(found.primal - best) <= unit(game) and abs(found.dual - best) <= unit(game)


@pytest.mark.parametrize("branching", [None, 4])
def test_a_hundred_states(branching):
    game = draw_game(0, (100, 5, 5), "leader", branching=branching)
    certified(game)


def test_the_commitment_is_the_best_from_every_state():
    """ρ may be 0 where the leader has to plan all the same."""
    game = draw_game(3, (5, 3, 3), "leader", branching=2)
    values = [certified(replace(game, initial=start)).value for start in np.eye(5)]
    np.testing.assert_allclose(values, np.tile(values[0], (5, 1)), atol=unit(game))


def test_a_mixed_optimum_is_not_averaged(monkeypatch):
    """Both want to do the same thing, whatever it is; an interior-point method then returns every optimum at once."""
    import cvxpy as cp

    seen = []

    def interior(problem, solver, caller, **options):
        problem.solve(solver=cp.CLARABEL, canon_backend=cp.SCIPY_CANON_BACKEND)
        seen.append(next(v.value for v in problem.variables() if v.ndim == 3))
        return float(problem.value)

    monkeypatch.setattr(programs, "solve_program", interior)
    same = np.tile(np.eye(2), (3, 1, 1))
    rng = np.random.default_rng(0)
    kernel = np.repeat(rng.dirichlet(np.ones(3), size=(3, 1, 1)), 2, axis=1).repeat(2, axis=2)
    game = StackelbergGame(kernel, same, same, 0.9, np.full(3, 1 / 3))
    found = accepted(game)
    assert found.primal == pytest.approx(10.0, abs=1e-5)  # CLARABEL's precision, and room for multipliers
    weights = seen[0].sum(axis=1) / seen[0].sum(axis=(1, 2))[:, None]
    assert weights.min() > 0.1  # the solver did mix
    average = seen[0].sum(axis=2) / seen[0].sum(axis=(1, 2))[:, None]
    answer = pc.solve(pc.follower_mdp(game, average)).policy
    assert pc.leader_return(game, average, answer) < 9.0  # and an average loses


def bound_of_poor_multipliers(game, monkeypatch, change):
    """Return the linear program's bound if the solver's W and λ are changed before they are read."""
    solve = programs.solve_program

    def poor(problem, *rest, **options):
        solve(problem, *rest, **options)
        duals = [constraint.dual_variables[0] for constraint in problem.constraints[:2]]
        for dual, changed in zip(duals, change(*(dual.value for dual in duals)), strict=True):
            dual.save_value(changed)

    with monkeypatch.context() as patch:
        patch.setattr(programs, "solve_program", poor)
        return programs._linear(game)[2]


@pytest.mark.parametrize("seed", range(3))
def test_the_linear_bound_holds_whatever_the_solver_did(seed, monkeypatch):
    rng, game = np.random.default_rng(seed), draw_game(seed, (4, 3, 3), "leader")
    optimum = certified(game).primal
    lower = bound_of_poor_multipliers(game, monkeypatch, lambda value, multiplier: (value - 1.0, multiplier))
    assert lower == pytest.approx(optimum, abs=unit(game))  # a constant too low is what can be put right
    for _ in range(5):
        noise = rng.normal(size=4)
        worse = bound_of_poor_multipliers(
            game, monkeypatch, lambda value, multiplier, n=noise: (value + n, -multiplier)
        )
        assert worse > optimum
    # The first action dominates. A multiplier of −1 would charge the leader for that, and "prove" 0 where 1 is had.
    game = matrix_game([[1, 5]], [[1, 0]])
    change = (np.zeros(1), np.array([[[0.0, -1.0], [5.0, 0.0]]]))
    assert bound_of_poor_multipliers(game, monkeypatch, lambda *_: change) == pytest.approx(1.0)


def test_the_rule_that_reads_a_commitment():
    joint = np.array([[[0.3, 0.0], [0.0, 0.1]], [[0.0, 0.2], [0.0, 0.6]]])
    x, answer = programs._commitment(joint)
    np.testing.assert_allclose(x, [[1.0, 0.0], [0.25, 0.75]])
    assert answer.tolist() == [0, 1]


# Follower-controlled games.


@pytest.mark.parametrize("sizes", [(2, 2, 2), (2, 2, 3), (2, 3, 2), (3, 2, 2)])
@pytest.mark.parametrize("kind", ["signed", "tied"])
def test_follower_controlled_games_against_enumeration(sizes, kind):
    for seed in range(8):
        game = draw_game(seed, sizes, "follower", kind=kind, discount=0.8)
        found = certified(game)
        assert found.family == "follower-controlled"
        assert found.program == "follower-controlled: mixed-integer, HIGHS, τ = 0"
        best = by_vertices_of_each_answer(game)
        assert abs(found.primal - best) <= unit(game) and abs(found.dual - best) <= unit(game)


def test_a_start_in_one_state_only():
    for seed in range(4):
        game = replace(draw_game(seed, (3, 2, 2), "follower", branching=2), initial=[0.0, 1.0, 0.0])
        assert abs(certified(game).primal - by_vertices_of_each_answer(game)) <= unit(game)


def test_zero_sum_follower_controlled_games_are_a_linear_program():
    """max ρᵀW s.t. W ≤ Σ_a x r_l + γP_bW for all b (Parthasarathy and Raghavan 1981, single-controller games)."""
    for seed in range(5):
        game = draw_game(seed, (4, 3, 3), "follower")
        game = replace(game, follower_reward=-game.leader_reward)
        kernel = game.transition[:, 0].transpose(1, 0, 2).reshape(12, 4)  # rows (b, s)
        rows = np.hstack([np.tile(np.eye(4), (3, 1)) - 0.9 * kernel, np.zeros((12, 12))])
        for b, s in itertools.product(range(3), range(4)):
            rows[4 * b + s, 4 + 3 * s : 7 + 3 * s] = -game.leader_reward[s, :, b]
        total = np.hstack([np.zeros((4, 4)), np.kron(np.eye(4), np.ones(3))])
        limits = [(None, None)] * 4 + [(0, None)] * 12
        cost = np.concatenate([-game.initial, np.zeros(12)])
        value = -linprog(cost, A_ub=rows, b_ub=np.zeros(12), A_eq=total, b_eq=np.ones(4), bounds=limits).fun
        assert certified(game).primal == pytest.approx(value, abs=unit(game))


def test_a_kernel_that_nobody_moves_has_two_programs():
    for seed in range(5):
        game = draw_game(seed, (4, 3, 3), "leader")
        game = replace(game, transition=np.repeat(game.transition[:, :1], 3, axis=1))
        found = certified(game)
        assert found.family == "leader-controlled"
        scale = np.abs(game.leader_reward).max()
        x, answer, bound, stopped = programs._mixed_integer(
            replace(game, leader_reward=game.leader_reward / scale), 60.0
        )
        assert not stopped
        assert scale * bound == pytest.approx(found.dual, abs=unit(game))
        assert pc.leader_return(game, x, np.eye(3)[answer]) == pytest.approx(found.primal, abs=unit(game))


def test_the_time_limit_is_told_in_the_gap():
    """Fifteen states take minutes; what is found by then is a pair all the same, and the bound a bound."""
    game = draw_game(1, (15, 3, 3), "follower", branching=3)
    with pytest.raises(ConvergenceError, match="no pair of policies in 1e-09 s"):
        exact.stackelberg(game, time_limit=1e-9)
    part = certified(game, finished=False, time_limit=2.0)
    assert part.gap > unit(game)
    for policy in np.random.default_rng(0).dirichlet(np.full(3, 0.5), size=(100, 15)):
        answer = pc.solve(pc.follower_mdp(game, policy)).policy
        assert pc.leader_return(game, policy, answer) <= part.dual
    together = pc.MDP(game.transition[:, 0], game.leader_reward.max(axis=1), 0.9, game.initial)
    assert part.dual <= pc.solve(together).expected_return + unit(game)


def test_the_bounds_that_the_program_starts_from():
    game = draw_game(0, (5, 2, 3), "follower", branching=2)
    kernel, reward = game.transition[:, 0], game.leader_reward.max(axis=1)
    best = pc.solve(pc.MDP(kernel, reward, 0.9, game.initial)).value
    np.testing.assert_allclose(programs._highest(reward, kernel, 0.9), best, atol=1e-8)
    least, most = programs._occupancy_bounds(game)
    every = itertools.product(range(3), repeat=5)
    mdp = pc.MDP(kernel, reward, 0.9, game.initial)
    occupancies = [pc.evaluate(mdp, np.eye(3)[list(actions)]).occupancy for actions in every]
    np.testing.assert_allclose(least, np.min(occupancies, axis=0), atol=1e-8)
    np.testing.assert_allclose(most, np.max(occupancies, axis=0), atol=1e-8)


# All families.

FAMILIES = [("leader", 0.9), ("follower", 0.9), ("leader", 0.99), ("follower", 0.5), ("both", 0.0)]


@pytest.mark.parametrize(("controller", "discount"), FAMILIES)
def test_no_commitment_returns_more(controller, discount):
    """Pure, random, and close to the one found; each with a best answer of the follower."""
    rng = np.random.default_rng(0)
    game = draw_game(1, (3, 3, 3), controller, discount=discount)
    found = certified(game)
    pure = [np.eye(3)[list(actions)] for actions in itertools.product(range(3), repeat=3)]
    mixed = list(rng.dirichlet(np.full(3, 0.7), size=(700, 3)))
    near = [0.98 * found.leader_policy + 0.02 * x for x in mixed[:300]]
    returns = [pc.leader_return(game, x, pc.solve(pc.follower_mdp(game, x)).policy) for x in pure + mixed + near]
    assert max(returns) <= found.dual + unit(game)
    assert max(returns[-300:]) >= found.primal - 0.1 * np.abs(game.leader_reward).max() / (1 - discount)


@pytest.mark.parametrize("controller", ["leader", "follower"])
@pytest.mark.parametrize("discount", [0.3, 0.9, 0.99])
@pytest.mark.parametrize("branching", [None, 2])
def test_every_promise_on_random_games(controller, discount, branching):
    for seed, kind in itertools.product(range(3), ("signed", "tied")):
        certified(draw_game(seed, (4, 3, 2), controller, discount=discount, branching=branching, kind=kind))


@pytest.mark.parametrize("controller", ["leader", "follower"])
def test_names_and_units_do_not_matter(controller):
    rng = np.random.default_rng(2)
    for seed in range(3):
        game = draw_game(seed, (4, 2, 3), controller)
        found = certified(game)
        states, first, second = rng.permutation(4), rng.permutation(2), rng.permutation(3)
        order = np.ix_(states, first, second)
        renamed = StackelbergGame(
            game.transition[np.ix_(states, first, second, states)],
            game.leader_reward[order],
            game.follower_reward[order],
            game.discount,
            game.initial[states],
        )
        other = certified(renamed)
        assert other.primal == pytest.approx(found.primal, abs=unit(game))
        np.testing.assert_allclose(other.follower_value, found.follower_value[states], atol=1e-6)
        units = replace(game, leader_reward=1e5 * game.leader_reward, follower_reward=1e-5 * game.follower_reward)
        other = certified(units)
        assert other.primal == pytest.approx(1e5 * found.primal, abs=1e5 * unit(game))
        np.testing.assert_allclose(other.follower_value, 1e-5 * found.follower_value, atol=1e-11)


@pytest.mark.parametrize("controller", ["leader", "follower"])
def test_one_who_has_no_choice_and_two_who_want_the_same(controller):
    sizes = {"leader": (5, 3, 1), "follower": (5, 1, 3)}[controller]
    game = draw_game(0, sizes, controller)
    reward = game.leader_reward[:, :, 0] if controller == "leader" else game.follower_reward[:, 0]
    kernel = game.transition[:, :, 0] if controller == "leader" else game.transition[:, 0]
    alone, found = exact.solve_mdp(pc.MDP(kernel, reward, 0.9, game.initial)), certified(game)
    value = found.value if controller == "leader" else found.follower_value
    np.testing.assert_allclose(value, alone.value, atol=1e-6)
    shared = draw_game(1, (5, 3, 3), controller)
    shared = replace(shared, follower_reward=shared.leader_reward)
    joint = pc.MDP(shared.transition.reshape(5, 9, 5), shared.leader_reward.reshape(5, 9), 0.9, shared.initial)
    assert certified(shared).primal == pytest.approx(pc.solve(joint).expected_return, abs=unit(shared))


def test_a_world_that_nobody_here_made():
    """A follower without a choice leaves FrozenLake to the leader."""
    lake = worlds.from_gymnasium("FrozenLake-v1", 0.95, exploration=0.1)
    rewards = [lake.reward[:, :, None]] * 2
    game = StackelbergGame(lake.transition[:, :, None], *rewards, 0.95, lake.initial)
    assert certified(game).primal == pytest.approx(pc.solve(lake).expected_return, abs=1e-7)


def test_a_game_about_nothing():
    game = draw_game(0, (3, 2, 2), "follower")
    for controlled in (game, draw_game(0, (3, 2, 2), "leader")):
        nothing = replace(controlled, leader_reward=np.zeros((3, 2, 2)), follower_reward=np.zeros((3, 2, 2)))
        assert certified(nothing).primal == 0.0


# Temperature.


@pytest.mark.parametrize("controller", ["leader", "follower"])
def test_the_temperature_is_ignored(controller):
    game = draw_game(0, (4, 2, 2), controller)
    cold, warm = certified(game), certified(replace(game, temperature=0.5))
    assert cold.primal == warm.primal and (cold.leader_policy == warm.leader_policy).all()
    assert "τ = 0" in warm.program


def soft_return(game, x, temperature):
    """Return what x is worth to the leader against the follower at τ > 0."""
    warm = replace(game, temperature=temperature)
    return pc.leader_return(warm, x, pc.solve(pc.follower_mdp(warm, x)).policy)


def test_a_regularised_follower_can_be_worth_more_than_the_certificate_says():
    """By hand: the leader has no choice, its follower gains 1 from what hurts it; at τ it errs with σ(−1/τ)."""
    game = matrix_game([[0, 1]], [[1, 0]])
    assert certified(game).dual == pytest.approx(0.0, abs=1e-9)
    for temperature in (0.1, 0.5):
        odds = np.exp(-1 / temperature)
        assert soft_return(game, [[1.0]], temperature) == pytest.approx(odds / (1 + odds), abs=1e-8)
    # And where there is something to commit to, found by a search over seeds.
    for controller, seed in (("leader", 11), ("follower", 11)):
        rng = np.random.default_rng(seed)
        game = worlds.random_stackelberg_game(rng, 3, 2, 2, 0.9, controller=controller)
        found = certified(game)
        excess = soft_return(game, found.leader_policy, 0.3) - found.dual
        # A policy whose p_V is at most τ log B/(1−γ) is all that the soft one is known to be.
        assert 0.3 < excess
        assert pc.leader_return(game, found.leader_policy, found.follower_policy) <= found.dual


# What is refused.


def test_a_kernel_that_both_move_is_refused():
    game = draw_game(0, (3, 2, 2), "both")
    with pytest.raises(ValueError, match=r"transition changes by up to .* NP-hard.* hypergradient_descent"):
        exact.stackelberg(game)


@pytest.mark.parametrize(("controller", "axis"), [("leader", 2), ("follower", 1)])
def test_a_kernel_is_of_a_family_up_to_1e_12(controller, axis):
    game = draw_game(0, (3, 2, 2), controller)
    for change, refused in ((1e-9, True), (2e-13, False)):
        kernel = game.transition.copy()
        index = (0, 0, 1) if axis == 2 else (0, 1, 0)
        kernel[index][0] += change
        kernel[index][1] -= change
        bent = replace(game, transition=kernel)
        if refused:
            with pytest.raises(ValueError, match="transition changes by up to"):
                exact.stackelberg(bent)
        else:
            assert certified(bent).family == f"{controller}-controlled"


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_time_limit_is_a_positive_number(seconds):
    with pytest.raises(ValueError, match=r"time_limit is .*; allowed is a number of seconds above 0"):
        exact.stackelberg(draw_game(0, (2, 2, 2)), time_limit=seconds)


def test_a_bound_that_does_not_hold_is_refused(monkeypatch):
    honest = programs._linear
    for off in (1e-3, -1e-3):
        monkeypatch.setattr(programs, "_linear", lambda game, off=off: (*honest(game)[:2], honest(game)[2] + off))
        with pytest.raises(ConvergenceError, match="the gap"):
            exact.stackelberg(draw_game(0, (3, 2, 2)))


def test_an_answer_that_is_not_best_is_refused(monkeypatch):
    honest = programs._linear
    monkeypatch.setattr(programs, "_linear", lambda game: (honest(game)[0], 1 - honest(game)[1], honest(game)[2]))
    with pytest.raises(ConvergenceError, match="the follower's answer"):
        exact.stackelberg(draw_game(0, (3, 2, 2)))


def test_a_solver_that_finds_no_optimum_is_refused(monkeypatch):
    import cvxpy as cp

    monkeypatch.setattr(cp.Problem, "status", property(lambda self: cp.INFEASIBLE))
    for controller in ("leader", "follower"):
        with pytest.raises(ConvergenceError, match=r"exact\.stackelberg \(HIGHS: infeasible\)"):
            exact.stackelberg(draw_game(0, (3, 2, 2), controller))
