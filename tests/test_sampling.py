"""Roll-outs and estimators: by hand, by enumeration, and by z-tests where nothing else can tell.

A z-test asks whether the mean of independent estimates is where it should be, in units of its standard error. The seed
is fixed, so a test passes always or never; the chance that a right estimator fails with a seed is told: false alarm.
"""

import dataclasses
import itertools

import numpy as np
import pytest
from conftest import draw_mdp
from scipy.stats import norm

from pencourse import MDP, evaluate, sampling
from pencourse.sampling import Segments
from pencourse.simplex import random_policy, uniform_policy

FALSE_ALARM = 1e-5


def unbiased(samples, truth):
    """See that the mean of independent samples (n, …) is the truth, each entry at a level that adds up to 1e-5."""
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    off = np.abs(samples.mean(axis=0) - truth)
    threshold = norm.isf(FALSE_ALARM / 2 / off.size)
    assert (off <= threshold * error + 1e-12).all(), (off / np.maximum(error, 1e-300)).max()
    assert (off <= 0.2 * (1 + np.abs(truth))).all()  # so that the test has the power to see something


def small(seed=0, **options):
    mdp = draw_mdp(seed, 4, 3, **{"branching": 2, "temperature": 0.3, **options})
    return mdp, 0.8 * random_policy(np.random.default_rng(seed), 4, 3) + 0.2 / 3


def brute_force(mdp, policy, length, start):
    """Return (states, actions, probability) of all sequences of positive probability, one by one."""
    for states in itertools.product(range(mdp.n_states), repeat=length):
        for actions in itertools.product(range(mdp.n_actions), repeat=length):
            probability = start[states[0]]
            for t in range(length):
                probability *= policy[states[t], actions[t]]
                if t + 1 < length:
                    probability *= mdp.transition[states[t], actions[t], states[t + 1]]
            if probability > 0:
                yield states, actions, probability


# Roll-outs


def test_roll_outs_follow_policy_and_kernel():
    """Steps are as frequent as they are probable; what cannot happen never does."""
    mdp, policy = small(1)
    policy = np.where(np.arange(3) == 1, 0.0, policy)
    policy /= policy.sum(axis=1, keepdims=True)
    n = 40_000
    segments = sampling.roll_out(mdp, policy, n, np.random.default_rng(0), length=2)
    assert segments.states.shape == (n, 2) and segments.alive.all() and len(segments) == n
    seen = np.zeros((4, 3, 4))
    np.add.at(seen, (segments.states[:, 0], segments.actions[:, 0], segments.states[:, 1]), 1 / n)
    truth = mdp.initial[:, None, None] * policy[:, :, None] * mdp.transition
    assert (seen[truth == 0] == 0).all()
    z = np.abs(seen - truth)[truth > 0] / np.sqrt(truth * (1 - truth) / n)[truth > 0]
    assert z.max() <= norm.isf(FALSE_ALARM / 2 / z.size)


def test_the_last_outcome_and_the_largest_number():
    """A uniform number just below 1 draws the last outcome that is possible, in each row."""

    class Top:
        def random(self, n):
            return np.full(n, np.nextafter(1.0, 0.0))

    rows = np.array([[0.2, 0.8, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]] * 400)
    draw = sampling.Draw(rows)
    assert np.array_equal(draw(np.arange(1200), Top()), np.tile([1, 2, 0], 400))


def test_roll_outs_start_where_they_are_told():
    mdp, policy = small(2)
    start, first = np.array([3, 0, 3]), np.array([2, 2, 1])
    segments = sampling.roll_out(mdp, policy, 3, np.random.default_rng(0), length=4, start=start, first_action=first)
    assert np.array_equal(segments.states[:, 0], start) and np.array_equal(segments.actions[:, 0], first)


