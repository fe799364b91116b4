"""RLHF: f against sums over sequences, derivatives against differences, closed forms, samples, and the baselines."""

import inspect
import itertools

import numpy as np
import pytest
from conftest import draw_mdp
from problems import accepted
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, softmax
from test_sampling import brute_force, unbiased

from pencourse import MDP, ConvergenceError, evaluate, exact, hypergradient_descent, pbrl, solve, worlds
from pencourse.baselines import dpo, drlhf, drlhf_states, two_stage
from pencourse.cases import rlhf
from pencourse.regularizers import SquaredNorm
from pencourse.sampling import Segments
from pencourse.simplex import random_policy, uniform_policy


def small(seed=0, **options):
    """Return a world of three states, features, and a point inside X and Y."""
    mdp = draw_mdp(seed, 3, 2, **{"temperature": 0.4, "branching": 2, **options})
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(3, 2, 2))
    return mdp, features, 0.3 * rng.normal(size=2), 0.1 + 0.8 * random_policy(rng, 3, 2)


def bandit(reward, temperature):
    """One state, one step: a pair compares two arms, and the arms' rewards are x itself."""
    n = len(reward)
    world = MDP(np.ones((1, n, 1)), [reward], 0.0, [1.0], temperature)
    return rlhf.problem(world, bound=5.0)


# The exact f


@pytest.mark.parametrize("same_start", [False, True])
@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_f_is_the_sum_over_all_pairs_of_sequences(discount, same_start):
    mdp, features, x, y = small(1)
    labeller = rlhf.Labeller(mdp.reward, segment_discount=discount, noise=0.1)
    problem = rlhf.problem(mdp, labeller, features, segment_length=2, same_start=same_start)

    def total(table, states, actions):
        return sum(discount**t * table[s, a] for t, (s, a) in enumerate(zip(states, actions, strict=True)))

    f = 0.0
    for one, other in itertools.product(brute_force(mdp, y, 2, mdp.initial), repeat=2):
        chance = one[2] * other[2]
        if same_start:
            chance = chance / mdp.initial[one[0][0]] if one[0][0] == other[0][0] else 0.0
        likes = 0.9 * expit(total(mdp.reward, *one[:2]) - total(mdp.reward, *other[:2])) + 0.05
        predicted = expit(total(features @ x, *one[:2]) - total(features @ x, *other[:2]))
        f -= chance * (likes * np.log(predicted) + (1 - likes) * np.log(1 - predicted))
    at = evaluate(problem.lower_model(x), y)
    assert np.isclose(problem.upper_objective(x, at).value, f, rtol=1e-12)
    assert np.array_equal(problem.lower_model(x).reward, features @ x)
    assert labeller.labels_given == 0


@pytest.mark.parametrize("same_start", [False, True])
@pytest.mark.parametrize("discount", [1.0, 0.9])
@pytest.mark.parametrize("limit", [{"bound": 0.7}, {"radius": 1.2}])
@pytest.mark.parametrize("regularizer", [None, SquaredNorm()])
def test_the_exact_problem_passes_the_check(limit, discount, same_start, regularizer):
    for seed, length in ((2, 1), (3, 2), (4, 3)):
        mdp, features, _, _ = small(seed, regularizer=regularizer)
        labeller = rlhf.Labeller(mdp.reward, segment_discount=discount, noise=0.2)
        problem = rlhf.problem(mdp, labeller, features, segment_length=length, same_start=same_start, **limit)
        assert len(accepted(problem, seed)) == 6


def test_the_policy_gradient_is_right_where_actions_are_never_taken():
    """f is a polynomial in y of degree 2T: a difference with a small step, and nothing divided by 0."""
    mdp, features, x, y = small(5)
    problem = rlhf.problem(mdp, None, features, segment_length=2)
    y = np.where(np.arange(2) == 0, 1.0, 0.0) * np.ones((3, 1))
    gradient = problem.upper_objective(x, evaluate(mdp, y)).policy_gradient
    turn, step = random_policy(np.random.default_rng(0), 3, 2) - y, 1e-6
    values = [problem.upper_objective(x, evaluate(mdp, y + k * step * turn)).value for k in range(3)]
    slope = (4 * values[1] - values[2] - 3 * values[0]) / (2 * step)
    assert np.isclose((gradient * turn).sum(), slope, atol=1e-7)


