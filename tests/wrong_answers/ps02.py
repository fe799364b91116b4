"""Wrong answers to problem set 02."""

import math

import numpy as np

from pencourse import worlds

from . import WrongAnswer

RNG = np.random.default_rng(8)
GARNET = worlds.random_mdp(RNG, 5, 3, 0.9, branching=2)
P, R = GARNET.transition, GARNET.reward
PRIOR, POLICY, BEST = (RNG.dirichlet(np.ones(3), size=5) for _ in range(3))
UNIFORM = np.full((5, 3), 1 / 3)
ONLY = np.eye(3)[[0, 1, 2, 0, 1]]  # a prior that allows one action in each state
V = RNG.normal(size=5)
START = RNG.dirichlet(np.ones(5))
ZERO = np.zeros(5)


# Task 1


def shifted_log_sum_exp(z):
    top = z.max(axis=1)
    return top + np.log(np.exp(z - top[:, None]).sum(axis=1))


def log_of(prior):
    with np.errstate(divide="ignore"):
        return np.log(prior)


def backup_without_prior(transition, reward, discount, temperature, prior, value):
    q = reward + discount * transition @ value
    return temperature * shifted_log_sum_exp(q / temperature)


def backup_uniform_prior(transition, reward, discount, temperature, prior, value):
    q = reward + discount * transition @ value
    return temperature * (shifted_log_sum_exp(q / temperature) - np.log(q.shape[1]))


def backup_not_scaled_back(transition, reward, discount, temperature, prior, value):
    q = reward + discount * transition @ value
    return shifted_log_sum_exp(q / temperature + log_of(prior))


def backup_without_temperature(transition, reward, discount, temperature, prior, value):
    q = reward + discount * transition @ value
    return shifted_log_sum_exp(q + log_of(prior))


def backup_temperature_outside(transition, reward, discount, temperature, prior, value):
    q = reward + discount * transition @ value
    return temperature * shifted_log_sum_exp(q + log_of(prior))


def backup_without_discount(transition, reward, discount, temperature, prior, value):
    q = reward + transition @ value
    return temperature * shifted_log_sum_exp(q / temperature + log_of(prior))


def backup_average(transition, reward, discount, temperature, prior, value):
    return (prior * (reward + discount * transition @ value)).sum(axis=1)


def backup_hard(transition, reward, discount, temperature, prior, value):
    return np.where(prior > 0, reward + discount * transition @ value, -np.inf).max(axis=1)


def backup_overflows(transition, reward, discount, temperature, prior, value):
    q = reward + discount * transition @ value
    return temperature * np.log((prior * np.exp(q / temperature)).sum(axis=1))


def backup_shifted_by_all(transition, reward, discount, temperature, prior, value):
    q = reward + discount * transition @ value
    top = q.max(axis=1, keepdims=True)
    return top[:, 0] + temperature * np.log((prior * np.exp((q - top) / temperature)).sum(axis=1))


OUT_OF_RANGE = (
    "Your exponentials leave the range of floating point numbers and the result holds NaN or an infinity, on "
)
TASK_1 = [
    WrongAnswer(
        "soft_backup",
        backup_without_prior,
        "Your backup forgets the prior: it is the plain log-sum-exp.",
        (P[:, :1], R[:, :1], 0.9, 0.5, np.ones((5, 1)), V),
    ),
    WrongAnswer(
        "soft_backup",
        backup_uniform_prior,
        "Your backup uses the uniform prior, whatever prior is given.",
        (P, R, 0.9, 0.5, UNIFORM, V),
    ),
    WrongAnswer(
        "soft_backup",
        backup_not_scaled_back,
        "Your backup divides by the temperature inside and does not come back to units of reward.",
        (P, R, 0.9, 1.0, PRIOR, V),
    ),
    WrongAnswer(
        "soft_backup",
        backup_without_temperature,
        "Your backup is the one at τ = 1, whatever temperature is given.",
        (P, R, 0.9, 1.0, PRIOR, V),
    ),
    WrongAnswer(
        "soft_backup",
        backup_temperature_outside,
        "Your backup multiplies by the temperature but does not divide by it inside.",
        (P, R, 0.9, 1.0, PRIOR, V),
    ),
    WrongAnswer(
        "soft_backup",
        backup_without_discount,
        "Your backup counts tomorrow's value in full.",
        (P, R, 0.9, 0.5, PRIOR, ZERO),
    ),
    WrongAnswer(
        "soft_backup",
        backup_average,
        "Your backup averages under the prior and never moves away from it.",
        (P, np.full((5, 3), 0.7), 0.9, 0.5, PRIOR, ZERO),
    ),
    WrongAnswer(
        "soft_backup",
        backup_hard,
        "Your backup takes the best action that the prior allows and charges nothing for it.",
        (P, R, 0.9, 0.5, ONLY, V),
    ),
    WrongAnswer("soft_backup", backup_overflows, f"{OUT_OF_RANGE}rewards of size 1e6.", (P, R, 0.9, 0.5, PRIOR, V)),
    WrongAnswer(
        "soft_backup",
        backup_shifted_by_all,
        f"{OUT_OF_RANGE}rewards of size 1e7 and a prior that forbids the best action.",
        (P, 1e6 * R, 0.9, 0.5, PRIOR, V),
    ),
]


