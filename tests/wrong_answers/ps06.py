"""Wrong answers to problem set 06."""

import numpy as np

import pencourse as pc
from pencourse.bilevel import Objective, minus_return

from . import WrongAnswer

RNG = np.random.default_rng(10)
S, A = 5, 3


def distributions(*shape):
    return RNG.dirichlet(np.ones(shape[-1]), size=shape[:-1])


P, R = distributions(S, A, S), RNG.normal(size=(S, A))
KERNELS, REWARDS, UPPER = distributions(2, S, A, S), RNG.normal(size=(2, S, A)), RNG.normal(size=(2, S, A))
START, POLICY, MIX = distributions(S), distributions(S, A), RNG.uniform(0.2, 0.8, size=S)
PRICE = RNG.uniform(0.5, 2.0, size=(S, A))
FIXED = np.eye(A)[[0, 1, 2, 0, 1]]
HALF = distributions(S, S)
SYMMETRIC = np.repeat(((HALF + HALF.T) / 4 + np.diag(1 - (HALF + HALF.T).sum(axis=1) / 4))[:, None], A, axis=1)
ALIKE = np.stack([KERNELS[0], KERNELS[0]])  # the same kernel in both worlds
PAID_ALIKE = np.stack([REWARDS[0], REWARDS[0]])


def moves_of(transition, policy):
    return np.einsum("sa,sat->st", policy, transition)


def solved(transition, policy, discount, right, transposed=False):
    system = np.eye(len(right)) - discount * moves_of(transition, policy)
    return np.linalg.solve(system.T if transposed else system, right)


def without_mean(rows):
    return rows - rows.mean(axis=1, keepdims=True)


# Task 1


