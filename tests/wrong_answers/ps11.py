"""Wrong answers to problem set 11."""

from itertools import product

import numpy as np
from scipy.special import entr, expit, log_expit

from . import WrongAnswer

RNG = np.random.default_rng(111)
START = RNG.dirichlet(np.ones(3))
POLICY, UNIFORM = RNG.dirichlet(np.ones(3), size=3), np.full((3, 3), 1 / 3)
TRUE, LEARNT = RNG.normal(size=(2, 3, 3))


# Task 1


def losses_of(true_reward, learnt_reward, noise):
    """Return the expected cross-entropy of each pair, shape (S, A, A)."""
    gaps, ahead = (table[:, :, None] - table[:, None, :] for table in (true_reward, learnt_reward))
    return cross_entropy((1 - noise) * expit(gaps) + noise / 2, ahead)


def cross_entropy(preference, ahead):
    return -preference * log_expit(ahead) - (1 - preference) * log_expit(-ahead)


def slopes_of(initial, policy, losses):
    """Return the answer for other losses of the pairs."""
    different = 1 - np.eye(policy.shape[1])
    chance = policy * (1 - policy)
    total = chance.sum(axis=1)
    mean = (policy[:, :, None] * policy[:, None, :] * different * losses).sum(axis=(1, 2)) / total
    paired = policy * (different * losses * policy[:, None, :]).sum(axis=2)
    slope = 2 * (paired - mean[:, None] * chance) / total[:, None]
    return initial[:, None] * np.column_stack([mean, slope])


def pair_of_one_score(initial, policy, true_reward, learnt_reward, noise):
    result = slopes_of(initial, policy, losses_of(true_reward, learnt_reward, noise))
    result[:, 1:] /= 2
    return result


def pair_with_a_fixed_chance(initial, policy, true_reward, learnt_reward, noise):
    losses = losses_of(true_reward, learnt_reward, noise) * (1 - np.eye(policy.shape[1]))
    total = (policy * (1 - policy)).sum(axis=1)
    mean = np.einsum("sa,sab,sb->s", policy, losses, policy) / total
    slope = 2 * np.einsum("sab,sb->sa", losses, policy) / total[:, None]
    slope = policy * (slope - (policy * slope).sum(axis=1, keepdims=True))
    return initial[:, None] * np.column_stack([mean, slope])


def pair_with_itself(initial, policy, true_reward, learnt_reward, noise):
    losses = losses_of(true_reward, learnt_reward, noise)
    mean = np.einsum("sa,sab,sb->s", policy, losses, policy)
    slope = 2 * policy * (np.einsum("sab,sb->sa", losses, policy) - mean[:, None])
    return initial[:, None] * np.column_stack([mean, slope])


def pair_of_a_first_that_stays(initial, policy, true_reward, learnt_reward, noise):
    losses = losses_of(true_reward, learnt_reward, noise) * (1 - np.eye(policy.shape[1]))
    result = []
    for start, y, loss in zip(initial, policy, losses, strict=True):
        later = loss @ y / (1 - y)  # the expected loss, given the first answer
        score = np.eye(len(y)) - y  # (answer, logit)
        slope = (y * later) @ score
        for a in range(len(y)):
            # of the second answer, drawn from y without a: log y_b − log(1 − y_a)
            given = y * (np.arange(len(y)) != a) / (1 - y[a])
            slope = slope + y[a] * (given * loss[a]) @ (score + y[a] / (1 - y[a]) * score[a])
        result.append(start * np.append(y @ later, slope))
    return np.array(result)


def pair_without_noise(initial, policy, true_reward, learnt_reward, noise):
    return slopes_of(initial, policy, losses_of(true_reward, learnt_reward, 0))


def pair_with_turned_labels(initial, policy, true_reward, learnt_reward, noise):
    return slopes_of(initial, policy, losses_of(true_reward, learnt_reward, 2 * noise))


def pair_the_wrong_way_round(initial, policy, true_reward, learnt_reward, noise):
    return slopes_of(initial, policy, losses_of(-true_reward, learnt_reward, noise))


