"""Wrong answers to problem set 04."""

import numpy as np

import pencourse as pc
from pencourse import worlds
from pencourse.simplex import project

from . import WrongAnswer

RNG = np.random.default_rng(41)
GARNET = worlds.random_mdp(RNG, 5, 3, 0.9, branching=2)
P, R, START = GARNET.transition, RNG.normal(size=(5, 3)), RNG.dirichlet(np.ones(5))
PRIOR, POLICY = (RNG.dirichlet(np.ones(3), size=5) for _ in range(2))
UNIFORM = np.full((5, 3), 1 / 3)


# Task 1


def plan_of(transition, reward, discount, temperature, prior):
    """Sweep until nothing moves; return V*, Q* and π*."""
    value = np.zeros(len(reward))
    for _ in range(2000):
        q = reward + discount * transition @ value
        best = project(prior + q / temperature)
        value = (best * q).sum(axis=1) - temperature / 2 * ((best - prior) ** 2).sum(axis=1)
    return value, reward + discount * transition @ value, best


def visits_of(transition, discount, initial, policy):
    moves = np.einsum("sa,sat->st", policy, transition)
    return np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)


def gap_of(value, q, temperature, prior, policy):
    return value - (policy * q).sum(axis=1) + temperature / 2 * ((policy - prior) ** 2).sum(axis=1)


def prices_from_the_start(transition, reward, discount, initial, temperature, prior, policy):
    value, q, _ = plan_of(transition, reward, discount, temperature, prior)
    return initial * gap_of(value, q, temperature, prior, policy)


def prices_on_the_optimal_way(transition, reward, discount, initial, temperature, prior, policy):
    value, q, best = plan_of(transition, reward, discount, temperature, prior)
    return visits_of(transition, discount, initial, best) * gap_of(value, q, temperature, prior, policy)


def prices_of_starts(transition, reward, discount, initial, temperature, prior, policy):
    value, _, _ = plan_of(transition, reward, discount, temperature, prior)
    moves = np.einsum("sa,sat->st", policy, transition)
    gain = (policy * reward).sum(axis=1) - temperature / 2 * ((policy - prior) ** 2).sum(axis=1)
    return initial * (value - np.linalg.solve(np.eye(len(initial)) - discount * moves, gain))


def prices_by_distance(transition, reward, discount, initial, temperature, prior, policy):
    _, _, best = plan_of(transition, reward, discount, temperature, prior)
    return visits_of(transition, discount, initial, policy) * temperature / 2 * ((policy - best) ** 2).sum(axis=1)


def prices_free_of_charge(transition, reward, discount, initial, temperature, prior, policy):
    value, q, _ = plan_of(transition, reward, discount, temperature, prior)
    return visits_of(transition, discount, initial, policy) * (value - (policy * q).sum(axis=1))


def prices_charged_without_temperature(transition, reward, discount, initial, temperature, prior, policy):
    value, q, _ = plan_of(transition, reward, discount, temperature, prior)
    gap = value - (policy * q).sum(axis=1) + ((policy - prior) ** 2).sum(axis=1) / 2
    return visits_of(transition, discount, initial, policy) * gap


def prices_shifted_reward(transition, reward, discount, initial, temperature, prior, policy):
    # ½‖u − π₀‖² = ½‖u‖² − ⟨u, π₀⟩ + constant, so the prior enters like a reward
    mdp = pc.MDP(transition, reward + temperature * prior, discount, initial, temperature, pc.SquaredNorm())
    penalty = pc.value_penalty(mdp, policy)
    return penalty.weight * penalty.gap


def prices_without_prior(transition, reward, discount, initial, temperature, prior, policy):
    penalty = pc.value_penalty(pc.MDP(transition, reward, discount, initial, temperature, pc.SquaredNorm()), policy)
    return penalty.weight * penalty.gap


