"""The interface of a bilevel problem: a right one passes, a wrong one is refused by the name of its method."""

from dataclasses import replace

import numpy as np
import pytest
from problems import Mixture, accepted

from pencourse import Term, check_problem, evaluate, hypergradient, hypergradient_descent, worlds
from pencourse.bilevel import State, checked, minus_return, record
from pencourse.cases import stackelberg
from pencourse.simplex import random_policy, uniform_policy


@pytest.mark.parametrize("shapes", ["reward", "kernel", "both"])
def test_a_right_problem_passes(shapes):
    table = accepted(Mixture(0, shapes=shapes))
    assert list(table.columns) == ["method", "compared", "error", "allowed"]
    assert set(table["method"]) == {"project", "pull_back", "upper_objective"} and len(table) == 6
    assert (table["error"] <= table["allowed"]).all() and (table["error"] <= 1e-7).all()


# What a user gets wrong: (method that the message names, words in it, the broken method)


class WrongShape(Mixture):
    def upper_objective(self, x, at, rng):
        return replace(super().upper_objective(x, at, rng), policy_gradient=np.zeros(3))


class WrongUpperShape(Mixture):
    def upper_objective(self, x, at, rng):
        return replace(super().upper_objective(x, at, rng), upper_gradient=np.zeros((3, 1)))


class WrongTermShape(Mixture):
    def upper_objective(self, x, at, rng):
        return replace(super().upper_objective(x, at, rng), terms=(Term(np.zeros((5, 3)), np.zeros(4)),))


class WrongPullBackShape(Mixture):
    def pull_back(self, x, terms):
        return np.zeros(2)


class NotANumber(Mixture):
    def upper_objective(self, x, at, rng):
        return replace(super().upper_objective(x, at, rng), value=np.nan)


class NoObjective(Mixture):
    def upper_objective(self, x, at, rng):
        return super().upper_objective(x, at, rng).value


class NoModel(Mixture):
    def lower_model(self, x):
        return self.mix(self.lower, x)


class NoKernel(Mixture):
    def lower_model(self, x):
        model = super().lower_model(x)
        return replace(model, transition=1.1 * model.transition)


class LeavesX(Mixture):
    def project(self, x):
        return 0.9 * x


class InfiniteProjection(Mixture):
    def project(self, x):
        return np.full(3, np.inf)


BAD_ANSWERS = [
    (WrongShape, r"WrongShape.upper_objective: policy_gradient has shape \(3,\); allowed is \(5, 3\)"),
    (WrongUpperShape, r"WrongUpperShape.upper_objective: upper_gradient has shape \(3, 1\); allowed is \(3\)"),
    (WrongTermShape, r"WrongTermShape.upper_objective: terms\[0\].next_value has shape \(4,\); allowed is \(5\)"),
    (WrongPullBackShape, r"WrongPullBackShape.pull_back: its result has shape \(2,\); allowed is \(3\)"),
    (NotANumber, r"NotANumber.upper_objective: value is nan; allowed is a finite number"),
    (NoObjective, r"NoObjective.upper_objective returned a float64; allowed is an Objective"),
    (NoModel, r"NoModel.lower_model returned a ndarray; allowed is an MDP"),
    (NoKernel, r"NoKernel.lower_model: the row sum of transition\[0, 0\] is 1.1"),
    (LeavesX, r"LeavesX.project leaves X: projected once more, its result moves by .*; allowed is 0"),
    (InfiniteProjection, r"InfiniteProjection.project: its result\[0\] is inf; allowed is a finite number"),
]


