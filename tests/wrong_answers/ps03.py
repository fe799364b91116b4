"""Wrong answers to problem set 03."""

import numpy as np
from scipy.optimize import brentq, linprog

import pencourse as pc
from pencourse import worlds

from . import WrongAnswer

RNG = np.random.default_rng(31)
GARNET = worlds.random_mdp(RNG, 5, 3, 0.9, branching=2)
P, LOWER, START = GARNET.transition, GARNET.reward, RNG.dirichlet(np.ones(5))
UPPER = RNG.normal(size=(5, 3))
OTHER = worlds.random_mdp(RNG, 5, 3, 0.9, branching=2).transition


# Task 1


def upper_return_of(policy, transition, upper_reward, discount, initial):
    return pc.evaluate(pc.MDP(transition, upper_reward, discount, initial), policy).expected_return


def only(best, table):
    """Put the row of the first best action where an action is not the best."""
    first = table[np.arange(len(best)), best.argmax(axis=1)][:, None]
    return np.where(best.reshape(*best.shape, *[1] * (table.ndim - 2)), table, first)


def follower_first(transition, lower_reward, upper_reward, discount, initial):
    policy = pc.solve(pc.MDP(transition, lower_reward, discount, initial)).policy
    return upper_return_of(policy, transition, upper_reward, discount, initial)


def follower_exact_ties(transition, lower_reward, upper_reward, discount, initial):
    q = pc.solve(pc.MDP(transition, lower_reward, discount, initial)).action_value
    best = q == q.max(axis=1, keepdims=True)
    return pc.solve(pc.MDP(only(best, transition), only(best, upper_reward), discount, initial)).expected_return


def follower_pessimistic(transition, lower_reward, upper_reward, discount, initial):
    plan = pc.solve(pc.MDP(transition, lower_reward, discount, initial))
    best = plan.action_value >= plan.value[:, None] - 1e-8 * np.abs(lower_reward).max()
    harm = pc.MDP(only(best, transition), only(best, -upper_reward), discount, initial)
    return -pc.solve(harm).expected_return


def follower_tossing_coins(transition, lower_reward, upper_reward, discount, initial):
    plan = pc.solve(pc.MDP(transition, lower_reward, discount, initial))
    best = plan.action_value >= plan.value[:, None] - 1e-8 * np.abs(lower_reward).max()
    return upper_return_of(best / best.sum(axis=1, keepdims=True), transition, upper_reward, discount, initial)


def follower_today(transition, lower_reward, upper_reward, discount, initial):
    plan = pc.solve(pc.MDP(transition, lower_reward, discount, initial))
    best = plan.action_value >= plan.value[:, None] - 1e-8 * np.abs(lower_reward).max()
    policy = np.eye(best.shape[1])[np.where(best, upper_reward, -np.inf).argmax(axis=1)]
    return upper_return_of(policy, transition, upper_reward, discount, initial)


def follower_absolute_tolerance(transition, lower_reward, upper_reward, discount, initial):
    q = pc.solve(pc.MDP(transition, lower_reward, discount, initial), tolerance=1e-13).action_value
    best = np.isclose(q, q.max(axis=1, keepdims=True))
    return pc.solve(pc.MDP(only(best, transition), only(best, upper_reward), discount, initial)).expected_return


def follower_with_a_small_weight(transition, lower_reward, upper_reward, discount, initial):
    mixture = pc.MDP(transition, lower_reward + 1e-4 * upper_reward, discount, initial)
    return upper_return_of(pc.solve(mixture).policy, transition, upper_reward, discount, initial)


def follower_obeys(transition, lower_reward, upper_reward, discount, initial):
    return pc.solve(pc.MDP(transition, upper_reward, discount, initial)).expected_return


def follower_forbidden_by_a_low_reward(transition, lower_reward, upper_reward, discount, initial):
    plan = pc.solve(pc.MDP(transition, lower_reward, discount, initial))
    best = plan.action_value >= plan.value[:, None] - 1e-6 * np.abs(lower_reward).max()
    gain = np.where(best, upper_reward, upper_reward.min())
    return pc.solve(pc.MDP(transition, gain, discount, initial)).expected_return


def follower_by_the_lessons_programs(transition, lower_reward, upper_reward, discount, initial):
    n_states, n_actions = lower_reward.shape
    flow = np.kron(np.eye(n_states), np.ones(n_actions)) - discount * transition.reshape(-1, n_states).T
    first = linprog(-lower_reward.ravel(), A_eq=flow, b_eq=initial)
    least = [-lower_reward.ravel()], [first.fun + 1e-10]  # a slack that is not relative to the rewards
    return -linprog(-upper_reward.ravel(), *least, A_eq=flow, b_eq=initial).fun


