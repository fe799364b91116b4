"""Wrong answers to problem set 01."""

import numpy as np

import pencourse as pc
from pencourse import worlds

from . import WrongAnswer

RNG = np.random.default_rng(7)
GARNET = worlds.random_mdp(RNG, 5, 3, 0.9, branching=2)
POLICY = RNG.dirichlet(np.ones(3), size=5)
START = RNG.dirichlet(np.ones(5))


# Task 1


def weights_backwards(transition, policy, initial, discount):
    moves = np.einsum("sa,sat->st", policy, transition)
    occupancy = np.linalg.solve(np.eye(len(initial)) - discount * moves, initial)
    return occupancy[:, None, None] * policy[:, :, None] * transition


def weights_average(transition, policy, initial, discount):
    moves = np.einsum("sa,sat->st", policy, transition)
    occupancy = (1 - discount) * np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)
    return occupancy[:, None, None] * policy[:, :, None] * transition


def weights_start(transition, policy, initial, discount):
    return initial[:, None, None] * policy[:, :, None] * transition


def weights_every_action(transition, policy, initial, discount):
    moves = np.einsum("sa,sat->st", policy, transition)
    occupancy = np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)
    return occupancy[:, None, None] * transition


def weights_uniform_actions(transition, policy, initial, discount):
    moves = np.einsum("sa,sat->st", policy, transition)
    occupancy = np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)
    return occupancy[:, None, None] * transition / policy.shape[1]


def weights_everywhere(transition, policy, initial, discount):
    moves = np.einsum("sa,sat->st", policy, transition)
    occupancy = np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)
    return np.repeat((occupancy[:, None] * policy)[:, :, None], len(initial), axis=2)


SYMMETRIC = np.array([[[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]], [[0.5, 0.1, 0.4]] * 2, [[0.3, 0.4, 0.3]] * 2])
TWO_ACTIONS = np.array([[0.3, 0.7], [0.6, 0.4], [0.5, 0.5]])
MYOPIC = (GARNET.transition, POLICY, START, 0.0)
TASK_1 = [
    WrongAnswer(
        "return_weights",
        weights_backwards,
        "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
        (SYMMETRIC, TWO_ACTIONS, np.array([0.7, 0.2, 0.1]), 0.9),
    ),
    WrongAnswer(
        "return_weights",
        weights_average,
        "Your weights sum to 1, so they give an average per step and not the discounted sum.",
        MYOPIC,
    ),
    WrongAnswer(
        "return_weights",
        weights_start,
        "Your weights know the first step only: what the policy collects later is missing.",
        MYOPIC,
    ),
    WrongAnswer(
        "return_weights",
        weights_every_action,
        "Your weights count every action in full, as if all were taken at once.",
        (GARNET.transition[:, :1], np.ones((5, 1)), START, 0.9),
    ),
    WrongAnswer(
        "return_weights",
        weights_uniform_actions,
        "Your weights treat all actions alike, whatever the policy prefers.",
        (GARNET.transition, np.full((5, 3), 1 / 3), START, 0.9),
    ),
    WrongAnswer(
        "return_weights",
        weights_everywhere,
        "Your weights are the same wherever an action leads.",
        (np.ones((1, 2, 1)), np.array([[0.3, 0.7]]), np.ones(1), 0.9),
    ),
]


# Task 2


def change_of(mdp, value):
    return (mdp.reward + mdp.discount * mdp.transition @ value).max(axis=1) - value


def bound_by_residual(mdp, value):
    return mdp.initial @ value + change_of(mdp, value).max()


def bound_of_the_lesson(mdp, value):
    return mdp.initial @ value + mdp.discount / (1 - mdp.discount) * change_of(mdp, value).max()


def bound_of_macqueen(mdp, value):
    change = change_of(mdp, value)
    return mdp.initial @ (value + change) + mdp.discount / (1 - mdp.discount) * change.max()


def bound_with_the_sign_flipped(mdp, value):
    return mdp.initial @ value - change_of(mdp, value).max() / (1 - mdp.discount)


def bound_by_size(mdp, value):
    return mdp.initial @ value + np.abs(change_of(mdp, value)).max() / (1 - mdp.discount)


