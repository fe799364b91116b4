"""Two solvers that share nothing, on hundreds of small models: `exact` (cvxpy) and `planning`.

Tolerances. HiGHS solves the linear program to 1e-7 in feasibility, and its vertex is then exact to rounding;
CLARABEL stops at gaps of about 1e-9 relative, which leaves values good to 1e-7 of max(|r|, τ)/(1−γ). A conic
policy carries the square root of that, and more where a state is visited little: 1e-3 here, 1e-4 as a rule.
"""

import dataclasses
import itertools

import numpy as np
import pytest

import pencourse as pc
from pencourse import ConvergenceError, Entropy, NoRegularizer, SquaredNorm, exact, worlds
from pencourse.exact import mdp as programs

VALUE = 1e-7  # of max(|r|, τ)/(1−γ)
POLICY = 1e-3

SHAPES = [(1, 3), (4, 1), (3, 2), (5, 3), (6, 4)]
CONIC = [(h, temperature) for h in (Entropy(), SquaredNorm()) for temperature in (0.01, 0.1, 1.0)]
KINDS = [(Entropy(), 0.0), (NoRegularizer(), 0.5), *CONIC]


@pytest.mark.parametrize(("regularizer", "temperature"), KINDS, ids=lambda x: getattr(x, "name", x))
@pytest.mark.parametrize("discount", [0.0, 0.5, 0.9, 0.99])
def test_referee_and_solver_agree(draw, regularizer, temperature, discount):
    for k, (shape, branching, _) in enumerate(itertools.product(SHAPES, [None, 2], range(2))):
        sizes = {"branching": None if shape[0] == 1 else branching, "discount": discount}
        mdp = draw(1000 + k, *shape, temperature=temperature, regularizer=regularizer, **sizes)
        plan, referee = pc.solve(mdp), exact.solve_mdp(mdp)
        unit = VALUE * max(np.abs(mdp.reward).max(), temperature) / (1 - discount)
        np.testing.assert_allclose(plan.value, referee.value, atol=unit)
        # dual ≤ V*(ρ) ≤ primal
        assert referee.dual - unit <= plan.expected_return <= referee.primal + unit
        assert referee.expected_return == referee.primal
        assert abs(referee.gap) <= unit and referee.gap == referee.primal - referee.dual
        found = pc.evaluate(mdp, plan.policy)
        if temperature and regularizer.name != "none":
            np.testing.assert_allclose(plan.policy, referee.policy, atol=POLICY)
            np.testing.assert_allclose(found.occupancy, referee.occupancy, atol=POLICY / (1 - discount) ** 2)
        # At τ = 0 ties leave the policies free, but not what they are worth.
        assert pc.evaluate(mdp, referee.policy).expected_return == pytest.approx(plan.expected_return, abs=10 * unit)


@pytest.mark.parametrize(
    ("regularizer", "temperature"), [(Entropy(), 0.0), *CONIC], ids=lambda x: getattr(x, "name", x)
)
def test_each_program_alone(draw, regularizer, temperature):
    """The primal finds V* in every state, the dual its value from ρ and the occupancy of the optimal policy."""
    for k, branching in enumerate([None, 2]):
        mdp = draw(k, 5, 3, temperature=temperature, regularizer=regularizer, branching=branching)
        plan = pc.solve(mdp)
        kind = regularizer.name if temperature else "none"
        problem = (mdp, mdp.reward, temperature, kind, programs._PROGRAMS[kind][1])
        unit = VALUE * max(np.abs(mdp.reward).max(), temperature) / 0.1
        np.testing.assert_allclose(programs._primal(*problem), plan.value, atol=unit)
        occupancy, dual = programs._dual(*problem)
        assert dual == pytest.approx(plan.expected_return, abs=unit)
        expected = pc.evaluate(mdp, plan.policy).occupancy[:, None] * plan.policy
        np.testing.assert_allclose(occupancy, expected, atol=100 * POLICY)
        assert (occupancy >= 0).all()


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1"])
@pytest.mark.parametrize("temperature", [0.0, 0.05])
def test_worlds_that_nobody_here_made(name, temperature):
    mdp = worlds.from_gymnasium(name, 0.95, exploration=0.1, temperature=temperature)
    plan, referee = pc.solve(mdp), exact.solve_mdp(mdp)
    unit = VALUE * np.abs(mdp.reward).max() / 0.05
    np.testing.assert_allclose(plan.value, referee.value, atol=unit)
    assert referee.dual - unit <= plan.expected_return <= referee.primal + unit


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_unit_of_the_reward_does_not_matter(draw, scale):
    for regularizer, temperature in ((Entropy(), 0.0), (Entropy(), 0.1), (SquaredNorm(), 0.1)):
        mdp = draw(5, 5, 3, temperature=scale * temperature, regularizer=regularizer, scale=scale)
        plan, referee = pc.solve(mdp), exact.solve_mdp(mdp)
        np.testing.assert_allclose(referee.value, plan.value, atol=VALUE * np.abs(mdp.reward).max() / 0.1)


