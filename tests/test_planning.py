"""Optimal policies: honest residuals at every size, theory's rates and identities, and optima printed in textbooks."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, rel_entr, softmax, xlogy

from pencourse import (
    MDP,
    ConvergenceError,
    Entropy,
    NoRegularizer,
    SquaredNorm,
    evaluate,
    mirror_descent,
    planning,
    policy_iteration,
    solve,
    value_iteration,
    worlds,
)
from pencourse.evaluation import backup
from pencourse.simplex import random_policy

REGULARIZERS = [Entropy(), SquaredNorm(), NoRegularizer()]
regularizers = pytest.mark.parametrize("regularizer", REGULARIZERS, ids=lambda h: h.name)


def project_by_bisection(point):
    """(point − ν)₊ with ν found by halving: slow, and nothing like the library's sorting."""
    low, high = point.min(axis=-1) - 1.0, point.max(axis=-1)
    for _ in range(200):
        middle = (low + high) / 2
        heavy = np.maximum(point - middle[..., None], 0).sum(axis=-1) > 1
        low, high = np.where(heavy, middle, low), np.where(heavy, high, middle)
    return np.maximum(point - ((low + high) / 2)[..., None], 0)


def bellman(mdp, value):
    """TV, written with nothing of the library."""
    q = mdp.reward + mdp.discount * np.einsum("sat,t->sa", mdp.transition, value)
    if mdp.temperature == 0 or mdp.regularizer.name == "none":
        return q.max(axis=1)
    if mdp.regularizer.name == "entropy":
        return mdp.temperature * logsumexp(q / mdp.temperature, axis=1)
    top = q.max(axis=1, keepdims=True)
    u = project_by_bisection((q - top) / mdp.temperature)
    return top[:, 0] + (u * (q - top)).sum(axis=1) - mdp.temperature / 2 * (u * u).sum(axis=1)


def residual(mdp, value):
    return float(np.abs(bellman(mdp, value) - value).max())


def tight(mdp):
    """V* to rounding, which leaves a residual of about 1e-16 |V|."""
    return solve(mdp, tolerance=4e-15 / (1 - mdp.discount))


# --- solve ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, 1e-3, 0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 0.99, 0.999])
def test_solve_reaches_its_tolerance_without_a_warning(draw, temperature, discount):
    cases = itertools.product(REGULARIZERS, [1e-6, 1.0, 1e6], [None, 2], [(12, 4), (1, 4), (6, 1), (1, 1)])
    for k, (regularizer, scale, branching, (n_states, n_actions)) in enumerate(cases):
        sizes = {"branching": None if n_states == 1 else branching, "scale": scale}
        mdp = draw(k, n_states, n_actions, discount=discount, temperature=temperature, regularizer=regularizer, **sizes)
        with np.errstate(all="raise", under="ignore"):
            plan = solve(mdp)
        target = 1e-10 * mdp.scale
        rounding = 1e-14 * np.abs(plan.value).max()
        assert plan.residual <= target
        assert residual(mdp, plan.value) <= plan.residual + rounding  # what it says of itself is so
        assert (plan.policy >= 0).all()
        np.testing.assert_allclose(plan.policy.sum(axis=1), 1, atol=1e-12)
        q = mdp.reward + discount * np.einsum("sat,t->sa", mdp.transition, plan.value)
        np.testing.assert_allclose(plan.action_value, q, atol=rounding + 1e-300)
        # The policy is worth what the plan says: its value differs from V by at most residual/(1−γ).
        worth = evaluate(mdp, plan.policy).value
        np.testing.assert_allclose(worth, plan.value, atol=2 * (target + rounding) / (1 - discount))
        assert plan.expected_return == pytest.approx(mdp.initial @ plan.value, abs=rounding + 1e-300)
        assert isinstance(plan.expected_return, float) and isinstance(plan.iterations, int)


@regularizers
@pytest.mark.parametrize("branching", [None, 3])
def test_solve_on_a_hundred_states(draw, regularizer, branching):
    mdp = draw(3, 100, 5, temperature=0.1, discount=0.99, regularizer=regularizer, branching=branching)
    plan = solve(mdp, tolerance=1e-12)
    assert residual(mdp, plan.value) <= 2e-12 * mdp.scale
    assert plan.iterations <= 40