OPTIMAL_BUT = (
    "Your follower is optimal, but of the optimal ones it is not the best for the upper level"
    " (does it see all ties, also those that rounding hides, and does it look beyond one step?)."
)
MORE_THAN_OPTIMAL = (
    "Your result is more than any optimal follower can bring: an action that is not optimal for it is played"
    " or counted somewhere (is every tolerance relative to the rewards?)."
)
# No ties; the best actions are the best by far.
CLEAR = (P, LOWER + 100 * np.eye(3)[[0, 1, 2, 0, 1]], UPPER, 0.9, START)
TASK_1 = [
    WrongAnswer("optimistic_return", follower_first, OPTIMAL_BUT, CLEAR),
    WrongAnswer("optimistic_return", follower_exact_ties, OPTIMAL_BUT, CLEAR),
    WrongAnswer(
        "optimistic_return",
        follower_pessimistic,
        "Your follower is a pessimist's: of equally good actions it takes those that hurt most.",
        CLEAR,
    ),
    WrongAnswer(
        "optimistic_return",
        follower_tossing_coins,
        "Your follower tosses a coin between equally good actions.",
        CLEAR,
    ),
    WrongAnswer(
        "optimistic_return",
        follower_today,
        "Your follower settles ties by what the upper level is paid today, and not by what comes after.",
        (P, np.zeros((5, 3)), UPPER, 0.0, START),
    ),
    WrongAnswer(
        "optimistic_return",
        follower_absolute_tolerance,
        "Your follower takes actions for equally good that are not (is your tolerance relative to the rewards?).",
        CLEAR,
    ),
    WrongAnswer(
        "optimistic_return",
        follower_with_a_small_weight,
        "Your follower plans for a mixture of both rewards and gives up some of its own.",
        (P, np.zeros((5, 3)), UPPER, 0.9, START),
    ),
    WrongAnswer(
        "optimistic_return",
        follower_obeys,
        "Your follower obeys: it maximises the upper reward and has forgotten its own.",
        (P, np.zeros((5, 3)), UPPER, 0.9, START),
    ),
    WrongAnswer(
        "optimistic_return",
        follower_forbidden_by_a_low_reward,
        MORE_THAN_OPTIMAL,
        (P, np.zeros((5, 3)), UPPER, 0.9, START),
    ),
    WrongAnswer("optimistic_return", follower_by_the_lessons_programs, MORE_THAN_OPTIMAL, CLEAR),
]


# Task 2


def wage_of_the_lesson(discount, found, laid_off, ended, pay):
    return discount * pay


def wage_without_layoffs(discount, found, laid_off, ended, pay):
    return discount * found * pay / (1 - discount + discount * (found + ended))


def wage_elsewhere_for_ever(discount, found, laid_off, ended, pay):
    return discount * (found - laid_off) * pay / (1 - discount + discount * found)


def wage_found_at_once(discount, found, laid_off, ended, pay):
    return discount * (1 - laid_off) * pay / (1 + discount * ended)


def wage_at_least_zero(discount, found, laid_off, ended, pay):
    return max(0, discount * (found - laid_off) * pay / (1 - discount + discount * (found + ended)))


def wage_one_attempt(discount, found, laid_off, ended, pay):
    # V(elsewhere) = pay + γ[ended · V(work) + (1 − ended) V(elsewhere)], V(work) = γ · found · V(elsewhere)
    elsewhere = pay / (1 - discount * (1 - ended) - discount**2 * ended * found)
    work = discount * found * elsewhere
    return work - discount * ((1 - laid_off) * work + laid_off * elsewhere)


def wage_laid_off_into_nothing(discount, found, laid_off, ended, pay):
    factor = discount * found / (1 - discount * (1 - found))
    elsewhere = pay / (1 - discount * (1 - ended) - discount * ended * factor)
    return (1 - discount * (1 - laid_off)) * factor * elsewhere


def wage_one_step_ahead(discount, found, laid_off, ended, pay):
    return discount * (found - laid_off) * pay