def bound_never_lowered(mdp, value):
    return mdp.initial @ value + max(change_of(mdp, value).max(), 0) / (1 - mdp.discount)


def bound_on_average(mdp, value):
    return mdp.initial @ value + mdp.initial @ change_of(mdp, value) / (1 - mdp.discount)


def bound_from_below(mdp, value):
    return mdp.initial @ value + change_of(mdp, value).min() / (1 - mdp.discount)


def bound_of_the_mean_action(mdp, value):
    change = (mdp.reward + mdp.discount * mdp.transition @ value).mean(axis=1) - value
    return mdp.initial @ value + change.max() / (1 - mdp.discount)


def bound_without_discount(mdp, value):
    change = (mdp.reward + mdp.transition @ value).max(axis=1) - value
    return mdp.initial @ value + change.max() / (1 - mdp.discount)


def bound_without_value(mdp, value):
    return change_of(mdp, value).max() / (1 - mdp.discount)


ONE_STATE = pc.MDP(np.ones((1, 2, 1)), [[1.0, 2.0]], 0.9, [1.0])
ONE_ACTION = pc.MDP(GARNET.transition[:, :1], GARNET.reward[:, :1], 0.9, START)
NO_FUTURE = pc.MDP(GARNET.transition, GARNET.reward, 0.0, START)
ZERO = np.zeros(5)
TASK_2 = [
    WrongAnswer(
        "upper_bound",
        bound_by_residual,
        "Your shift is too small: add it to V, apply T, and some state lies above again.",
        (NO_FUTURE, np.arange(5.0)),
    ),
    WrongAnswer(
        "upper_bound",
        bound_of_the_lesson,
        "Your shift belongs to another bound, the one that starts from TV and not from V.",
        (GARNET, pc.solve(GARNET).value),
    ),
    WrongAnswer(
        "upper_bound",
        bound_of_macqueen,
        "Yours is MacQueen's bound, which lifts TV; here V itself is to be lifted.",
        (ONE_STATE, np.array([3.0])),
    ),
    WrongAnswer(
        "upper_bound",
        bound_with_the_sign_flipped,
        "Your shift has the wrong sign: V has to rise where TV lies above it.",
        (GARNET, pc.solve(GARNET).value),
    ),
    WrongAnswer(
        "upper_bound",
        bound_by_size,
        "Your shift grows where TV lies below V, although no state needs to be lifted for that.",
        (GARNET, ZERO),
    ),
    WrongAnswer(
        "upper_bound",
        bound_never_lowered,
        "Your shift is never negative: a V that lies far above its TV may come down.",
        (GARNET, ZERO),
    ),
    WrongAnswer(
        "upper_bound",
        bound_on_average,
        "Your shift is right on average over the start, but V + c ≥ T(V + c) is asked of every state.",
        (ONE_STATE, np.array([3.0])),
    ),
    WrongAnswer(
        "upper_bound",
        bound_from_below,
        "Yours is a lower bound on V*(ρ): its shift makes V + c ≤ T(V + c).",
        (ONE_STATE, np.array([3.0])),
    ),
    WrongAnswer(
        "upper_bound",
        bound_of_the_mean_action,
        "Your T averages over the actions; an upper bound on V* has to stand against the best of them.",
        (ONE_ACTION, np.arange(5.0)),
    ),
    WrongAnswer("upper_bound", bound_without_discount, "Your T counts tomorrow's value in full.", (GARNET, ZERO)),
    WrongAnswer(
        "upper_bound", bound_without_value, "You return the shift alone; the bound is on V*(ρ).", (GARNET, ZERO)
    ),
]


# Task 3


def looks_optimal(mdp, policy, tolerance):
    value = pc.evaluate(mdp, policy).value
    again = (policy * (mdp.reward + mdp.discount * mdp.transition @ value)).sum(axis=1)
    return bool(np.abs(again - value).max() <= tolerance)


def improvement_of(mdp, policy):
    at = pc.evaluate(mdp, policy)
    return at.action_value.max(axis=1) - at.value


def optimal_with_the_sign_flipped(mdp, policy, tolerance):
    return bool((-improvement_of(mdp, policy)).max() <= (1 - mdp.discount) * tolerance)