@regularizers
@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (6, 1), (6, 3)])
@pytest.mark.parametrize("discount", [0.3, 0.99])
def test_the_impossible_is_refused(draw, regularizer, shape, discount):
    """A residual of 1e-30 is met only where rounding leaves none, and then it is truly 0.

    Where values are small (γ = 0.3) Newton's corrections often refine the last bit away; at γ = 0.99 they do not.
    """
    refused = 0
    for seed in range(10):
        mdp = draw(seed, *shape, discount=discount, temperature=0.3, regularizer=regularizer)
        try:
            plan = solve(mdp, tolerance=1e-30)
        except ConvergenceError as error:
            refused += 1
            assert error.solver == "solve" and 0 < error.residual < 1e-10 and error.iterations > 0
            assert error.tolerance == 1e-30 * mdp.scale
            assert f"{error.residual:.3g}" in str(error)
        else:
            assert plan.residual <= 1e-30 * mdp.scale
    assert refused >= 1 or shape[0] == 1 or regularizer.name == "none" or discount == 0.3


def test_a_constant_reward_is_seen_through_at_once(draw):
    """After one sweep the shift γ/(1−γ)·(max Δ + min Δ)/2 has found V* = c/(1−γ)."""
    mdp = dataclasses.replace(draw(3, temperature=0.0, branching=2), reward=np.full((6, 3), 7.0))
    plan = solve(mdp)
    assert plan.iterations == 1
    np.testing.assert_allclose(plan.value, 70.0, atol=1e-9)


def test_no_rewards_at_all():
    mdp = MDP(np.full((2, 3, 2), 0.5), np.zeros((2, 3)), 0.9, [1.0, 0.0])
    plan = solve(mdp)
    assert plan.residual == 0.0 and not plan.value.any()
    np.testing.assert_array_equal(plan.policy, [[1, 0, 0], [1, 0, 0]])  # the first action at ties


@regularizers
@pytest.mark.parametrize("branching", [None, 2])
def test_warm_start(draw, regularizer, branching):
    mdp = draw(4, 30, 3, temperature=0.2, regularizer=regularizer, branching=branching, discount=0.97)
    cold = tight(mdp)
    warm = solve(mdp, initial_value=cold.value)
    assert warm.iterations == 0
    np.testing.assert_array_equal(warm.value, cold.value)
    for start in (1e6 * np.ones(30), -1e6 * np.arange(30.0), list(range(30))):
        far = solve(mdp, initial_value=start)
        np.testing.assert_allclose(far.value, cold.value, atol=2e-10 * mdp.scale / 0.03)
    near = dataclasses.replace(mdp, reward=mdp.reward + 1e-6)
    assert solve(near, initial_value=cold.value).iterations <= solve(near).iterations


# --- invariances ----------------------------------------------------------------------------------


@regularizers
@given(seed=st.integers(0, 10**6), temperature=st.sampled_from([0.0, 0.05, 1.0]), branching=st.sampled_from([None, 2]))
def test_invariances(draw, regularizer, seed, temperature, branching):
    """Constants in r move V by c/(1−γ); names of states and actions do not matter; r and τ scale together."""
    mdp = draw(seed, 5, 3, temperature=temperature, regularizer=regularizer, branching=branching)
    base = tight(mdp)
    moved = tight(dataclasses.replace(mdp, reward=mdp.reward + 1.5))
    np.testing.assert_allclose(moved.value, base.value + 15.0, atol=1e-9)
    np.testing.assert_allclose(moved.policy, base.policy, atol=1e-7)

    rng = np.random.default_rng(seed)
    states, actions = rng.permutation(5), rng.permutation(3)
    kernel = mdp.transition[np.ix_(states, actions, states)]
    renamed = MDP(kernel, mdp.reward[np.ix_(states, actions)], 0.9, mdp.initial[states], temperature, regularizer)
    permuted = tight(renamed)
    np.testing.assert_allclose(permuted.value, base.value[states], atol=1e-9)
    np.testing.assert_allclose(permuted.policy, base.policy[np.ix_(states, actions)], atol=1e-7)
    assert permuted.expected_return == pytest.approx(base.expected_return, abs=1e-9)

    scaled = tight(dataclasses.replace(mdp, reward=250 * mdp.reward, temperature=250 * temperature))
    np.testing.assert_allclose(scaled.value, 250 * base.value, atol=250e-9)
    np.testing.assert_allclose(scaled.policy, base.policy, atol=1e-7)