TASK_2 = [
    WrongAnswer(
        "flip_wage",
        wage_of_the_lesson,
        "Your clerk is the lesson's, who always finds the other job and never loses one.",
        (0.9, 1.0, 0.0, 0.0, 1.3),
    ),
    WrongAnswer(
        "flip_wage",
        wage_without_layoffs,
        "Your clerk is never laid off.",
        (0.9, 0.5, 0.0, 0.2, 1.3),
    ),
    WrongAnswer(
        "flip_wage",
        wage_elsewhere_for_ever,
        "Your clerk keeps the other job for ever.",
        (0.9, 0.5, 0.2, 0.0, 1.3),
    ),
    WrongAnswer(
        "flip_wage",
        wage_found_at_once,
        "Your clerk finds another job at the first attempt.",
        (0.9, 1.0, 0.3, 0.2, 1.3),
    ),
    WrongAnswer(
        "flip_wage",
        wage_at_least_zero,
        "Your wage is never negative, but there are clerks who would pay to stay.",
        (0.9, 0.5, 0.2, 0.3, 1.3),
    ),
    WrongAnswer(
        "flip_wage",
        wage_one_attempt,
        "Your clerk tries to leave once, and earns nothing any more if that fails.",
        (0.9, 1.0, 0.2, 0.3, 1.3),
    ),
    WrongAnswer(
        "flip_wage",
        wage_laid_off_into_nothing,
        "Your clerk earns nothing any more once laid off.",
        (0.9, 0.5, 0.0, 0.3, 1.3),
    ),
    WrongAnswer(
        "flip_wage",
        wage_one_step_ahead,
        "Your clerk looks one step ahead; attempts that fail are repeated, and jobs that end are found again.",
        (0.9, 0.75, 0.2, 0.25, 1.3),
    ),
]


# Task 3


def gains_of(terms, discount, kernels, lower_rewards, upper_rewards):
    rewards = {"lower": lower_rewards[1] - lower_rewards[0], "upper": upper_rewards[1] - upper_rewards[0]}
    change = kernels[1] - kernels[0]
    return sum((t.mass * (rewards[t.channel] + discount * change @ t.next_value)).sum(axis=1) for t in terms)


def slope(x):
    weight = 1 / (1 + np.exp(-x))
    return weight * (1 - weight)


def pull_back_to_the_weight(x, terms, discount, kernels, lower_rewards, upper_rewards):
    return gains_of(terms, discount, kernels, lower_rewards, upper_rewards)


def pull_back_x_for_weight(x, terms, discount, kernels, lower_rewards, upper_rewards):
    return x * (1 - x) * gains_of(terms, discount, kernels, lower_rewards, upper_rewards)


def pull_back_without_discount(x, terms, discount, kernels, lower_rewards, upper_rewards):
    return slope(x) * gains_of(terms, 1.0, kernels, lower_rewards, upper_rewards)


def pull_back_without_kernel(x, terms, discount, kernels, lower_rewards, upper_rewards):
    return slope(x) * gains_of(terms, 0.0, kernels, lower_rewards, upper_rewards)


def pull_back_one_reward(x, terms, discount, kernels, lower_rewards, upper_rewards):
    return slope(x) * gains_of(terms, discount, kernels, lower_rewards, lower_rewards)


def pull_back_drops_upper(x, terms, discount, kernels, lower_rewards, upper_rewards):
    kept = [term for term in terms if term.channel == "lower"]
    return slope(x) * (gains_of(kept, discount, kernels, lower_rewards, upper_rewards) + np.zeros(len(x)))


def pull_back_upper_without_kernel(x, terms, discount, kernels, lower_rewards, upper_rewards):
    lower = [term for term in terms if term.channel == "lower"]
    upper = [term for term in terms if term.channel == "upper"]
    rewards = (lower_rewards, upper_rewards)
    return slope(x) * (gains_of(lower, discount, kernels, *rewards) + gains_of(upper, 0.0, kernels, *rewards))


def pull_back_of_the_model(x, terms, discount, kernels, lower_rewards, upper_rewards):
    w = (1 / (1 + np.exp(-x)))[:, None]
    kernel = (1 - w[..., None]) * kernels[0] + w[..., None] * kernels[1]
    rewards = {name: (1 - w) * r[0] + w * r[1] for name, r in (("lower", lower_rewards), ("upper", upper_rewards))}
    total = sum((t.mass * (rewards[t.channel] + discount * kernel @ t.next_value)).sum(axis=1) for t in terms)
    return slope(x) * total