def test_no_rewards():
    mdp = pc.MDP(np.full((2, 2, 2), 0.5), np.zeros((2, 2)), 0.5, [0.5, 0.5])
    assert abs(exact.solve_mdp(mdp).primal) <= 1e-12
    warm = exact.solve_mdp(dataclasses.replace(mdp, temperature=1.0))
    np.testing.assert_allclose(warm.value, 2 * np.log(2), atol=1e-7)


def test_the_program_names_its_cone_and_its_solver(draw):
    programs = {
        "linear, HIGHS": draw(0, 3, 2, temperature=0.0),
        "exponential cone, CLARABEL": draw(0, 3, 2),
        "second-order cone, CLARABEL": draw(0, 3, 2, regularizer=SquaredNorm()),
    }
    for program, mdp in programs.items():
        referee = exact.solve_mdp(mdp)
        assert referee.program == program
        assert isinstance(referee.primal, float) and isinstance(referee.dual, float)
        assert (referee.value.shape, referee.policy.shape, referee.occupancy.shape) == ((3,), (3, 2), (3,))


@pytest.mark.parametrize("temperature", [0.0, 0.2])
def test_states_that_are_never_visited(temperature):
    """The dual program says nothing there, so the policy is uniform; the value stands nevertheless."""
    kernel = np.zeros((2, 2, 2))
    kernel[0, :, 0] = kernel[1, :, 1] = 1.0
    mdp = pc.MDP(kernel, [[0.0, 1.0], [3.0, 0.0]], 0.5, [1.0, 0.0], temperature)
    referee = exact.solve_mdp(mdp)
    np.testing.assert_allclose(referee.policy[1], 0.5, atol=1e-12)
    np.testing.assert_allclose(referee.occupancy, [2.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(referee.value, pc.solve(mdp).value, atol=1e-6)


def test_a_model_beyond_the_cone_solver_is_refused(draw):
    mdp = draw(6, 20, 4, temperature=1e-9, discount=0.99)
    with pytest.raises(ConvergenceError, match=r"exact\.solve_mdp"):
        exact.solve_mdp(mdp)
    assert pc.solve(mdp).residual <= 1e-10 * mdp.scale  # though not beyond the solver


def test_a_status_that_is_no_optimum_is_refused(draw, monkeypatch):
    import cvxpy as cp

    monkeypatch.setattr(cp.Problem, "status", property(lambda self: cp.USER_LIMIT))
    with pytest.raises(ConvergenceError, match="user_limit"):
        exact.solve_mdp(draw(0, 3, 2))


def test_two_programs_that_disagree_are_refused(draw, monkeypatch):
    honest = programs._dual
    monkeypatch.setattr(programs, "_dual", lambda *arguments: (honest(*arguments)[0], honest(*arguments)[1] - 1e-3))
    with pytest.raises(ConvergenceError, match=r"exponential cone, CLARABEL.*reached a residual"):
        exact.solve_mdp(draw(0, 3, 2))


def test_a_regulariser_without_a_program_is_refused(draw):
    class Tsallis(SquaredNorm):
        name = "tsallis"

    with pytest.raises(ValueError, match=r"regularizer is 'tsallis'; allowed are .*entropy"):
        exact.solve_mdp(draw(0, 3, 2, regularizer=Tsallis()))
    assert exact.solve_mdp(draw(0, 3, 2, regularizer=Tsallis(), temperature=0.0)).program == "linear, HIGHS"