def prices_unregularised(transition, reward, discount, initial, temperature, prior, policy):
    penalty = pc.value_penalty(pc.MDP(transition, reward, discount, initial), policy)
    return penalty.weight * penalty.gap


def prices_with_own_values(transition, reward, discount, initial, temperature, prior, policy):
    moves = np.einsum("sa,sat->st", policy, transition)
    gain = (policy * reward).sum(axis=1) - temperature / 2 * ((policy - prior) ** 2).sum(axis=1)
    own = np.linalg.solve(np.eye(len(initial)) - discount * moves, gain)
    q = reward + discount * transition @ own
    best = project(prior + q / temperature)
    top = (best * q).sum(axis=1) - temperature / 2 * ((best - prior) ** 2).sum(axis=1)
    return visits_of(transition, discount, initial, policy) * gap_of(top, q, temperature, prior, policy)


def prices_backwards(transition, reward, discount, initial, temperature, prior, policy):
    value, q, _ = plan_of(transition, reward, discount, temperature, prior)
    moves = np.einsum("sa,sat->ts", policy, transition)
    visits = np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)
    return visits * gap_of(value, q, temperature, prior, policy)


def shifted(transition, reward, discount, initial, temperature, prior, regularizer=None):
    paid = reward + temperature * (prior - (prior**2).sum(axis=1, keepdims=True) / 2)
    return pc.MDP(transition, paid, discount, initial, temperature, regularizer or pc.Entropy())


def prices_with_the_usual_regularizer(transition, reward, discount, initial, temperature, prior, policy):
    penalty = pc.value_penalty(shifted(transition, reward, discount, initial, temperature, prior), policy)
    return penalty.weight * penalty.gap


def prices_prior_twice(transition, reward, discount, initial, temperature, prior, policy):
    best = pc.solve(shifted(transition, reward, discount, initial, temperature, prior, pc.SquaredNorm()))
    gap = gap_of(best.value, best.action_value, temperature, prior, policy)
    return visits_of(transition, discount, initial, policy) * gap


def prices_against_the_best_action(transition, reward, discount, initial, temperature, prior, policy):
    _, q, _ = plan_of(transition, reward, discount, temperature, prior)
    gap = gap_of(q.max(axis=1), q, temperature, prior, policy)
    return visits_of(transition, discount, initial, policy) * gap


