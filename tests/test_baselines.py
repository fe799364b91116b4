"""The exact hypergradient: closed forms, refusals, descent. Its differences on random models: test_penalties.py."""

import numpy as np
import pytest
from problems import Mixture

from pencourse import MDP, Objective, hypergradient, hypergradient_descent
from pencourse.bilevel import minus_return


class Ramp:
    """One state; the follower gains x − ½ from arm 1, the leader loses x and gains c from arm 1; x in [0, 1]."""

    initial_upper = np.array(0.3)

    def __init__(self, temperature, gain=0.8):
        self.temperature, self.gain = temperature, gain

    def lower_model(self, x):
        return MDP(np.ones((1, 2, 1)), [[0.0, x - 0.5]], 0.0, [1.0], self.temperature)

    def upper_objective(self, x, at, rng):
        gain = minus_return(at, np.array([[0.0, self.gain]]))
        return Objective(x + gain.value, gain.policy_gradient, 1.0)

    def pull_back(self, x, terms):
        return np.array(sum(term.mass[0, 1] for term in terms if term.channel == "lower"))

    def project(self, x):
        return np.clip(x, 0.0, 1.0)


@pytest.mark.parametrize("x", [0.1, 0.45, 0.5, 0.8])
def test_the_ramp_has_a_closed_form(x):
    """φ = x − cσ((x − ½)/τ), φ′ = 1 − cσ(1 − σ)/τ."""
    tau, gain = 0.1, 0.8
    found = hypergradient(Ramp(tau, gain), np.array(x))
    sigma = 1 / (1 + np.exp(-(x - 0.5) / tau))
    assert np.isclose(found.value, x - gain * sigma, rtol=0, atol=1e-9)
    assert np.isclose(found.gradient, 1 - gain * sigma * (1 - sigma) / tau, rtol=0, atol=1e-7)
    assert found.gradient.shape == () and found.objective.value == found.value


def test_without_a_regulariser_it_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"temperature is 0\.0; allowed is a temperature above 0 .* jumps with x"):
        hypergradient(Ramp(0.0), np.array(0.2))


def test_x_is_looked_at():
    with pytest.raises(ValueError, match=r"x has shape \(2,\); allowed is \(3\)"):
        hypergradient(Mixture(0), np.zeros(2))


def test_descent_descends_and_says_where_it_stands():
    problem = Mixture(8)
    run = hypergradient_descent(problem, iterations=400, step=3e-3, tolerance=1e-5)
    history = run.history
    assert (history["objective"].diff().dropna() <= 1e-9).all() and run.objective < history["objective"][0] - 0.1
    assert history["gradient_mapping"].iloc[-1] <= 1e-5 and len(history) < 401
    assert (history["soft_solves"] == history.index + 1).all() and (history["penalty"] == 0).all()
    assert (history["oracle_residual"] <= 1e-9).all()
    assert run.objective == history["hyper_objective"].iloc[-1]
    found = hypergradient(problem, run.upper)  # from a cold start, so its solver rounds otherwise
    gradient = found.gradient
    assert np.isclose(run.objective, found.value, rtol=1e-8)
    for x, slope in zip(run.upper, gradient, strict=True):  # the conditions of first order on a box
        assert (x == 0.02 and slope >= 0) or (x == 0.3 and slope <= 0) or abs(slope) <= 1e-4


def test_descent_starts_where_it_is_told_after_projection():
    run = hypergradient_descent(Mixture(0), iterations=0, start=np.array([5.0, 0.1, -5.0]))
    assert np.array_equal(run.upper, [0.3, 0.1, 0.02])


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_steps_are_positive(step):
    with pytest.raises(ValueError, match=r"step is .*; allowed is a finite number above 0"):
        hypergradient_descent(Mixture(0), iterations=1, step=step)