def test_the_truth_minimises_f_for_a_policy_that_does_not_move():
    """Gibbs: the cross-entropy is least where prediction is truth, whatever the fixed policy; noise flattens it."""
    mdp, features, _, y = small(6)
    truth = np.array([0.4, -0.3])
    at = evaluate(mdp, y)
    problem = rlhf.problem(mdp, features @ truth, features, segment_length=2)
    assert np.abs(problem.upper_objective(truth, at).upper_gradient).max() <= 1e-12
    noisy = rlhf.problem(mdp, rlhf.Labeller(features @ truth, noise=0.3), features, segment_length=2)
    assert noisy.upper_objective(truth, at).upper_gradient @ truth > 1e-4


def test_constants_are_hidden_where_nothing_ends():
    """r + c has the same preferences, and the same policy (THEORY T9)."""
    mdp, _, _, y = small(7)
    problem = rlhf.problem(mdp, segment_length=2)
    x = 0.3 * np.random.default_rng(0).normal(size=6)
    one, other = (problem.upper_objective(z, evaluate(problem.lower_model(z), y)).value for z in (x, x + 0.2))
    assert np.isclose(one, other, rtol=1e-12)
    assert np.allclose(solve(problem.lower_model(x)).policy, solve(problem.lower_model(x + 0.2)).policy, atol=1e-8)


# Closed forms (THEORY T7, example 3)


def gap_problem(gap, temperature):
    """Two arms whose rewards differ by x."""
    world = MDP(np.ones((1, 2, 1)), [[gap, 0.0]], 0.0, [1.0], temperature)
    return rlhf.problem(world, None, np.array([[[1.0], [0.0]]]), bound=5.0)


def on_policy(problem, x):
    model = problem.lower_model(np.atleast_1d(x))
    return problem.upper_objective(np.atleast_1d(x), evaluate(model, solve(model).policy)).value


@pytest.mark.parametrize(("gap", "temperature"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.2)])
def test_two_arms_have_a_closed_form(gap, temperature):
    """φ(x) = log 2 − 2y(1−y)[log 2 − CE(Δ, x)], y = σ(x/τ)."""
    problem = gap_problem(gap, temperature)
    for x in (-0.7, 0.0, 0.5, 2.0):
        y = expit(x / temperature)
        entropy = np.log1p(np.exp(x)) - expit(gap) * x
        assert np.isclose(on_policy(problem, x), np.log(2) - 2 * y * (1 - y) * (np.log(2) - entropy), atol=1e-9)


@pytest.mark.parametrize(("gap", "best"), [(1.0, 0.802), (2.0, 1.081)])
def test_the_bilevel_optimum_is_below_the_truth(gap, best):
    problem = gap_problem(gap, 1.0)
    grid = np.linspace(-5, 5, 401)  # resolution 0.025; one basin, then refined
    start = grid[np.argmin([on_policy(problem, x) for x in grid])]
    found = minimize_scalar(lambda x: on_policy(problem, x), bounds=(start - 0.03, start + 0.03), method="bounded")
    assert abs(found.x - best) <= 0.5e-3 + 1e-4
    if gap == 2.0:
        assert abs(found.fun - 0.590) <= 0.5e-3 and abs(on_policy(problem, 2.0) - 0.624) <= 0.5e-3
    run = hypergradient_descent(problem, iterations=2000, step=2.0, tolerance=1e-7)
    assert abs(run.upper[0] - found.x) <= 1e-3


def test_at_low_temperature_the_best_arm_is_played_with_the_same_probability():
    """x*/τ → 1.5434, the root of ξ tanh(ξ/2) = 1: probability 0.824, whatever the true gap."""
    for gap in (0.5, 3.0):
        problem = gap_problem(gap, 1e-3)
        found = minimize_scalar(lambda xi, p=problem: on_policy(p, 1e-3 * xi), bounds=(0.5, 3.0), method="bounded")
        assert abs(found.x - 1.5434) <= 2e-3  # of order τ
        assert abs(expit(found.x) - 0.824) <= 1e-3