def pull_back_sums_first(x, terms, discount, kernels, lower_rewards, upper_rewards):
    term = pc.Term(sum(t.mass for t in terms), sum(t.next_value for t in terms), terms[0].channel)
    return slope(x) * gains_of([term], discount, kernels, lower_rewards, upper_rewards)


def pull_back_other_channel(x, terms, discount, kernels, lower_rewards, upper_rewards):
    return slope(x) * gains_of(terms, discount, kernels, upper_rewards, lower_rewards)


def pull_back_backwards(x, terms, discount, kernels, lower_rewards, upper_rewards):
    turned = [pc.Term(t.mass, np.zeros(len(x)), t.channel) for t in terms]
    change = kernels[1] - kernels[0]
    ahead = sum((t.mass * np.einsum("san,s->na", change, t.next_value)).sum(axis=1) for t in terms)
    return slope(x) * (gains_of(turned, discount, kernels, lower_rewards, upper_rewards) + discount * ahead)


def pull_back_by_differences(x, terms, discount, kernels, lower_rewards, upper_rewards):
    def form(x):
        w = (1 / (1 + np.exp(-x)))[:, None]
        kernel = (1 - w[..., None]) * kernels[0] + w[..., None] * kernels[1]
        rewards = {name: (1 - w) * r[0] + w * r[1] for name, r in (("lower", lower_rewards), ("upper", upper_rewards))}
        return sum((t.mass * (rewards[t.channel] + discount * kernel @ t.next_value)).sum() for t in terms)

    return np.array([(form(x + step) - form(x - step)) / 2e-5 for step in 1e-5 * np.eye(len(x))])


X = RNG.normal(size=5)
ONE = pc.Term(RNG.normal(size=(5, 3)), RNG.normal(size=5))
TWO = pc.Term(RNG.normal(size=(5, 3)), RNG.normal(size=5), "upper")
KERNELS = np.stack([P, OTHER])
SAME = np.stack([P, P])
LOWERS, UPPERS = RNG.normal(size=(2, 2, 5, 3))
HALFWAY = brentq(lambda x: x * (1 - x) - slope(x), 0.5, 1.0, xtol=1e-14)  # where both slopes agree
TASK_3 = [
    WrongAnswer(
        "pull_back",
        pull_back_to_the_weight,
        "Your derivative is the one in the weight; the weight is a function of x.",
        (X, [ONE], 0.9, SAME, np.stack([LOWERS[0]] * 2), UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_x_for_weight,
        "Your derivative of the weight takes x itself for the weight.",
        (np.full(5, HALFWAY), [ONE, TWO], 0.9, KERNELS, LOWERS, UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_without_discount,
        "Your pull-back counts tomorrow in full.",
        (X, [ONE, TWO], 0.9, SAME, LOWERS, UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_without_kernel,
        "Nothing of the kernel is left in your pull-back; it depends on x as well, and next_value belongs to the"
        " state one comes to.",
        (X, [ONE, TWO], 0.9, SAME, LOWERS, UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_one_reward,
        "Your pull-back reads the lower level's reward in every term, whatever its channel.",
        (X, [ONE], 0.9, KERNELS, LOWERS, UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_drops_upper,
        "Your pull-back drops the terms of channel 'upper'.",
        (X, [ONE], 0.9, KERNELS, LOWERS, UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_upper_without_kernel,
        "Your pull-back leaves the kernel out of the terms of channel 'upper'; all terms share one kernel.",
        (X, [ONE, TWO], 0.9, SAME, LOWERS, UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_of_the_model,
        "Your pull-back puts the model where its derivative belongs.",
        (np.zeros(5), [ONE], 0.0, KERNELS, np.stack([LOWERS[0], 3 * LOWERS[0]]), UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_sums_first,
        "Your pull-back sums masses and next values apart before it multiplies them.",
        (X, [ONE], 0.9, KERNELS, LOWERS, UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_other_channel,
        "Your pull-back takes one channel for the other.",
        (X, [ONE, TWO], 0.9, KERNELS, LOWERS, LOWERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_backwards,
        "Your pull-back reads the kernel backwards: next_value belongs to the state one comes to.",
        (X, [ONE, TWO], 0.9, SAME, LOWERS, UPPERS),
    ),
    WrongAnswer(
        "pull_back",
        pull_back_by_differences,
        "Your derivative is right to some digits, as a difference quotient is, and those are not enough where a"
        " knob is turned nearly all the way.",
        (X, [ONE, TWO], 0.9, KERNELS, LOWERS, UPPERS),
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