def optimal_from_the_start(mdp, policy, tolerance):
    return bool(mdp.initial @ improvement_of(mdp, policy) <= (1 - mdp.discount) * tolerance)


def optimal_return(mdp, policy, tolerance):
    return bool(pc.solve(mdp).expected_return - pc.evaluate(mdp, policy).expected_return <= tolerance)


def optimal_on_average(mdp, policy, tolerance):
    return bool(improvement_of(mdp, policy).mean() <= (1 - mdp.discount) * tolerance)


def optimal_for_one_step(mdp, policy, tolerance):
    return bool(improvement_of(mdp, policy).max() <= tolerance)


def optimal_if_argmax(mdp, policy, tolerance):
    greedy = np.eye(policy.shape[1])[pc.evaluate(mdp, policy).action_value.argmax(axis=1)]
    return bool(np.abs(policy - greedy).max() < 1e-8)


def optimal_support(mdp, policy, tolerance):
    action_value = pc.evaluate(mdp, policy).action_value
    best = np.isclose(action_value, action_value.max(axis=1, keepdims=True))
    return bool(policy[~best].max(initial=0) < 1e-12)


def optimal_by_the_solver(mdp, policy, tolerance):
    return bool((pc.solve(mdp).value - pc.evaluate(mdp, policy).value).max() <= tolerance)


def optimal_discounted_once_more(mdp, policy, tolerance):
    return bool(mdp.discount * improvement_of(mdp, policy).max() / (1 - mdp.discount) <= tolerance)


def optimal_in_the_span(mdp, policy, tolerance):
    return bool(np.ptp(improvement_of(mdp, policy)) / (1 - mdp.discount) <= tolerance)


def optimal_in_the_two_norm(mdp, policy, tolerance):
    return bool(np.linalg.norm(improvement_of(mdp, policy)) / (1 - mdp.discount) <= tolerance)


UNPROVED = (
    "Your certificate accepts a loss that the argument of Task 2 does not prove"
    " (does it use V* or a smaller constant?)."
)
OPTIMAL = (GARNET, pc.solve(GARNET).policy, 1e-6)
POOR = (pc.MDP(GARNET.transition, GARNET.reward, 0.9, START), POLICY, 1e-6)
TASK_3 = [
    WrongAnswer(
        "is_optimal",
        looks_optimal,
        "Your certificate accepts every policy that was tried (is there one that it refuses?).",
        OPTIMAL,
    ),
    WrongAnswer(
        "is_optimal",
        optimal_with_the_sign_flipped,
        "Your certificate accepts every policy that was tried (is there one that it refuses?).",
        OPTIMAL,
    ),
    WrongAnswer(
        "is_optimal",
        optimal_from_the_start,
        "Your certificate accepts a policy that errs in a state where ρ never leads.",
        POOR,
    ),
    WrongAnswer(
        "is_optimal",
        optimal_return,
        "Your certificate accepts a policy that errs in a state where ρ never leads.",
        POOR,
    ),
    WrongAnswer(
        "is_optimal",
        optimal_on_average,
        "Your certificate accepts a policy that errs in one state only.",
        (ONE_STATE, np.array([[0.1, 0.9]]), 0.5),
    ),
    WrongAnswer(
        "is_optimal",
        optimal_for_one_step,
        "Your certificate accepts a tolerance just above the gain of one step; the gains of later steps add up.",
        (NO_FUTURE, POLICY, 0.2),
    ),
    WrongAnswer(
        "is_optimal",
        optimal_if_argmax,
        "Your certificate refuses an optimal policy that mixes equally good actions.",
        OPTIMAL,
    ),
    WrongAnswer(
        "is_optimal",
        optimal_support,
        "Your certificate refuses every policy that is not optimal, however wide the tolerance.",
        OPTIMAL,
    ),
    WrongAnswer("is_optimal", optimal_by_the_solver, UNPROVED, POOR),
    WrongAnswer("is_optimal", optimal_discounted_once_more, UNPROVED, POOR),
    WrongAnswer("is_optimal", optimal_in_the_span, UNPROVED, POOR),
    WrongAnswer(
        "is_optimal",
        optimal_in_the_two_norm,
        "Your certificate refuses a policy although the proof reaches its tolerance.",
        OPTIMAL,
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
