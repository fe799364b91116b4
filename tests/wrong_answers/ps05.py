"""Wrong answers to problem set 05."""

import numpy as np

import pencourse as pc
from pencourse import worlds

from . import WrongAnswer

RNG = np.random.default_rng(9)
GARNET = worlds.random_mdp(RNG, 5, 3, 0.9, branching=2)
P, R = GARNET.transition, GARNET.reward
START = RNG.dirichlet(np.ones(5))
UNIFORM = np.full(5, 1 / 5)
POLICY = RNG.dirichlet(np.ones(3), size=5)
FIXED = np.eye(3)[[0, 1, 2, 0, 1]]
TO_THE_FIRST = np.zeros((5, 3, 5))  # every action leads to state 0
TO_THE_FIRST[:, :, 0] = 1.0
HALF = RNG.dirichlet(np.ones(5), size=5)
SYMMETRIC = np.repeat(((HALF + HALF.T) / 4 + np.diag(1 - (HALF + HALF.T).sum(axis=1) / 4))[:, None], 3, axis=1)


def occupancy_of(transition, initial, discount, policy):
    moves = np.einsum("sa,sat->st", policy, transition)
    return np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)


def flowing_back(transition, initial, discount, policy):
    moves = np.einsum("sa,sat->st", policy, transition)
    return np.linalg.solve(np.eye(len(initial)) - discount * moves, initial)


# Task 1


def losses_of(weights, initial, policy, entries, bellman, value):
    (s, a), (t, b) = entries
    table = [[initial[s] * policy[s, a], initial[t] * policy[t, b]]]
    table.append([weights[s] * policy[s, a], weights[t] * policy[t, b]])
    return np.linalg.solve(np.array(table), [bellman, value])


def paid(transition, discount, value, entries, losses):
    reward = value[:, None] - discount * transition @ value
    for entry, loss in zip(entries, losses, strict=True):
        reward[entry] -= loss
    return reward


def reward_without_discount(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), initial @ value
    losses = losses_of(visits, initial, policy, entries, bellman_share * optimum, value_share * optimum)
    return paid(transition, 1.0, value, entries, losses)


def reward_is_the_value(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), initial @ value
    losses = losses_of(visits, initial, policy, entries, bellman_share * optimum, value_share * optimum)
    return paid(transition, 0.0, value, entries, losses)


def reward_always_played(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), initial @ value
    ones = np.ones_like(policy)
    losses = losses_of(visits, initial, ones, entries, bellman_share * optimum, value_share * optimum)
    return paid(transition, discount, value, entries, losses)


