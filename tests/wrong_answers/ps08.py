"""Wrong answers to problem set 08."""

import numpy as np

import pencourse as pc
from pencourse import worlds
from pencourse.simplex import project

from . import WrongAnswer

RNG = np.random.default_rng(81)
KERNELS = np.stack([worlds.random_mdp(RNG, 4, 3, 0.9, branching=2).transition for _ in range(2)])
REWARDS, UPPER = RNG.normal(size=(2, 2, 4, 3))
START, MIX = RNG.dirichlet(np.ones(4)), RNG.uniform(0.3, 0.7, size=4)
POLICY, ORACLE = (RNG.dirichlet(np.ones(3), size=4) for _ in range(2))


# Task 1


def mixed(tables, mix):
    share = mix.reshape((-1,) + (1,) * (tables.ndim - 2))
    return (1 - share) * tables[0] + share * tables[1]


def worth_of(kernel, discount, policy, gain, charge=0.0):
    logs = np.log(np.where(policy > 0, policy, 1))
    paid = (policy * (gain - charge * logs)).sum(axis=1)
    return np.linalg.solve(np.eye(len(gain)) - discount * np.einsum("sa,sat->st", policy, kernel), paid)


def visits_of(kernel, discount, initial, policy):
    return np.linalg.solve((np.eye(len(initial)) - discount * np.einsum("sa,sat->st", policy, kernel)).T, initial)


def tilted(policy, scores):
    logs = np.log(policy) + scores
    new = np.exp(logs - logs.max(axis=1, keepdims=True))
    return new / new.sum(axis=1, keepdims=True)


class Parts:
    """What the wrong answers have in common: the mixture, and the parts of the two steps."""

    def __init__(self, kernels, rewards, upper_rewards, discount, initial, temperature, mix):
        self.kernels, self.rewards, self.upper_rewards = kernels, rewards, upper_rewards
        self.discount, self.initial, self.temperature = discount, initial, temperature
        self.kernel, self.reward, self.upper = (mixed(tables, mix) for tables in (kernels, rewards, upper_rewards))

    def own(self, policy):
        return worth_of(self.kernel, self.discount, policy, self.reward, self.temperature)

    def leader(self, policy):
        return worth_of(self.kernel, self.discount, policy, self.upper)

    def ahead(self, reward, value):
        return reward + self.discount * self.kernel @ value

    def gains(self, policy, weight):
        """Return Q + Q_l/λ − τ log y."""
        own = self.ahead(self.reward, self.own(policy)) - self.temperature * np.log(policy)
        return own + self.ahead(self.upper, self.leader(policy)) / weight

    def slope(self, policy, tables, value):
        change = tables[1] - tables[0] + self.discount * (self.kernels[1] - self.kernels[0]) @ value
        return visits_of(self.kernel, self.discount, self.initial, policy) * (policy * change).sum(axis=1)

    def derivative(self, policy, oracle, weight):
        """Return the derivative of F in x."""
        apart = self.slope(oracle, self.rewards, self.own(oracle)) - self.slope(policy, self.rewards, self.own(policy))
        return weight * apart - self.slope(policy, self.upper_rewards, self.leader(policy))