def pair_that_never_errs(initial, policy, true_reward, learnt_reward, noise):
    gaps, ahead = (table[:, :, None] - table[:, None, :] for table in (true_reward, learnt_reward))
    preference = (1 - noise) * (0.5 + 0.5 * np.sign(gaps)) + noise / 2
    return slopes_of(initial, policy, cross_entropy(preference, ahead))


def pair_of_a_divergence(initial, policy, true_reward, learnt_reward, noise):
    preference = (1 - noise) * expit(true_reward[:, :, None] - true_reward[:, None, :]) + noise / 2
    own = entr(preference) + entr(1 - preference)
    return slopes_of(initial, policy, losses_of(true_reward, learnt_reward, noise) - own)


def pair_in_probabilities(initial, policy, true_reward, learnt_reward, noise):
    result = slopes_of(initial, policy, losses_of(true_reward, learnt_reward, noise))
    result[:, 1:] /= policy
    return result


def pair_without_start(initial, policy, true_reward, learnt_reward, noise):
    return slopes_of(np.ones(len(initial)), policy, losses_of(true_reward, learnt_reward, noise))


def pair_that_overflows(initial, policy, true_reward, learnt_reward, noise):
    gaps, ahead = (table[:, :, None] - table[:, None, :] for table in (true_reward, learnt_reward))
    preference = (1 - noise) * expit(gaps) + noise / 2
    return slopes_of(initial, policy, np.log(1 + np.exp(ahead)) - preference * ahead)


TWO = (START, POLICY[:, :2] / POLICY[:, :2].sum(axis=1, keepdims=True), TRUE[:, :2], LEARNT[:, :2], 0.2)
TASK_1 = [
    WrongAnswer(
        "pair_gradient",
        pair_of_one_score,
        "Your gradient counts one answer of the pair; both change with the policy.",
        TWO,
    ),
    WrongAnswer(
        "pair_gradient",
        pair_with_a_fixed_chance,
        "Your gradient forgets that the chance of two different answers changes with the policy too.",
        (START, UNIFORM, TRUE, LEARNT, 0.2),
    ),
    WrongAnswer(
        "pair_gradient",
        pair_with_itself,
        "Your pairs may consist of the same answer twice; such pairs are thrown away.",
        (START, POLICY, TRUE, np.zeros((3, 3)), 0.2),
    ),
    WrongAnswer(
        "pair_gradient",
        pair_of_a_first_that_stays,
        "Your first answer stays and only the second is drawn anew; both are.",
        TWO,
    ),
    WrongAnswer(
        "pair_gradient",
        pair_without_noise,
        "Your loss does not know the noise of the labels.",
        (START, POLICY, TRUE, LEARNT, 0.0),
    ),
    WrongAnswer(
        "pair_gradient",
        pair_with_turned_labels,
        "Your noise turns labels round; a coin contradicts only half of the time.",
        (START, POLICY, TRUE, LEARNT, 0.0),
    ),
    WrongAnswer(
        "pair_gradient",
        pair_the_wrong_way_round,
        "Your label is 1 where the second answer is preferred.",
        (START, POLICY, np.zeros((3, 3)), LEARNT, 0.2),
    ),
    WrongAnswer(
        "pair_gradient",
        pair_that_never_errs,
        "Your person always prefers the better answer; here even a clear preference is only probable.",
        (START, POLICY, 1e3 * TRUE, LEARNT, 0.2),
    ),
    WrongAnswer(
        "pair_gradient",
        pair_of_a_divergence,
        "Your loss is a divergence: it subtracts the entropy of the labels, which depends on the pair.",
        (START, POLICY, 1e3 * TRUE, LEARNT, 0.0),
    ),
    WrongAnswer(
        "pair_gradient",
        pair_in_probabilities,
        "Your derivative is one in the probabilities; one in the logits is asked.",
        TWO,
    ),
    WrongAnswer(
        "pair_gradient",
        pair_without_start,
        "Your questions all count in full; they come with the probabilities of the start.",
        (np.ones(1), POLICY[:1], TRUE[:1], LEARNT[:1], 0.2),
    ),
    WrongAnswer(
        "pair_gradient",
        pair_that_overflows,
        "The result holds NaN or an infinity (an exponential out of range, or 0 times an infinity), on learnt rewards "
        "of size 1e3.",
        (START, POLICY, TRUE, LEARNT, 0.2),
    ),
]


