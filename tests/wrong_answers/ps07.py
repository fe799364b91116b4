"""Wrong answers to problem set 07."""

import itertools

import numpy as np

import pencourse as pc
from pencourse import worlds

from . import WrongAnswer

RNG = np.random.default_rng(71)
KERNELS = np.stack([worlds.random_mdp(RNG, 5, 3, 0.9, branching=2).transition for _ in range(2)])
REWARDS, UPPER = RNG.normal(size=(2, 2, 5, 3))
START, MIX = RNG.dirichlet(np.ones(5)), RNG.uniform(0.2, 0.8, size=5)
W = RNG.dirichlet(np.ones(3), size=5)


# Task 1


def mixed(tables, mix):
    share = mix.reshape((-1,) + (1,) * (tables.ndim - 2))
    return (1 - share) * tables[0] + share * tables[1]


def slope_of(mdp, plan, difference, apart):
    at = pc.evaluate(mdp, plan.policy)
    return at.occupancy * (plan.policy * (difference + mdp.discount * apart @ plan.value)).sum(axis=1)


def minimum_of(
    kernels,
    rewards,
    upper_rewards,
    discount,
    initial,
    temperature,
    mix,
    *,
    tilt,
    heat,
    outside,
    inside,
    change=None,
    dynamics=True,
):
    kernel, reward, upper = (mixed(tables, mix) for tables in (kernels, rewards, upper_rewards))
    first = pc.MDP(kernel, reward, discount, initial, temperature)
    second = pc.MDP(kernel, reward + tilt * upper, discount, initial, temperature + heat)
    plans = pc.solve(first), pc.solve(second)
    apart = kernels[1] - kernels[0] if dynamics else np.zeros_like(kernels[0])
    own = rewards[1] - rewards[0]
    lead = (tilt if change is None else change) * (upper_rewards[1] - upper_rewards[0])
    slope = slope_of(first, plans[0], own, apart) - slope_of(second, plans[1], own + lead, apart)
    value = plans[0].expected_return - plans[1].expected_return
    return np.concatenate([[outside * value], inside * slope])