# Task 2


def occupancy_of(transition, initial, discount, policy):
    moves = np.einsum("sa,sat->st", policy, transition)
    return np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)


def kl(u, v):
    return np.where(u > 0, u * np.log(np.where(u > 0, u, 1) / v), 0).sum(axis=1)


def gap_from_the_start(transition, initial, discount, temperature, optimal_policy, policy):
    return temperature * initial @ kl(policy, optimal_policy)


def gap_on_the_optimal_way(transition, initial, discount, temperature, optimal_policy, policy):
    return temperature * occupancy_of(transition, initial, discount, optimal_policy) @ kl(policy, optimal_policy)


def gap_without_temperature(transition, initial, discount, temperature, optimal_policy, policy):
    return occupancy_of(transition, initial, discount, policy) @ kl(policy, optimal_policy)


def gap_per_step(transition, initial, discount, temperature, optimal_policy, policy):
    weights = (1 - discount) * occupancy_of(transition, initial, discount, policy)
    return temperature * weights @ kl(policy, optimal_policy)


def gap_reversed(transition, initial, discount, temperature, optimal_policy, policy):
    return temperature * occupancy_of(transition, initial, discount, policy) @ kl(optimal_policy, policy)


def gap_negative(transition, initial, discount, temperature, optimal_policy, policy):
    return -temperature * occupancy_of(transition, initial, discount, policy) @ kl(policy, optimal_policy)


def gap_backwards(transition, initial, discount, temperature, optimal_policy, policy):
    moves = np.einsum("sa,sat->st", policy, transition)
    visits = np.linalg.solve(np.eye(len(initial)) - discount * moves, initial)
    return temperature * visits @ kl(policy, optimal_policy)


def gap_afraid_of_zeros(transition, initial, discount, temperature, optimal_policy, policy):
    divergence = (policy * np.log(policy / optimal_policy)).sum(axis=1)
    return temperature * occupancy_of(transition, initial, discount, policy) @ divergence


def gap_guarded(transition, initial, discount, temperature, optimal_policy, policy):
    divergence = (policy * np.log((policy + 1e-12) / (optimal_policy + 1e-12))).sum(axis=1)
    return temperature * occupancy_of(transition, initial, discount, policy) @ divergence


def gap_reversed_and_guarded(transition, initial, discount, temperature, optimal_policy, policy):
    guarded = np.maximum(policy, 1e-12)
    return temperature * occupancy_of(transition, initial, discount, policy) @ kl(optimal_policy, guarded)