def slope_of_the_return(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    table = reward + discount * transition @ value - temperature * price * policy
    return without_mean(visits[:, None] * table)


def slope_at_the_start(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    table = reward + discount * transition @ value - temperature * price * policy
    return without_mean(-initial[:, None] * table)


def slope_backwards(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial)
    table = reward + discount * transition @ value - temperature * price * policy
    return without_mean(-visits[:, None] * table)


def slope_not_centred(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    return -visits[:, None] * (reward + discount * transition @ value - temperature * price * policy)


def slope_of_advantages(transition, reward, discount, initial, temperature, price, policy):
    slope = slope_not_centred(transition, reward, discount, initial, temperature, price, policy)
    return slope - (policy * slope).sum(axis=1, keepdims=True)


def slope_uncharged_later(transition, reward, discount, initial, temperature, price, policy):
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1))
    visits = solved(transition, policy, discount, initial, transposed=True)
    table = reward + discount * transition @ value - temperature * price * policy
    return without_mean(-visits[:, None] * table)


def slope_uncharged_now(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    return without_mean(-visits[:, None] * (reward + discount * transition @ value))


def slope_without_temperature(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    return without_mean(-visits[:, None] * (reward + discount * transition @ value - price * policy))


def slope_attracted(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    table = reward + discount * transition @ value + temperature * price * policy
    return without_mean(-visits[:, None] * table)


def slope_of_half_a_charge(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    table = reward + discount * transition @ value - temperature / 2 * price * policy
    return without_mean(-visits[:, None] * table)


def slope_of_the_charge_itself(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * price * policy**2
    value = solved(transition, policy, discount, (policy * reward - charge).sum(axis=1))
    visits = solved(transition, policy, discount, initial, transposed=True)
    return without_mean(-visits[:, None] * (reward + discount * transition @ value - charge))


def slope_by_the_library(transition, reward, discount, initial, temperature, price, policy):
    mdp = pc.MDP(transition, reward, discount, initial, temperature, pc.SquaredNorm())
    return without_mean(pc.value_penalty(mdp, policy).policy_gradient)


def slope_charged_twice_later(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    table = reward + discount * transition @ value - temperature * price * policy
    return without_mean(-visits[:, None] * table)


def slope_charged_twice(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    table = reward + discount * transition @ value - 2 * temperature * price * policy
    return without_mean(-visits[:, None] * table)


def slope_undiscounted(transition, reward, discount, initial, temperature, price, policy):
    charge = temperature / 2 * (price * policy**2).sum(axis=1)
    value = solved(transition, policy, discount, (policy * reward).sum(axis=1) - charge)
    visits = solved(transition, policy, discount, initial, transposed=True)
    return without_mean(-visits[:, None] * (reward + transition @ value - temperature * price * policy))


def slope_short_sighted(transition, reward, discount, initial, temperature, price, policy):
    visits = solved(transition, policy, discount, initial, transposed=True)
    return without_mean(-visits[:, None] * (reward - temperature * price * policy))


ONE_ARM = (P[:, :1], R[:, :1], 0.9, START, 0.5, PRICE[:, :1], np.ones((S, 1)))  # nothing to choose: slopes are 0
NOW = (P, R, 0.0, START, 0.5, PRICE, POLICY)
EVEN = (P, R, 0.9, START, 0.5, np.ones((S, A)), np.full((S, A), 1 / A))  # the charge is alike for all actions
BALANCED = np.array([1.0, -2.0, 1.0])
TASK_1 = [
    WrongAnswer(
        "policy_slope",
        slope_of_the_return,
        "Your slope is that of the return: the penalty sinks where the return rises.",
        ONE_ARM,
    ),
    WrongAnswer(
        "policy_slope",
        slope_at_the_start,
        "Your slope weights the states by where the agent starts, not by where it goes.",
        NOW,
    ),
    WrongAnswer(
        "policy_slope",
        slope_backwards,
        "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
        (SYMMETRIC, R, 0.9, START, 0.5, PRICE, POLICY),
    ),
    WrongAnswer(
        "policy_slope",
        slope_not_centred,
        "Your rows do not sum to 0.",
        (P, np.tile(BALANCED, (S, 1)), 0.0, START, 0.0, PRICE, POLICY),
    ),
    WrongAnswer(
        "policy_slope",
        slope_of_advantages,
        "Your rows sum to 0 when they are weighted with the policy, not as they stand.",
        EVEN,
    ),
    WrongAnswer(
        "policy_slope",
        slope_uncharged_later,
        "Your values leave out what the policy is charged later on.",
        NOW,
    ),
    WrongAnswer(
        "policy_slope",
        slope_uncharged_now,
        "Your slope leaves out what the row itself is charged.",
        EVEN,
    ),
    WrongAnswer(
        "policy_slope",
        slope_without_temperature,
        "Your charge for the row lacks the temperature.",
        (P, R, 0.9, START, 1.0, PRICE, POLICY),
    ),
    WrongAnswer(
        "policy_slope",
        slope_attracted,
        "Your charge for the row has the wrong sign: it makes a row attractive for being certain.",
        EVEN,
    ),
    WrongAnswer(
        "policy_slope",
        slope_of_half_a_charge,
        "Your charge for the row is half of what its derivative is.",
        EVEN,
    ),
    WrongAnswer(
        "policy_slope",
        slope_of_the_charge_itself,
        "Your charge for the row is the charge itself and not its derivative.",
        EVEN,
    ),
    WrongAnswer(
        "policy_slope",
        slope_by_the_library,
        "Your slope does not know the prices c.",
        (P, R, 0.9, START, 0.5, np.ones((S, A)), POLICY),
    ),
    WrongAnswer(
        "policy_slope",
        slope_charged_twice_later,
        "Your values charge the policy twice what h says (where is the ½?).",
        NOW,
    ),
    WrongAnswer(
        "policy_slope",
        slope_charged_twice,
        "Your charge is twice what h says, in the values and in the row (where is the ½?).",
        EVEN,
    ),
    WrongAnswer("policy_slope", slope_undiscounted, "Your action values count tomorrow in full.", ONE_ARM),
    WrongAnswer("policy_slope", slope_short_sighted, "Your action values end with today's reward.", NOW),
]


# Task 2


def mixed(tables, mix):
    x = np.reshape(mix, (-1,) + (1,) * (tables.ndim - 2))
    return (1 - x) * tables[0] + x * tables[1]


def world_of(kernels, rewards, discount, initial, temperature, mix):
    return pc.MDP(mixed(kernels, mix), mixed(rewards, mix), discount, initial, temperature)


def changed(kernels, rewards, discount, value):
    return rewards[1] - rewards[0] + discount * (kernels[1] - kernels[0]) @ value


def adjoint(mdp, policy, weights):
    return pc.evaluate(mdp, policy).action_value_adjoint(weights)


def arriving(mdp, weights):
    return mdp.discount * np.einsum("sa,sat->t", weights, mdp.transition)


def bellman_today(kernels, rewards, discount, initial, temperature, mix, policy):
    best = pc.solve(world_of(kernels, rewards, discount, initial, temperature, mix))
    mass = initial[:, None] * (best.policy - policy)
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_tomorrow(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = initial[:, None] * (best.policy - policy)
    mass = mass + arriving(mdp, mass)[:, None] * best.policy
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_on_the_way_of_y(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = adjoint(mdp, policy, initial[:, None] * (best.policy - policy))
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_spread_by_y(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = initial[:, None] * (best.policy - policy)
    later = solved(mdp.transition, best.policy, discount, arriving(mdp, mass), transposed=True)
    mass = mass + later[:, None] * policy
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_on_every_action(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = initial[:, None] * (best.policy - policy)
    later = solved(mdp.transition, best.policy, discount, arriving(mdp, mass), transposed=True)
    return ((mass + later[:, None]) * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_forwards(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = initial[:, None] * (best.policy - policy)
    mass = mass + solved(mdp.transition, best.policy, discount, arriving(mdp, mass))[:, None] * best.policy
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_too_early(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = initial[:, None] * (best.policy - policy)
    arrivals = np.einsum("sa,sat->t", mass, mdp.transition)
    mass = mass + solved(mdp.transition, best.policy, discount, arrivals, transposed=True)[:, None] * best.policy
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_with_the_sign_flipped(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = adjoint(mdp, best.policy, initial[:, None] * (policy - best.policy))
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_on_visits(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best, visits = pc.solve(mdp), pc.evaluate(mdp, policy).occupancy
    mass = adjoint(mdp, best.policy, visits[:, None] * (best.policy - policy))
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_of_the_value_penalty(kernels, rewards, discount, initial, temperature, mix, policy):
    terms = pc.value_penalty(world_of(kernels, rewards, discount, initial, temperature, mix), policy).terms
    return sum((term.mass * changed(kernels, rewards, discount, term.next_value)).sum(axis=1) for term in terms)


def bellman_without_the_minimum(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = adjoint(mdp, best.policy, -initial[:, None] * policy)
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_hard(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    hard = np.eye(policy.shape[1])[best.action_value.argmax(axis=1)]
    mass = adjoint(mdp, best.policy, initial[:, None] * (hard - policy))
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def bellman_of_own_values(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    mass = adjoint(mdp, best.policy, initial[:, None] * (best.policy - policy))
    return (mass * changed(kernels, rewards, discount, pc.evaluate(mdp, policy).value)).sum(axis=1)


def bellman_mass(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    return adjoint(mdp, best.policy, initial[:, None] * (best.policy - policy)), best.value


def bellman_without_kernel(kernels, rewards, *given):
    mass, _ = bellman_mass(kernels, rewards, *given)
    return (mass * (rewards[1] - rewards[0])).sum(axis=1)


def bellman_without_reward(kernels, rewards, discount, *given):
    mass, value = bellman_mass(kernels, rewards, discount, *given)
    return (mass * discount * ((kernels[1] - kernels[0]) @ value)).sum(axis=1)


def bellman_undiscounted(kernels, rewards, *given):
    mass, value = bellman_mass(kernels, rewards, *given)
    return (mass * changed(kernels, rewards, 1.0, value)).sum(axis=1)


def bellman_by_the_library(kernels, rewards, discount, initial, temperature, mix, policy):
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    (term,) = pc.bellman_penalty(mdp, policy).terms
    return (term.mass * changed(kernels, rewards, discount, term.next_value)).sum(axis=1)


TODAY = (KERNELS, REWARDS, 0.0, START, 0.5, MIX, POLICY)
CERTAIN = (KERNELS, REWARDS, 0.9, START, 1e-4, MIX, POLICY)
SAME_WAYS = np.repeat(ALIKE[:, :, :1], A, axis=2)  # no action matters for the way
NO_DETOUR = (SAME_WAYS, REWARDS, 0.9, START, 0.5, MIX, POLICY)
NO_CHANGE = (ALIKE, PAID_ALIKE, 0.9, START, 0.5, MIX, POLICY)
PAY_ONLY = (ALIKE, REWARDS, 0.9, START, 0.5, MIX, POLICY)
WAY_OF_Y = "Your adjoint solves with P_y (whose values are Q*, and along whose way do they depend on x?)."
TASK_2 = [
    WrongAnswer(
        "bellman_slope",
        bellman_today,
        "Your slope holds the values of later states fixed, as if x changed the first step only.",
        TODAY,
    ),
    WrongAnswer(
        "bellman_slope",
        bellman_tomorrow,
        "Your slope follows a change for one more step and no further.",
        TODAY,
    ),
    WrongAnswer("bellman_slope", bellman_on_the_way_of_y, WAY_OF_Y, NO_DETOUR),
    WrongAnswer(
        "bellman_slope",
        bellman_spread_by_y,
        "Your adjoint lets the right policy move, but spreads the mass over the actions of y.",
        TODAY,
    ),
    WrongAnswer(
        "bellman_slope",
        bellman_on_every_action,
        "Your adjoint puts its mass in full on every action.",
        TODAY,
    ),
    WrongAnswer(
        "bellman_slope",
        bellman_forwards,
        "Your adjoint flows forwards in time (which solve answers to a given weight on the values?).",
        TODAY,
    ),
    WrongAnswer(
        "bellman_slope",
        bellman_too_early,
        "Your adjoint starts a step too early: what arrives tomorrow counts as if it were today.",
        NO_DETOUR,
    ),
    WrongAnswer("bellman_slope", bellman_with_the_sign_flipped, "Your slope has the wrong sign.", NO_CHANGE),
    WrongAnswer(
        "bellman_slope",
        bellman_on_visits,
        "Your slope weights the states by the visits of y: those are the value penalty's weights.",
        TODAY,
    ),
    WrongAnswer("bellman_slope", bellman_of_the_value_penalty, "Your slope is that of the value penalty.", TODAY),
    WrongAnswer(
        "bellman_slope",
        bellman_without_the_minimum,
        "Your slope is that of g_B without its minimum, which moves with x as well.",
        NO_CHANGE,
    ),
    WrongAnswer("bellman_slope", bellman_hard, "Your best row does not know the temperature.", CERTAIN),
    WrongAnswer("bellman_slope", bellman_of_own_values, "Your slope looks ahead with the values of y.", PAY_ONLY),
    WrongAnswer(
        "bellman_slope",
        bellman_without_kernel,
        "Your slope knows that x changes the reward, but not that it changes the kernel.",
        PAY_ONLY,
    ),
    WrongAnswer(
        "bellman_slope",
        bellman_without_reward,
        "Your slope knows that x changes the kernel, but not that it changes the reward.",
        (KERNELS, PAID_ALIKE, 0.9, START, 0.5, MIX, POLICY),
    ),
    WrongAnswer(
        "bellman_slope",
        bellman_undiscounted,
        "Your change of the kernel is not discounted.",
        PAY_ONLY,
    ),
    WrongAnswer(
        "bellman_slope",
        bellman_by_the_library,
        "Your function uses bellman_penalty, which this task asks you to do without.",
        TODAY,
    ),
]


# Task 3


def at_the_tie(kernels, rewards, discount, initial, mix):
    mdp = pc.MDP(
        (1 - mix) * kernels[0] + mix * kernels[1], (1 - mix) * rewards[0] + mix * rewards[1], discount, initial
    )
    best = pc.solve(mdp)
    return mdp, best, best.action_value > best.action_value.max(axis=1, keepdims=True) - 1e-7


def least_and_largest(mdp, allowed, gain):
    states, first = np.arange(mdp.n_states)[:, None], allowed.argmax(axis=1)[:, None]
    actions = np.where(allowed, np.arange(mdp.n_actions), first)
    transition = mdp.transition[states, actions]
    low = pc.solve(pc.MDP(transition, -gain[states, actions], mdp.discount, mdp.initial))
    high = pc.solve(pc.MDP(transition, gain[states, actions], mdp.discount, mdp.initial))
    return np.array([-low.expected_return, high.expected_return])


def tangents_of_one_policy(kernels, rewards, discount, initial, mix):
    mdp, best, _ = at_the_tie(kernels, rewards, discount, initial, mix)
    visits = pc.evaluate(mdp, best.policy).occupancy
    slope = visits @ (best.policy * changed(kernels, rewards, discount, best.value)).sum(axis=1)
    return np.array([slope, slope])


def tangents_of_a_central_difference(kernels, rewards, discount, initial, mix):
    width = 1e-6
    ahead, behind = (at_the_tie(kernels, rewards, discount, initial, mix + step)[1] for step in (width, -width))
    slope = (ahead.expected_return - behind.expected_return) / (2 * width)
    return np.array([slope, slope])


def tangents_exchanged(kernels, rewards, discount, initial, mix):
    mdp, best, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    return least_and_largest(mdp, ties, changed(kernels, rewards, discount, best.value))[::-1]


def tangents_as_distances(kernels, rewards, discount, initial, mix):
    mdp, best, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    left, right = least_and_largest(mdp, ties, changed(kernels, rewards, discount, best.value))
    return np.array([-left, right])


def tangents_of_all_policies(kernels, rewards, discount, initial, mix):
    mdp, best, _ = at_the_tie(kernels, rewards, discount, initial, mix)
    return least_and_largest(
        mdp, np.ones((mdp.n_states, mdp.n_actions), dtype=bool), changed(kernels, rewards, discount, best.value)
    )


def tangents_state_by_state(kernels, rewards, discount, initial, mix):
    mdp, best, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    gain = changed(kernels, rewards, discount, best.value)
    slopes = []
    for chosen in (np.where(ties, gain, np.inf).argmin(axis=1), np.where(ties, gain, -np.inf).argmax(axis=1)):
        policy = np.eye(mdp.n_actions)[chosen]
        slopes.append(pc.evaluate(mdp, policy).occupancy @ (policy * gain).sum(axis=1))
    return np.array(slopes)


def tangents_on_one_way(kernels, rewards, discount, initial, mix):
    mdp, best, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    gain = changed(kernels, rewards, discount, best.value)
    visits = pc.evaluate(mdp, best.policy).occupancy
    low, high = np.where(ties, gain, np.inf).min(axis=1), np.where(ties, gain, -np.inf).max(axis=1)
    return np.array([visits @ low, visits @ high])


def tangents_of_the_first_step(kernels, rewards, discount, initial, mix):
    _, best, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    gain = changed(kernels, rewards, discount, best.value)
    low, high = np.where(ties, gain, np.inf).min(axis=1), np.where(ties, gain, -np.inf).max(axis=1)
    return np.array([initial @ low, initial @ high])


def tangents_without_kernel(kernels, rewards, discount, initial, mix):
    mdp, _, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    return least_and_largest(mdp, ties, rewards[1] - rewards[0])


def tangents_without_reward(kernels, rewards, discount, initial, mix):
    mdp, best, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    return least_and_largest(mdp, ties, discount * (kernels[1] - kernels[0]) @ best.value)


def tangents_undiscounted(kernels, rewards, discount, initial, mix):
    mdp, best, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    return least_and_largest(mdp, ties, changed(kernels, rewards, 1.0, best.value))


def tangents_with_old_values(kernels, rewards, discount, initial, mix):
    mdp, _, ties = at_the_tie(kernels, rewards, discount, initial, mix)
    old = pc.solve(pc.MDP(kernels[0], rewards[0], discount, initial)).value
    return least_and_largest(mdp, ties, changed(kernels, rewards, discount, old))


NO_TIE = (KERNELS, REWARDS, 0.9, START, 0.4)
STILL = (ALIKE, PAID_ALIKE, 0.9, START, 0.4)  # x changes nothing
ARMS = (np.ones((2, 1, 2, 1)), np.array([[[0.0, 0.4]], [[1.0, 0.4]]]), 0.0, np.ones(1), 0.4)
TASK_3 = [
    WrongAnswer(
        "two_tangents",
        tangents_of_one_policy,
        "Your two slopes are the same at every tie, as if V* had one tangent there.",
        NO_TIE,
    ),
    WrongAnswer(
        "two_tangents",
        tangents_of_a_central_difference,
        "Your two slopes are the same at every tie, as if V* had one tangent there.",
        (ALIKE, REWARDS, 0.9, START, 0.4),
    ),
    WrongAnswer("two_tangents", tangents_exchanged, "Your two slopes are exchanged.", NO_TIE),
    WrongAnswer(
        "two_tangents",
        tangents_as_distances,
        "Your left slope is that of going left, with x as the distance gone: as a slope in x it changes its sign.",
        ARMS,
    ),
    WrongAnswer(
        "two_tangents", tangents_of_all_policies, "Your slopes belong to policies that are not optimal at x.", ARMS
    ),
    WrongAnswer(
        "two_tangents",
        tangents_state_by_state,
        "Your slopes let each state choose for itself, without regard to where the choice leads.",
        NO_TIE,
    ),
    WrongAnswer(
        "two_tangents",
        tangents_on_one_way,
        "Your slopes use the visits of one optimal policy for all of them.",
        NO_TIE,
    ),
    WrongAnswer("two_tangents", tangents_of_the_first_step, "Your slopes know the first step only.", ARMS),
    WrongAnswer(
        "two_tangents",
        tangents_without_kernel,
        "Your slopes know that x changes the reward, but not that it changes the kernel.",
        (ALIKE, REWARDS, 0.9, START, 0.4),
    ),
    WrongAnswer(
        "two_tangents",
        tangents_without_reward,
        "Your slopes know that x changes the kernel, but not that it changes the reward.",
        (KERNELS, PAID_ALIKE, 0.9, START, 0.4),
    ),
    WrongAnswer(
        "two_tangents",
        tangents_undiscounted,
        "Your change of the kernel is not discounted.",
        (ALIKE, REWARDS, 0.9, START, 0.4),
    ),
    WrongAnswer(
        "two_tangents",
        tangents_with_old_values,
        "Your slopes look ahead with the values of the first world, not with those at x.",
        (ALIKE, REWARDS, 0.9, START, 0.4),
    ),
]


# Task 4


def parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    """Return the model, the optimum, its evaluation, the leader's values and action values."""
    mdp = world_of(kernels, rewards, discount, initial, temperature, mix)
    best = pc.solve(mdp)
    at, paid = pc.evaluate(mdp, best.policy), mixed(upper_rewards, mix)
    value = at.side_value(paid)
    return mdp, best, at, value, paid + discount * mdp.transition @ value


def centred(policy, slope):
    return policy * (slope - (policy * slope).sum(axis=1, keepdims=True))


def direct_part(kernels, upper_rewards, discount, at, value):
    return -(at.state_action_occupancy * changed(kernels, upper_rewards, discount, value)).sum(axis=1)


def response_part(kernels, rewards, discount, at, best, weights):
    mass = adjoint(at.mdp, at.policy, weights)
    return (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)


def hyper_frozen(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, _, at, value, _ = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    return direct_part(kernels, upper_rewards, discount, at, value)


def hyper_response_only(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, _, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) / temperature
    return response_part(kernels, rewards, discount, at, best, weights)


def hyper_of_the_return(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, at.occupancy[:, None] * table) / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response - direct_part(kernels, upper_rewards, discount, at, value)


def hyper_response_of_the_return(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, at.occupancy[:, None] * table) / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_without_temperature(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table)
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_times_temperature(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) * temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_not_centred(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = -at.state_action_occupancy * table / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_of_the_diagonal(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = best.policy * (1 - best.policy) * -at.occupancy[:, None] * table / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_by_the_library(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    class Mixture:
        initial_upper = mix

        def lower_model(self, x):
            return world_of(kernels, rewards, discount, initial, temperature, x)

        def upper_objective(self, x, at, rng=None):
            f = minus_return(at, mixed(upper_rewards, x))
            direct = f.terms[0].mass * (upper_rewards[1] - upper_rewards[0])
            return Objective(f.value, f.policy_gradient, direct.sum(axis=1), f.terms)

        def pull_back(self, x, terms):
            tables = {"lower": rewards, "upper": PAID_ALIKE}
            return sum(
                (term.mass * changed(kernels, tables[term.channel], discount, term.next_value)).sum(axis=1)
                for term in terms
            )

        def project(self, x):
            return x.clip(0, 1)

    return pc.hypergradient(Mixture(), mix).gradient


def hyper_without_adjoint(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) / temperature
    response = (weights * changed(kernels, rewards, discount, best.value)).sum(axis=1)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_forwards(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    mdp, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) / temperature
    mass = weights + at.solve(arriving(mdp, weights))[:, None] * best.policy
    response = (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_too_early(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    mdp, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) / temperature
    arrivals = np.einsum("sa,sat->t", weights, mdp.transition)
    mass = weights + at.solve(arrivals, transposed=True)[:, None] * best.policy
    response = (mass * changed(kernels, rewards, discount, best.value)).sum(axis=1)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_by_the_follower(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, _ = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * best.action_value) / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_short_sighted(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, _ = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * mixed(upper_rewards, mix)) / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_at_the_start(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -initial[:, None] * table) / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_with_the_leaders_values(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) / temperature
    response = (adjoint(at.mdp, best.policy, weights) * changed(kernels, rewards, discount, value)).sum(axis=1)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_with_the_leaders_reward(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) / temperature
    response = response_part(kernels, upper_rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, discount, at, value)


def hyper_in_a_still_world(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, _, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response - (at.state_action_occupancy * (upper_rewards[1] - upper_rewards[0])).sum(axis=1)


def hyper_undiscounted(kernels, rewards, upper_rewards, discount, initial, temperature, mix):
    _, best, at, value, table = parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    weights = centred(best.policy, -at.occupancy[:, None] * table) / temperature
    response = response_part(kernels, rewards, discount, at, best, weights)
    return response + direct_part(kernels, upper_rewards, 1.0, at, value)


LEADER_ALIKE = np.stack([UPPER[0], UPPER[0]])
ONLY_WORTH = (KERNELS[:, :, :1], REWARDS[:, :, :1], UPPER[:, :, :1], 0.9, START, 0.5, MIX)  # one action, no response
ONLY_RESPONSE = (ALIKE, REWARDS, LEADER_ALIKE, 0.9, START, 0.5, MIX)  # x changes the follower's reward only
BANDITS = (KERNELS, REWARDS, UPPER, 0.0, START, 0.5, MIX)
WARM = (KERNELS, REWARDS, UPPER, 0.9, START, 1.0, MIX)
UNMOVED = (ALIKE, PAID_ALIKE, LEADER_ALIKE, 0.9, START, 0.5, MIX)  # x changes nothing
OF_ONE_MIND = (ALIKE, REWARDS, REWARDS, 0.0, START, 0.5, MIX)
TASK_4 = [
    WrongAnswer(
        "hypergradient",
        hyper_frozen,
        "Your gradient keeps the follower's policy as it is, whatever x becomes.",
        ONLY_WORTH,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_response_only,
        "Your gradient sees x only through the follower's policy, although x changes the leader's world too.",
        ONLY_RESPONSE,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_of_the_return,
        "Your gradient is that of the leader's return: f is minus it.",
        UNMOVED,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_response_of_the_return,
        "Your two parts have opposite signs, so one of them is that of the return.",
        ONLY_WORTH,
    ),
    WrongAnswer(
        "hypergradient", hyper_without_temperature, "Your follower answers as fast at every temperature.", WARM
    ),
    WrongAnswer(
        "hypergradient",
        hyper_times_temperature,
        "Your follower answers faster the larger the temperature is.",
        WARM,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_not_centred,
        "Your follower's rows do not keep their sum when they move.",
        UNMOVED,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_of_the_diagonal,
        "Your follower moves each probability by itself; what one action gains, others lose.",
        UNMOVED,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_by_the_library,
        "Your function uses hypergradient, which this task asks you to do without.",
        BANDITS,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_without_adjoint,
        "Your follower's action values change by the first step only; x changes its later values too.",
        BANDITS,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_forwards,
        "Your adjoint flows forwards in time (which solve answers to a given weight on the values?).",
        BANDITS,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_too_early,
        "Your adjoint starts a step too early: what arrives tomorrow counts as if it were today.",
        (SAME_WAYS, REWARDS, UPPER, 0.9, START, 0.5, MIX),
    ),
    WrongAnswer(
        "hypergradient",
        hyper_by_the_follower,
        "Your slope in the policy uses the follower's action values (who is it that gains or loses by an action?).",
        OF_ONE_MIND,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_short_sighted,
        "Your slope in the policy looks at the leader's reward of today only.",
        BANDITS,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_at_the_start,
        "Your slope in the policy weights the states by where the agent starts, not by where it goes.",
        BANDITS,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_with_the_leaders_values,
        "Your follower looks ahead with the leader's values.",
        ONLY_RESPONSE,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_with_the_leaders_reward,
        "Your follower answers to the leader's reward.",
        OF_ONE_MIND,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_in_a_still_world,
        "Your direct part leaves out that x moves the leader's kernel.",
        ONLY_RESPONSE,
    ),
    WrongAnswer(
        "hypergradient",
        hyper_undiscounted,
        "Your direct part does not discount what the kernel's change brings.",
        ONLY_RESPONSE,
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3, *TASK_4]
