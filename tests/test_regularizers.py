"""h, its conjugate, its maximiser and their derivatives, by definition and by finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import rel_entr

from pencourse import Entropy, NoRegularizer, SquaredNorm

STRONG = [Entropy(), SquaredNorm()]
ALL = [*STRONG, NoRegularizer()]
named = {"argvalues": STRONG, "ids": lambda h: h.name}
all_named = {"argvalues": ALL, "ids": lambda h: h.name}
temperatures = st.sampled_from([1e-3, 0.1, 1.0, 10.0])
action_values = st.integers(1, 6).flatmap(lambda n: arrays(float, n, elements=st.floats(-3, 3)))


def interior_rows(seed, n, size):
    return 0.9 * np.random.default_rng(seed).dirichlet(np.ones(n), size) + 0.1 / n


def test_values_by_hand():
    u = np.array([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(Entropy().value(u), [-np.log(2), 0.0], atol=1e-15)
    np.testing.assert_allclose(SquaredNorm().value(u), [0.25, 0.5], atol=1e-15)
    np.testing.assert_array_equal(NoRegularizer().value(u), [0.0, 0.0])
    assert Entropy().gradient(u)[0, 2] == -np.inf
    np.testing.assert_allclose(Entropy().gradient(u)[0, :2], 1 - np.log(2), atol=1e-15)
    np.testing.assert_allclose(Entropy().conjugate(np.array([1.0, 1.0]), 2.0), 1 + 2 * np.log(2), atol=1e-14)
    np.testing.assert_allclose(Entropy().maximizer(np.array([np.log(3), 0.0]), 1.0), [0.75, 0.25], atol=1e-15)
    np.testing.assert_allclose(SquaredNorm().maximizer(np.array([0.5, 0.0]), 1.0), [0.75, 0.25], atol=1e-15)
    # ⟨u,q⟩ − ½‖u‖² at u = (¾, ¼)
    np.testing.assert_allclose(SquaredNorm().conjugate(np.array([0.5, 0.0]), 1.0), 0.375 - 0.3125, atol=1e-15)


@pytest.mark.parametrize("regularizer", **all_named)
def test_gradient_by_finite_differences(regularizer):
    rng = np.random.default_rng(1)
    for u in interior_rows(2, 4, 20):
        direction = rng.normal(size=4)
        step = 1e-5
        slope = (regularizer.value(u + step * direction) - regularizer.value(u - step * direction)) / (2 * step)
        assert abs(slope - regularizer.gradient(u) @ direction) <= 1e-6  # third derivatives of u log u, at u ≥ 0.025


@pytest.mark.parametrize("regularizer", **all_named)
def test_bound_is_the_maximum_of_the_size_of_h(regularizer):
    rng = np.random.default_rng(3)
    for n in (1, 2, 5):
        candidates = np.vstack([rng.dirichlet(np.full(n, 0.3), 400), np.eye(n), np.full((1, n), 1 / n)])
        np.testing.assert_allclose(np.abs(regularizer.value(candidates)).max(), regularizer.bound(n), atol=1e-12)


@pytest.mark.parametrize("regularizer", **all_named)
@given(q=action_values, temperature=st.one_of(st.just(0.0), temperatures), seed=st.integers(0, 1000))
def test_fenchel_young(regularizer, q, temperature, seed):
    """⟨u,q⟩ ≤ τh(u) + h*_τ(q) for every u of the simplex, with equality at the maximiser."""
    u = np.vstack([np.random.default_rng(seed).dirichlet(np.ones(len(q)), 20), np.eye(len(q))])
    conjugate = regularizer.conjugate(q, temperature)
    assert (u @ q - temperature * regularizer.value(u) <= conjugate + 1e-12 * (1 + temperature)).all()
    best = regularizer.maximizer(q, temperature)
    np.testing.assert_allclose(best.sum(), 1, atol=1e-12)
    assert (best >= 0).all()
    attained = best @ q - temperature * regularizer.value(best)
    np.testing.assert_allclose(attained, conjugate, atol=1e-12 * (1 + temperature))


@pytest.mark.parametrize("regularizer", **named)
@pytest.mark.parametrize("temperature", [0.01, 0.3, 2.0])
def test_gradient_of_the_conjugate_is_the_maximiser(regularizer, temperature):
    rng = np.random.default_rng(4)
    step = 1e-4 * temperature
    for q in temperature * rng.normal(size=(20, 5)):
        direction = rng.normal(size=5)
        up, down = (regularizer.conjugate(q + sign * step * direction, temperature) for sign in (1, -1))
        # Danskin; the squared norm's maximiser is only Lipschitz, hence first order in the step.
        assert abs((up - down) / (2 * step) - regularizer.maximizer(q, temperature) @ direction) <= 1e-3


@pytest.mark.parametrize("regularizer", **named)
@pytest.mark.parametrize("temperature", [0.01, 0.3, 2.0])
def test_derivative_of_the_maximiser(regularizer, temperature):
    """By central differences, away from the kinks of the squared norm: there the support changes."""
    rng = np.random.default_rng(5)
    step, smooth, supports = 1e-4 * temperature, 0, set()
    for q in temperature * rng.normal(size=(60, 4)):
        direction, other = rng.normal(size=(2, 4))
        up, down = (regularizer.maximizer(q + sign * step * direction, temperature) for sign in (1, -1))
        if ((up > 0) != (down > 0)).any():
            continue
        smooth += 1
        u = regularizer.maximizer(q, temperature)
        supports.add(int((u > 0).sum()))
        derivative = regularizer.maximizer_derivative(u, direction, temperature)
        np.testing.assert_allclose((up - down) / (2 * step), derivative, atol=1e-6 / temperature)
        assert abs(derivative.sum()) <= 1e-12 / temperature  # the row keeps its sum
        crossed = direction @ regularizer.maximizer_derivative(u, other, temperature)
        assert abs(other @ derivative - crossed) <= 1e-12 / temperature  # it is symmetric
    assert smooth >= 55
    if regularizer.name == "squared_norm":
        assert len(supports) >= 3  # the test has seen rows with and without zeros


@pytest.mark.parametrize("regularizer", **all_named)
def test_temperature_zero_is_the_hard_maximum(regularizer):
    q = np.array([[1.0, 3.0, 3.0], [0.0, -1.0, -2.0]])
    np.testing.assert_array_equal(regularizer.conjugate(q, 0.0), [3.0, 0.0])
    np.testing.assert_array_equal(regularizer.maximizer(q, 0.0), [[0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(regularizer.maximizer_derivative(np.eye(3)[:2], q, 0.0), np.zeros((2, 3)))
    hot = NoRegularizer()
    np.testing.assert_array_equal(hot.maximizer(q, 5.0), hot.maximizer(q, 0.0))
    np.testing.assert_array_equal(hot.conjugate(q, 5.0), [3.0, 0.0])


@pytest.mark.parametrize("regularizer", **named)
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6, 1e12])
@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 1.0, 10.0, 1e6])
def test_no_size_overflows(regularizer, size, temperature):
    q = size * np.array([[1.0, -1.0, 0.5], [-3.0, -3.0, -3.0]])
    with np.errstate(all="raise", under="ignore"):
        u = regularizer.maximizer(q, temperature)
        conjugate = regularizer.conjugate(q, temperature)
    np.testing.assert_allclose(u.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(u[1], 1 / 3, atol=1e-12)
    # max q − τ max h ≤ h*_τ(q) ≤ max q − τ min h
    low, high = (-0.5, 0.0) if regularizer.name == "squared_norm" else (0.0, np.log(3))
    slack = 1e-12 * (size + temperature)
    assert (conjugate >= q.max(axis=1) + temperature * low - slack).all()
    assert (conjugate <= q.max(axis=1) + temperature * high + slack).all()


@pytest.mark.parametrize("regularizer", **named)
@given(q=action_values, factor=st.sampled_from([1e-3, 7.0, 1e3]), constant=st.floats(-5, 5))
def test_scaling_and_constants(regularizer, q, factor, constant):
    """h*_{cτ}(cq) = c h*_τ(q) with the same maximiser; a constant passes through the conjugate."""
    u, conjugate = regularizer.maximizer(q, 0.3), regularizer.conjugate(q, 0.3)
    np.testing.assert_allclose(regularizer.maximizer(factor * q, factor * 0.3), u, atol=1e-10)
    np.testing.assert_allclose(regularizer.conjugate(factor * q, factor * 0.3), factor * conjugate, atol=1e-11 * factor)
    np.testing.assert_allclose(regularizer.maximizer(q + constant, 0.3), u, atol=1e-10)
    np.testing.assert_allclose(regularizer.conjugate(q + constant, 0.3), conjugate + constant, atol=1e-11)


@pytest.mark.parametrize(("regularizer", "norm"), [(Entropy(), 1), (SquaredNorm(), 2)], ids=["entropy", "squared_norm"])
def test_strong_convexity(regularizer, norm):
    """h(v) ≥ h(u) + ⟨∇h(u), v − u⟩ + ½‖v − u‖²; for the entropy the rest is KL(v‖u), and this is Pinsker."""
    u, v = interior_rows(6, 4, 200), np.random.default_rng(7).dirichlet(np.full(4, 0.4), 200)
    rest = regularizer.value(v) - regularizer.value(u) - ((v - u) * regularizer.gradient(u)).sum(axis=1)
    assert (rest >= 0.5 * np.linalg.norm(v - u, ord=norm, axis=1) ** 2 - 1e-12).all()
    if norm == 1:
        np.testing.assert_allclose(rest, rel_entr(v, u).sum(axis=1), atol=1e-12)


@pytest.mark.parametrize("regularizer", **all_named)
def test_everything_works_on_leading_axes(regularizer):
    rng = np.random.default_rng(8)
    q, direction = rng.normal(size=(2, 2, 3, 4))
    u = regularizer.maximizer(q, 0.5)
    assert regularizer.value(u).shape == regularizer.conjugate(q, 0.5).shape == (2, 3)
    derivative = regularizer.maximizer_derivative(u, direction, 0.5)
    assert u.shape == regularizer.gradient(u).shape == derivative.shape == (2, 3, 4)
    for i, j in np.ndindex(2, 3):
        np.testing.assert_allclose(u[i, j], regularizer.maximizer(q[i, j], 0.5), atol=1e-15)
        one = regularizer.maximizer_derivative(u[i, j], direction[i, j], 0.5)
        np.testing.assert_allclose(derivative[i, j], one, atol=1e-14)