def step_at_once(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    new = tilted(policy, policy_step / temperature * parts.gains(policy, weight))
    return np.column_stack([new, np.clip(mix - step * parts.derivative(policy, oracle, weight), 0, 1)])


def step_without_charge(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    gains = parts.gains(policy, weight) + temperature * np.log(policy)
    new = tilted(policy, policy_step / temperature * gains)
    return np.column_stack([new, np.clip(mix - step * parts.derivative(new, oracle, weight), 0, 1)])


def step_of_policy_iteration(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    new = tilted(policy, parts.gains(policy, weight) / temperature)
    return np.column_stack([new, np.clip(mix - step * parts.derivative(new, oracle, weight), 0, 1)])


def step_without_temperature(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    new = tilted(policy, policy_step * parts.gains(policy, weight))
    return np.column_stack([new, np.clip(mix - step * parts.derivative(new, oracle, weight), 0, 1)])


def step_by_visits(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    slope = visits_of(parts.kernel, discount, initial, policy)[:, None] * parts.gains(policy, weight)
    new = tilted(policy, policy_step / temperature * slope)
    return np.column_stack([new, np.clip(mix - step * parts.derivative(new, oracle, weight), 0, 1)])


def step_of_the_follower_alone(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    own = parts.ahead(parts.reward, parts.own(policy)) - temperature * np.log(policy)
    new = tilted(policy, policy_step / temperature * own)
    return np.column_stack([new, np.clip(mix - step * parts.derivative(new, oracle, weight), 0, 1)])


def step_without_weight(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    new = tilted(policy, policy_step / temperature * parts.gains(policy, weight))
    return np.column_stack([new, np.clip(mix - step * parts.derivative(new, oracle, 1), 0, 1)])


def step_oracle_stands_still(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    new = tilted(policy, policy_step / temperature * parts.gains(policy, weight))
    derivative = parts.derivative(new, oracle, weight)
    derivative -= weight * parts.slope(oracle, rewards, parts.own(oracle))
    return np.column_stack([new, np.clip(mix - step * derivative, 0, 1)])


def step_with_an_exact_oracle(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    best = pc.solve(pc.MDP(parts.kernel, parts.reward, discount, initial, temperature)).policy
    new = tilted(policy, policy_step / temperature * parts.gains(policy, weight))
    return np.column_stack([new, np.clip(mix - step * parts.derivative(new, best, weight), 0, 1)])


def step_out_of_the_box(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    new = tilted(policy, policy_step / temperature * parts.gains(policy, weight))
    return np.column_stack([new, mix - step * parts.derivative(new, oracle, weight)])


def step_overflows(
    kernels, rewards, upper_rewards, discount, initial, temperature, weight, policy_step, step, mix, policy, oracle
):
    parts = Parts(kernels, rewards, upper_rewards, discount, initial, temperature, mix)
    new = policy * np.exp(policy_step / temperature * parts.gains(policy, weight))
    new = new / new.sum(axis=1, keepdims=True)
    return np.column_stack([new, np.clip(mix - step * parts.derivative(new, oracle, weight), 0, 1)])


WORLDS = (KERNELS, REWARDS, UPPER)
FEW = (*WORLDS, 0.9, START, 0.7, 2.0)
UNIFORM = np.full((4, 3), 1 / 3)
SAME = np.stack([REWARDS[0], REWARDS[0]])
EXACT = pc.solve(pc.MDP(mixed(KERNELS, MIX), mixed(REWARDS, MIX), 0.9, START, 0.7)).policy
TASK_1 = [
    WrongAnswer(
        "pbrl_step",
        step_at_once,
        "Your x moves by what holds at the old policy; the policy moves first.",
        (*FEW, 1e-9, 0.01, MIX, POLICY, ORACLE),
    ),
    WrongAnswer(
        "pbrl_step",
        step_without_charge,
        "Your policy's step leaves out what the row is charged for being certain.",
        (*FEW, 0.4, 0.01, MIX, UNIFORM, ORACLE),
    ),
    WrongAnswer(
        "pbrl_step",
        step_of_policy_iteration,
        "Your policy takes the whole step of policy iteration, whatever η is.",
        (*FEW, 1.0, 0.01, MIX, POLICY, ORACLE),
    ),
    WrongAnswer(
        "pbrl_step",
        step_without_temperature,
        "Your policy's step is not in units of the temperature.",
        (*WORLDS, 0.9, START, 1.0, 2.0, 0.4, 0.01, MIX, POLICY, ORACLE),
    ),
    WrongAnswer(
        "pbrl_step",
        step_by_visits,
        "Your policy's step is not divided by the visits, so that rare states hardly move.",
        # Every action leads everywhere alike, and one starts so that each state is visited once.
        (np.full((2, 4, 3, 4), 0.25), REWARDS, UPPER, 0.75, np.full(4, 0.25), 0.7, 2.0, 0.4, 0.01, MIX, POLICY, ORACLE),
    ),
    WrongAnswer(
        "pbrl_step",
        step_of_the_follower_alone,
        "Your policy's step forgets the leader.",
        (KERNELS, REWARDS, np.full((2, 4, 3), 0.6), 0.9, START, 0.7, 2.0, 0.4, 0.01, MIX, POLICY, ORACLE),
    ),
    WrongAnswer(
        "pbrl_step",
        step_without_weight,
        "Your x does not see the weight of the penalty.",
        (*WORLDS, 0.9, START, 0.7, 1.0, 0.4, 0.01, MIX, POLICY, ORACLE),
    ),
    WrongAnswer(
        "pbrl_step",
        step_oracle_stands_still,
        "Your x forgets that the oracle's return moves with x too.",
        (np.stack([KERNELS[0]] * 2), SAME, UPPER, 0.9, START, 0.7, 2.0, 0.4, 0.01, MIX, POLICY, ORACLE),
    ),
    WrongAnswer(
        "pbrl_step",
        step_with_an_exact_oracle,
        "Your step solves the lower level; the policy that the oracle found is given, and it is not exact.",
        (*FEW, 0.4, 0.01, MIX, POLICY, EXACT),
    ),
    WrongAnswer("pbrl_step", step_out_of_the_box, "Your x can leave X.", (*FEW, 0.4, 0.001, MIX, POLICY, ORACLE)),
    WrongAnswer(
        "pbrl_step",
        step_overflows,
        "The result holds NaN or an infinity (an exponential out of range, or 0 log 0), on a small temperature.",
        (*FEW, 0.4, 0.01, MIX, POLICY, ORACLE),
    ),
]


# Task 2


def mapping_unprojected(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    return np.array([np.linalg.norm(upper_slope), np.linalg.norm(policy_slope)])


def mapping_centred(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    centred = policy_slope - policy_slope.mean(axis=1, keepdims=True)
    return np.array([np.linalg.norm(upper_slope), np.linalg.norm(centred)])


def mapping_undivided(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    to_x = np.clip(upper - step * upper_slope, lowest, highest)
    to_y = project(policy - policy_step * policy_slope, floor)
    return np.array([np.linalg.norm(upper - to_x), np.linalg.norm(policy - to_y)])


def mapping_without_floor(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    to_x = np.clip(upper - step * upper_slope, lowest, highest)
    to_y = project(policy - policy_step * policy_slope)
    return np.array([np.linalg.norm(upper - to_x) / step, np.linalg.norm(policy - to_y) / policy_step])


def mapping_cut_and_scaled(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    to_x = np.clip(upper - step * upper_slope, lowest, highest)
    to_y = np.clip(policy - policy_step * policy_slope, floor, None)
    to_y = to_y / to_y.sum(axis=1, keepdims=True)
    return np.array([np.linalg.norm(upper - to_x) / step, np.linalg.norm(policy - to_y) / policy_step])


def mapping_shifted_and_cut(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    to_x = np.clip(upper - step * upper_slope, lowest, highest)
    centred = policy_slope - policy_slope.mean(axis=1, keepdims=True)
    to_y = np.maximum(policy - policy_step * centred, floor)
    return np.array([np.linalg.norm(upper - to_x) / step, np.linalg.norm(policy - to_y) / policy_step])


def mapping_in_the_unit_box(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    to_x = np.clip(upper - step * upper_slope, 0, 1)
    to_y = project(policy - policy_step * policy_slope, floor)
    return np.array([np.linalg.norm(upper - to_x) / step, np.linalg.norm(policy - to_y) / policy_step])


def mapping_spectral(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    to_x = np.clip(upper - step * upper_slope, lowest, highest)
    to_y = project(policy - policy_step * policy_slope, floor)
    return np.array([np.linalg.norm(upper - to_x) / step, np.linalg.norm(policy - to_y, 2) / policy_step])


def mapping_of_one_step(upper, policy, upper_slope, policy_slope, step, policy_step, lowest, highest, floor):
    to_x = np.clip(upper - step * upper_slope, lowest, highest)
    to_y = project(policy - step * policy_slope, floor)
    return np.array([np.linalg.norm(upper - to_x) / step, np.linalg.norm(policy - to_y) / step])


CENTRED = POLICY - 1 / 3  # as a slope its rows sum to 0
BOX = (-np.ones(4), 2 * np.ones(4))
INSIDE = (MIX, UNIFORM, START, CENTRED, 0.1, 0.1)
TASK_2 = [
    WrongAnswer(
        "gradient_mapping",
        mapping_unprojected,
        "Your numbers are the norms of the slopes: they do not know the boundary.",
        (*INSIDE, *BOX, 0.0),
    ),
    WrongAnswer(
        "gradient_mapping",
        mapping_centred,
        "Your numbers are the norms of the slopes, centred in each row: they do not know the boundary.",
        (MIX, UNIFORM, START, POLICY, 0.1, 0.1, *BOX, 0.0),
    ),
    WrongAnswer(
        "gradient_mapping",
        mapping_undivided,
        "Your numbers are how far one step goes; they shrink with the step and say nothing about the slope.",
        (MIX, UNIFORM, START, POLICY, 1.0, 1.0, *BOX, 0.0),
    ),
    WrongAnswer(
        "gradient_mapping",
        mapping_without_floor,
        "Your rows are projected onto the whole simplex, whatever the floor is.",
        (MIX, UNIFORM, START, 9 * POLICY, 0.2, 0.3, *BOX, 0.0),
    ),
    WrongAnswer(
        "gradient_mapping",
        mapping_cut_and_scaled,
        "Your rows are cut off and divided by their sum; that is a distribution, but not the nearest one.",
        (*INSIDE, *BOX, 0.0),
    ),
    WrongAnswer(
        "gradient_mapping",
        mapping_shifted_and_cut,
        "Your rows are shifted to the sum 1 and then cut off, after which their sum is not 1 any more.",
        (MIX, UNIFORM, START, POLICY, 0.1, 0.1, *BOX, 0.0),
    ),
    WrongAnswer(
        "gradient_mapping",
        mapping_in_the_unit_box,
        "Your x is kept in [0, 1]; the ends of the box are given.",
        (MIX, UNIFORM, 9 * START, POLICY, 0.3, 0.1, np.zeros(4), np.ones(4), 0.02),
    ),
    WrongAnswer(
        "gradient_mapping",
        mapping_spectral,
        "Your number for the policy is the spectral norm of a matrix; all its entries count alike.",
        (MIX[:1], UNIFORM[:1], START[:1], POLICY[:1], 0.2, 0.1, -np.ones(1), np.ones(1), 0.0),
    ),
    WrongAnswer(
        "gradient_mapping",
        mapping_of_one_step,
        "Your policy takes the step of x.",
        (MIX, UNIFORM, START, 9 * POLICY, 0.2, 0.2, *BOX, 0.02),
    ),
]


# Task 3


def window_of(start, threshold, reaction, cost, gain, slope, step, budget):
    """Return the window if one step of reward, by all later steps, weighs `slope`."""
    needed = abs(threshold - start) / (step * budget * slope)
    if start < threshold:
        return np.array([cost / (reaction - needed), gain / (reaction * (threshold - start))])
    return np.array([cost / reaction, cost / needed])


def window_of_exact_weights(start, threshold, reaction, cost, gain, discount, step, budget):
    _, high = window_of(start, threshold, reaction, cost, gain, 1 / (1 - discount), step, budget)
    return np.array([cost / reaction, high])


def window_without_basin(start, threshold, reaction, cost, gain, discount, step, budget):
    low, _ = window_of(start, threshold, reaction, cost, gain, 1 / (1 - discount), step, budget)
    return np.array([low, step * budget * cost / (abs(threshold - start) * (1 - discount))])


def window_of_one_step(start, threshold, reaction, cost, gain, discount, step, budget):
    return window_of(start, threshold, reaction, cost, gain, 1, step, budget)


def window_of_the_lesson(start, threshold, reaction, cost, gain, discount, step, budget):
    return window_of(start, threshold, 1, cost, gain, 1 / (1 - discount), step, budget)


def window_of_a_constant_step(start, threshold, reaction, cost, gain, discount, step, budget):
    needed = abs(threshold - start) * (1 - discount) / (step * budget)
    if start < threshold:
        return np.array([(cost + needed) / reaction, gain / (reaction * (threshold - start))])
    return np.array([cost / reaction, np.inf])  # it arrives always, or never


def window_down_and_out(start, threshold, reaction, cost, gain, discount, step, budget):
    low, high = window_of(start, threshold, reaction, cost, gain, 1 / (1 - discount), step, budget)
    return np.array([low if start < threshold else 0, high])


def window_of_a_mirror(start, threshold, reaction, cost, gain, discount, step, budget):
    below = threshold - abs(threshold - start)
    return window_of(below, threshold, reaction, cost, gain, 1 / (1 - discount), step, budget)


def window_of_a_short_way(start, threshold, reaction, cost, gain, discount, step, budget):
    return window_of(start, threshold, reaction, cost, gain, 1 / (1 - discount), step, budget - 1)


BELOW = (0.3, 0.6, 1.5, 0.8, 2.0, 0.9, 0.01, 10)
ABOVE = (0.7, 0.4, 1.5, 0.8, 2.0, 0.9, 0.01, 10)
TASK_3 = [
    WrongAnswer(
        "weight_window",
        window_of_exact_weights,
        "Your smallest weight makes b a minimum, but just above it the way up is all but level and takes for ever.",
        ABOVE,
    ),
    WrongAnswer(
        "weight_window",
        window_without_basin,
        "Your large weights fail because they are slow; from below something else happens to them first.",
        ABOVE,
    ),
    WrongAnswer(
        "weight_window",
        window_of_one_step,
        "Your slopes are those of one step's reward; all steps count, discounted.",
        (0.3, 0.6, 1.5, 0.8, 2.0, 0.0, 0.1, 10),
    ),
    WrongAnswer(
        "weight_window",
        window_of_the_lesson,
        "Your follower reacts as in the lesson, whatever κ is.",
        (0.3, 0.6, 1.0, 0.8, 2.0, 0.9, 0.01, 10),
    ),
    WrongAnswer(
        "weight_window",
        window_of_a_constant_step,
        "Your step does not shrink with the weight.",
        (0.3, 0.6, 1.0, 0.8, 2.0, 0.9, 1e4, 10),
    ),
    WrongAnswer(
        "weight_window",
        window_down_and_out,
        "Your small weights carry a start above b over it and on down, for b is no minimum for them.",
        BELOW,
    ),
    WrongAnswer(
        "weight_window",
        window_of_a_mirror,
        "Your way down from above is as steep as the way up from below.",
        BELOW,
    ),
    WrongAnswer(
        "weight_window",
        window_of_a_short_way,
        "Your way is one step shorter than the budget allows.",
        (0.3, 0.6, 1.5, 0.8, 2.0, 0.9, 1e4, 10),
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