INDIFFERENT = np.repeat(P[:, :1], 3, axis=1)  # every action leads to the same places
COIN = np.array([[0.3, 0.7], [0.6, 0.4], [0.8, 0.2], [0.5, 0.5], [0.9, 0.1]])
SYMMETRIC = np.array([[[0.2, 0.5, 0.3]] * 3, [[0.5, 0.1, 0.4]] * 3, [[0.3, 0.4, 0.3]] * 3])
TASK_2 = [
    WrongAnswer(
        "gap_to_optimum",
        gap_from_the_start,
        "Your gap weights the states by where the agent starts, not by where it goes.",
        (P, START, 0.0, 0.5, BEST, POLICY),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_on_the_optimal_way,
        "Your gap weights the states by the visits of π*; it is the other policy that errs on its own way.",
        (INDIFFERENT, START, 0.9, 0.5, BEST, POLICY),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_without_temperature,
        "Your gap leaves out the temperature, so it is no reward.",
        (P, START, 0.9, 1.0, BEST, POLICY),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_per_step,
        "Your gap is an average per step: the visits of your occupancy sum to 1.",
        (P, START, 0.0, 0.5, BEST, POLICY),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_reversed,
        "Your gap measures the divergence the wrong way round: that one is infinite where π never plays an action.",
        (P[:, :2], START, 0.9, 0.5, COIN, COIN[:, ::-1]),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_reversed_and_guarded,
        "Your gap measures the divergence the wrong way round: that one is infinite where π never plays an action.",
        (P[:, :2], START, 0.9, 0.5, COIN, COIN[:, ::-1]),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_guarded,
        "Your guard against log 0 changes probabilities that are small but not 0.",
        (P, START, 0.9, 0.5, BEST, POLICY),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_negative,
        "Your gap has the wrong sign: no policy is better than the best.",
        (P, START, 0.9, 0.5, BEST, BEST),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_backwards,
        "Your occupancy flows backwards: look at which index of P_π is the state one comes from.",
        (SYMMETRIC, np.array([0.7, 0.2, 0.1]), 0.9, 0.5, BEST[:3], POLICY[:3]),
    ),
    WrongAnswer(
        "gap_to_optimum",
        gap_afraid_of_zeros,
        "Your divergence is NaN or infinite, on a policy with zeros.",
        (P, START, 0.9, 0.5, BEST, POLICY),
    ),
]


# Task 3


def softmax(z):
    weight = np.exp(z - z.max(axis=1, keepdims=True))
    return weight / weight.sum(axis=1, keepdims=True)


def value_of(transition, discount, policy, gain):
    moves = np.einsum("sa,sat->st", policy, transition)
    return np.linalg.solve(np.eye(len(gain)) - discount * moves, gain)


def charge_of(policy, prior):
    ratio = np.where(policy > 0, policy, 1) / np.where(policy > 0, prior, 1)
    return (policy * np.log(ratio)).sum(axis=1)


def newton_free_of_charge(transition, reward, discount, temperature, prior, value):
    policy = softmax((reward + discount * transition @ value) / temperature + log_of(prior))
    return value_of(transition, discount, policy, (policy * reward).sum(axis=1))


def newton_with_the_sign_flipped(transition, reward, discount, temperature, prior, value):
    policy = softmax((reward + discount * transition @ value) / temperature + log_of(prior))
    gain = (policy * reward).sum(axis=1) + temperature * charge_of(policy, prior)
    return value_of(transition, discount, policy, gain)


def newton_charged_entropy(transition, reward, discount, temperature, prior, value):
    policy = softmax((reward + discount * transition @ value) / temperature + log_of(prior))
    gain = (policy * reward).sum(axis=1) - temperature * charge_of(policy, np.ones_like(prior))
    return value_of(transition, discount, policy, gain)


def newton_is_a_sweep(transition, reward, discount, temperature, prior, value):
    return temperature * shifted_log_sum_exp((reward + discount * transition @ value) / temperature + log_of(prior))


def newton_without_discount(transition, reward, discount, temperature, prior, value):
    policy = softmax((reward + transition @ value) / temperature + log_of(prior))
    gain = (policy * reward).sum(axis=1) - temperature * charge_of(policy, prior)
    return value_of(transition, discount, policy, gain)


def newton_short_sighted(transition, reward, discount, temperature, prior, value):
    policy = softmax(reward / temperature + log_of(prior))
    gain = (policy * reward).sum(axis=1) - temperature * charge_of(policy, prior)
    return value_of(transition, discount, policy, gain)


def newton_without_temperature(transition, reward, discount, temperature, prior, value):
    policy = softmax(reward + discount * transition @ value + log_of(prior))
    gain = (policy * reward).sum(axis=1) - temperature * charge_of(policy, prior)
    return value_of(transition, discount, policy, gain)


def newton_without_prior(transition, reward, discount, temperature, prior, value):
    policy = softmax((reward + discount * transition @ value) / temperature)
    gain = (policy * reward).sum(axis=1) - temperature * charge_of(policy, prior)
    return value_of(transition, discount, policy, gain)


def newton_from_the_backup(transition, reward, discount, temperature, prior, value):
    score = (reward + discount * transition @ value) / temperature + log_of(prior)
    backup = temperature * shifted_log_sum_exp(score)
    return backup + value_of(transition, discount, softmax(score), backup - value)


def newton_away(transition, reward, discount, temperature, prior, value):
    score = (reward + discount * transition @ value) / temperature + log_of(prior)
    backup = temperature * shifted_log_sum_exp(score)
    return value - value_of(transition, discount, softmax(score), backup - value)