@regularizers
@given(seed=st.integers(0, 10**6), temperature=st.sampled_from([0.0, 0.3]))
def test_the_operator_contracts_is_monotone_and_passes_constants_on(draw, regularizer, seed, temperature):
    mdp = draw(seed, 5, 3, temperature=temperature, regularizer=regularizer)
    rng = np.random.default_rng(seed)
    low, gap, other = rng.normal(size=5), rng.random(5), rng.normal(size=5)
    image = planning.optimality_operator(mdp, low)
    np.testing.assert_allclose(image, bellman(mdp, low), atol=1e-12)
    assert (planning.optimality_operator(mdp, low + gap) >= image - 1e-13).all()
    np.testing.assert_allclose(planning.optimality_operator(mdp, low + 2.0), image + 1.8, atol=1e-12)
    distance = np.abs(planning.optimality_operator(mdp, other) - image).max()
    assert distance <= 0.9 * np.abs(other - low).max() + 1e-13


@regularizers
def test_the_greedy_policy_attains_the_operator(draw, regularizer):
    mdp = draw(16, 6, 3, temperature=0.3, regularizer=regularizer)
    value = np.random.default_rng(0).normal(size=6)
    q = mdp.reward + 0.9 * np.einsum("sat,t->sa", mdp.transition, value)
    policy = planning.greedy(mdp, q)
    attained = (policy * q).sum(axis=1) - 0.3 * regularizer.value(policy)
    np.testing.assert_allclose(attained, bellman(mdp, value), atol=1e-12)


# --- the iterators --------------------------------------------------------------------------------


@regularizers
def test_value_iteration_applies_the_operator(draw, regularizer):
    mdp = draw(7, 6, 3, regularizer=regularizer, branching=2)
    star = tight(mdp).value
    value = np.linspace(-1, 1, 6)
    first_error = np.abs(value - star).max()
    for k, plan in enumerate(itertools.islice(value_iteration(mdp, value), 40)):
        assert plan.iterations == k
        np.testing.assert_allclose(plan.value, value, atol=1e-12)
        error = np.abs(plan.value - star).max()
        assert error <= 0.9**k * first_error + 1e-11
        assert error <= plan.residual / (1 - 0.9) + 1e-11
        value = bellman(mdp, value)
        assert plan.residual == pytest.approx(np.abs(value - plan.value).max(), abs=1e-12)
        greedy = planning.greedy(mdp, mdp.reward + 0.9 * mdp.transition @ plan.value)
        np.testing.assert_allclose(plan.policy, greedy, atol=1e-10)
    assert next(value_iteration(mdp)).value.tolist() == [0.0] * 6
    assert next(value_iteration(mdp, star + 5.0)).residual == pytest.approx(0.5, abs=1e-11)  # T(V* + 5) = V* + 4.5


@pytest.mark.parametrize("branching", [None, 2])
@pytest.mark.parametrize("temperature", [0.05, 0.3, 2.0])
def test_policy_iteration_is_newton_with_its_quadratic_rate(draw, branching, temperature):
    """‖V⁺ − V*‖ ≤ γ²/(2τ(1−γ)) ‖V − V*‖² for the entropy; and the next V is a Newton step from this one."""
    held = 0
    for seed in range(12):
        mdp = draw(seed, 6, 3, temperature=temperature, branching=branching)
        star = tight(mdp).value
        start = random_policy(np.random.default_rng(seed), 6, 3)
        plans = list(itertools.islice(policy_iteration(mdp, start), 8))
        np.testing.assert_array_equal(plans[0].policy, start)
        for plan, following in itertools.pairwise(plans):
            before, after = (np.abs(p.value - star).max() for p in (plan, following))
            bound = 0.81 / (2 * temperature * 0.1) * before**2
            assert after <= bound + 1e-11
            held += 1e-9 < after and bound < 0.9 * before  # the bound says more than the contraction does
            greedy = softmax((mdp.reward + 0.9 * mdp.transition @ plan.value) / temperature, axis=1)
            np.testing.assert_allclose(following.policy, greedy, atol=1e-9)
            system = np.eye(6) - 0.9 * np.einsum("sa,sat->st", greedy, mdp.transition)
            newton = plan.value + np.linalg.solve(system, bellman(mdp, plan.value) - plan.value)
            np.testing.assert_allclose(following.value, newton, atol=1e-10)
    assert held >= 2