@pytest.mark.parametrize(("kind", "message"), BAD_ANSWERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_answer_is_refused_by_the_check_and_by_the_solver(kind, message):
    with pytest.raises(ValueError, match=message):
        check_problem(kind(0), np.random.default_rng(0))
    with pytest.raises(ValueError, match=message):
        hypergradient_descent(kind(0), iterations=3, step=0.01)


class ForgetsTheDiscount(Mixture):
    def pull_back(self, x, terms):
        discount, self.discount = self.discount, 1.0
        result = super().pull_back(x, terms)
        self.discount = discount
        return result


class ForgetsTheKernel(Mixture):
    def pull_back(self, x, terms):
        return super().pull_back(x, [Term(term.mass, 0 * term.next_value, term.channel) for term in terms])


class FlipsTheSign(Mixture):
    def pull_back(self, x, terms):
        return -super().pull_back(x, terms)


class IgnoresTheChannel(Mixture):
    def pull_back(self, x, terms):
        return super().pull_back(x, [Term(term.mass, term.next_value) for term in terms])


class KeepsTheLastTerm(Mixture):
    def pull_back(self, x, terms):
        return super().pull_back(x, terms[-1:])


class ForgetsTheOccupancy(Mixture):
    def upper_objective(self, x, at, rng):
        found = super().upper_objective(x, at, rng)
        slope = (found.policy_gradient - self.weights) / at.occupancy[:, None] * at.mdp.initial[:, None]
        return replace(found, policy_gradient=slope + self.weights)


class ForgetsTheDirectPart(Mixture):
    def upper_objective(self, x, at, rng):
        return replace(super().upper_objective(x, at, rng), upper_gradient=0.0)


class NotNearest(Mixture):
    """Outside the box it goes to the box's middle: it stays in X, but is no projection."""

    def project(self, x):
        near = super().project(x)
        return near if np.array_equal(near, x) else np.full(3, 0.16)


class StartsOutside(Mixture):
    def __init__(self, seed):
        super().__init__(seed)
        self.initial_upper = np.full(3, 0.5)


WRONG_DERIVATIVES = [
    (ForgetsTheDiscount, "ForgetsTheDiscount.pull_back is off: the kernel's part"),
    (ForgetsTheKernel, "ForgetsTheKernel.pull_back is off: the kernel's part"),
    (KeepsTheLastTerm, "KeepsTheLastTerm.pull_back is off: the reward's part"),
    (FlipsTheSign, "FlipsTheSign.pull_back is off: the reward's part"),
    (IgnoresTheChannel, "IgnoresTheChannel.upper_objective is off: upper_gradient with its terms pulled back"),
    (ForgetsTheOccupancy, "ForgetsTheOccupancy.upper_objective is off: policy_gradient differs"),
    (ForgetsTheDirectPart, "ForgetsTheDirectPart.upper_objective is off: upper_gradient with its terms"),
    (NotNearest, "NotNearest.project is off: the nearest point of X"),
    (StartsOutside, "StartsOutside.project is off: initial_upper, which should stay where it is"),
]


@pytest.mark.parametrize(("kind", "message"), WRONG_DERIVATIVES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_wrong_derivative_is_found_and_named(kind, message):
    with pytest.raises(ValueError, match=message):
        check_problem(kind(0), np.random.default_rng(0))


def test_a_problem_has_to_say_everything():
    with pytest.raises(ValueError, match="object has no initial_upper; a bilevel problem has to say it"):
        checked(object())


def test_checks_are_put_on_once():
    problem = Mixture(0)
    safe = checked(problem)
    assert checked(safe) is safe and safe.problem is problem
    assert np.array_equal(safe.pull_back(problem.initial_upper, ()), np.zeros(3))


def test_a_segment_stays_in_a_set_without_interior():
    """The leader's policies: every point that differences visit has rows that sum to 1 and no negative entry."""
    game = worlds.random_stackelberg_game(np.random.default_rng(3), 4, 3, 2, 0.9, temperature=0.1)
    assert len(accepted(stackelberg.problem(game), 1, points=8)) == 6


def test_minus_return_by_the_definition():
    """f = −Σ_t γᵗ E r, summed up term by term."""
    problem = Mixture(1)
    mdp = problem.lower_model(problem.initial_upper)
    policy = random_policy(np.random.default_rng(0), 5, 3)
    reward = problem.upper[0]
    kernel = np.einsum("sa,sat->st", policy, mdp.transition)
    state, total = mdp.initial, 0.0
    for t in range(400):
        total += 0.9**t * state @ (policy * reward).sum(axis=1)
        state = state @ kernel
    assert np.isclose(minus_return(evaluate(mdp, policy), reward).value, -total)


# History


def states(lengths):
    for k, length in enumerate(lengths):
        yield State(np.full(2, k), uniform_policy(1, 2), objective=-k, gradient_mapping=length, soft_solves=k + 1)


def test_a_run_is_recorded():
    run = record(states([3.0, 2.0, 1.0, 0.5]), 2)
    assert list(run.history["gradient_mapping"]) == [3.0, 2.0, 1.0] and run.history.index.name == "iteration"
    assert np.array_equal(run.upper, [2, 2]) and run.objective == -2 and run.penalty == 0
    assert (run.history["seconds"].diff().dropna() >= 0).all() and list(run.history["soft_solves"]) == [1, 2, 3]
    assert run.history["hyper_objective"].isna().all()


def test_a_run_stops_at_its_tolerance():
    run = record(states([3.0, 2.0, 1.0, 0.5]), 10, tolerance=1.0, progress=False)
    assert len(run.history) == 3


def test_a_run_of_negative_length_is_refused():
    with pytest.raises(ValueError, match="iterations is -1; allowed is an integer, at least 0"):
        record(states([1.0]), -1)


def test_a_run_can_show_its_progress(capsys):
    record(states([3.0, 2.0]), 1, progress=True)
    assert "2/2" in capsys.readouterr().err


# Scaling terms


def test_a_term_is_scaled_in_its_mass():
    problem, term = Mixture(2), Term(np.ones((5, 3)), np.arange(5.0), "upper")
    twice = problem.pull_back(problem.initial_upper, [term.scaled(2.0)])
    assert np.allclose(twice, 2 * problem.pull_back(problem.initial_upper, [term]))
    assert term.scaled(2.0).channel == "upper"


def test_the_solver_passes_a_generator_on():
    class Noisy(Mixture):
        def upper_objective(self, x, at, rng):
            return replace(super().upper_objective(x, at, rng), value=rng.normal())

    problem = Noisy(0)
    values = [hypergradient(problem, problem.initial_upper, rng=np.random.default_rng(4)).value for _ in range(2)]
    assert values[0] == values[1] == np.random.default_rng(4).normal()