def newton_charged_without_temperature(transition, reward, discount, temperature, prior, value):
    policy = softmax((reward + discount * transition @ value) / temperature + log_of(prior))
    return value_of(transition, discount, policy, (policy * reward).sum(axis=1) - charge_of(policy, prior))


def newton_paid_twice(transition, reward, discount, temperature, prior, value):
    ahead = reward + discount * transition @ value
    policy = softmax(ahead / temperature + log_of(prior))
    gain = (policy * ahead).sum(axis=1) - temperature * charge_of(policy, prior)
    return value_of(transition, discount, policy, gain)


def newton_backwards(transition, reward, discount, temperature, prior, value):
    policy = softmax((reward + discount * transition @ value) / temperature + log_of(prior))
    gain = (policy * reward).sum(axis=1) - temperature * charge_of(policy, prior)
    moves = np.einsum("sa,sat->ts", policy, transition)
    return np.linalg.solve(np.eye(len(gain)) - discount * moves, gain)


def newton_undiscounted(transition, reward, discount, temperature, prior, value):
    policy = softmax((reward + discount * transition @ value) / temperature + log_of(prior))
    gain = (policy * reward).sum(axis=1) - temperature * charge_of(policy, prior)
    return value_of(transition, 1.0, policy, gain)


def newton_shifted_by_all(transition, reward, discount, temperature, prior, value):
    ahead = reward + discount * transition @ value
    weight = prior * np.exp((ahead - ahead.max(axis=1, keepdims=True)) / temperature)
    policy = weight / weight.sum(axis=1, keepdims=True)
    gain = (policy * reward).sum(axis=1) - temperature * charge_of(policy, prior)
    return value_of(transition, discount, policy, gain)


def fixed_point():
    value = ZERO
    for _ in range(400):
        value = newton_is_a_sweep(P, R, 0.9, 0.5, PRIOR, value)
    return value


TASK_3 = [
    WrongAnswer(
        "newton_step",
        newton_free_of_charge,
        "Your step pays the new policy its reward but does not charge it for leaving the prior.",
        (P, R, 0.9, 0.5, ONLY, V),
    ),
    WrongAnswer(
        "newton_step",
        newton_with_the_sign_flipped,
        "Your step rewards the new policy for leaving the prior: a sign is wrong.",
        (P, R, 0.9, 0.5, ONLY, V),
    ),
    WrongAnswer(
        "newton_step",
        newton_charged_entropy,
        "Your step charges for being predictable, as the lesson does, and not for leaving the prior.",
        (P, R, 0.9, 0.5, ONLY, V),
    ),
    WrongAnswer(
        "newton_step",
        newton_is_a_sweep,
        "Your step is a step of value iteration: it looks one step ahead and no further.",
        (P, R, 0.0, 0.5, PRIOR, V),
    ),
    WrongAnswer(
        "newton_step",
        newton_without_discount,
        "Your new policy counts tomorrow's value in full.",
        (P, R, 0.9, 0.5, PRIOR, ZERO),
    ),
    WrongAnswer(
        "newton_step",
        newton_short_sighted,
        "Your new policy looks at today's reward only.",
        (P, R, 0.9, 0.5, PRIOR, ZERO),
    ),
    WrongAnswer(
        "newton_step",
        newton_without_temperature,
        "Your new policy does not know the temperature.",
        (P, R, 0.9, 1.0, PRIOR, V),
    ),
    WrongAnswer(
        "newton_step",
        newton_without_prior,
        "Your new policy does not know the prior.",
        (P, R, 0.9, 0.5, UNIFORM, V),
    ),
    WrongAnswer(
        "newton_step",
        newton_from_the_backup,
        "Your step adds the correction to TV; Newton's method corrects V.",
        (P, R, 0.9, 0.5, PRIOR, fixed_point()),
    ),
    WrongAnswer(
        "newton_step",
        newton_away,
        "Your step goes away from the solution: the correction has the wrong sign.",
        (P, R, 0.9, 0.5, PRIOR, fixed_point()),
    ),
    WrongAnswer(
        "newton_step",
        newton_charged_without_temperature,
        "Your charge for leaving the prior lacks the temperature, so it is no reward.",
        (P, R, 0.9, 1.0, PRIOR, V),
    ),
    WrongAnswer(
        "newton_step",
        newton_paid_twice,
        "Your step pays the new policy Q_V, in which tomorrow is counted already, and not r.",
        (P, R, 0.9, 0.5, PRIOR, ZERO),
    ),
    WrongAnswer(
        "newton_step",
        newton_backwards,
        "Your values flow backwards: look at which index of P_π is the state one comes from.",
        (SYMMETRIC, R[:3], 0.9, 0.5, PRIOR[:3], V[:3]),
    ),
    WrongAnswer(
        "newton_step",
        newton_undiscounted,
        "Your values are too large by many orders, as if the linear system were singular (is γ in it?).",
        (P, np.zeros((5, 3)), 0.9, 0.5, ONLY, ZERO),
    ),
    WrongAnswer(
        "newton_step",
        newton_shifted_by_all,
        "Your new policy or its charge is NaN or infinite,"
        " on a small temperature and a prior that forbids the best action.",
        (P, R, 0.9, 0.5, PRIOR, V),
    ),
]