INDIFFERENT = np.repeat(P[:, :1], 3, axis=1)  # every action leads to the same places
SYMMETRIC = np.array([[[0.2, 0.5, 0.3]] * 3, [[0.5, 0.1, 0.4]] * 3, [[0.3, 0.4, 0.3]] * 3])
TASK_1 = [
    WrongAnswer(
        "prices",
        prices_from_the_start,
        "Your prices are weighted by where one starts, not by where the policy goes.",
        (P, R, 0.0, START, 0.7, PRIOR, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_on_the_optimal_way,
        "Your prices are weighted by the visits of π*, which is not the policy that errs.",
        (INDIFFERENT, R, 0.9, START, 0.7, PRIOR, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_of_starts,
        "Your prices have the right sum, but each is what a start in the state loses, not what erring there costs.",
        (P, R, 0.0, START, 0.7, PRIOR, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_by_distance,
        "Your gap is a squared distance from π* alone; a row can be wrong in a direction in which π* has no room.",
        (P, R, 0.9, START, 500.0, UNIFORM, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_free_of_charge,
        "Your gap does not charge the policy for leaving the prior.",
        (P, R, 0.9, START, 0.7, PRIOR, PRIOR),
    ),
    WrongAnswer(
        "prices",
        prices_charged_without_temperature,
        "Your gap charges the policy without the temperature, so it is no reward.",
        (P, R, 0.9, START, 1.0, PRIOR, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_shifted_reward,
        "Your regulariser leaves out a part that depends on the state, and values of later states feel it.",
        (P, R, 0.9, START, 0.7, np.array([PRIOR[0], PRIOR[0][::-1], *[PRIOR[0]] * 3]), POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_without_prior,
        "Your regulariser forgets the prior: it is the plain squared norm.",
        (P, R, 0.9, START, 0.7, UNIFORM, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_unregularised,
        "Your gap knows no regulariser: it is the one for τ = 0.",
        (P, R, 0.9, START, 1e-9, PRIOR, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_with_own_values,
        "Your gap looks ahead with the policy's own values.",
        (P, R, 0.0, START, 0.7, PRIOR, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_backwards,
        "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
        (SYMMETRIC, R[:3], 0.9, START[:3] / START[:3].sum(), 0.7, PRIOR[:3], POLICY[:3]),
    ),
    WrongAnswer(
        "prices",
        prices_with_the_usual_regularizer,
        "Your regulariser is the entropy (the library's, if no other is named), not a squared distance.",
        (P, R, 0.9, START, 1e-9, PRIOR, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_prior_twice,
        "Your gap counts the prior twice, in the reward and in the charge.",
        (P, R, 0.9, START, 1e-9, PRIOR, POLICY),
    ),
    WrongAnswer(
        "prices",
        prices_against_the_best_action,
        "Your gap compares with the best single action, which is not free of charge either.",
        (P, R, 0.9, START, 1e-9, PRIOR, POLICY),
    ),
]


# Task 2


def flip_of(discount, found, pay):
    return discount * found * pay / (1 - discount + discount * found)


def worth_of(discount, at_work, found, gain):
    return gain * at_work * (1 / (1 - discount) - 1 / (1 - discount + discount * found))


def weight_of_the_lesson(discount, at_work, found, pay, gain, cost):
    return cost * (1 - discount) / at_work


def weight_always_worth_it(discount, at_work, found, pay, gain, cost):
    return 2 * cost * flip_of(discount, found, pay) * (1 - discount) / at_work


def weight_against_zero(discount, at_work, found, pay, gain, cost):
    flip = flip_of(discount, found, pay)
    return min(cost * flip**2, worth_of(discount, at_work, found, gain)) / flip * (1 - discount) / at_work


def tangent_of(flip, worth, cost):
    return 2 * cost * (flip - np.sqrt(max(flip**2 - worth / cost, 0)))


def weight_of_one_step(discount, at_work, found, pay, gain, cost):
    worth = worth_of(discount, at_work, found, gain)
    return tangent_of(flip_of(discount, found, pay), worth, cost) / at_work


def weight_of_a_sure_start(discount, at_work, found, pay, gain, cost):
    worth = worth_of(discount, at_work, found, gain)
    return tangent_of(flip_of(discount, found, pay), worth, cost) * (1 - discount)


def weight_of_the_lesson_flip(discount, at_work, found, pay, gain, cost):
    worth = worth_of(discount, at_work, found, gain)
    return tangent_of(discount * pay, worth, cost) * (1 - discount) / at_work


def weight_of_the_larger_root(discount, at_work, found, pay, gain, cost):
    flip, worth = flip_of(discount, found, pay), worth_of(discount, at_work, found, gain)
    return 2 * cost * (flip + np.sqrt(max(flip**2 - worth / cost, 0))) * (1 - discount) / at_work


def weight_nothing_from_a_leaver(discount, at_work, found, pay, gain, cost):
    worth = gain * at_work / (1 - discount)
    return tangent_of(flip_of(discount, found, pay), worth, cost) * (1 - discount) / at_work


def weight_zero_if_not_worth_it(discount, at_work, found, pay, gain, cost):
    flip, worth = flip_of(discount, found, pay), worth_of(discount, at_work, found, gain)
    return 2 * cost * flip * (1 - discount) / at_work if worth >= cost * flip**2 else 0.0


def weight_of_a_sure_gain(discount, at_work, found, pay, gain, cost):
    worth = worth_of(discount, 1.0, found, gain)
    return tangent_of(flip_of(discount, found, pay), worth, cost) * (1 - discount) / at_work


WORTH_IT = (0.9, 0.6, 0.4, 1.2, 1.0, 1.5)
TASK_2 = [
    WrongAnswer(
        "smallest_exact_weight",
        weight_of_the_lesson,
        "Your weight is the one for a cost that is linear in the wage.",
        (0.5, 0.6, 1.0, 1.0, 5.0, 1.5),  # the flip is at 1/2
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_always_worth_it,
        "Your weight would do, but where a clerk is not worth the wage a smaller one does too.",
        WORTH_IT,
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_against_zero,
        "Your weight guards against the wage 0, but not against the wages between.",
        (0.9, 0.6, 0.4, 1.2, 1e-6, 1.5),  # hardly anything to be gained
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_of_one_step,
        "Your weight is for a penalty that counts the clerk's first step only; the value penalty counts all.",
        (1e-6, 0.6, 0.4, 1.2, 1.0, 1.5),
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_of_a_sure_start,
        "Your weight is for a clerk who is at work at the start for sure.",
        (0.9, 1.0, 0.4, 1.2, 1.0, 1.5),
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_of_the_lesson_flip,
        "Your clerk flips at the lesson's wage, as if the first attempt to leave succeeded.",
        (0.9, 0.6, 1.0, 1.2, 1.0, 1.5),
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_of_the_larger_root,
        "Your weight solves the right equation, but the equation has two solutions.",
        WORTH_IT,
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_nothing_from_a_leaver,
        "Your employer gains nothing from a clerk who leaves; that clerk is at work while the attempts fail.",
        WORTH_IT,
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_zero_if_not_worth_it,
        "Your weight is 0 where the clerk is not worth the wage, but without a price that clerk stays for nothing.",
        WORTH_IT,
    ),
    WrongAnswer(
        "smallest_exact_weight",
        weight_of_a_sure_gain,
        "Your employer gains from a clerk who is at work at the start for sure.",
        WORTH_IT,
    ),
]


# Task 3


def case_of(objective, penalty, near, second=None, third=None):
    optimum = objective[penalty == 0].min()
    least = np.array([objective[penalty <= level].min() for level in penalty[near]])
    numbers = [penalty[near].max(), (objective[near] - optimum).max(), (objective[near] - least).max()]
    return np.array([numbers[0], numbers[1] if second is None else second, numbers[2] if third is None else third])


def near_of(objective, penalty, weight, slack):
    penalized = objective + weight * penalty
    return penalized <= penalized.min() + slack


def case_strict(objective, penalty, weight, slack):
    penalized = objective + weight * penalty
    return case_of(objective, penalty, (penalized < penalized.min() + slack) | (penalized == penalized.min()))


def case_of_the_minimiser(objective, penalty, weight, slack):
    return case_of(objective, penalty, near_of(objective, penalty, weight, 0.0))


def case_for_each_x(objective, penalty, weight, slack):
    penalized = objective + weight * penalty
    return case_of(objective, penalty, penalized <= penalized.min(axis=1, keepdims=True) + slack)


def case_of_the_bound(objective, penalty, weight, slack):
    result = case_of(objective, penalty, near_of(objective, penalty, weight, slack))
    result[0] = (objective.max() - objective.min() + slack) / weight
    return result


def case_against_the_least(objective, penalty, weight, slack):
    near = near_of(objective, penalty, weight, slack)
    return case_of(objective, penalty, near, second=objective[near].max() - objective.min())


def case_against_feasible_points(objective, penalty, weight, slack):
    near = near_of(objective, penalty, weight, slack)
    return case_of(objective, penalty, near, third=objective[near].max() - objective[penalty == 0].min())


def case_at_one_level(objective, penalty, weight, slack):
    near = near_of(objective, penalty, weight, slack)
    inside = penalty <= penalty[near].max()
    return case_of(objective, penalty, near, third=objective[near].max() - objective[inside].min())


def case_of_the_farthest(objective, penalty, weight, slack):
    near = near_of(objective, penalty, weight, slack)
    k = np.where(near, penalty, -1).argmax()
    f, p = objective.flat[k], penalty.flat[k]
    return np.array([p, f - objective[penalty == 0].min(), f - objective[penalty <= p].min()])


def case_by_a_running_minimum(objective, penalty, weight, slack):
    order = np.argsort(penalty.ravel(), kind="stable")
    f = objective.ravel()[order]
    near = near_of(objective, penalty, weight, slack)
    regret = f - np.minimum.accumulate(f)
    return case_of(objective, penalty, near, third=regret[near.ravel()[order]].max())


def case_at_the_same_level(objective, penalty, weight, slack):
    near = near_of(objective, penalty, weight, slack)
    least = np.array([objective[penalty == level].min() for level in penalty[near]])
    return case_of(objective, penalty, near, third=(objective[near] - least).max())


def case_of_the_bounds(objective, penalty, weight, slack):
    return np.array([(objective.max() - objective.min() + slack) / weight, slack, slack])


ALL_FEASIBLE = (np.array([[0.0, 1.0], [3.0, 0.5]]), np.zeros((2, 2)), 1.0, 0.75)
DOMINATED = (np.array([[0.0, 1.0], [3.0, 5.0]]), np.array([[0.0, 1.0], [0.0, 2.0]]), 0.5, 0.0)
TASK_3 = [
    WrongAnswer(
        "worst_case",
        case_strict,
        "Your set leaves out points that miss the minimum by exactly ε.",
        ALL_FEASIBLE,
    ),
    WrongAnswer("worst_case", case_of_the_minimiser, "Your set holds the exact minimisers only.", DOMINATED),
    WrongAnswer(
        "worst_case",
        case_for_each_x,
        "Your set holds the points that are nearly best for their own x; nearly best over all x and y is asked.",
        (np.array([[0.0, -1.0, 2.0]]), np.array([[0.0, 1.0, 0.5]]), 0.5, 0.25),
    ),
    WrongAnswer(
        "worst_case",
        case_of_the_bound,
        "Your first number is the theorem's bound on the penalty, not the penalty.",
        (np.array([[0.0, -1.0]]), np.array([[0.0, 1.0]]), 1.0, 0.0),
    ),
    WrongAnswer(
        "worst_case",
        case_against_the_least,
        "Your second number compares with the least f of the table, which breaks the constraint.",
        ALL_FEASIBLE,
    ),
    WrongAnswer(
        "worst_case",
        case_against_feasible_points,
        "Your third number compares with the points where p = 0; the point's own level allows more.",
        ALL_FEASIBLE,
    ),
    WrongAnswer(
        "worst_case",
        case_at_one_level,
        "Your third number does not compare each point at its own level, but at a wider one.",
        ALL_FEASIBLE,
    ),
    WrongAnswer(
        "worst_case",
        case_of_the_farthest,
        "Your three numbers are those of one point, and another can be worse in one of them.",
        (np.array([[0.0, -1.0]]), np.array([[0.0, 1.0]]), 2.0, 0.0),
    ),
    WrongAnswer(
        "worst_case",
        case_by_a_running_minimum,
        "Your third number leaves out other points at the very same level.",
        DOMINATED,
    ),
    WrongAnswer(
        "worst_case",
        case_at_the_same_level,
        "Your third number knows the very same level only; a smaller penalty is allowed too.",
        ALL_FEASIBLE,
    ),
    WrongAnswer(
        "worst_case",
        case_of_the_bounds,
        "Your numbers are the theorem's bounds; how bad the ε-minimisers really are is asked.",
        (np.array([[0.0, -1.0]]), np.array([[0.0, 1.0]]), 1.0, 0.0),
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