# Task 2


def collected(states, answers, policy, weights, means, size=None):
    """Return the estimate if the score of answer j of question i has the weight (i, j)."""
    result = np.zeros((len(policy), policy.shape[1] + 1))
    size = len(states) if size is None else size
    for s, given, row, mean in zip(states, answers, weights, means, strict=True):
        result[s, 0] += mean / size
        for a, weight in zip(given, row, strict=True):
            result[s, 1:] += weight * (np.eye(policy.shape[1])[a] - policy[s]) / size
    return result


def means_of(losses):
    k = losses.shape[1]
    return losses.sum(axis=(1, 2)) / (k * (k - 1))


def weights_of(losses):
    """Return the right weights."""
    k = losses.shape[1]
    return 2 / (k - 2) * (losses.sum(axis=2) / (k - 1) - means_of(losses)[:, None])


def estimate_without_baseline(states, answers, losses, policy):
    k = losses.shape[1]
    return collected(states, answers, policy, losses.sum(axis=2) * 2 / (k * (k - 1)), means_of(losses))


def estimate_with_the_mean(states, answers, losses, policy):
    k = losses.shape[1]
    centred = losses.sum(axis=2) / (k - 1) - means_of(losses)[:, None]
    return collected(states, answers, policy, 2 / k * centred, means_of(losses))


def estimate_without_the_pair(states, answers, losses, policy):
    """Leave one out, as it is done where samples are independent."""
    k = losses.shape[1]
    pairs = k * (k - 1) / 2
    others = (losses.sum(axis=(1, 2))[:, None, None] / 2 - losses) / (pairs - 1)
    centred = (losses - others) * (1 - np.eye(k))
    return collected(states, answers, policy, centred.sum(axis=2) / pairs, means_of(losses))


def estimate_with_the_batch(states, answers, losses, policy):
    k = losses.shape[1]
    centred = losses.sum(axis=2) / (k - 1) - means_of(losses).mean()
    return collected(states, answers, policy, 2 / k * centred, means_of(losses))


def estimate_over_the_wrong_axis(states, answers, losses, policy):
    k = losses.shape[1]
    centred = (losses - losses.mean(axis=0)).sum(axis=2) / (k - 1)
    return collected(states, answers, policy, 2 / k * centred, means_of(losses))


def estimate_in_units_of_spread(states, answers, losses, policy):
    upper = np.triu_indices(losses.shape[1], 1)
    spread = np.array([loss[upper].std() for loss in losses])
    return collected(states, answers, policy, weights_of(losses) / spread[:, None], means_of(losses))


def estimate_of_one_score(states, answers, losses, policy):
    return collected(states, answers, policy, weights_of(losses) / 2, means_of(losses))


def estimate_in_probabilities(states, answers, losses, policy):
    result = collected(states, answers, policy, weights_of(losses), means_of(losses))
    result[:, 1:] /= policy
    return result


def estimate_added_up(states, answers, losses, policy):
    return collected(states, answers, policy, weights_of(losses), means_of(losses), size=1)


def estimate_for_each_state(states, answers, losses, policy):
    result = collected(states, answers, policy, weights_of(losses), means_of(losses), size=1)
    return result / np.maximum(np.bincount(states, minlength=len(policy)), 1)[:, None]