# Task 4


def steps_without_temperature(step, temperature, discount, constant, accuracy):
    return math.ceil(math.log(accuracy / constant) / math.log(1 - step * (1 - discount)))


def steps_of_value_iteration(step, temperature, discount, constant, accuracy):
    return math.ceil(math.log(accuracy / constant) / math.log(discount))


def steps_without_discount(step, temperature, discount, constant, accuracy):
    return math.ceil(math.log(accuracy / constant) / math.log(1 - step * temperature))


def steps_rounded_down(step, temperature, discount, constant, accuracy):
    return math.floor(math.log(accuracy / constant) / math.log(1 - step * temperature * (1 - discount)))


def steps_rounded_up_by_one(step, temperature, discount, constant, accuracy):
    return int(math.log(accuracy / constant) / math.log(1 - step * temperature * (1 - discount))) + 1


def steps_negative(step, temperature, discount, constant, accuracy):
    return math.ceil(math.log(constant / accuracy) / math.log(1 - step * temperature * (1 - discount)))


def steps_from_one(step, temperature, discount, constant, accuracy):
    return math.ceil(math.log(accuracy) / math.log(1 - step * temperature * (1 - discount)))


def steps_estimated(step, temperature, discount, constant, accuracy):
    return math.ceil(math.log(constant / accuracy) / (step * temperature * (1 - discount)))


def steps_not_rounded(step, temperature, discount, constant, accuracy):
    return math.log(accuracy / constant) / math.log(1 - step * temperature * (1 - discount))


HALVES = (1.0, 1.0, 0.5, 4.0, 1.0)  # the bound is 4, 2, 1
TASK_4 = [
    WrongAnswer(
        "steps_needed",
        steps_without_temperature,
        "Your rate has the unit of η, 1/reward, and so is no pure number.",
        (0.3, 1.0, 0.8, 5.0, 1e-3),
    ),
    WrongAnswer(
        "steps_needed",
        steps_of_value_iteration,
        "Your rate is that of value iteration, whatever the step.",
        (4.0, 0.25, 0.8, 5.0, 1e-3),
    ),
    WrongAnswer(
        "steps_needed",
        steps_without_discount,
        "Your rate does not know the discount.",
        (0.5, 0.6, 0.1, 1.1, 1.0),
    ),
    WrongAnswer(
        "steps_needed",
        steps_rounded_down,
        "Your number is one step short: at it the bound is still above ε.",
        HALVES,
    ),
    WrongAnswer(
        "steps_needed",
        steps_rounded_up_by_one,
        "Your number is one too many where the bound meets ε exactly.",
        (0.1, 1.0, 0.9, 1.5, 1.0),
    ),
    WrongAnswer(
        "steps_needed",
        steps_negative,
        "Your number is negative: a logarithm has the wrong sign.",
        (1.0, 1.0, 0.5, 1.0, 1.0),  # nothing to do
    ),
    WrongAnswer(
        "steps_needed",
        steps_from_one,
        "Your number does not know C, where the bound starts.",
        (0.1, 1.0, 0.9, 1.0, 1e-3),
    ),
    WrongAnswer(
        "steps_needed",
        steps_estimated,
        "Your number would be enough, but a smaller one is: the logarithm of the rate is more than its first term.",
        (0.1, 1.0, 0.9, 1.5, 1.0),
    ),
    WrongAnswer("steps_needed", steps_not_rounded, "Your number of steps is no whole number.", HALVES),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3, *TASK_4]
