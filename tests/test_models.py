"""A model: its sizes, its unit, that nobody changes it; and the error of a solver that stopped short."""

import dataclasses
import pickle

import numpy as np
import pytest

from pencourse import MDP, ConvergenceError, Entropy, NoRegularizer, SquaredNorm


def test_sizes_and_defaults(draw):
    mdp = draw(0, 5, 3)
    assert (mdp.n_states, mdp.n_actions) == (5, 3)
    plain = MDP(mdp.transition, mdp.reward, 0.9, mdp.initial)
    assert plain.temperature == 0.0 and isinstance(plain.regularizer, Entropy)


def test_nobody_changes_a_model(draw):
    mdp = draw(0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        mdp.discount = 0.5
    with pytest.raises(ValueError, match="read-only"):
        mdp.reward[0, 0] = 1.0
    other = dataclasses.replace(mdp, temperature=2.0)
    assert (other.temperature, mdp.temperature) == (2.0, 0.1)
    np.testing.assert_array_equal(other.transition, mdp.transition)


@pytest.mark.parametrize(
    ("regularizer", "bound"),
    [(Entropy(), np.log(3)), (SquaredNorm(), 0.5), (NoRegularizer(), 0.0)],
    ids=lambda h: str(h)[:20],
)
def test_scale_is_the_largest_reward_and_what_the_regulariser_can_add(draw, regularizer, bound):
    mdp = draw(1, 4, 3, temperature=2.0, regularizer=regularizer)
    assert mdp.scale == pytest.approx(np.abs(mdp.reward).max() + 2.0 * bound)
    assert MDP(np.ones((1, 1, 1)), [[0.0]], 0.5, [1.0]).scale == 1.0  # never 0, it divides


def test_convergence_error_tells_what_was_reached():
    error = ConvergenceError("somebody", 0.5, 1e-10, 7)
    assert (error.solver, error.residual, error.tolerance, error.iterations) == ("somebody", 0.5, 1e-10, 7)
    assert str(error) == "somebody reached a residual of 0.5 after 7 iterations; asked was 1e-10."
    assert isinstance(error, RuntimeError)


def test_the_same_world_with_another_reward_or_temperature(draw):
    mdp = draw(0)
    other = mdp.with_reward(2 * mdp.reward)
    assert other.transition is mdp.transition and np.array_equal(other.reward, 2 * mdp.reward)
    assert (other.discount, other.temperature, other.regularizer) == (mdp.discount, mdp.temperature, mdp.regularizer)
    assert not other.reward.flags.writeable and other.initial is mdp.initial
    warmer = mdp.with_temperature(0.7)
    assert warmer.temperature == 0.7 and warmer.reward is mdp.reward and mdp.temperature == 0.1
    with pytest.raises(ValueError, match=r"reward has shape \(6, 2\); allowed is \(6, 3\)"):
        mdp.with_reward(mdp.reward[:, :2])
    with pytest.raises(ValueError, match=r"temperature is -1\.0; allowed is a finite number, at least 0"):
        mdp.with_temperature(-1.0)


def test_the_error_travels_between_processes():
    error = ConvergenceError("solve", 0.5, 1e-9, 3)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.residual, again.iterations) == (str(error), 0.5, 3)