def test_three_arms_forget_the_second_best():
    """r = (2, 1.5, −2), τ = 1, X = [−5, 5]³: (.766, 0, .234) is played, worth 1.065, not 1.768."""
    reward = np.array([2.0, 1.5, -2.0])
    likes = expit(reward[:, None] - reward)
    # All x on a grid of step 1/2, f vectorised; the best is refined by descent on the library's f.
    x = np.stack(np.meshgrid(*[np.linspace(-5, 5, 21)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    y, z = softmax(x, axis=1), x[:, :, None] - x[:, None, :]
    f = np.einsum("ni,nj,nij->n", y, y, np.logaddexp(0, z) - likes * z)
    problem = bandit(reward, 1.0)
    for k in (0, 1000, 9000):
        assert np.isclose(on_policy(problem, x[k]), f[k], atol=1e-9)
    runs = [hypergradient_descent(problem, start=x[k], iterations=300, step=3.0) for k in np.argsort(f)[:2]]
    run = min(runs, key=lambda run: run.objective)
    assert run.objective <= f.min() + 1e-12
    policy = run.lower[0]
    assert np.abs(policy - [0.766, 0.0, 0.234]).max() <= 0.5e-3 + 1e-4
    assert abs(policy @ reward - 1.065) <= 1e-3 and abs(softmax(reward) @ reward - 1.768) <= 1e-3


# The sampled f


def test_estimates_are_unbiased():
    """z-tests, false alarm 1e-5 each: f, ∂f/∂x and (up to constants in rows) ∂f/∂y, from 3,000 batches of 8 pairs."""
    mdp, features, x, y = small(8)
    for same_start in (False, True):
        labeller = rlhf.Labeller(mdp.reward, segment_discount=0.9, noise=0.1)
        given = {"segment_length": 2, "same_start": same_start}
        truth = rlhf.problem(mdp, labeller, features, **given).upper_objective(x, evaluate(mdp, y))
        problem = rlhf.problem(mdp, labeller, features, pairs=8, reuse="none", **given)
        rng, at = np.random.default_rng(0), evaluate(mdp, y)
        drawn = [problem.upper_objective(x, at, rng) for _ in range(3000)]
        assert labeller.labels_given == problem.labels_used == 24_000
        unbiased(np.array([f.value for f in drawn]), truth.value)
        unbiased(np.array([f.upper_gradient for f in drawn]), truth.upper_gradient)
        slopes = np.array([f.policy_gradient for f in drawn]), truth.policy_gradient
        unbiased(*(slope - slope.mean(axis=-1, keepdims=True) for slope in slopes))


def sampled(seed=9, **options):
    mdp, features, x, y = small(seed)
    problem = rlhf.problem(mdp, None, features, **{"segment_length": 2, "pairs": 0, **options})
    return problem, x, y, np.random.default_rng(seed)


def test_labels_are_as_frequent_as_they_are_probable():
    """z-test, false alarm 1e-5, of 20,000 labels for each of three pairs; one pair is twice the same segment."""
    mdp, *_ = small(10)
    states, actions = np.array([[0, 1], [2, 1], [0, 1]]), np.array([[0, 1], [1, 1], [0, 1]])
    segments = Segments(states, actions, np.ones((3, 2), dtype=bool))
    labeller = rlhf.Labeller(mdp.reward, segment_discount=0.8, noise=0.2)
    chances = labeller.preferences(segments)
    sums = mdp.reward[states, actions] @ [1, 0.8]
    assert np.allclose(chances, 0.8 * expit(sums[:, None] - sums) + 0.1)
    assert np.allclose(chances + chances.T, 1.0) and chances[0, 2] == 0.5
    rng = np.random.default_rng(0)
    for i, j in ((0, 1), (1, 2), (0, 2)):
        one, other = segments[np.full(20_000, i)], segments[np.full(20_000, j)]
        labels = labeller.label(one, other, rng)
        assert set(labels) == {0.0, 1.0}
        unbiased(labels, chances[i, j])
    assert labeller.labels_given == 60_000


def test_pairs_are_asked_for_on_schedule_and_within_the_budget():
    problem, x, y, rng = sampled(pairs=4, every=3, budget=10)
    at = evaluate(problem.lower_model(x), y)
    used = []
    for _ in range(10):
        problem.upper_objective(x, at, rng)
        used.append(problem.labels_used)
    assert used == [4, 4, 4, 8, 8, 8, 10, 10, 10, 10]
    assert len(problem.seen) == problem.labeller.labels_given == 10
    problem.upper_objective(x, at)  # without a generator there is nothing new


def test_a_batch_alone_is_kept_or_all():
    for reuse, sizes in (("none", [3, 2]), ("all", [3, 5]), ("reweighted", [3, 5])):
        problem, _, y, rng = sampled(reuse=reuse)
        found = []
        for n in (3, 2):
            assert len(problem.collect(y, n, rng)) == n
            found.append(len(problem.seen))
        assert found == sizes


def test_old_pairs_serve_x_and_the_newest_serve_the_policy():
    problem, x, y, rng = sampled()
    old, new = problem.collect(uniform_policy(3, 2), 30, rng), problem.collect(y, 20, rng)
    found = problem.upper_objective(x, evaluate(problem.lower_model(x), y))
    differences, labels = np.vstack([old.differences, new.differences]), np.r_[old.labels, new.labels]
    z = differences @ x
    assert np.isclose(found.value, np.mean(-np.log(expit(np.where(labels == 1, z, -z)))))
    assert np.allclose(found.upper_gradient, differences.T @ (expit(z) - labels) / 50)
    z, slope = new.differences @ x, np.zeros((3, 2))
    losses = -np.log(expit(np.where(new.labels == 1, z, -z)))
    for i, t in itertools.product(range(20), range(4)):  # both segments of each pair, two steps each
        s, a = new.segments.states[i, t], new.segments.actions[i, t]
        slope[s, a] += (losses[i] - np.delete(losses, i).mean()) / y[s, a] / 20
    assert np.allclose(found.policy_gradient, slope)
    elsewhere = problem.upper_objective(x, evaluate(problem.lower_model(x), 0.5 * y + 0.25))
    assert (elsewhere.policy_gradient == 0).all() and np.allclose(elsewhere.upper_gradient, found.upper_gradient)


def test_pairs_hold_what_was_compared():
    problem, _, y, rng = sampled(segment_length=3, same_start=True)
    pairs = problem.collect(y, 40, rng)
    states, actions = pairs.segments.states, pairs.segments.actions
    assert states.shape == (40, 6) and np.array_equal(states[:, 0], states[:, 3])
    features = problem.features[states, actions]
    assert np.allclose(pairs.differences, features[:, :3].sum(axis=1) - features[:, 3:].sum(axis=1))
    assert np.allclose(np.exp(pairs.log_probability), y[states, actions].prod(axis=1))


@pytest.mark.parametrize("clip", [1e6, 1.2])
def test_reweighting_is_one_function_with_its_slopes(clip):
    """Between purchases f is a smooth function of x and y, so a user's check passes; ratios are by hand."""
    problem, x, y, rng = sampled(reuse="reweighted", clip=clip)
    for policy in (uniform_policy(3, 2), y):
        problem.collect(policy, 25, rng)
    assert len(accepted(problem)) == 6
    ratios = problem.ratios(y)
    states, actions = problem.seen.segments.states, problem.seen.segments.actions
    by_hand = y[states, actions].prod(axis=1) / np.where(np.arange(50) < 25, 0.5**4, y[states, actions].prod(axis=1))
    assert np.allclose(ratios, np.minimum(by_hand, clip)) and (clip > 2 or (by_hand > clip).any())
    losses = np.logaddexp(0, problem.seen.differences @ x) - problem.seen.labels * (problem.seen.differences @ x)
    value = problem.upper_objective(x, evaluate(problem.lower_model(x), y)).value
    assert np.isclose(value, ratios @ losses / ratios.sum())


def test_reweighting_survives_a_policy_that_never_did_what_was_seen():
    problem, x, _, rng = sampled(reuse="reweighted")
    problem.collect(np.array([[1.0, 0.0]] * 3), 5, rng)
    found = problem.upper_objective(x, evaluate(problem.lower_model(x), np.array([[0.0, 1.0]] * 3)))
    assert found.value == 0 and (found.policy_gradient == 0).all() and (found.upper_gradient == 0).all()


def test_without_pairs_there_is_no_estimate():
    problem, x, y, _ = sampled(pairs=5)
    with pytest.raises(ValueError, match="seen is None; allowed are labelled pairs: give rng a Generator"):
        problem.upper_objective(x, evaluate(problem.lower_model(x), y))


class Secret:
    """A reward that says who looked."""

    def __init__(self, reward, allowed):
        self.reward, self.allowed = reward, allowed

    def look(self):
        if not {frame.function for frame in inspect.stack()} & self.allowed:
            raise AssertionError("the true reward was read by another than the labeller or the scorer")
        return self.reward

    def __getitem__(self, index):
        return self.look()[index]

    def __array__(self, dtype=None, copy=None):
        return np.array(self.look(), dtype=dtype)


def test_nobody_sees_the_true_reward():
    world = worlds.hazard_grid()
    labeller = rlhf.Labeller(world.reward)
    labeller._reward = Secret(np.array(world.reward), {"label", "score"})
    problem = rlhf.problem(world, labeller, segment_length=5, bound=4.0, pairs=10, every=3)
    run = pbrl(problem, iterations=10, penalty_weight=1.0, step=1.0, rng=np.random.default_rng(0))
    two_stage(problem, pairs=20, rng=np.random.default_rng(0))
    drlhf(problem, pairs=20, rounds=2, rng=np.random.default_rng(0))
    # What a policy is worth is told by the true reward, not by that of the world at hand.
    assert labeller.score(problem.world, run.lower) == evaluate(world, run.lower).expected_return
    assert (problem.world.reward == 0).all()
    with pytest.raises(AssertionError, match="the true reward was read"):
        np.asarray(labeller._reward)
    with pytest.raises(AssertionError, match="the true reward was read"):  # and the secret is one
        labeller.preferences(problem.seen.segments)


# Features, limits, bad inputs


def test_features_pay_nothing_where_episodes_are_over():
    world = worlds.hazard_grid()
    over = worlds.terminal_states(world)
    assert over.sum() == 6
    tabular, entry = rlhf.tabular_features(world), rlhf.entry_features(world)
    assert tabular.shape == (25, 4, 76) and (tabular[over] == 0).all() and (entry[over] == 0).all()
    x = np.random.default_rng(0).normal(size=76)
    assert np.array_equal((tabular @ x)[~over].ravel(), x)
    gains = np.zeros(25)
    gains[over] = [-4.0] * 5 + [4.0]
    assert np.allclose(entry @ gains, world.reward)
    one_step = rlhf.tabular_features(MDP(np.full((1, 3, 1), 1.0), np.zeros((1, 3)), 0.0, [1.0]))
    assert np.array_equal(one_step[0], np.eye(3))  # where nothing goes on, all is paid


def test_projections():
    mdp, features, *_ = small(0)
    box, ball = rlhf.problem(mdp, None, features, bound=0.5), rlhf.problem(mdp, None, features, radius=2.0)
    assert np.array_equal(box.project(np.array([0.7, -0.2])), [0.5, -0.2])
    assert np.allclose(ball.project(np.array([3.0, 4.0])), [1.2, 1.6])
    assert np.array_equal(ball.project(np.array([0.3, 0.0])), [0.3, 0.0])
    assert np.array_equal(ball.project(np.zeros(2)), np.zeros(2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labeller": np.zeros((3, 3))}, r"labeller has shape \(3, 3\); allowed is \(3, 2\)"),
        ({"features": np.zeros((3, 2))}, r"features has shape \(3, 2\); allowed is \(3, 2, any\)"),
        ({"segment_length": 0}, "segment_length is 0; allowed is an integer, at least 1"),
        ({"segment_length": 9}, r"length is 9, which makes \d+ segments; allowed are lengths that make 2000 at most"),
        ({"bound": 0.0}, r"bound is 0\.0; allowed is a finite number above 0"),
        ({"radius": -1.0}, r"radius is -1\.0; allowed is a finite number above 0"),
        ({"pairs": -1}, "pairs is -1; allowed is an integer, at least 0"),
        ({"pairs": 1, "every": 0}, "every is 0; allowed is an integer, at least 1"),
        ({"pairs": 1, "budget": -5}, "budget is -5; allowed is an integer, at least 0"),
        ({"pairs": 1, "clip": 0.0}, r"clip is 0\.0; allowed is a finite number above 0"),
        ({"pairs": 1, "reuse": "some"}, "reuse is 'some'; allowed is 'none', 'all' or 'reweighted'"),
    ],
)
def test_bad_problems_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rlhf.problem(small(0)[0], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward": [1.0, 2.0]}, r"reward has shape \(2,\)"),
        ({"noise": 1.5}, r"noise is 1\.5; allowed is a number from 0 to 1"),
        ({"segment_discount": -0.1}, r"segment_discount is -0\.1; allowed is a number from 0 to 1"),
    ],
)
def test_bad_labellers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rlhf.Labeller(**{"reward": np.zeros((3, 2)), **options})


# Baselines


def test_two_stages_are_a_fit_and_a_plan():
    problem, _, y, _ = sampled(11, bound=2.0)
    run = two_stage(problem, pairs=60, rng=np.random.default_rng(3), behaviour=y)
    again, *_ = sampled(11, bound=2.0)
    pairs = again.collect(y, 60, np.random.default_rng(3))
    fit = exact.fit_reward(pairs.differences, pairs.labels, 2.0)
    assert np.allclose(run.upper, fit.parameters) and np.isclose(run.objective, fit.loss)
    assert np.allclose(run.lower, solve(problem.lower_model(fit.parameters)).policy)
    assert problem.labels_used == 60 and list(run.history["soft_solves"]) == [0, 1]
    assert np.isnan(run.history["objective"][0]) and run.penalty == 0


def test_drlhf_collects_on_its_own_policy_and_fits_all():
    problem, *_ = sampled(12, bound=2.0)
    states = list(itertools.islice(drlhf_states(problem, pairs=30, rng=np.random.default_rng(0)), 3))
    again, *_ = sampled(12, bound=2.0)
    rng = np.random.default_rng(0)
    again.collect(uniform_policy(3, 2), 30, rng)
    again.collect(states[1].lower, 30, rng)
    fit = exact.fit_reward(again.seen.differences, again.seen.labels, 2.0)
    assert np.allclose(states[2].upper, fit.parameters) and problem.labels_used == 60
    assert np.array_equal(states[0].lower, uniform_policy(3, 2)) and states[2].soft_solves == 2
    run = drlhf(sampled(12, bound=2.0)[0], pairs=30, rounds=2, rng=np.random.default_rng(0))
    assert np.allclose(run.upper, states[2].upper) and len(run.history) == 3


@pytest.mark.parametrize("options", [{"pairs": None}, {"radius": 1.0}])
def test_fits_need_a_sampled_problem_over_a_box(options):
    with pytest.raises(ValueError, match="problem has an exact f or a ball for X; allowed is a sampled one over a box"):
        two_stage(sampled(**options)[0], pairs=5, rng=np.random.default_rng(0))


def prompts(seed, n=400, temperature=0.5):
    """Return four prompts with three answers each, and labelled pairs of answers to one prompt."""
    rng = np.random.default_rng(seed)
    world = MDP(rng.dirichlet(np.ones(4), size=(4, 3)), rng.normal(size=(4, 3)), 0.0, np.full(4, 0.25), temperature)
    problem = rlhf.problem(world, same_start=True, pairs=0, bound=50.0)
    return world, problem, problem.collect(uniform_policy(4, 3), n, rng)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("reference", [None, random_policy(np.random.default_rng(5), 4, 3)])
@pytest.mark.parametrize("kind", ["labels", "shares"])
def test_dpo_is_two_stages_with_the_lower_level_eliminated(kind, reference, temperature):
    """The same policy from the same pairs, through a reward by cvxpy and without one."""
    world, problem, pairs = prompts(0, temperature=temperature)
    if kind == "shares":
        labels = np.random.default_rng(1).uniform(size=len(pairs))
        pairs = rlhf.Pairs(pairs.segments, pairs.differences, labels, pairs.log_probability)
    fit = exact.fit_reward(pairs.differences, pairs.labels)
    prior = uniform_policy(4, 3) if reference is None else reference
    plan = solve(world.with_reward(problem.features @ fit.parameters + temperature * np.log(prior)))
    assert np.abs(dpo(world, pairs, reference=reference) - plan.policy).max() <= 1e-4 / temperature  # of Δθ/τ
    with np.errstate(all="raise"):
        dpo(world, pairs, reference=reference)


def test_dpo_leaves_alone_what_is_not_compared():
    """One prompt, answers 0 and 1 compared: the ratio of 2 to the two (its geometric mean) is the reference's."""
    world, _, _ = prompts(1)
    segments = Segments(np.zeros((4, 2), dtype=int), np.array([[0, 1]] * 4), np.ones((4, 2), dtype=bool))
    pairs = rlhf.Pairs(segments, np.zeros((4, 1)), np.array([1.0, 1.0, 1.0, 0.0]), np.zeros(4))
    reference = random_policy(np.random.default_rng(0), 4, 3)
    policy = dpo(world, pairs, reference=reference)
    assert np.allclose(policy[1:], reference[1:])
    odds = np.log(policy[0] / reference[0])
    assert np.isclose(odds[0] - odds[1], np.log(3) / 0.5, atol=1e-6)
    assert np.isclose(odds[2], (odds[0] + odds[1]) / 2, atol=1e-6)


def test_dpo_says_when_it_has_not_converged(monkeypatch):
    world, _, pairs = prompts(0)

    def hasty(*arguments, options, **others):
        return minimize(*arguments, options={"maxiter": 1}, **others)

    monkeypatch.setattr("pencourse.baselines.rlhf.minimize", hasty)
    with pytest.raises(ConvergenceError, match=r"dpo reached a residual of .* after 1 iterations; asked was 1e-08"):
        dpo(world, pairs)


def test_dpo_refuses_what_it_cannot_do():
    world, _, pairs = prompts(2)
    with pytest.raises(ValueError, match="world has a discount above 0"):
        dpo(MDP(world.transition, world.reward, 0.5, world.initial, 0.5), pairs)
    with pytest.raises(ValueError, match=r"temperature is 0\.0"):
        dpo(world.with_temperature(0.0), pairs)
    ones = rlhf.Pairs(pairs.segments, pairs.differences, np.ones(len(pairs)), pairs.log_probability)
    one = np.flatnonzero(pairs.segments.actions[:, 0] != pairs.segments.actions[:, 1])[:1]
    few = rlhf.Pairs(ones.segments[one], ones.differences[one], ones.labels[one], ones.log_probability[one])
    with pytest.raises(ValueError, match="labels are separable"):
        dpo(world, few)
    with pytest.raises(ValueError, match=r"reference\[0, 1\] is 0\.0; allowed is a probability above 0"):
        dpo(world, pairs, reference=np.array([[0.5, 0.0, 0.5]] * 4))
    apart = rlhf.problem(world, pairs=0).collect(uniform_policy(4, 3), 50, np.random.default_rng(0))
    with pytest.raises(ValueError, match="pairs differ in their state or have more steps"):
        dpo(world, apart)
    smaller = MDP(np.full((2, 2, 2), 0.5), np.zeros((2, 2)), 0.0, [0.5, 0.5], 0.5)
    with pytest.raises(ValueError, match=r"pairs\.segments\.states\[\d+, 0\] is [23]\.0; allowed is below 2"):
        dpo(smaller, pairs)
    with pytest.raises(ValueError, match="pairs is 0; allowed is an integer, at least 1"):
        two_stage(rlhf.problem(world, pairs=0), pairs=0, rng=np.random.default_rng(0))


# The method


def test_pbrl_approaches_the_closed_form_as_the_weight_grows():
    """Two arms, Δ = 2: x* = 1.081; f there from below, f(x_λ, y_λ) ≤ φ(x*) ≤ φ(x_λ), and the gap shrinks like 1/λ."""
    problem = gap_problem(2.0, 1.0)
    best = minimize_scalar(lambda x: on_policy(problem, x), bounds=(0.5, 2.0), method="bounded")
    gaps = []
    for weight in (4.0, 16.0):
        run = pbrl(problem, penalty_weight=weight, iterations=4000, step=0.5 / weight, continuation=0.0)
        last = run.history.iloc[-1]
        assert last["penalized_objective"] <= best.fun + 1e-9 <= last["hyper_objective"] + 2e-9
        gaps.append(best.fun - last["penalized_objective"])
    assert 3.0 <= gaps[0] / gaps[1] <= 5.0 and abs(run.upper[0] - best.x) <= 0.1


def test_pbrl_learns_the_hazard_grid_from_2000_labels():
    """At least 95 % of the way from the uniform policy's to the optimal true return, median of three seeds."""
    world = worlds.hazard_grid()
    low, high = evaluate(world, uniform_policy(25, 4)).expected_return, solve(world).expected_return
    shares = []
    for seed in range(3):
        labeller = rlhf.Labeller(world.reward)
        problem = rlhf.problem(
            world, labeller, rlhf.entry_features(world), segment_length=5, bound=4.0, pairs=40, every=27, budget=2000
        )
        weights = {"penalty_weight": 0.3, "initial_weight": 0.3, "initial_temperature": 0.3}
        run = pbrl(problem, iterations=600, step=1.0, rng=np.random.default_rng(seed), **weights)
        assert labeller.labels_given == 2000
        shares.append((labeller.score(world, run.lower) - low) / (high - low))
    assert np.median(shares) >= 0.95
