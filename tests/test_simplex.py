"""Projections and policies: optimality conditions, a quadratic program, invariances."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pencourse import simplex

rows = st.integers(1, 7).flatmap(lambda n: arrays(float, (3, n), elements=st.floats(-1e4, 1e4)))
small_rows = st.integers(1, 7).flatmap(lambda n: arrays(float, (3, n), elements=st.floats(-2, 2)))
shares = st.floats(0, 1)  # of the largest floor, 1/A


def rounding(point):
    return 1e-14 * (1 + np.abs(point).max()) * point.shape[-1]


@given(st.one_of(rows, small_rows), shares)
def test_projection_makes_an_obtuse_angle_with_every_corner(point, share):
    # p is the projection iff ⟨point − p, v − p⟩ ≤ 0 for every v of the set; by linearity at its corners.
    n = point.shape[-1]
    floor = share / n
    p = simplex.project(point, floor)
    np.testing.assert_allclose(p.sum(axis=-1), 1, atol=rounding(point) + 1e-13)
    assert (p >= floor - 1e-15).all()
    corners = floor + (1 - n * floor) * np.eye(n)
    for given_row, row in zip(point, p, strict=True):
        angles = (corners - row) @ (given_row - row)
        assert angles.max() <= 10 * rounding(point) * (1 + np.abs(point).max())


@given(st.one_of(rows, small_rows))
def test_projection_is_idempotent_ignores_constants_and_follows_permutations(point):
    p = simplex.project(point)
    slack = 10 * rounding(point)
    np.testing.assert_allclose(simplex.project(p), p, atol=1e-14)
    np.testing.assert_allclose(simplex.project(point + 3.25), p, atol=slack)
    np.testing.assert_allclose(simplex.project(point[:, ::-1]), p[:, ::-1], atol=slack)


@given(small_rows, small_rows)
def test_projection_does_not_expand(first, second):
    n = min(first.shape[1], second.shape[1])
    a, b = first[:, :n], second[:, :n]
    after = np.linalg.norm(simplex.project(a) - simplex.project(b), axis=1)
    assert (after <= np.linalg.norm(a - b, axis=1) + 1e-12).all()


@pytest.mark.parametrize("floor", [0.0, 0.05, 0.25])
@pytest.mark.parametrize("solver", [cp.OSQP, cp.CLARABEL])
def test_projection_equals_the_quadratic_program(floor, solver):
    rng = np.random.default_rng(7)
    settings = {"eps_abs": 1e-10, "eps_rel": 1e-10, "polishing": True} if solver == cp.OSQP else {}
    for scale in (0.1, 1.0, 5.0):
        point = scale * rng.normal(size=4)
        u = cp.Variable(4)
        cp.Problem(cp.Minimize(cp.sum_squares(u - point)), [u >= floor, cp.sum(u) == 1]).solve(
            solver=solver, **settings
        )
        # The square hides an error e of the solver as e², so u is known to the root of its tolerance at worst.
        np.testing.assert_allclose(simplex.project(point, floor), u.value, atol=1e-6)


def test_projection_of_points_whose_answer_is_known():
    np.testing.assert_allclose(simplex.project(np.array([0.6, 0.6, -1.0])), [0.5, 0.5, 0.0], atol=1e-15)
    np.testing.assert_allclose(simplex.project(np.array([2.0, 0.0])), [1.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(simplex.project(np.array([-1e12, -1e12 + 2])), [0.0, 1.0], atol=1e-15)
    np.testing.assert_allclose(simplex.project(np.array([9.0, 1.0, 0.0]), floor=0.1), [0.8, 0.1, 0.1], atol=1e-15)
    np.testing.assert_allclose(simplex.project(np.array([9.0, 1.0, 0.0]), floor=1 / 3), np.full(3, 1 / 3), atol=1e-15)
    assert simplex.project(np.array([-7.0])).tolist() == [1.0]
    assert simplex.project(np.zeros((2, 0, 3))).shape == (2, 0, 3)


@pytest.mark.parametrize("floor", [-1e-3, 0.34, np.nan])
def test_projection_refuses_a_floor_that_leaves_no_point(floor):
    with pytest.raises(ValueError, match=r"floor is .*allowed is a number from 0 to 1/A = 0\.333"):
        simplex.project(np.zeros(3), floor)


def test_policies():
    np.testing.assert_array_equal(simplex.uniform_policy(2, 4), np.full((2, 4), 0.25))
    first = simplex.random_policy(np.random.default_rng(3), 5, 4)
    np.testing.assert_array_equal(first, simplex.random_policy(np.random.default_rng(3), 5, 4))
    checked = simplex.checked_policy(first, 5, 4)
    np.testing.assert_array_equal(checked, first)
    assert checked is not first and not checked.flags.writeable
    # Uniform on the simplex of four actions: each entry has mean 1/4 and variance 3/80.
    many = simplex.random_policy(np.random.default_rng(4), 20000, 4)
    np.testing.assert_allclose(many.mean(axis=0), 0.25, atol=0.01)
    np.testing.assert_allclose(many.var(axis=0), 3 / 80, atol=0.002)