EACH_ONCE = (np.array([0, 2]), np.array([[0, 1, 2], [2, 0, 1]]))
CONSTANT = np.array([0.5, 0.5])[:, None, None] * (1 - np.eye(3))
SOME = np.abs(RNG.normal(size=(2, 3, 3)))
SOME = (SOME + SOME.transpose(0, 2, 1)) * (1 - np.eye(3))
ONE = SOME / np.array([loss[np.triu_indices(3, 1)].std() for loss in SOME])[:, None, None]
NO_SLOPE = (*EACH_ONCE, CONSTANT, POLICY)
TASK_2 = [
    WrongAnswer(
        "paired_baseline",
        estimate_without_baseline,
        "Your estimate has no baseline.",
        (*EACH_ONCE, CONSTANT, UNIFORM),
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_with_the_mean,
        "Your baseline is the mean of all pairs of the question, also of those that hold the answer itself.",
        NO_SLOPE,
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_without_the_pair,
        "Your baseline leaves out the pair itself, but other pairs of it hold the same answer.",
        NO_SLOPE,
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_with_the_batch,
        "Your baseline is the mean over all questions, the answer's own among them.",
        NO_SLOPE,
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_over_the_wrong_axis,
        "Your baseline averages over the questions, place by place: look at the axes.",
        NO_SLOPE,
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_in_units_of_spread,
        "Your weights are divided by their spread, which is random too and changes the expectation.",
        (*EACH_ONCE, ONE, POLICY),
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_of_one_score,
        "Your gradient counts each pair half: a pair has two answers, and both have a score.",
        NO_SLOPE,
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_in_probabilities,
        "Your score is the one for probabilities; the derivative in the logits is asked.",
        NO_SLOPE,
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_added_up,
        "Your questions are added up; their mean is asked.",
        (EACH_ONCE[0][1:], EACH_ONCE[1][1:], SOME[1:], POLICY),
    ),
    WrongAnswer(
        "paired_baseline",
        estimate_for_each_state,
        "Your mean in each state is over the questions about it; how often a state is asked about is part of f.",
        (np.zeros(2, dtype=int), EACH_ONCE[1], SOME, POLICY[:1]),
    ),
]


# Task 3


def sums_of(successors, known, length, discount):
    """Yield (start, last state, end, table of the sum) of each segment; what is known is not in the table."""
    for start in range(len(successors)):
        for actions in product(range(successors.shape[1]), repeat=length):
            state, last, table = start, start, np.zeros(successors.shape)
            for t, action in enumerate(actions):
                table[state, action] += 0 if known[state] else discount**t
                last, state = state, successors[state, action]
            yield start, last, state, table.ravel()


def potentials(successors, known, where, discount):
    """Return γΦ(s′) − Φ(s) for each Φ that is 1 in one state, as far as it is not known."""
    rows = []
    for state in where:
        one = np.arange(len(successors)) == state
        rows.append((np.where(known[:, None], 0, discount * one[successors] - one[:, None])).ravel())
    return np.array(rows)


def hidden_from(segments, key):
    """Return how the segments differ from the first with the same key."""
    first, rows = {}, []
    for start, last, end, table in segments:
        rows.append(table - first.setdefault(key(start, last, end), table))
    return np.array(rows)


def count(differences, shapes, unknown):
    """Return how many rewards are hidden, and how many of those are not in the span of the shapes."""
    hidden = unknown - np.linalg.matrix_rank(differences, tol=1e-9)
    harmless = np.linalg.matrix_rank(shapes) - np.linalg.matrix_rank(differences @ shapes.T, tol=1e-9)
    return np.array([hidden, hidden - harmless])


def alike(same_end):
    return (lambda start, last, end: (start, end)) if same_end else (lambda start, last, end: start)


def hidden_by(successors, terminal, length, own, shaping, key, where=None):
    where = np.flatnonzero(~terminal) if where is None else where
    differences = hidden_from(sums_of(successors, terminal, length, own), key)
    shapes = potentials(successors, terminal, where, shaping)
    return count(differences, shapes, successors.shape[1] * (~terminal).sum())


def hidden_in_plain_sums(successors, terminal, length, segment_discount, discount, same_end):
    return hidden_by(successors, terminal, length, 1, discount, alike(same_end))


def hidden_in_discounted_sums(successors, terminal, length, segment_discount, discount, same_end):
    return hidden_by(successors, terminal, length, discount, discount, alike(same_end))


def hidden_if_it_telescopes(successors, terminal, length, segment_discount, discount, same_end):
    return hidden_by(successors, terminal, length, segment_discount, segment_discount, alike(same_end))


def hidden_with_a_free_end(successors, terminal, length, segment_discount, discount, same_end):
    where = range(len(successors))
    return hidden_by(successors, terminal, length, segment_discount, discount, alike(same_end), where)


def hidden_without_episodes(successors, terminal, length, segment_discount, discount, same_end):
    nothing = np.zeros(len(successors), dtype=bool)
    return hidden_by(successors, nothing, length, segment_discount, discount, alike(same_end))