def minimum_without_heat(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    data = (kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    return minimum_of(*data, tilt=1 / weight, heat=0, outside=weight, inside=weight)


def minimum_with_full_heat(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    data = (kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    return minimum_of(*data, tilt=1 / weight, heat=upper_temperature, outside=weight, inside=weight)


def minimum_with_full_tilt(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    data = (kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    return minimum_of(*data, tilt=1, heat=upper_temperature / weight, outside=weight, inside=weight)


def minimum_in_follower_units(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    data = (kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    return minimum_of(*data, tilt=1 / weight, heat=upper_temperature / weight, outside=1, inside=1)


def minimum_with_a_short_slope(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    data = (kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    return minimum_of(*data, tilt=1 / weight, heat=upper_temperature / weight, outside=weight, inside=1)


def minimum_leader_stands_still(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    data = (kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    heat = upper_temperature / weight
    return minimum_of(*data, tilt=1 / weight, heat=heat, outside=weight, inside=weight, change=0)


def minimum_kernel_stands_still(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    data = (kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    heat = upper_temperature / weight
    return minimum_of(*data, tilt=1 / weight, heat=heat, outside=weight, inside=weight, dynamics=False)


def minimum_from_the_start(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    kernel, reward, upper = (mixed(tables, mix) for tables in (kernels, rewards, upper_rewards))
    plain = pc.solve(pc.MDP(kernel, reward, discount, initial, temperature))
    heat = temperature + upper_temperature / weight
    turned = pc.solve(pc.MDP(kernel, reward + upper / weight, discount, initial, heat))
    own, lead, apart = (tables[1] - tables[0] for tables in (rewards, upper_rewards, kernels))
    one = (plain.policy * (own + discount * apart @ plain.value)).sum(axis=1)
    two = (turned.policy * (own + lead / weight + discount * apart @ turned.value)).sum(axis=1)
    value = plain.expected_return - turned.expected_return
    return weight * np.concatenate([[value], initial * (one - two)])


def minimum_at_the_optimum(
    kernels, rewards, upper_rewards, discount, initial, temperature, upper_temperature, weight, mix
):
    """Take the follower's own policy: that is φ, and not its slope."""
    kernel, reward, upper = (mixed(tables, mix) for tables in (kernels, rewards, upper_rewards))
    best = pc.solve(pc.MDP(kernel, reward, discount, initial, temperature))
    leader = pc.evaluate(pc.MDP(kernel, upper, discount, initial, upper_temperature), best.policy)
    change = upper_rewards[1] - upper_rewards[0] + discount * (kernels[1] - kernels[0]) @ leader.value
    slope = -leader.occupancy * (best.policy * change).sum(axis=1)
    return np.concatenate([[-leader.expected_return], slope])


WORLDS = (KERNELS, REWARDS, UPPER)
STILL = np.stack([KERNELS[0], KERNELS[0]])
EVERYWHERE_ALIKE = np.full((2, 5, 3), 0.7)
TASK_1 = [
    WrongAnswer(
        "penalized_minimum",
        minimum_without_heat,
        "Your second plan does not know what the leader pays for certainty.",
        (*WORLDS, 0.9, START, 0.5, 0.0, 3.0, MIX),
    ),
    WrongAnswer(
        "penalized_minimum",
        minimum_with_full_heat,
        "Your second plan charges for certainty with the leader's full temperature, its rewards with a share.",
        (*WORLDS, 0.9, START, 0.5, 0.8, 1.0, MIX),
    ),
    WrongAnswer(
        "penalized_minimum",
        minimum_with_full_tilt,
        "Your second plan adds the leader's rewards in full, whatever the weight.",
        (*WORLDS, 0.9, START, 0.5, 0.8, 1.0, MIX),
    ),
    WrongAnswer(
        "penalized_minimum",
        minimum_in_follower_units,
        "Your numbers are in the follower's units of return, not in those of f.",
        (*WORLDS, 0.9, START, 0.5, 0.8, 1.0, MIX),
    ),
    WrongAnswer(
        "penalized_minimum",
        minimum_with_a_short_slope,
        "Your slope is in other units than your value.",
        (*WORLDS, 0.9, START, 0.5, 0.8, 1.0, MIX),
    ),
    WrongAnswer(
        "penalized_minimum",
        minimum_leader_stands_still,
        "Your slope forgets that the leader's rewards change with x too.",
        (KERNELS, REWARDS, np.stack([UPPER[0], UPPER[0]]), 0.9, START, 0.5, 0.8, 3.0, MIX),
    ),
    WrongAnswer(
        "penalized_minimum",
        minimum_kernel_stands_still,
        "Your slope forgets that x changes the kernel.",
        (STILL, REWARDS, UPPER, 0.9, START, 0.5, 0.8, 3.0, MIX),
    ),
    WrongAnswer(
        "penalized_minimum",
        minimum_from_the_start,
        "Your slope weights the states by where one starts, not by where the policy goes.",
        (*WORLDS, 0.0, START, 0.5, 0.8, 3.0, MIX),
    ),
    WrongAnswer(
        "penalized_minimum",
        minimum_at_the_optimum,
        "Your policy ignores the leader: it is the optimal one of the follower's own problem.",
        (KERNELS, REWARDS, EVERYWHERE_ALIKE, 0.9, START, 0.5, 0.0, 3.0, MIX),
    ),
]


# Task 2


def visits_of(transition, discount, initial, policy):
    moves = np.einsum("sa,sat->st", policy, transition)
    return np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)


def agents_of(transition, reward, discount, initial, tremble, intended):
    """Return what the given and the best agent do, and the given agent's action values."""
    kernel = (1 - tremble) * transition + tremble * transition.mean(axis=1, keepdims=True)
    shaken = (1 - tremble) * reward + tremble * reward.mean(axis=1, keepdims=True)
    best = pc.solve(pc.MDP(kernel, shaken, discount, np.full(len(reward), 1 / len(reward)))).policy
    own, best = ((1 - tremble) * policy + tremble / reward.shape[1] for policy in (intended, best))
    moves = np.einsum("sa,sat->st", own, transition)
    value = np.linalg.solve(np.eye(len(initial)) - discount * moves, (own * reward).sum(axis=1))
    return own, best, reward + discount * transition @ value


def covered(top, bottom):
    there = bottom > 1e-10
    return (np.where(top > 1e-10, top, 0)[there] / bottom[there]).min()


def answer_of(transition, reward, discount, initial, tremble, intended, **changed):
    own, best, q = agents_of(transition, reward, discount, initial, tremble, intended)
    visits, ideal = (visits_of(transition, discount, initial, policy) for policy in (own, best))
    gain = q.max(axis=1) - (intended * q).sum(axis=1)
    numbers = {"first": covered(visits, ideal), "second": covered(initial, ideal)}
    numbers["third"] = (1 - tremble) * visits @ gain
    facts = {"visits": visits, "ideal": ideal, "gain": gain, "own": own, "q": q}
    return np.array([changed[name](facts) if name in changed else number for name, number in numbers.items()])


def dominance_upside_down(transition, reward, discount, initial, tremble, intended):
    first, second, slope = answer_of(transition, reward, discount, initial, tremble, intended)
    with np.errstate(divide="ignore"):
        return np.array([1 / first, 1 / second, slope])


def dominance_exchanged(transition, reward, discount, initial, tremble, intended):
    data = (transition, reward, discount, initial, tremble, intended)
    return answer_of(*data, first=lambda facts: covered(facts["ideal"], facts["visits"]))


def dominance_without_zeros(transition, reward, discount, initial, tremble, intended):
    """Leave out what one must not divide by, and with it the states that matter."""

    def least(top, bottom):
        both = (top > 1e-10) & (bottom > 1e-10)
        return (top[both] / bottom[both]).min()

    data = (transition, reward, discount, initial, tremble, intended)
    return answer_of(
        *data,
        first=lambda facts: least(facts["visits"], facts["ideal"]),
        second=lambda facts: least(initial, facts["ideal"]),
    )


def dominance_unguarded(transition, reward, discount, initial, tremble, intended):
    data = (transition, reward, discount, initial, tremble, intended)
    with np.errstate(all="ignore"):
        return answer_of(
            *data,
            first=lambda facts: (facts["visits"] / facts["ideal"]).min(),
            second=lambda facts: (initial / facts["ideal"]).min(),
        )


def dominance_by_the_general_bound(transition, reward, discount, initial, tremble, intended):
    data = (transition, reward, discount, initial, tremble, intended)
    return answer_of(*data, second=lambda facts: (1 - discount) * initial.min())


def dominance_against_a_steady_hand(transition, reward, discount, initial, tremble, intended):
    _, steady, _ = agents_of(transition, reward, discount, initial, 0.0, intended)
    ideal = visits_of(transition, discount, initial, steady)
    data = (transition, reward, discount, initial, tremble, intended)
    return answer_of(
        *data, first=lambda facts: covered(facts["visits"], ideal), second=lambda facts: covered(initial, ideal)
    )


def dominance_impossible_way(transition, reward, discount, initial, tremble, intended):
    def steepest(facts):
        return facts["visits"] @ (facts["q"].max(axis=1) - (facts["own"] * facts["q"]).sum(axis=1))

    return answer_of(transition, reward, discount, initial, tremble, intended, third=steepest)


def dominance_too_fast(transition, reward, discount, initial, tremble, intended):
    data = (transition, reward, discount, initial, tremble, intended)
    return answer_of(*data, third=lambda facts: facts["visits"] @ facts["gain"])


def dominance_from_the_start(transition, reward, discount, initial, tremble, intended):
    data = (transition, reward, discount, initial, tremble, intended)
    return answer_of(*data, third=lambda facts: (1 - tremble) * initial @ facts["gain"])


def dominance_in_one_state(transition, reward, discount, initial, tremble, intended):
    data = (transition, reward, discount, initial, tremble, intended)
    return answer_of(*data, third=lambda facts: (1 - tremble) * (facts["visits"] * facts["gain"]).max())


def dominance_with_optimal_values(transition, reward, discount, initial, tremble, intended):
    _, best, _ = agents_of(transition, reward, discount, initial, tremble, intended)
    _, _, q = agents_of(transition, reward, discount, initial, 0.0, best)

    def steepest(facts):
        return (1 - tremble) * facts["visits"] @ (q.max(axis=1) - (intended * q).sum(axis=1))

    return answer_of(transition, reward, discount, initial, tremble, intended, third=steepest)


P, R = KERNELS[0], REWARDS[0]
ONE_ERRS = np.eye(3)[R.argmax(axis=1)]
ONE_ERRS[2] = W[2]  # with γ = 0 the others are best
AT_ONCE = (P, R, 0.0, START, 0.2, W)
STEADY = (P, R, 0.9, START, 0.0, W)
TASK_2 = [
    WrongAnswer(
        "dominance",
        dominance_upside_down,
        "Your shares are upside down: they are the factors of the bound, which are infinite where it is void.",
        AT_ONCE,
    ),
    WrongAnswer(
        "dominance",
        dominance_exchanged,
        "Your first share asks how well the best agent covers the visits of the given one; the other way is asked.",
        AT_ONCE,
    ),
    WrongAnswer(
        "dominance",
        dominance_without_zeros,
        "Your shares leave out the states that are not visited or not started in, just where the bound is void.",
        STEADY,
    ),
    WrongAnswer(
        "dominance",
        dominance_unguarded,
        "A share is NaN or infinite (0/0, or something over 0), on a state that is never entered.",
        STEADY,
    ),
    WrongAnswer(
        "dominance",
        dominance_by_the_general_bound,
        "Your second share is the general bound, which knows no model; the start's own share is asked.",
        # In the only state there is the best agent spends all its 1/(1−γ) steps.
        (np.ones((1, 3, 1)), R[:1], 0.9, np.ones(1), 0.2, W[:1]),
    ),
    WrongAnswer(
        "dominance",
        dominance_against_a_steady_hand,
        "Your best agent has a steady hand; its hand trembles too.",
        STEADY,
    ),
    WrongAnswer(
        "dominance",
        dominance_impossible_way,
        "Your steepest way leads to a policy that no trembling hand can play.",
        STEADY,
    ),
    WrongAnswer(
        "dominance", dominance_too_fast, "Your slope changes what is played as fast as what is intended.", STEADY
    ),
    WrongAnswer(
        "dominance",
        dominance_from_the_start,
        "Your slope weights the states by where one starts, not by where the agent goes.",
        AT_ONCE,
    ),
    WrongAnswer(
        "dominance",
        dominance_in_one_state,
        "Your slope changes one state only; all may change at once.",
        (P, R, 0.0, START, 0.2, ONE_ERRS),
    ),
    WrongAnswer(
        "dominance",
        dominance_with_optimal_values,
        "Your slope is the whole distance to the best agent, not a derivative (whose action values does it need?).",
        AT_ONCE,
    ),
]


# Task 3


def policies_of(n_states, n_actions):
    for actions in itertools.product(range(n_actions), repeat=n_states):
        yield np.eye(n_actions)[list(actions)]


def traps_of(transition, reward, discount, initial, keep):
    """Return the values of the policies that `keep` keeps; it gets the policy, its action values and its visits."""
    kept = []
    for policy in policies_of(*reward.shape):
        system = np.eye(len(initial)) - discount * np.einsum("sa,sat->st", policy, transition)
        value = np.linalg.solve(system, (policy * reward).sum(axis=1))
        q = reward + discount * transition @ value
        if keep(policy, q, np.linalg.solve(system.T, initial)):
            kept.append(value)
    return np.array(kept)


def loss_of(policy, q):
    return q.max(axis=1) - (policy * q).sum(axis=1)


def stationary(policy, q, visits):
    return visits @ loss_of(policy, q) <= 1e-7


def trap_nowhere(transition, reward, discount, initial):
    kept = traps_of(transition, reward, discount, initial, lambda policy, q, visits: loss_of(policy, q).max() <= 1e-7)
    return (kept @ initial).min()


def trap_for_optimal_values(transition, reward, discount, initial):
    q = pc.solve(pc.MDP(transition, reward, discount, initial)).action_value
    kept = traps_of(
        transition, reward, discount, initial, lambda policy, _, visits: visits @ loss_of(policy, q) <= 1e-7
    )
    return (kept @ initial).min()


def trap_anywhere(transition, reward, discount, initial):
    return (traps_of(transition, reward, discount, initial, lambda *_: True) @ initial).min()


def trap_at_the_start(transition, reward, discount, initial):
    kept = traps_of(transition, reward, discount, initial, lambda policy, q, _: initial @ loss_of(policy, q) <= 1e-7)
    return (kept @ initial).min()


def trap_of_today(transition, reward, discount, initial):
    kept = traps_of(
        transition, reward, discount, initial, lambda policy, _, visits: visits @ loss_of(policy, reward) <= 1e-7
    )
    return (kept @ initial).min()


def trap_loss(transition, reward, discount, initial):
    returns = traps_of(transition, reward, discount, initial, stationary) @ initial
    return pc.solve(pc.MDP(transition, reward, discount, initial)).expected_return - returns.min()


def trap_worst_state(transition, reward, discount, initial):
    return traps_of(transition, reward, discount, initial, stationary).min()


TRAP = np.zeros((2, 2, 2))  # go or stay; once gone, work or sleep
TRAP[0, 0, 0] = TRAP[0, 1, 1] = TRAP[1, :, 1] = 1.0
TRAP_3 = (P[:, :2], R[:, :2], 0.9, START)
TASK_3 = [
    WrongAnswer(
        "worst_trap",
        trap_nowhere,
        "Your number is the optimal return, but there are stationary policies that earn less.",
        TRAP_3,
    ),
    WrongAnswer(
        "worst_trap",
        trap_for_optimal_values,
        "Your number is the optimal return, but there are stationary policies that earn less.",
        TRAP_3,
    ),
    WrongAnswer(
        "worst_trap",
        trap_anywhere,
        "Your policies have to be nothing at all: the least return of all policies is no trap.",
        (P[:, :1], R[:, :1], 0.9, START),
    ),
    WrongAnswer(
        "worst_trap",
        trap_at_the_start,
        "Your policies have to be greedy where the agent starts; it matters wherever they come.",
        TRAP_3,
    ),
    WrongAnswer(
        "worst_trap",
        trap_of_today,
        "Your policies have to be greedy for today's reward alone.",
        (P[:, :2], R[:, :2], 0.0, START),
    ),
    WrongAnswer(
        "worst_trap",
        trap_loss,
        "Your number is how much the worst stationary policy loses; its return is asked.",
        # Whoever stays earns 1 a step. Who is afraid of sleeping elsewhere never learns that work would bring 2.
        (TRAP, np.array([[1.0, 0.0], [2.0 / 0.9, 0.0]]), 0.9, np.array([1.0, 0.0])),
    ),
    WrongAnswer(
        "worst_trap",
        trap_worst_state,
        "Your number looks from the worst state, not from the start.",
        (TRAP, np.array([[1.0, 0.0], [1.5, 1.05]]), 0.9, np.array([1.0, 0.0])),
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