@regularizers
@pytest.mark.parametrize("temperature", [0.0, 0.2])
def test_policy_iteration_is_monotone_with_factor_gamma(draw, regularizer, temperature):
    for seed in range(15):
        mdp = draw(seed, 6, 3, temperature=temperature, regularizer=regularizer, branching=2)
        star = tight(mdp).value
        plans = list(itertools.islice(policy_iteration(mdp), 12))
        np.testing.assert_array_equal(plans[0].policy, np.full((6, 3), 1 / 3))
        for plan, following in itertools.pairwise(plans):
            np.testing.assert_allclose(plan.value, evaluate(mdp, plan.policy).value, atol=1e-12)
            assert (following.value >= plan.value - 1e-11).all()
            assert (following.value <= star + 1e-11).all()
            assert np.abs(following.value - star).max() <= 0.9 * np.abs(plan.value - star).max() + 1e-11
        assert plans[-1].residual <= 1e-12


def test_policy_iteration_ends_after_finitely_many_steps_at_temperature_zero(draw):
    for seed in range(10):
        plans = list(itertools.islice(policy_iteration(draw(seed, 8, 3, temperature=0.0, branching=2)), 20))
        np.testing.assert_array_equal(plans[-1].policy, plans[-2].policy)
        np.testing.assert_array_equal(plans[-1].value, plans[-2].value)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0, 1.5])
def test_a_mirror_step_is_what_the_formula_says(draw, share):
    """π⁺ ∝ π^{1−ητ} exp(ηQ^π), as products and powers."""
    mdp = draw(8, 5, 3, temperature=0.4)
    step = share / 0.4
    start = random_policy(np.random.default_rng(1), 5, 3)
    plans = list(itertools.islice(mirror_descent(mdp, step, start), 4))
    np.testing.assert_array_equal(plans[0].policy, start)
    for k, (plan, following) in enumerate(itertools.pairwise(plans)):
        assert plan.iterations == k
        found = evaluate(mdp, plan.policy)
        np.testing.assert_allclose(plan.value, found.value, atol=1e-12)
        weight = plan.policy ** (1 - share) * np.exp(step * found.action_value)
        np.testing.assert_allclose(following.policy, weight / weight.sum(axis=1, keepdims=True), atol=1e-10)


@pytest.mark.parametrize("regularizer", [Entropy(), SquaredNorm()], ids=lambda h: h.name)
def test_a_mirror_step_maximises_its_objective(draw, regularizer):
    """η⟨u, Q − τ∇h(π)⟩ − KL(u‖π) over the simplex: no other row does better, and only the new row as well."""
    mdp = draw(9, 5, 3, temperature=0.4, regularizer=regularizer)
    rng = np.random.default_rng(2)
    start = 0.8 * random_policy(rng, 5, 3) + 0.2 / 3
    _, following = itertools.islice(mirror_descent(mdp, 1.3, start), 2)
    slope = evaluate(mdp, start).action_value - 0.4 * regularizer.gradient(start)

    def objective(u):
        return 1.3 * (u * slope).sum(axis=1) - rel_entr(u, start).sum(axis=1)

    best = objective(following.policy)
    for _ in range(200):
        other = random_policy(rng, 5, 3)
        # KL is 1-strongly convex in ‖·‖₁
        assert (objective(other) <= best - 0.5 * np.abs(other - following.policy).sum(axis=1) ** 2 + 1e-12).all()


def test_mirror_descent_with_the_full_step_is_soft_policy_iteration(draw):
    for temperature in (0.05, 1.0):
        mdp = draw(10, 6, 3, temperature=temperature, branching=2)
        start = random_policy(np.random.default_rng(3), 6, 3)
        pairs = zip(mirror_descent(mdp, 1 / temperature, start), policy_iteration(mdp, start), strict=False)
        for mirror, newton in itertools.islice(pairs, 8):
            np.testing.assert_allclose(mirror.policy, newton.policy, atol=1e-9)
            np.testing.assert_allclose(mirror.value, newton.value, atol=1e-10)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("branching", [None, 2])