def test_random_ends_are_geometric():
    """Pr(a roll-out has more than t steps) = γᵗ; without a future there is one step."""
    mdp, policy = small(3)
    n = 20_000
    segments = sampling.roll_out(mdp, policy, n, np.random.default_rng(0))
    for t in range(30):
        p = 0.9**t
        assert abs(segments.alive[:, t].mean() - p) <= norm.isf(FALSE_ALARM / 60) * np.sqrt(p * (1 - p) / n)
    assert segments.alive[:, 0].all() and segments.alive.any(axis=0).all()
    assert sampling.roll_out(small(3, discount=0.0)[0], policy, 5, np.random.default_rng(0)).states.shape == (5, 1)


def test_a_generator_with_the_same_seed_gives_the_same_roll_outs():
    mdp, policy = small(4)
    one, other = (sampling.roll_out(mdp, policy, 50, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one.states, other.states) and np.array_equal(one.actions, other.actions)


def test_segments_are_indexed_and_joined():
    mdp, policy = small(4)
    one, other = (sampling.roll_out(mdp, policy, 6, np.random.default_rng(k), length=3) for k in range(2))
    assert np.array_equal(one[[4, 1]].states, one.states[[4, 1]]) and one[:2, 1:].actions.shape == (2, 2)
    assert np.array_equal(one.joined(other).states, np.concatenate([one.states, other.states]))
    assert np.array_equal(one.joined(other, axis=1).actions, np.hstack([one.actions, other.actions]))


# Enumeration


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("start", [None, [0.0, 0.25, 0.75, 0.0]])
def test_enumeration_is_complete(length, start):
    mdp, policy = small(5)
    mdp = mdp if start is None else dataclasses.replace(mdp, initial=start)
    policy = np.where((np.arange(4) == 2)[:, None], [0.0, 0.4, 0.6], policy)
    expected = list(brute_force(mdp, policy, length, mdp.initial))
    segments, probability = sampling.enumerate_segments(mdp, policy, length)
    found = zip(map(tuple, segments.states.tolist()), map(tuple, segments.actions.tolist()), strict=True)
    found = dict(zip(found, probability, strict=True))
    assert len(found) == len(segments) == len(expected) and segments.alive.all()
    assert np.allclose([found[states, actions] for states, actions, _ in expected], [p for *_, p in expected])
    assert np.isclose(probability.sum(), 1.0)


def test_enumeration_says_how_many_segments_there_would_be():
    mdp, policy = small(6)
    n = len(list(brute_force(mdp, policy, 3, mdp.initial)))
    with pytest.raises(ValueError, match=rf"length is 3, which makes {n} segments; allowed are .* {n - 1} at most"):
        sampling.enumerate_segments(mdp, policy, 3, most=n - 1)
    assert len(sampling.enumerate_segments(mdp, policy, 3, most=n)[0]) == n
    dense, policy = draw_mdp(0, 10, 10), uniform_policy(10, 10)
    with pytest.raises(ValueError, match=f"makes {100**30} segments"):  # more than 64 bits
        sampling.enumerate_segments(dense, policy, 30)


# Sums and scores


@pytest.mark.parametrize("discount", [1.0, 0.9, 0.0])
def test_segment_sums_by_hand(discount):
    mdp, policy = small(7)
    segments = sampling.roll_out(mdp, policy, 20, np.random.default_rng(0))
    features = np.random.default_rng(1).normal(size=(4, 3, 2))
    sums = sampling.segment_sum(features, segments, discount)
    for i, (states, actions, alive) in enumerate(zip(segments.states, segments.actions, segments.alive, strict=True)):
        steps = range(alive.sum())
        assert np.allclose(sums[i], sum(discount**t * features[states[t], actions[t]] for t in steps))
    assert np.allclose(sampling.segment_sum(features[..., 1], segments, discount), sums[:, 1])


def test_visits_and_scores_by_hand():
    mdp, policy = small(8)
    segments = sampling.roll_out(mdp, policy, 20, np.random.default_rng(0))
    weights = np.random.default_rng(1).normal(size=20)
    counts, scores = np.zeros((20, 4, 3)), np.zeros((4, 3))
    for i, t in zip(*np.nonzero(segments.alive), strict=True):
        s, a = segments.states[i, t], segments.actions[i, t]
        counts[i, s, a] += 1
        scores[s, a] += weights[i] / policy[s, a]
    assert np.array_equal(sampling.visits(segments, 4, 3), counts)
    assert np.allclose(sampling.score_gradient(policy, segments, weights), scores)
    assert np.allclose(np.tensordot(weights, counts, axes=1) / policy, scores)


def test_the_score_gradient_is_unbiased_with_and_without_a_baseline():
    """Over all pairs of segments, each as probable as it is, estimates from two roll-outs average to the gradient.

    No sampling: the expectation is a sum. ∂/∂y Σ p(d) G(d) comes from differences; rows are compared less their means.
    """
    mdp, policy = small(9)
    segments, probability = sampling.enumerate_segments(mdp, policy, 2)
    gains = np.random.default_rng(0).normal(size=len(segments)) + 3.0

    def expectation(y):
        chance = probability / policy[segments.states, segments.actions].prod(axis=1)
        return float((chance * y[segments.states, segments.actions].prod(axis=1)) @ gains)

    truth, step = np.zeros((4, 3)), 1e-6
    for cell in np.ndindex(4, 3):
        change = np.zeros((4, 3))
        change[cell] = step
        truth[cell] = (expectation(policy + change) - expectation(policy - change)) / (2 * step)
    plain, based = np.zeros((2, 4, 3))
    for (i, p), (j, q) in itertools.product(enumerate(probability), repeat=2):
        drawn, g = segments[[i, j]], gains[[i, j]]
        plain += p * q * sampling.score_gradient(policy, drawn, g / 2)
        based += p * q * sampling.score_gradient(policy, drawn, sampling.leave_one_out(g) / 2)
    assert np.allclose(plain, truth, atol=1e-8)
    centre = truth - truth.mean(axis=1, keepdims=True)
    assert np.allclose(based - based.mean(axis=1, keepdims=True), centre, atol=1e-8)


def test_the_score_gradient_of_roll_outs_is_unbiased():
    """z-test, false alarm 1e-5: ∂V(ρ)/∂y = d Q where the return has no regulariser, from 4,000 batches of 10."""
    mdp, policy = small(10, temperature=0.0, discount=0.7)
    at, rng = evaluate(mdp, policy), np.random.default_rng(0)
    truth = at.occupancy[:, None] * at.action_value
    segments = sampling.roll_out(mdp, policy, 40_000, rng)
    gains = sampling.segment_sum(mdp.reward, segments).reshape(4000, 10)
    weights = np.apply_along_axis(sampling.leave_one_out, 1, gains).ravel() / 10
    scores = weights[:, None, None] * sampling.visits(segments, 4, 3) / policy
    estimates = scores.reshape(4000, 10, 4, 3).sum(axis=1)
    centred = [value - value.mean(axis=-1, keepdims=True) for value in (estimates, truth)]
    unbiased(*centred)


def test_leave_one_out():
    assert np.allclose(sampling.leave_one_out(np.array([1.0, 2.0, 6.0])), [1 - 4, 2 - 3.5, 6 - 1.5])
    assert np.allclose(sampling.leave_one_out(np.array([11.0, 12.0, 16.0])), [1 - 4, 2 - 3.5, 6 - 1.5])
    assert np.array_equal(sampling.leave_one_out(np.array([5.0])), [5.0])


# Values and occupancies


def test_returns_and_occupancies_are_unbiased():
    """z-tests, false alarm 1e-5 each: V(ρ) with its regulariser, and d(s) y(a|s)."""
    mdp, policy = small(11)
    at = evaluate(mdp, policy)
    segments = sampling.roll_out(mdp, policy, 20_000, np.random.default_rng(0))
    unbiased(sampling.visits(segments, 4, 3), at.state_action_occupancy)
    paid = sampling.regularised_reward(mdp, policy)
    assert np.allclose(paid, mdp.reward - 0.3 * (policy * np.log(policy)).sum(axis=1, keepdims=True))
    unbiased(sampling.segment_sum(paid, segments), at.expected_return)


def test_action_values_are_unbiased():
    """z-test, false alarm 1e-5: the mean over 300 calls, and the standard error that each call tells."""
    mdp, policy = small(12, discount=0.8)
    rng = np.random.default_rng(0)
    calls = [sampling.estimate_action_value(mdp, policy, 10, rng) for _ in range(300)]
    means, errors = (np.array(part) for part in zip(*calls, strict=True))
    unbiased(means, evaluate(mdp, policy).action_value)
    assert np.allclose(np.sqrt((errors**2).mean(axis=0)), means.std(axis=0, ddof=1), rtol=0.25)  # 5 σ of a χ² of 300


def deterministic(seed):
    rng = np.random.default_rng(seed)
    kernel = np.eye(4)[rng.integers(4, size=(4, 3))]
    return MDP(kernel, rng.normal(size=(4, 3)), 0.9, np.full(4, 0.25), 0.3), 0.2 / 3 + 0.8 * random_policy(rng, 4, 3)


def test_a_critic_stays_at_the_truth():
    """In a deterministic world every sample of the target at Q^y is Q^y."""
    mdp, policy = deterministic(0)
    truth = evaluate(mdp, policy).action_value
    segments = sampling.roll_out(mdp, uniform_policy(4, 3), 30, np.random.default_rng(0))
    assert np.allclose(sampling.td_update(mdp, policy, truth, segments, 0.5), truth, atol=1e-12)


def test_a_critic_moves_by_the_mean_error_and_only_where_it_was():
    mdp, policy = small(13)
    states, actions = np.array([[0, 1], [0, 3], [2, 2]]), np.array([[1, 0], [1, 2], [0, 0]])
    alive = np.array([[True, True], [True, True], [True, False]])
    table = np.random.default_rng(0).normal(size=(4, 3))
    given = table.copy()
    value = (policy * table).sum(axis=1) - 0.3 * (policy * np.log(policy)).sum(axis=1)
    moved = sampling.td_update(mdp, policy, table, Segments(states, actions, alive), 0.25)
    expected = table.copy()
    target = mdp.reward[0, 1] + 0.9 * (value[1] + value[3]) / 2
    expected[0, 1] += 0.25 * (target - table[0, 1])
    assert np.allclose(moved, expected) and np.array_equal(table, given)


def test_a_critic_finds_the_action_values():
    """With steps 1/(1 + k/20) the last few hundred samples of each cell are averaged: errors of a few hundredths."""
    mdp, policy = small(14, discount=0.6)
    rng, table = np.random.default_rng(0), np.zeros((4, 3))
    for k in range(400):
        segments = sampling.roll_out(mdp, uniform_policy(4, 3), 100, rng, length=2)
        table = sampling.td_update(mdp, policy, table, segments, 1 / (1 + k / 20))
    assert np.abs(table - evaluate(mdp, policy).action_value).max() <= 0.1


# Bad inputs


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda mdp, y, rng: sampling.roll_out(mdp, y, 0, rng), "n is 0; allowed is an integer, at least 1"),
        (lambda mdp, y, rng: sampling.roll_out(mdp, y, 3, rng, length=0), "length is 0; allowed is an integer"),
        (
            lambda mdp, y, rng: sampling.roll_out(mdp, y[:, :2], 3, rng),
            r"policy has shape \(4, 2\); allowed is \(4, 3\)",
        ),
        (lambda mdp, y, rng: sampling.roll_out(mdp, 2 * y, 3, rng), "the row sum of policy"),
        (lambda mdp, y, rng: sampling.enumerate_segments(mdp, y, 0), "length is 0; allowed is an integer, at least 1"),
        (
            lambda mdp, y, rng: sampling.roll_out(mdp, y, 2, rng, start=[0, 4]),
            r"start\[1\] is 4\.0; allowed is .* 0 to 3",
        ),
        (lambda mdp, y, rng: sampling.roll_out(mdp, y, 2, rng, start=[0]), r"start has shape \(1,\); allowed is \(2\)"),
        (lambda mdp, y, rng: sampling.roll_out(mdp, y, 1, rng, first_action=[0.5]), r"first_action\[0\] is 0\.5"),
        (
            lambda mdp, y, rng: sampling.estimate_action_value(mdp, y, 1, rng),
            "n is 1; allowed is an integer, at least 2",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*small(0), np.random.default_rng(0))