def hidden_across_starts(successors, terminal, length, segment_discount, discount, same_end):
    def key(start, last, end):
        return end if same_end else 0

    return hidden_by(successors, terminal, length, segment_discount, discount, key)


def hidden_with_any_end(successors, terminal, length, segment_discount, discount, same_end):
    return hidden_by(successors, terminal, length, segment_discount, discount, alike(False))


def hidden_with_the_same_last_state(successors, terminal, length, segment_discount, discount, same_end):
    def key(start, last, end):
        return (start, last) if same_end else start

    return hidden_by(successors, terminal, length, segment_discount, discount, key)


def hidden_and_seen(successors, terminal, length, segment_discount, discount, same_end):
    hidden, harmful = hidden_by(successors, terminal, length, segment_discount, discount, alike(same_end))
    return np.array([successors.shape[1] * (~terminal).sum() - hidden, harmful])


def hidden_and_harmless(successors, terminal, length, segment_discount, discount, same_end):
    hidden, harmful = hidden_by(successors, terminal, length, segment_discount, discount, alike(same_end))
    return np.array([hidden, hidden - harmful])


def hidden_less_potentials(successors, terminal, length, segment_discount, discount, same_end):
    hidden, _ = hidden_by(successors, terminal, length, segment_discount, discount, alike(same_end))
    return np.array([hidden, hidden - (~terminal).sum()])


def hidden_less_constants(successors, terminal, length, segment_discount, discount, same_end):
    differences = hidden_from(sums_of(successors, terminal, length, segment_discount), alike(same_end))
    constant = np.repeat(~terminal, successors.shape[1])[None].astype(float)
    return count(differences, constant, successors.shape[1] * (~terminal).sum())


# A ring of four places: step back, stay, step on.
RING, ENDLESS = (np.arange(4)[:, None] + [-1, 0, 1]) % 4, np.zeros(4, dtype=bool)
EPISODES = (np.array([[0, 1], [1, 2], [2, 2]]), np.array([False, False, True]))
TASK_3 = [
    WrongAnswer(
        "hidden_rewards",
        hidden_in_plain_sums,
        "Your sums are plain; later steps of a segment are discounted.",
        (RING, ENDLESS, 2, 1.0, 0.9, True),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_in_discounted_sums,
        "Your sums are discounted as the return is; the person has a discount of her own.",
        (RING, ENDLESS, 2, 0.9, 0.9, True),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_if_it_telescopes,
        "Your harmless rewards are those that telescope in segments; what matters is the return.",
        (RING, ENDLESS, 2, 0.9, 0.9, True),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_with_a_free_end,
        "Your potentials may be anything where episodes end, but the reward there is 0 and stays 0.",
        (RING, ENDLESS, 2, 1.0, 0.9, True),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_without_episodes,
        "Your terminal states are states like any other; the reward there is known.",
        (RING, ENDLESS, 2, 1.0, 0.9, True),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_across_starts,
        "Your pairs compare segments from different starts.",
        (np.zeros((1, 3), dtype=int), ENDLESS[:1], 2, 1.0, 0.9, True),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_with_any_end,
        "Your pairs compare segments with different ends, also where she sees only those that end alike.",
        (RING, ENDLESS, 2, 1.0, 0.9, False),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_with_the_same_last_state,
        "Your segments end where they act for the last time; asked is where that action leads.",
        (RING, ENDLESS, 2, 1.0, 0.9, False),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_and_seen,
        "Your first number is how much the pairs tell; asked is how much they hide.",
        (*EPISODES, 1, 1.0, 0.9, False),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_and_harmless,
        "Your second number counts the hidden rewards that are harmless.",
        (np.array([[0, 1], [1, 0]]), ENDLESS[:2], 2, 1.0, 0.9, True),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_less_potentials,
        "Your second number takes it that all potentials are hidden.",
        (RING, ENDLESS, 2, 0.9, 0.9, True),
    ),
    WrongAnswer(
        "hidden_rewards",
        hidden_less_constants,
        "Your only harmless rewards are the constants.",
        (RING, ENDLESS, 2, 1.0, 0.9, True),
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