def test_mirror_descent_is_linear_with_the_factor_of_theory(draw, share, branching):
    """Cen et al. 2022, Theorem 1: ‖Q* − Q_{k+1}‖ ≤ γ (1 − ητ(1−γ))ᵏ (‖Q* − Q_0‖ + 2τ(1−ητ)‖log π* − log π_0‖)."""
    for seed in range(6):
        mdp = draw(seed, 6, 3, temperature=0.5, branching=branching, discount=0.8)
        best = tight(mdp)
        plans = list(itertools.islice(mirror_descent(mdp, share / 0.5), 60))
        start = 2 * 0.5 * (1 - share) * np.abs(np.log(best.policy) - np.log(plans[0].policy)).max()
        constant = np.abs(best.action_value - plans[0].action_value).max() + start
        for k, plan in enumerate(plans[1:]):
            error = np.abs(best.action_value - plan.action_value).max()
            assert error <= 0.8 * (1 - share * 0.2) ** k * constant + 1e-11
            assert (plan.value >= plans[k].value - 1e-11).all()
        if share <= 0.5:  # no faster than the policy's own memory π^{1−ητ}: the factor is not vacuous
            last = np.abs(best.action_value - plans[12].action_value).max()
            assert last >= 1e-3 * (1 - share) ** (2 * 12) * constant


def test_mirror_descent_at_temperature_zero(draw):
    """Natural policy gradient: V^{π_k} within (1/η log A + 1/(1−γ)·span)/k …, and never worse than before."""
    mdp = draw(11, 6, 3, temperature=0.0)
    star = tight(mdp).value
    plans = list(itertools.islice(mirror_descent(mdp, 2.0), 300))
    for k, (plan, following) in enumerate(itertools.pairwise(plans)):
        assert (following.value >= plan.value - 1e-11).all()
        if k:  # Agarwal, Kakade, Lee and Mahajan 2021, Theorem 16, in our units
            bound = (np.log(3) / 2.0 + np.ptp(mdp.reward) / 0.1) / (0.1 * k)
            assert mdp.initial @ (star - plan.value) <= bound
    np.testing.assert_allclose(plans[-1].value, star, atol=1e-8)


def test_mirror_descent_keeps_zeros_below_the_full_step_and_forgets_them_at_it(draw):
    mdp = draw(12, 5, 3, temperature=0.4)
    start = np.full((5, 3), 0.5)
    start[:, 1] = 0.0
    with np.errstate(all="raise", under="ignore"):
        kept = list(itertools.islice(mirror_descent(mdp, 0.5 / 0.4, start), 80))[-1]
        full = list(itertools.islice(mirror_descent(mdp, 1 / 0.4, start), 12))[-1]
    assert not kept.policy[:, 1].any()
    without = MDP(mdp.transition[:, [0, 2]], mdp.reward[:, [0, 2]], 0.9, mdp.initial, 0.4)
    np.testing.assert_allclose(kept.value, tight(without).value, atol=1e-10)
    np.testing.assert_allclose(full.value, tight(mdp).value, atol=1e-10)
    with pytest.raises(ValueError, match=r"initial_policy\[0, 1\] is 0.0; allowed is .*above 0"):
        next(mirror_descent(mdp, 1.2 / 0.4, start))


def test_mirror_descent_beyond_twice_the_full_step_fails():
    """One state: log-odds obey ℓ⁺ = (1−ητ)ℓ + ηΔ, so they settle for ητ < 2 and swing ever wider beyond."""
    mdp = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.0, [1.0], temperature=0.5)
    for share, settles in ((1.7, True), (2.3, False)):
        plans = list(itertools.islice(mirror_descent(mdp, share / 0.5), 60))
        odds = np.array([np.log(plan.policy[0, 0]) - np.log(plan.policy[0, 1]) for plan in plans[:12]])
        expected = [0.0]
        for _ in range(11):
            expected.append((1 - share) * expected[-1] + share / 0.5)
        np.testing.assert_allclose(odds, expected, rtol=1e-6, atol=1e-9)
        assert (plans[-1].residual < 1e-8) == settles


