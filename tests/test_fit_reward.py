"""The logistic program: closed forms, a published table, another solver, and data without a maximum."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit, xlogy

from pencourse import ConvergenceError, exact
from pencourse.exact import preferences

LOSS = 1e-8  # CLARABEL's gap is 1e-11 of a loss near 1
THETA = 1e-4  # and its square root, over the curvature


def draw(seed, n=80, d=4, scale=1.0):
    rng = np.random.default_rng(seed)
    differences, theta = scale * rng.normal(size=(n, d)), rng.normal(size=d)
    return differences, (rng.random(n) < expit(differences @ theta)).astype(float), theta


def mean_loss(differences, labels, theta):
    return -np.mean(xlogy(labels, expit(differences @ theta)) + xlogy(1 - labels, expit(-differences @ theta)))


def solved(differences, labels, bound):
    """Minimise the loss without cvxpy."""
    limits = [(None, None) if bound is None else (-bound, bound)] * differences.shape[1]

    def both(theta):
        slope = differences.T @ (expit(differences @ theta) - labels) / len(labels)
        return mean_loss(differences, labels, theta), slope

    start = np.zeros(differences.shape[1])
    return minimize(both, start, jac=True, method="L-BFGS-B", bounds=limits, options={"ftol": 0, "gtol": 1e-9})


@pytest.mark.parametrize(("ones", "n"), [(1, 4), (7, 10), (50, 100)])
def test_one_feature_has_a_closed_form(ones, n):
    """Of n equal pairs k are labelled 1: σ(θ) = k/n, and the loss is the entropy of k/n."""
    labels = np.arange(n) < ones
    fit = exact.fit_reward(np.ones((n, 1)), labels)
    p = ones / n
    assert abs(fit.parameters[0] - logit(p)) <= THETA
    assert abs(fit.loss + p * np.log(p) + (1 - p) * np.log(1 - p)) <= LOSS
    assert abs(fit.gap) <= LOSS and fit.gap == fit.loss - fit.dual and fit.primal == fit.loss
    assert fit.program == "exponential cone, CLARABEL" and isinstance(fit.loss, float) and fit.identified == 1


def test_a_bound_that_binds():
    """One feature, always 1: θ goes to the bound, the loss is log(1 + e⁻ᵇ)."""
    fit = exact.fit_reward(np.ones((5, 1)), np.ones(5), bound=2.0)
    assert abs(fit.parameters[0] - 2.0) <= 1e-6 and abs(fit.loss - np.log1p(np.exp(-2.0))) <= LOSS
    assert abs(fit.gap) <= LOSS


def test_published_abilities():
    """The American League of 1987 (Agresti, *Categorical Data Analysis*, 2002, section 10.6), Baltimore at 0.

    To four digits in Turner and Firth, *Bradley-Terry models in R: the BradleyTerry2 package* (2012).
    """
    teams = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
    published = [1.5814, 1.4364, 1.2945, 1.2476, 1.1077, 0.6839, 0.0]
    wins = np.array(
        [
            [0, 7, 9, 7, 7, 9, 11],
            [6, 0, 7, 5, 11, 9, 9],
            [4, 6, 0, 7, 7, 8, 12],
            [6, 8, 6, 0, 6, 7, 10],
            [6, 2, 6, 7, 0, 7, 12],
            [4, 4, 5, 6, 6, 0, 6],
            [2, 4, 1, 3, 1, 7, 0],
        ]
    )
    assert (wins + wins.T + 13 * np.eye(7) == 13).all()  # each pair of teams met 13 times
    pairs = [(i, j) for i in range(7) for j in range(i)]
    differences = np.array([np.eye(7)[i] - np.eye(7)[j] for i, j in pairs])
    fit = exact.fit_reward(differences, [wins[i, j] / 13 for i, j in pairs])
    abilities = fit.parameters - fit.parameters[teams.index("Baltimore")]
    assert np.abs(abilities - published).max() <= 0.5e-4 + 1e-5
    assert fit.identified == 6 and abs(fit.parameters.sum()) <= 1e-9  # a constant is not identified


@pytest.mark.parametrize("bound", [None, 0.3, 1.0, 20.0])
@pytest.mark.parametrize("seed", range(5))
def test_another_solver_agrees(seed, bound):
    differences, labels, _ = draw(seed)
    fit = exact.fit_reward(differences, labels, bound)
    found = solved(differences, labels, bound)
    assert np.abs(fit.parameters - found.x).max() <= THETA
    assert abs(fit.loss - found.fun) <= LOSS and np.isclose(fit.loss, mean_loss(differences, labels, fit.parameters))
    assert fit.dual <= found.fun + LOSS and abs(fit.gap) <= LOSS
    assert bound is None or np.abs(fit.parameters).max() <= bound


@pytest.mark.parametrize("bound", [None, 0.5])
def test_the_dual_value_bounds_the_loss_everywhere(bound):
    """Weak duality against θ at random, near the optimum and far."""
    differences, labels, _ = draw(11)
    fit = exact.fit_reward(differences, labels, bound)
    rng = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1.0):
        theta = fit.parameters + size * rng.normal(size=(50, 4))
        theta = theta if bound is None else np.clip(theta, -bound, bound)
        assert min(mean_loss(differences, labels, row) for row in theta) >= fit.dual - 1e-12


@pytest.mark.parametrize("bound", [None, 0.5])
def test_dual_values_are_by_hand_and_never_above_the_optimum(bound):
    """At any θ: loss ≥ optimum ≥ dual; at the optimum both meet. Without a bound u is moved to where it is feasible."""
    differences, labels, _ = draw(12)
    best = solved(differences, labels, bound)
    rng = np.random.default_rng(0)
    for theta in rng.uniform(-0.5, 0.5, size=(100, 4)):
        loss, dual = preferences._values(differences, labels, theta, bound)
        u = expit(differences @ theta)
        assert np.isclose(loss, mean_loss(differences, labels, theta))
        assert loss >= best.fun - 1e-12 and dual <= best.fun + 1e-12
        if bound is not None:
            excess = bound * np.abs(differences.T @ (u - labels)).sum()
            assert np.isclose(80 * dual, -(u * np.log(u) + (1 - u) * np.log(1 - u)).sum() - excess)
    loss, dual = preferences._values(differences, labels, best.x, bound)
    assert abs(loss - dual) <= 1e-7


def test_expected_labels_give_the_parameters_back():
    differences, _, theta = draw(1)
    fit = exact.fit_reward(differences, expit(differences @ theta))
    assert np.abs(fit.parameters - theta).max() <= THETA


def test_without_a_bound_the_least_norm_is_taken():
    """Two equal columns share their weight, a column of zeros has none."""
    differences, labels, _ = draw(2, d=2)
    alone = exact.fit_reward(differences, labels).parameters
    fit = exact.fit_reward(np.column_stack([differences, differences[:, 0], np.zeros(80)]), labels)
    assert np.abs(fit.parameters - [alone[0] / 2, alone[1], alone[0] / 2, 0]).max() <= THETA
    assert fit.identified == 2


@pytest.mark.parametrize("bound", [0.5, 0.6, 50.0])
def test_with_a_bound_the_least_norm_in_the_box_is_taken(bound):
    """θ is nearest to 0 among all w in the box with the same rewards: ⟨θ, w − θ⟩ ≥ 0."""
    differences, labels, _ = draw(3, d=3)
    mixed = differences @ np.random.default_rng(0).normal(size=(3, 6))
    fit = exact.fit_reward(mixed, labels, bound)
    assert fit.identified == 3 and np.abs(fit.parameters).max() <= bound
    hidden = np.linalg.svd(mixed)[2][3:]  # directions that no pair sees
    assert np.abs(mixed @ hidden.T).max() <= 1e-9
    rng = np.random.default_rng(1)
    tried = 0
    for step in (rng.normal(size=(2000, 3)) * rng.choice([1e-3, 1e-2, 0.1, 1.0], size=(2000, 1))) @ hidden:
        if np.abs(fit.parameters + step).max() <= bound:
            tried += 1
            assert fit.parameters @ step >= -1e-5 * np.linalg.norm(step)
    assert tried >= 20


@pytest.mark.parametrize(
    ("differences", "labels", "ordered"),
    [
        ([[1.0], [2.0], [-3.0]], [1, 1, 0], 3),  # every pair, strictly
        ([[1.0, 0], [-1.0, 0], [0, 1.0]], [1, 1, 1], 1),  # a feature that is seen once
        ([[1.0, 1], [1.0, 1], [2, 0]], [0.3, 0.9, 0], 1),  # labels in between hold one direction, not the other
    ],
)
def test_separable_data_need_a_bound(differences, labels, ordered):
    message = rf"labels are separable: a direction of θ orders {ordered} of 3 pairs .* Give a bound, or more pairs"
    with pytest.raises(ValueError, match=message):
        exact.fit_reward(differences, labels)
    fit = exact.fit_reward(differences, labels, bound=3.0)
    assert abs(fit.gap) <= LOSS and np.abs(fit.parameters).max() >= 3 - 1e-3


def test_data_that_are_nearly_separable_are_not_refused():
    """999 to 1: θ = log 999, far out but finite. No differences at all: nothing to fit, nothing to refuse."""
    fit = exact.fit_reward(np.ones((1000, 1)), np.arange(1000) > 0)
    assert abs(fit.parameters[0] - np.log(999)) <= 1e-3
    blank = exact.fit_reward(np.zeros((3, 2)), [1, 0, 1])
    assert np.array_equal(blank.parameters, [0, 0]) and abs(blank.loss - np.log(2)) <= LOSS and blank.identified == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1.0, np.nan]], [1]), r"differences\[0, 1\] is nan; allowed is a finite number"),
        (([1.0, 2.0], [1, 0]), r"differences has shape \(2,\); allowed are 2 axes"),
        ((np.zeros((0, 2)), []), r"differences has shape \(0, 2\)"),
        (([[1.0], [2.0]], [1]), r"labels has shape \(1,\); allowed is \(2,\), one for each"),
        (([[1.0], [2.0]], [1, 1.5]), r"labels\[1\] is 1\.5; allowed is a number from 0 to 1"),
        (([[1.0], [2.0]], [np.inf, 0]), r"labels\[0\] is inf"),
        (([[1.0], [2.0]], [1, 0], 0.0), r"bound is 0\.0; allowed is a finite number above 0, or None"),
        (([[1.0], [2.0]], [1, 0], np.nan), "bound is nan"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        exact.fit_reward(*arguments)


def test_two_programs_that_disagree_are_refused(monkeypatch):
    honest = preferences._values
    monkeypatch.setattr(preferences, "_values", lambda *arguments: np.subtract(honest(*arguments), [0, 1e-3]))
    with pytest.raises(ConvergenceError, match=r"exact\.fit_reward.*reached a residual of 0\.001"):
        exact.fit_reward(*draw(0)[:2])