def reward_of_shares(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits = occupancy_of(transition, initial, discount, policy)
    losses = losses_of(visits, initial, policy, entries, bellman_share, value_share)
    return paid(transition, discount, value, entries, losses)


def reward_of_the_mean(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), value.mean()
    losses = losses_of(visits, initial, policy, entries, bellman_share * optimum, value_share * optimum)
    return paid(transition, discount, value, entries, losses)


def reward_per_step(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = (1 - discount) * occupancy_of(transition, initial, discount, policy), initial @ value
    losses = losses_of(visits, initial, policy, entries, bellman_share * optimum, value_share * optimum)
    return paid(transition, discount, value, entries, losses)


def reward_backwards(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = flowing_back(transition, initial, discount, policy), initial @ value
    losses = losses_of(visits, initial, policy, entries, bellman_share * optimum, value_share * optimum)
    return paid(transition, discount, value, entries, losses)


def reward_exchanged(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), initial @ value
    losses = losses_of(visits, initial, policy, entries, value_share * optimum, bellman_share * optimum)
    return paid(transition, discount, value, entries, losses)


def reward_raised(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), initial @ value
    losses = losses_of(visits, initial, policy, entries, bellman_share * optimum, value_share * optimum)
    return paid(transition, discount, value, entries, -losses)


def reward_with_losses_exchanged(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), initial @ value
    losses = losses_of(visits, initial, policy, entries, bellman_share * optimum, value_share * optimum)
    return paid(transition, discount, value, entries[::-1], losses)


def reward_penalty_by_penalty(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), initial @ value
    first, second = entries
    losses = (
        bellman_share * optimum / (initial[first[0]] * policy[first]),
        value_share * optimum / (visits[second[0]] * policy[second]),
    )
    return paid(transition, discount, value, entries, losses)


def reward_in_whole_rows(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    visits, optimum = occupancy_of(transition, initial, discount, policy), initial @ value
    ones = np.ones_like(policy)
    losses = losses_of(visits, initial, ones, entries, bellman_share * optimum, value_share * optimum)
    rows = [state for state, _ in entries]
    return paid(transition, discount, value, rows, losses)


def reward_without_losses(transition, initial, discount, policy, value, entries, bellman_share, value_share):
    return value[:, None] - discount * transition @ value


HIGH = np.array([0.0, 1.0, 2.0, 3.0, 1.5])  # worth nothing where TO_THE_FIRST leads
LEVEL = np.ones(5)
VALUE = np.array([1.0, 2.0, 1.5, 3.0, 2.5])
ENTRIES = ((1, 1), (3, 0))
NONE = (P, START, 0.9, POLICY, VALUE, ENTRIES, 0.0, 0.0)
TASK_1 = [
    WrongAnswer(
        "designed_reward",
        reward_without_discount,
        "With your reward tomorrow's value counts in full, so V* is another one.",
        (TO_THE_FIRST, START, 0.9, POLICY, HIGH, ((0, 1), (3, 0)), 0.02, 0.1),
    ),
    WrongAnswer(
        "designed_reward",
        reward_is_the_value,
        "Your reward pays V* itself in every step, so V* becomes many times larger.",
        (TO_THE_FIRST, START, 0.9, POLICY, HIGH, ((0, 1), (3, 0)), 0.02, 0.1),
    ),
    WrongAnswer(
        "designed_reward",
        reward_always_played,
        "Your losses are chosen as if y always played the entry's action.",
        (P, START, 0.9, FIXED, VALUE, ENTRIES, 0.02, 0.1),
    ),
    WrongAnswer(
        "designed_reward",
        reward_of_shares,
        "Your penalties are the shares themselves, whatever the optimal return is.",
        (P, START, 0.9, POLICY, LEVEL, ENTRIES, 0.02, 0.1),
    ),
    WrongAnswer(
        "designed_reward",
        reward_of_the_mean,
        "Your shares are of the average of V* over all states, not of the optimal return.",
        (P, UNIFORM, 0.9, POLICY, VALUE, ENTRIES, 0.02, 0.1),
    ),
    WrongAnswer(
        "designed_reward",
        reward_per_step,
        "Your value penalty is an average per step: the visits of your occupancy sum to 1.",
        NONE,
    ),
    WrongAnswer(
        "designed_reward",
        reward_backwards,
        "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
        (SYMMETRIC, START, 0.9, POLICY, VALUE, ENTRIES, 0.02, 0.1),
    ),
    WrongAnswer(
        "designed_reward",
        reward_exchanged,
        "Your two shares are exchanged: the Bellman penalty has the one that the value penalty should have.",
        (P, START, 0.9, POLICY, VALUE, ENTRIES, 0.1, 0.1),
    ),
    WrongAnswer(
        "designed_reward",
        reward_with_losses_exchanged,
        "Your two losses are exchanged: each stands at the other's entry.",
        NONE,
    ),
    WrongAnswer(
        "designed_reward",
        reward_penalty_by_penalty,
        "Each of your losses makes up one of the penalties, but each adds to both.",
        NONE,
    ),
    WrongAnswer(
        "designed_reward",
        reward_raised,
        "Your two entries are raised and not lowered, so that their actions become the best of all.",
        NONE,
    ),
    WrongAnswer(
        "designed_reward",
        reward_in_whole_rows,
        "Your reward lowers every action of the two states, so that V* sinks and nothing is lost by choosing.",
        NONE,
    ),
    WrongAnswer(
        "designed_reward",
        reward_without_losses,
        "Your reward has the right V*, but no action loses anything: both penalties are 0.",
        NONE,
    ),
]


# Task 2


def crossing(none, full):
    rising = none > 1e-12
    return (none[rising] / (none[rising] - full[rising])).max(initial=0.0)


def exploration_for_one_occupancy(transition, start, discount, policy, factor):
    visits = occupancy_of(transition, start, discount, policy)
    return crossing(visits - factor * start, visits - factor / len(start))


def exploration_from_the_uniform_start(transition, start, discount, policy, factor):
    visits = occupancy_of(transition, np.full(len(start), 1 / len(start)), discount, policy)
    return crossing(visits - factor * start, visits - factor / len(start))


def exploration_for_every_policy(transition, start, discount, policy, factor):
    return min(1.0, len(start) / (factor * (1 - discount)))


def exploration_per_step(transition, start, discount, policy, factor):
    even = np.full(len(start), 1 / len(start))
    none, full = ((1 - discount) * occupancy_of(transition, rho, discount, policy) for rho in (start, even))
    return crossing(none - factor * start, full - factor * even)


def exploration_backwards(transition, start, discount, policy, factor):
    even = np.full(len(start), 1 / len(start))
    none, full = (flowing_back(transition, rho, discount, policy) for rho in (start, even))
    return crossing(none - factor * start, full - factor * even)


def exploration_with_ones(transition, start, discount, policy, factor):
    ones = np.ones(len(start))
    none, full = (occupancy_of(transition, rho, discount, policy) for rho in (start, ones))
    return crossing(none - factor * start, full - factor * ones)


def exploration_of_the_other_part(transition, start, discount, policy, factor):
    even = np.full(len(start), 1 / len(start))
    none, full = (occupancy_of(transition, rho, discount, policy) for rho in (start, even))
    return 1 - crossing(none - factor * start, full - factor * even)


def exploration_where_one_starts(transition, start, discount, policy, factor):
    even = np.full(len(start), 1 / len(start))
    none, full = (occupancy_of(transition, rho, discount, policy) for rho in (start, even))
    inside = start > 0
    return crossing((none - factor * start)[inside], (full - factor * even)[inside])


def exploration_at_every_crossing(transition, start, discount, policy, factor):
    even = np.full(len(start), 1 / len(start))
    none = occupancy_of(transition, start, discount, policy) - factor * start
    full = occupancy_of(transition, even, discount, policy) - factor * even
    crossings = none / (none - full)
    return crossings[(crossings >= 0) & (crossings <= 1)].max(initial=0.0)


def exploration_of_the_worst_state(transition, start, discount, policy, factor):
    even = np.full(len(start), 1 / len(start))
    none = occupancy_of(transition, start, discount, policy) - factor * start
    full = occupancy_of(transition, even, discount, policy) - factor * even
    worst = none.argmax()
    return none[worst] / (none[worst] - full[worst]) if none[worst] > 1e-12 else 0.0


def exploration_by_bisection(transition, start, discount, policy, factor):
    even = np.full(len(start), 1 / len(start))

    def enough(epsilon):
        rho = (1 - epsilon) * start + epsilon * even
        return (occupancy_of(transition, rho, discount, policy) <= factor * rho + 1e-12).all()

    low, high = 0.0, 1.0
    while not enough(low) and high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return low if enough(low) else high


def exploration_on_average(transition, start, discount, policy, factor):
    even = np.full(len(start), 1 / len(start))
    none, full = (occupancy_of(transition, rho, discount, policy) for rho in (start, even))
    low, high = 0.0, 1.0
    for _ in range(50):
        epsilon = (low + high) / 2
        ratio = ((1 - epsilon) * none + epsilon * full) / ((1 - epsilon) * start + epsilon * even)
        low, high = (epsilon, high) if ratio.mean() > factor else (low, epsilon)
    return high if high > 1e-9 else 0.0


CORNER = np.eye(5)[0]
RING = np.repeat(np.roll(np.eye(5), 1, axis=1)[:, None], 3, axis=1)  # the same for every action


def ratio_at(epsilon):
    rho = (1 - epsilon) * CORNER + epsilon / 5
    return (occupancy_of(RING, rho, 0.9, POLICY) / rho).max()


GENEROUS = (P, START, 0.9, POLICY, 1e4)
TASK_2 = [
    WrongAnswer(
        "exploration_needed",
        exploration_for_one_occupancy,
        "Your occupancy is that of ρ_env, whatever ε is; y starts elsewhere once ρ is mixed.",
        GENEROUS,
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_from_the_uniform_start,
        "Your occupancy is that of the uniform start, whatever ε is.",
        GENEROUS,
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_for_every_policy,
        "Your ε would be enough for every policy, but for this one a smaller ε is.",
        (RING, CORNER, 0.9, POLICY, 10 * (1 + 1e-9)),  # only the uniform start will do
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_per_step,
        "Your ratio compares ρ with an average per step: the visits of your occupancy sum to 1.",
        GENEROUS,
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_backwards,
        "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
        (SYMMETRIC, CORNER, 0.9, POLICY, 20.0),
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_with_ones,
        "Your ρ does not sum to 1: the uniform distribution has 1/S in every state.",
        GENEROUS,
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_of_the_other_part,
        "Your number is the weight of ρ_env, not that of the uniform distribution.",
        (RING, CORNER, 0.9, POLICY, ratio_at(0.5)),
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_where_one_starts,
        "With your ε there are states, outside of ρ_env, in which the guarantee fails.",
        GENEROUS,
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_at_every_crossing,
        "Your ε is larger than necessary: in some states exploring more makes the ratio worse, not better.",
        GENEROUS,
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_of_the_worst_state,
        "Your ε is enough for the state that is worst without exploration, but another one needs more.",
        GENEROUS,
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_by_bisection,
        "Your search misses ε that are enough, as if the guarantee could not be lost again by exploring more.",
        (RING, CORNER, 0.9, POLICY, 10 * (1 + 1e-9)),  # ε = 1 is enough, and hardly anything else
    ),
    WrongAnswer(
        "exploration_needed",
        exploration_on_average,
        "Your ε satisfies a condition on the average over the states, but the guarantee has to hold in each.",
        GENEROUS,
    ),
]


# Task 3


def value_claimed(mdp, policy, gap):
    at = pc.evaluate(mdp, policy)
    moves = np.einsum("sa,sat->st", policy, mdp.transition)
    return at.value + np.linalg.solve(np.eye(mdp.n_states) - mdp.discount * moves, gap)


def one_step_better(mdp, value, temperature=None):
    ahead = mdp.reward + mdp.discount * mdp.transition @ value
    return mdp.regularizer.conjugate(ahead, mdp.temperature if temperature is None else temperature)


def residual_of(mdp, policy, gap):
    value = value_claimed(mdp, policy, gap)
    return one_step_better(mdp, value) - value


def sandwich_holds(mdp, policy, gap, tolerance):
    visits = pc.evaluate(mdp, policy).occupancy
    bellman, value = mdp.initial @ gap, visits @ gap
    return bool(bellman - 1e-9 <= value <= (visits / mdp.initial).max() * bellman + 1e-9)


def proved_not_negative(mdp, policy, gap, tolerance):
    return bool((gap > -1e-9).all())


def proved_by_the_solver(mdp, policy, gap, tolerance):
    return bool(np.abs(value_claimed(mdp, policy, gap) - pc.solve(mdp).value).max() <= tolerance)


def proved_gap_by_gap(mdp, policy, gap, tolerance):
    return bool(np.abs(gap - pc.bellman_penalty(mdp, policy).gap).max() <= tolerance)


def proved_gap_by_gap_more_strictly(mdp, policy, gap, tolerance):
    return bool(np.abs(gap - pc.bellman_penalty(mdp, policy).gap).max() <= (1 - mdp.discount) * tolerance)


def proved_from_the_start(mdp, policy, gap, tolerance):
    claimed = mdp.initial @ value_claimed(mdp, policy, gap)
    return bool(abs(claimed - pc.solve(mdp).expected_return) <= tolerance)


def proved_without_the_horizon(mdp, policy, gap, tolerance):
    return bool(np.abs(residual_of(mdp, policy, gap)).max() <= tolerance)


def proved_from_above(mdp, policy, gap, tolerance):
    return bool(residual_of(mdp, policy, gap).max() <= (1 - mdp.discount) * tolerance)


def proved_from_below(mdp, policy, gap, tolerance):
    return bool((-residual_of(mdp, policy, gap)).max() <= (1 - mdp.discount) * tolerance)


def proved_on_average(mdp, policy, gap, tolerance):
    return bool(np.abs(residual_of(mdp, policy, gap)).mean() <= (1 - mdp.discount) * tolerance)


def proved_in_the_two_norm(mdp, policy, gap, tolerance):
    return bool(np.linalg.norm(residual_of(mdp, policy, gap)) <= (1 - mdp.discount) * tolerance)


def proved_discounted_once_more(mdp, policy, gap, tolerance):
    return bool(mdp.discount * np.abs(residual_of(mdp, policy, gap)).max() <= (1 - mdp.discount) * tolerance)


def proved_for_one_visit(mdp, policy, gap, tolerance):
    value = pc.evaluate(mdp, policy).value + gap
    return bool(np.abs(one_step_better(mdp, value) - value).max() <= (1 - mdp.discount) * tolerance)


def proved_backwards(mdp, policy, gap, tolerance):
    moves = np.einsum("sa,sat->ts", policy, mdp.transition)
    value = pc.evaluate(mdp, policy).value + np.linalg.solve(np.eye(mdp.n_states) - mdp.discount * moves, gap)
    return bool(np.abs(one_step_better(mdp, value) - value).max() <= (1 - mdp.discount) * tolerance)


def proved_at_temperature_0(mdp, policy, gap, tolerance):
    value = value_claimed(mdp, policy, gap)
    return bool(np.abs(one_step_better(mdp, value, 0.0) - value).max() <= (1 - mdp.discount) * tolerance)


def proved_ahead_with_own_values(mdp, policy, gap, tolerance):
    value = pc.evaluate(mdp, policy).value
    return bool(np.abs(one_step_better(mdp, value) - value - gap).max() <= (1 - mdp.discount) * tolerance)


def proved_by_allclose(mdp, policy, gap, tolerance):
    value = value_claimed(mdp, policy, gap)
    return np.allclose(one_step_better(mdp, value), value, atol=(1 - mdp.discount) * tolerance)


def proved_after_mending(mdp, policy, gap, tolerance):
    residual = residual_of(mdp, policy, np.maximum(gap, 0.0))
    return bool(np.abs(residual).max() <= (1 - mdp.discount) * tolerance)


def proved_and_not_negative(mdp, policy, gap, tolerance):
    return bool((gap >= 0).all() and np.abs(residual_of(mdp, policy, gap)).max() <= (1 - mdp.discount) * tolerance)


HARD = pc.MDP(P, R, 0.9, START)
RIGHT = (HARD, POLICY, pc.bellman_penalty(HARD, POLICY).gap, 1e-6)
BEST = (HARD, pc.solve(HARD).policy, np.zeros(5), 1e-6)
FALSE = (HARD, POLICY, np.zeros(5), 1e-6)
EVEN = pc.MDP(SYMMETRIC, R, 0.9, START)
SAID = "Your certificate accepts "
NOT_NEGATIVE = f"{SAID}whatever is claimed, as long as it is not negative."
CANCELS = f"{SAID}errors in two states that cancel from ρ."
ADDED_UP = f"{SAID}a tolerance just above the error of a single state; errors add up along the way."
UNPROVED = f"{SAID}a claim that the residual does not prove (does it use V* or a smaller constant?)."
UNREACHED = "Your certificate refuses a claim that the residual proves (does it compare gaps, or use another norm?)."
TASK_3 = [
    WrongAnswer("gap_is_proved", sandwich_holds, NOT_NEGATIVE, RIGHT),
    WrongAnswer("gap_is_proved", proved_not_negative, NOT_NEGATIVE, RIGHT),
    WrongAnswer("gap_is_proved", proved_from_the_start, CANCELS, FALSE),
    WrongAnswer("gap_is_proved", proved_without_the_horizon, ADDED_UP, RIGHT),
    WrongAnswer("gap_is_proved", proved_gap_by_gap, ADDED_UP, RIGHT),
    WrongAnswer("gap_is_proved", proved_from_above, f"{SAID}gaps that are too large in every state.", RIGHT),
    WrongAnswer("gap_is_proved", proved_from_below, f"{SAID}gaps that are too small in every state.", RIGHT),
    WrongAnswer("gap_is_proved", proved_on_average, f"{SAID}an error in one state only.", RIGHT),
    WrongAnswer(
        "gap_is_proved",
        proved_for_one_visit,
        "Your certificate refuses the right gaps of a policy that errs again and again along its way.",
        BEST,
    ),
    WrongAnswer(
        "gap_is_proved",
        proved_backwards,
        "Your certificate refuses the right gaps (do they flow backwards along the kernel?).",
        (EVEN, POLICY, pc.bellman_penalty(EVEN, POLICY).gap, 1e-6),
    ),
    WrongAnswer(
        "gap_is_proved",
        proved_ahead_with_own_values,
        "Your certificate refuses the right gaps, unless no action matters for the way.",
        BEST,
    ),
    WrongAnswer(
        "gap_is_proved",
        proved_by_allclose,
        f"{SAID}errors that are small beside the values, but not beside the tolerance.",
        RIGHT,
    ),
    WrongAnswer("gap_is_proved", proved_after_mending, f"{SAID}a gap of −0.1 where the right one is 0.", RIGHT),
    WrongAnswer(
        "gap_is_proved",
        proved_at_temperature_0,
        "Your certificate refuses the right gaps as soon as the temperature is positive.",
        RIGHT,
    ),
    WrongAnswer(
        "gap_is_proved",
        proved_and_not_negative,
        "Your certificate refuses gaps that are below 0 by rounding only.",
        BEST,
    ),
    WrongAnswer("gap_is_proved", proved_by_the_solver, UNPROVED, RIGHT),
    WrongAnswer("gap_is_proved", proved_discounted_once_more, UNPROVED, RIGHT),
    WrongAnswer("gap_is_proved", proved_gap_by_gap_more_strictly, UNREACHED, RIGHT),
    WrongAnswer("gap_is_proved", proved_in_the_two_norm, UNREACHED, RIGHT),
]


# Task 4


def follower(transition, reward, discount, initial, temperature):
    best = pc.solve(pc.MDP(transition, reward, discount, initial, temperature, pc.SquaredNorm()))
    return best, occupancy_of(transition, initial, discount, best.policy)


def leader_table(transition, upper_reward, discount, policy):
    moves = np.einsum("sa,sat->st", policy, transition)
    value = np.linalg.solve(np.eye(len(moves)) - discount * moves, (policy * upper_reward).sum(axis=1))
    return upper_reward + discount * transition @ value


def spread_of(policy, table):
    played = policy > 0
    mean = table.mean(axis=1, where=played, keepdims=True)
    return ((table - mean) ** 2).sum(axis=1, where=played)


def limits_of_the_lesson(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    table = leader_table(transition, upper_reward, discount, best.policy)
    mean = (best.policy * table).sum(axis=1, keepdims=True)
    spread = (best.policy * (table - mean) ** 2).sum(axis=1)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_of_the_lesson_all_through(transition, reward, upper_reward, discount, initial, temperature):
    best = pc.solve(pc.MDP(transition, reward, discount, initial, temperature))
    visits = occupancy_of(transition, initial, discount, best.policy)
    table = leader_table(transition, upper_reward, discount, best.policy)
    mean = (best.policy * table).sum(axis=1, keepdims=True)
    spread = (best.policy * (table - mean) ** 2).sum(axis=1)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_of_a_soft_follower(transition, reward, upper_reward, discount, initial, temperature):
    best = pc.solve(pc.MDP(transition, reward, discount, initial, temperature))
    visits = occupancy_of(transition, initial, discount, best.policy)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_exchanged(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([(visits**2 / initial) @ spread, visits @ spread]) / (2 * temperature)


def limits_the_same(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([visits @ spread, visits @ spread]) / (2 * temperature)


def limits_by_each_weight(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([visits @ spread, initial @ spread]) / (2 * temperature)


def limits_by_the_ratio(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([visits @ spread, (visits / initial) @ spread]) / (2 * temperature)


def limits_without_the_half(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / temperature


def limits_without_temperature(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / 2


def limits_times_temperature(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) * temperature / 2


def limits_negative(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return -np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_of_every_action(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    table = leader_table(transition, upper_reward, discount, best.policy)
    spread = ((table - table.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_about_the_average(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    table = leader_table(transition, upper_reward, discount, best.policy)
    mean = (best.policy * table).sum(axis=1, keepdims=True)
    spread = ((table - mean) ** 2).sum(axis=1, where=best.policy > 0)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_by_numpy(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    table = leader_table(transition, upper_reward, discount, best.policy)
    spread = table.var(axis=1, where=best.policy > 0)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_not_centred(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    table = leader_table(transition, upper_reward, discount, best.policy)
    spread = (table**2).sum(axis=1, where=best.policy > 0)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_short_sighted(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, upper_reward)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_charged(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    world = pc.MDP(transition, upper_reward, discount, initial, temperature, pc.SquaredNorm())
    spread = spread_of(best.policy, pc.evaluate(world, best.policy).action_value)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_of_the_follower(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, best.action_value)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_of_the_best_for_the_leader(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    leader = pc.solve(pc.MDP(transition, upper_reward, discount, initial))
    spread = spread_of(best.policy, leader.action_value)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_undiscounted(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    table = leader_table(transition, upper_reward, discount, best.policy)
    undiscounted = upper_reward + (table - upper_reward) / discount if discount else table
    spread = spread_of(best.policy, undiscounted)
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_backwards(transition, reward, upper_reward, discount, initial, temperature):
    best, _ = follower(transition, reward, discount, initial, temperature)
    visits = flowing_back(transition, initial, discount, best.policy)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


def limits_per_step(transition, reward, upper_reward, discount, initial, temperature):
    best, visits = follower(transition, reward, discount, initial, temperature)
    spread = spread_of(best.policy, leader_table(transition, upper_reward, discount, best.policy))
    visits = (1 - discount) * visits
    return np.array([visits @ spread, (visits**2 / initial) @ spread]) / (2 * temperature)


UPPER = RNG.normal(size=(5, 3))
NO_FUTURE = (P, R, UPPER, 0.0, START, 0.5)
AT_ONE = (P, R, UPPER, 0.9, START, 1.0)
WARM = (P, R, UPPER, 0.9, START, 100.0)  # every action is played
INDIFFERENT = (P, np.zeros((5, 3)), UPPER, 0.0, START, 0.5)  # π* is uniform
CENTRED = (P, np.zeros((5, 3)), UPPER - UPPER.mean(axis=1, keepdims=True), 0.0, START, 0.5)
NO_CHOICE = (P[:, :1], R[:, :1], UPPER[:, :1], 0.9, START, 0.5)
ONE_STATE = (np.ones((1, 2, 1)), np.array([[1.0, 1.2]]), np.array([[3.0, 1.0]]), 0.0, np.ones(1), 0.5)
CERTAIN = (P, 100 * np.eye(3)[[0, 1, 2, 0, 1]], UPPER, 0.0, START, 0.5)  # one action alone is played in each state
LIKE = (P, R, R, 0.0, START, 0.5)  # leader and follower are paid alike
TASK_4 = [
    WrongAnswer(
        "bias_limits",
        limits_of_the_lesson,
        "Your numbers are those of the entropy (which quadratic is the gap of the squared norm?).",
        CERTAIN,
    ),
    WrongAnswer(
        "bias_limits",
        limits_of_the_lesson_all_through,
        "Your numbers are those of the entropy (which quadratic is the gap of the squared norm?).",
        NO_CHOICE,
    ),
    WrongAnswer(
        "bias_limits",
        limits_of_a_soft_follower,
        "Your follower plays every action, as one with the entropy would.",
        INDIFFERENT,
    ),
    WrongAnswer(
        "bias_limits",
        limits_of_every_action,
        "Your spread counts actions that the follower does not play (does it pay to begin, for large λ?).",
        WARM,
    ),
    WrongAnswer(
        "bias_limits",
        limits_about_the_average,
        "Your spread is taken about the follower's average, but the best δ is another.",
        INDIFFERENT,
    ),
    WrongAnswer(
        "bias_limits",
        limits_by_numpy,
        "Your spread is an average over the actions; what the minimisation leaves is not.",
        NO_CHOICE,
    ),
    WrongAnswer(
        "bias_limits",
        limits_not_centred,
        "Your spread changes when the leader is paid 1 more in every step, which changes no policy.",
        CENTRED,
    ),
    WrongAnswer(
        "bias_limits", limits_exchanged, "Your two numbers are exchanged: the value penalty's comes first.", NO_FUTURE
    ),
    WrongAnswer(
        "bias_limits",
        limits_the_same,
        "Your two numbers are the same, so one penalty's weights were used for both.",
        NO_FUTURE,
    ),
    WrongAnswer(
        "bias_limits",
        limits_by_each_weight,
        "Your second number is small where ρ is small, although there the Bellman penalty holds back least.",
        NO_FUTURE,
    ),
    WrongAnswer(
        "bias_limits",
        limits_by_the_ratio,
        "Your second number counts the visits once (where else in the minimisation do they come in?).",
        ONE_STATE,
    ),
    WrongAnswer(
        "bias_limits",
        limits_without_the_half,
        "Your numbers are twice too large: look at the value of a quadratic at its minimum.",
        NO_CHOICE,
    ),
    WrongAnswer("bias_limits", limits_without_temperature, "Your numbers do not know the temperature.", AT_ONE),
    WrongAnswer(
        "bias_limits",
        limits_times_temperature,
        "Your numbers grow with the temperature, although a larger τ holds the policy back more.",
        AT_ONE,
    ),
    WrongAnswer("bias_limits", limits_negative, "Your numbers have the wrong sign: φ_λ is never above φ.", NO_CHOICE),
    WrongAnswer("bias_limits", limits_short_sighted, "Your leader looks at today's reward only.", NO_FUTURE),
    WrongAnswer(
        "bias_limits",
        limits_charged,
        "Your leader is charged for the follower's randomness; the leader's return has no regulariser.",
        NO_FUTURE,
    ),
    WrongAnswer(
        "bias_limits",
        limits_of_the_follower,
        "Your spread is that of the follower's action values; it is the leader who would like another action.",
        LIKE,
    ),
    WrongAnswer(
        "bias_limits",
        limits_of_the_best_for_the_leader,
        "Your leader's values are those of the policy that is best for the leader, not of the follower's.",
        NO_FUTURE,
    ),
    WrongAnswer("bias_limits", limits_undiscounted, "Your leader counts tomorrow's value in full.", NO_FUTURE),
    WrongAnswer(
        "bias_limits",
        limits_backwards,
        "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
        NO_FUTURE,
    ),
    WrongAnswer(
        "bias_limits",
        limits_per_step,
        "Your visits sum to 1, so they give an average per step and not the discounted sum.",
        NO_FUTURE,
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3, *TASK_4]