# --- identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_regularised_by_kl_to_uniform_only_a_constant_differs(draw, temperature):
    """V_KL = V_entropy − τ log A/(1−γ) in every state, with the same policy (lesson 02)."""
    mdp = draw(13, 6, 3, temperature=temperature)
    value = np.zeros(6)
    for _ in range(400):  # max_u ⟨u,q⟩ − τ KL(u‖uniform) = τ log mean exp(q/τ)
        q = mdp.reward + 0.9 * np.einsum("sat,t->sa", mdp.transition, value)
        value = temperature * logsumexp(q / temperature, axis=1, b=1 / 3)
    plan = tight(mdp)
    np.testing.assert_allclose(plan.value - temperature * np.log(3) / 0.1, value, atol=1e-10)
    np.testing.assert_allclose(plan.policy, softmax(q / temperature, axis=1), atol=1e-9)


@regularizers
def test_performance_difference(draw, regularizer):
    """V^{π′}(ρ) − V^π(ρ) = Σ_s d^{π′}(s) [⟨π′_s − π_s, Q^π_s⟩ − τh(π′_s) + τh(π_s)]."""
    for seed in range(15):
        mdp = draw(seed, 6, 3, temperature=0.6, regularizer=regularizer, branching=2)
        rng = np.random.default_rng(seed)
        first, second = random_policy(rng, 6, 3), np.eye(3)[rng.integers(3, size=6)]
        for old, new in ((first, second), (second, first)):
            at_old, at_new = evaluate(mdp, old), evaluate(mdp, new)
            h = regularizer.value
            inner = ((new - old) * at_old.action_value).sum(axis=1) - 0.6 * h(new) + 0.6 * h(old)
            difference = at_new.expected_return - at_old.expected_return
            assert difference == pytest.approx(at_new.occupancy @ inner, abs=1e-10)


def test_what_a_policy_loses_is_its_divergence_from_the_optimal_one(draw):
    """V*(ρ) − V^π(ρ) = τ Σ_s d^π(s) KL(π_s‖π*_s), zeros in π included."""
    for seed in range(15):
        mdp = draw(seed, 6, 3, temperature=0.3, branching=2)
        best = tight(mdp)
        rng = np.random.default_rng(seed)
        for policy in (random_policy(rng, 6, 3), np.eye(3)[rng.integers(3, size=6)]):
            found = evaluate(mdp, policy)
            divergence = rel_entr(policy, best.policy).sum(axis=1)
            lost = 0.3 * found.occupancy @ divergence
            assert best.expected_return - found.expected_return == pytest.approx(lost, abs=1e-9)


def test_an_absorbing_state_earns_entropy_for_ever():
    kernel = np.zeros((2, 3, 2))
    kernel[:, :, 1] = 1.0
    mdp = MDP(kernel, [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], 0.9, [1.0, 0.0], temperature=0.2)
    assert solve(mdp).value[1] == pytest.approx(0.2 * np.log(3) / 0.1, abs=1e-10)


def test_more_temperature_more_value_and_in_the_limit_none(draw):
    """V* grows with τ for the entropy (−h ≥ 0), and lies within τ log A/(1−γ) of the unregularised one."""
    mdp = draw(14, 6, 3, temperature=0.0, branching=2)
    before, hard = tight(mdp).value, tight(mdp).value
    for temperature in (1e-3, 1e-2, 0.1, 1.0, 10.0):
        value = tight(dataclasses.replace(mdp, temperature=temperature)).value
        assert (value >= before - 1e-9).all()
        assert (value <= hard + temperature * np.log(3) / 0.1 + 1e-9).all()
        before = value


def test_a_newton_step_lands_on_the_value_of_the_greedy_policy(draw):
    mdp = draw(15, 6, 3, temperature=0.3)
    value = np.random.default_rng(0).normal(size=6)
    policy = planning.greedy(mdp, backup(mdp, value))
    step = planning._newton_step(mdp, policy, planning.optimality_operator(mdp, value) - value)
    gain = (policy * mdp.reward).sum(axis=1) - 0.3 * xlogy(policy, policy).sum(axis=1)
    system = np.eye(6) - 0.9 * np.einsum("sa,sat->st", policy, mdp.transition)
    np.testing.assert_allclose(value + step, np.linalg.solve(system, gain), atol=1e-12)


# --- published optima -----------------------------------------------------------------------------


@pytest.mark.parametrize("discount", [0.0, 0.3, 0.6, 0.9])
def test_puterman_two_states(discount):
    """Puterman (1994), section 3.1: V* = [(5 − 5.5γ)/((1 − .5γ)(1 − γ)), −1/(1 − γ)] where the first action is best."""
    kernel = [[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    mdp = MDP(kernel, [[5.0, 10.0], [-1.0, -1.0]], discount, [1.0, 0.0])
    plan = solve(mdp)
    stay = (5 - 5.5 * discount) / ((1 - 0.5 * discount) * (1 - discount))
    leave = 10 - discount / (1 - discount)
    assert plan.value[0] == pytest.approx(max(stay, leave), abs=1e-9)
    assert plan.value[1] == pytest.approx(-1 / (1 - discount), abs=1e-9)
    assert plan.policy[0].argmax() == int(leave > stay)


def test_puterman_two_states_where_the_first_action_is_best():
    """γ = .95: V* = (−8.571…, −20), the first action (Puterman's figure 6.4.1 and the closed form)."""
    kernel = [[[0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    plan = solve(MDP(kernel, [[5.0, 10.0], [-1.0, -1.0]], 0.95, [1.0, 0.0]))
    np.testing.assert_allclose(plan.value, [(5 - 5.5 * 0.95) / ((1 - 0.475) * 0.05), -20.0], atol=1e-9)
    assert plan.policy[0, 0] == 1.0
    np.testing.assert_allclose(plan.value[0], -8.571, atol=5e-4)


def test_forest_management():
    """The example of the MDP toolbox (Chadès, Chapron, Cros, Garcia and Sabbadin 2014), at γ = .9: wait, always."""
    wait = [[0.1, 0.9, 0.0], [0.1, 0.0, 0.9], [0.1, 0.0, 0.9]]
    cut = [[1.0, 0.0, 0.0]] * 3
    mdp = MDP(np.stack([wait, cut], axis=1), [[0.0, 0.0], [0.0, 1.0], [4.0, 2.0]], 0.9, [1.0, 0.0, 0.0])
    plan = solve(mdp)
    np.testing.assert_allclose(plan.value, [26.244, 29.484, 33.484], atol=1e-9)
    np.testing.assert_array_equal(plan.policy[:, 0], 1.0)


def sutton_barto_gridworld():
    """Sutton and Barto (2018), example 3.5: 5 × 5 cells; A pays 10 and leads to A′, B pays 5 and leads to B′."""
    kernel, reward = np.zeros((25, 4, 25)), np.zeros((25, 4))
    for row, column, (action, (down, right)) in itertools.product(
        range(5), range(5), enumerate([(-1, 0), (1, 0), (0, 1), (0, -1)])
    ):
        state, (i, j) = 5 * row + column, (row + down, column + right)
        if (row, column) == (0, 1):
            target, gain = 21, 10.0
        elif (row, column) == (0, 3):
            target, gain = 13, 5.0
        elif 0 <= i < 5 and 0 <= j < 5:
            target, gain = 5 * i + j, 0.0
        else:
            target, gain = state, -1.0
        kernel[state, action, target], reward[state, action] = 1.0, gain
    return MDP(kernel, reward, 0.9, np.full(25, 0.04))


def test_sutton_barto_gridworld_optimal():
    """Figure 3.5 of the book (example 3.8), printed with one decimal."""
    printed = [
        [22.0, 24.4, 22.0, 19.4, 17.5],
        [19.8, 22.0, 19.8, 17.8, 16.0],
        [17.8, 19.8, 17.8, 16.0, 14.4],
        [16.0, 17.8, 16.0, 14.4, 13.0],
        [14.4, 16.0, 14.4, 13.0, 11.7],
    ]
    value = solve(sutton_barto_gridworld()).value
    np.testing.assert_allclose(value.reshape(5, 5), printed, atol=0.05)
    assert value[1] == pytest.approx(10 / (1 - 0.9**5), abs=1e-9)  # A, A′ and four steps back up


def test_sutton_barto_gridworld_uniform_policy():
    """Figure 3.2 of the book (example 3.5): the values of the policy that plays all moves alike."""
    printed = [
        [3.3, 8.8, 4.4, 5.3, 1.5],
        [1.5, 3.0, 2.3, 1.9, 0.5],
        [0.1, 0.7, 0.7, 0.4, -0.4],
        [-1.0, -0.4, -0.4, -0.6, -1.2],
        [-1.9, -1.3, -1.2, -1.4, -2.0],
    ]
    found = evaluate(sutton_barto_gridworld(), np.full((25, 4), 0.25))
    np.testing.assert_allclose(found.value.reshape(5, 5), printed, atol=0.05)


def test_russell_norvig_grid():
    """Russell and Norvig (2021), figure 17.3: utilities at γ = 1 with −0.04 a step, printed with three decimals.

    They count a cell's reward on leaving it, we on entering: theirs is our value − 0.04 outside the two ends.
    """
    rows = ["...G", ".#.H", "S..."]
    mdp = worlds.gridworld(rows, 1 - 1e-9, slip=0.2, goal_reward=1.0, hazard_reward=-1.0, step_reward=-0.04)
    printed = [[0.812, 0.868, 0.918], [0.762, np.nan, 0.660], [0.705, 0.655, 0.611, 0.388]]
    utility = solve(mdp).value.reshape(3, 4) - 0.04
    for row, known in zip(utility, printed, strict=True):
        for value, number in zip(row, known, strict=False):
            assert np.isnan(number) or abs(value - number) <= 5.1e-4


def test_frozen_lake():
    """Gymnasium's 4 × 4 lake, slippery, γ = .99: the number that value iteration prints everywhere."""
    lake = worlds.from_gymnasium("FrozenLake-v1", 0.99)
    assert solve(lake, tolerance=1e-12).value[0] == pytest.approx(0.5420259320, abs=1e-10)


def test_two_coin_bandit_by_hand():
    """One state, τ > 0: V* = τ log(e^{1/τ} + 1)/(1−γ) with the entropy."""
    for temperature in (0.1, 1.0):
        mdp = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5, [1.0], temperature)
        plan = solve(mdp)
        assert plan.value[0] == pytest.approx(2 * temperature * np.log(np.exp(1 / temperature) + 1), abs=1e-9)
        assert plan.policy[0, 0] == pytest.approx(1 / (1 + np.exp(-1 / temperature)), abs=1e-12)
    mdp = MDP(np.ones((1, 2, 1)), [[1.0, 0.0]], 0.5, [1.0], 2.0, SquaredNorm())
    plan = solve(mdp)  # u = (¾, ¼): ¾ − ½·2·(9/16 + 1/16)
    np.testing.assert_allclose(plan.policy, [[0.75, 0.25]], atol=1e-12)
    assert plan.value[0] == pytest.approx(2 * (0.75 - 0.625), abs=1e-9)


@pytest.mark.parametrize("branching", [None, 3])
def test_borrowed_factors_save_work_and_change_nothing(branching):
    """From a model close by they lead there in a few steps; from one far away they are dropped."""
    rng = np.random.default_rng(0)
    mdp = worlds.random_mdp(rng, 50, 4, 0.95, branching=branching, temperature=0.1)
    near = mdp.with_reward(mdp.reward + 1e-3 * rng.normal(size=mdp.reward.shape))
    far = worlds.random_mdp(rng, 50, 4, 0.95, branching=branching, temperature=0.1)
    start, cold = solve(mdp), solve(near)
    for factors in (evaluate(mdp, start.policy), evaluate(far, solve(far).policy)):
        found = solve(near, initial_value=start.value, factors=factors)
        assert found.residual <= 1e-10 * near.scale
        assert np.abs(found.value - cold.value).max() <= 2e-10 * near.scale / 0.05
    few = solve(near, initial_value=start.value, factors=evaluate(mdp, start.policy)).iterations
    assert few <= 5 and few < solve(near, initial_value=start.value).iterations
    exactly = solve(mdp.with_temperature(0.0))
    again = solve(mdp.with_temperature(0.0), initial_value=start.value, factors=evaluate(mdp, start.policy))
    assert np.allclose(again.value, exactly.value, rtol=0, atol=1e-7)
