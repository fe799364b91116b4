"""Wrong answers to problem set 09."""

import numpy as np

import pencourse as pc
from pencourse import worlds

from . import WrongAnswer

RNG = np.random.default_rng(91)
TWO = worlds.random_mdp(RNG, 4, 2, 0.9, branching=2).transition
LEADER = RNG.normal(size=(4, 2, 3))
FOLLOWERS = RNG.normal(size=(2, 4, 2, 3))
START = RNG.dirichlet(np.ones(4))


# Task 1


def mixed(table, share):
    return (1 - share)[:, :, None] * table[:, None, 0] + share[:, :, None] * table[:, None, 1]


def ties_of(tables):
    """Return the shares (S, C) at which some answers of one table are worth the same, clipped to [0, 1]."""
    first, second = np.triu_indices(tables.shape[3], 1)
    gap = tables[..., first] - tables[..., second]
    share = np.clip(gap[:, :, 0] / (gap[:, :, 0] - gap[:, :, 1]), 0, 1)
    return np.concatenate(list(share), axis=1)


def candidates_of(tables):
    ends = np.tile([0.0, 1.0], (tables.shape[1], 1))
    return np.concatenate([ends, ties_of(tables)], axis=1)


def paid_at(leader, table, share, width=1e-6, ties=np.max):
    """Return what the leader is paid by one type."""
    wanted, paid = mixed(table, share), mixed(leader, share)
    tied = wanted >= wanted.max(axis=2, keepdims=True) - width * np.abs(table).max()
    return ties(np.where(tied, paid, -np.inf if ties is np.max else np.inf), axis=2)


def planned(kernel, paid, discount):
    uniform = np.full(len(paid), 1 / len(paid))
    return pc.solve(pc.MDP(kernel, paid, discount, uniform)).value


def commitment_to_the_mean(transition, leader, followers, shares, discount):
    mean = np.einsum("k,ksab->sab", shares, followers)
    share = candidates_of(mean[None])
    return planned(mixed(transition, share), paid_at(leader, mean, share), discount)


def commitment_to_the_likeliest(transition, leader, followers, shares, discount):
    one = followers[shares.argmax()]
    share = candidates_of(one[None])
    return planned(mixed(transition, share), paid_at(leader, one, share), discount)


def commitment_to_each(transition, leader, followers, shares, discount):
    total = np.zeros(len(leader))
    for chance, table in zip(shares, followers, strict=True):
        share = candidates_of(table[None])
        total += chance * planned(mixed(transition, share), paid_at(leader, table, share), discount)
    return total


def commitment_told_the_type(transition, leader, followers, shares, discount):
    share = candidates_of(followers)
    kernel, value = mixed(transition, share), np.zeros(len(leader))
    paid = np.stack([paid_at(leader, table, share) for table in followers])
    for _ in range(700):
        value = shares @ (paid + discount * kernel @ value).max(axis=2)
    return value


def commitment_pure(transition, leader, followers, shares, discount):
    share = np.tile([0.0, 1.0], (len(leader), 1))
    paid = sum(chance * paid_at(leader, table, share) for chance, table in zip(shares, followers, strict=True))
    return planned(mixed(transition, share), paid, discount)


def commitment_against_ties(transition, leader, followers, shares, discount):
    share = candidates_of(followers)
    paid = sum(
        chance * paid_at(leader, table, share, ties=np.min) for chance, table in zip(shares, followers, strict=True)
    )
    return planned(mixed(transition, share), paid, discount)


def commitment_first_answer(transition, leader, followers, shares, discount):
    share, paid = candidates_of(followers), 0
    for chance, table in zip(shares, followers, strict=True):
        wanted = mixed(table, share)
        tied = wanted >= wanted.max(axis=2, keepdims=True) - 1e-6 * np.abs(table).max()
        answer = tied.argmax(axis=2)
        paid = paid + chance * np.take_along_axis(mixed(leader, share), answer[:, :, None], axis=2)[:, :, 0]
    return planned(mixed(transition, share), paid, discount)


def commitment_argmax(transition, leader, followers, shares, discount):
    share, paid = candidates_of(followers), 0
    for chance, table in zip(shares, followers, strict=True):
        answer = mixed(table, share).argmax(axis=2)
        paid = paid + chance * np.take_along_axis(mixed(leader, share), answer[:, :, None], axis=2)[:, :, 0]
    return planned(mixed(transition, share), paid, discount)


def commitment_on_a_grid(transition, leader, followers, shares, discount):
    share = np.tile(np.linspace(0, 1, 201), (len(leader), 1))
    paid = sum(chance * paid_at(leader, table, share) for chance, table in zip(shares, followers, strict=True))
    return planned(mixed(transition, share), paid, discount)


def commitment_isclose(transition, leader, followers, shares, discount):
    share, paid = candidates_of(followers), 0
    for chance, table in zip(shares, followers, strict=True):
        wanted = mixed(table, share)
        tied = np.isclose(wanted, wanted.max(axis=2, keepdims=True))
        paid = paid + chance * np.where(tied, mixed(leader, share), -np.inf).max(axis=2)
    return planned(mixed(transition, share), paid, discount)


def commitment_unchecked(transition, leader, followers, shares, discount):
    """Let a type choose between the two answers whose tie it is, without a look at the third."""
    share = candidates_of(followers)
    pairs = list(zip(*np.triu_indices(leader.shape[2], 1), strict=True))
    leads, paid = mixed(leader, share), 0
    for k, (chance, table) in enumerate(zip(shares, followers, strict=True)):
        own = paid_at(leader, table, share)
        for n, pair in enumerate(pairs):
            column = 2 + k * len(pairs) + n
            inside = (share[:, column] > 0) & (share[:, column] < 1)
            either = leads[:, column, list(pair)].max(axis=1)
            own[:, column] = np.where(inside, np.maximum(own[:, column], either), own[:, column])
        paid = paid + chance * own
    return planned(mixed(transition, share), paid, discount)


def commitment_myopic(transition, leader, followers, shares, discount):
    share = candidates_of(followers)
    paid = sum(chance * paid_at(leader, table, share) for chance, table in zip(shares, followers, strict=True))
    here = np.arange(len(leader)), paid.argmax(axis=1)
    return np.linalg.solve(np.eye(len(leader)) - discount * mixed(transition, share)[here], paid[here])


ONE = FOLLOWERS[:1]
UNEQUAL = np.array([0.7, 0.3])
DOMINANT = FOLLOWERS + np.array([0.0, 0.0, 9.0])  # the last answer is best whatever the leader does
TWO_ANSWERS = FOLLOWERS[..., :2]
TASK_1 = [
    WrongAnswer(
        "commitment_value",
        commitment_to_the_mean,
        "Your leader plays against the mean of all types, a follower that does not exist.",
        (TWO, LEADER, ONE, np.ones(1), 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_to_the_likeliest,
        "Your leader prepares for the likeliest type only.",
        (TWO, LEADER, np.stack([FOLLOWERS[0], 2 * FOLLOWERS[0]]), UNEQUAL, 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_told_the_type,
        "Your leader knows which type comes; it has to announce one row for all of them.",
        (TWO, LEADER, ONE, np.ones(1), 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_to_each,
        "Your leader plays a game of its own with each type, and adds up.",
        (TWO, LEADER, np.stack([FOLLOWERS[0], 2 * FOLLOWERS[0]]), UNEQUAL, 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_pure,
        "Your leader commits to single actions only; it may mix.",
        (TWO, LEADER, DOMINANT, UNEQUAL, 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_against_ties,
        "Your followers break ties against the leader.",
        (TWO, LEADER, DOMINANT, UNEQUAL, 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_first_answer,
        "Your followers take the first of equally good answers.",
        (TWO, LEADER, DOMINANT, UNEQUAL, 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_argmax,
        "Your leader does not get all that ties offer: it has to stand exactly on them, and to be answered as it likes"
        " best, also where rounding hides the tie.",
        (TWO, LEADER, DOMINANT, UNEQUAL, 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_on_a_grid,
        "Your leader does not get all that ties offer: it has to stand exactly on them, and to be answered as it likes"
        " best, also where rounding hides the tie.",
        # The tie is at the share ½, a point of the grid.
        (TWO, LEADER[:, :, :2], np.tile([[1.0, 0.0], [0.0, 1.0]], (1, 4, 1, 1)), np.ones(1), 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_isclose,
        "Your followers' ties depend on the unit in which their rewards are counted.",
        (TWO, LEADER, FOLLOWERS, UNEQUAL, 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_unchecked,
        "Your followers may choose between two answers of equal worth, even where a third is worth more to them.",
        (TWO, LEADER[:, :, :2], TWO_ANSWERS, UNEQUAL, 0.9),
    ),
    WrongAnswer(
        "commitment_value",
        commitment_myopic,
        "Your leader takes in each state what pays best today.",
        (TWO, LEADER, FOLLOWERS, UNEQUAL, 0.0),
    ),
]


# Task 2


def lottery_of(kernel, rows, odds, discount, initial):
    """Return μ (S, L, F) of a lottery over rows (S, L, F)."""
    moves = np.einsum("sb,sab,sat->st", odds, rows, kernel)
    visits = np.linalg.solve((np.eye(len(initial)) - discount * moves).T, initial)
    return visits[:, None, None] * odds[:, None] * rows


def options_of(transition, leader, joint, threshold=1e-8):
    weight = joint.sum(axis=1)
    asked = weight > threshold * weight.sum(axis=1, keepdims=True)
    rows = joint / np.where(asked, weight, 1)[:, None]
    return rows, np.einsum("sab,sat->sbt", rows, transition), (rows * leader).sum(axis=1), asked


def return_of(transition, leader, rows, answer, discount, initial):
    """Return ρᵀV for rows (S, L) and answers (S,)."""
    paid = (rows * leader[np.arange(len(rows)), :, answer]).sum(axis=1)
    moves = np.einsum("sa,sat->st", rows, transition)
    return initial @ np.linalg.solve(np.eye(len(rows)) - discount * moves, paid)


def lottery_itself(transition, leader, joint, discount, initial):
    return (joint * leader).sum()


def lottery_averaged(transition, leader, joint, discount, initial):
    weight = joint.sum(axis=(1, 2))[:, None]
    x, y = joint.sum(axis=2) / weight, joint.sum(axis=1) / weight
    paid = np.einsum("sa,sb,sab->s", x, y, leader)
    moves = np.einsum("sa,sat->st", x, transition)
    return initial @ np.linalg.solve(np.eye(len(x)) - discount * moves, paid)


def lottery_largest_weight(transition, leader, joint, discount, initial):
    answer = joint.sum(axis=1).argmax(axis=1)
    rows = joint[np.arange(len(joint)), :, answer]
    return return_of(transition, leader, rows / rows.sum(axis=1, keepdims=True), answer, discount, initial)


def lottery_largest_entry(transition, leader, joint, discount, initial):
    answer = joint.reshape(len(joint), -1).argmax(axis=1) % joint.shape[2]
    rows = joint[np.arange(len(joint)), :, answer]
    return return_of(transition, leader, rows / rows.sum(axis=1, keepdims=True), answer, discount, initial)


def lottery_wrong_sum(transition, leader, joint, discount, initial):
    answer = joint.sum(axis=1).argmax(axis=1)
    rows = joint[np.arange(len(joint)), :, answer] / joint.sum(axis=(1, 2))[:, None]
    return return_of(transition, leader, rows, answer, discount, initial)


def lottery_today(transition, leader, joint, discount, initial):
    rows, _, gain, asked = options_of(transition, leader, joint)
    answer = np.where(asked, gain, -np.inf).argmax(axis=1)
    return return_of(transition, leader, rows[np.arange(len(joint)), :, answer], answer, discount, initial)


def lottery_one_step(transition, leader, joint, discount, initial):
    rows, kernel, gain, asked = options_of(transition, leader, joint)
    odds = np.where(asked, joint.sum(axis=1), 0)
    odds = odds / odds.sum(axis=1, keepdims=True)
    system = np.eye(len(joint)) - discount * np.einsum("sb,sbt->st", odds, kernel)
    value = np.linalg.solve(system, (odds * gain).sum(axis=1))
    answer = np.where(asked, gain + discount * kernel @ value, -np.inf).argmax(axis=1)
    return return_of(transition, leader, rows[np.arange(len(joint)), :, answer], answer, discount, initial)


def best_option(transition, leader, joint, discount, initial, threshold):
    _, kernel, gain, asked = options_of(transition, leader, joint, threshold)
    value = np.zeros(len(joint))
    for _ in range(600):
        value = np.where(asked, gain + discount * kernel @ value, -np.inf).max(axis=1)
    return initial @ value


def lottery_with_dust(transition, leader, joint, discount, initial):
    return best_option(transition, leader, joint, discount, initial, 0)


def lottery_without_rarities(transition, leader, joint, discount, initial):
    return best_option(transition, leader, joint, discount, initial, 1e-3)


SUBJECT = worlds.random_mdp(RNG, 4, 3, 0.9, branching=2).transition
PAY = RNG.normal(size=(4, 3, 3))
ROWS = np.moveaxis(RNG.dirichlet(np.ones(3), size=(4, 3)), 2, 1)
ODDS = RNG.dirichlet(3 * np.ones(3), size=4)
PURE = np.eye(3)[[0, 2, 1, 0]]
LOTTERY = lottery_of(SUBJECT, ROWS, ODDS, 0.9, START)
CHOSEN = lottery_of(SUBJECT, ROWS, PURE, 0.9, START)
MOSTLY = lottery_of(SUBJECT, ROWS, 0.97 * PURE + 0.01, 0.9, START)
LIKED = PAY + 20 * PURE[:, None]  # what is mostly asked is by far the best
TASK_2 = [
    WrongAnswer(
        "best_of_lottery",
        lottery_itself,
        "Your number is what the lottery itself earns; nothing has been chosen from it.",
        (SUBJECT, PAY, CHOSEN, 0.9, START),
    ),
    WrongAnswer(
        "best_of_lottery",
        lottery_averaged,
        "Your leader and follower draw independently of each other; a row belongs to the answer that it is for.",
        (SUBJECT, PAY, CHOSEN, 0.9, START),
    ),
    WrongAnswer(
        "best_of_lottery",
        lottery_largest_weight,
        "Your choice is the answer of largest weight, which is as good as any if the lottery is optimal, but this one"
        " is not.",
        (SUBJECT, LIKED, MOSTLY, 0.9, START),
    ),
    WrongAnswer(
        "best_of_lottery",
        lottery_largest_entry,
        "Your choice is where the largest single entry stands.",
        (SUBJECT, LIKED, MOSTLY, 0.9, START),
    ),
    WrongAnswer("best_of_lottery", lottery_wrong_sum, "Your rows do not sum to 1.", (SUBJECT, PAY, CHOSEN, 0.9, START)),
    WrongAnswer(
        "best_of_lottery", lottery_today, "Your choice is what pays most today.", (SUBJECT, PAY, LOTTERY, 0.0, START)
    ),
    WrongAnswer(
        "best_of_lottery",
        lottery_one_step,
        "Your choice looks ahead with the lottery's values only; what is chosen in one state changes what is good in"
        " others.",
        (SUBJECT, LIKED, MOSTLY, 0.9, START),
    ),
    WrongAnswer(
        "best_of_lottery",
        lottery_with_dust,
        "Your leader asks for answers that are a solver's dust, and believes the rows that stand there.",
        (SUBJECT, PAY, LOTTERY, 0.9, START),
    ),
    WrongAnswer(
        "best_of_lottery",
        lottery_without_rarities,
        "Your leader passes over answers that are seldom asked, but are no dust.",
        (SUBJECT, PAY, LOTTERY, 0.9, START),
    ),
]


# Task 3


def gains_of(follower):
    return follower[:, :, :, None] - follower[:, :, None]  # of b over b′


def pairs_of(transition, paid, discount, initial):
    """Return the bound, the best pairs and their visits."""
    n_follower = paid.shape[2]
    kernel = np.repeat(transition, n_follower, axis=1)
    plan = pc.solve(pc.MDP(kernel, paid.reshape(len(paid), -1), discount, initial))
    leads, answers = np.divmod(plan.policy.argmax(axis=1), n_follower)
    system = np.eye(len(paid)) - discount * transition[np.arange(len(paid)), leads]
    return plan.expected_return, leads, answers, np.linalg.solve(system.T, initial)


def slopes_of(follower, leads, answers, visits):
    slope, states = np.zeros((len(visits), *follower.shape[2:] * 2)), np.arange(len(visits))
    slope[states, answers] = visits[:, None] * gains_of(follower)[states, leads, answers]
    return slope


def bound_free(transition, leader, follower, prices, discount, initial):
    bound, *pairs, visits = pairs_of(transition, leader, discount, initial)
    return np.append(bound, slopes_of(follower, *pairs, visits))


def bound_punishing(transition, leader, follower, prices, discount, initial):
    paid = leader - (prices[:, None] * gains_of(follower)).sum(axis=3)
    bound, *pairs, visits = pairs_of(transition, paid, discount, initial)
    return np.append(bound, -slopes_of(follower, *pairs, visits))


def bound_turned(transition, leader, follower, prices, discount, initial):
    paid = leader + np.einsum("scb,sabc->sab", prices, gains_of(follower))
    bound, *pairs, visits = pairs_of(transition, paid, discount, initial)
    return np.append(bound, slopes_of(follower, *pairs, visits))


def bound_most_tempting(transition, leader, follower, prices, discount, initial):
    paid = leader + (prices[:, None] * gains_of(follower)).min(axis=3)
    bound, *pairs, visits = pairs_of(transition, paid, discount, initial)
    return np.append(bound, slopes_of(follower, *pairs, visits))


def bound_pure(transition, leader, follower, prices, discount, initial):
    paid = leader + (prices[:, None] * gains_of(follower)).sum(axis=3)
    answers = follower.argmax(axis=2)  # to each single action
    states = np.arange(len(initial))
    alone = np.take_along_axis(paid, answers[:, :, None], axis=2)[:, :, 0]
    plan = pc.solve(pc.MDP(transition, alone, discount, initial))
    leads = plan.policy.argmax(axis=1)
    visits = np.linalg.solve((np.eye(len(initial)) - discount * transition[states, leads]).T, initial)
    return np.append(plan.expected_return, slopes_of(follower, leads, answers[states, leads], visits))


def slopes_from_the_start(transition, leader, follower, prices, discount, initial):
    paid = leader + (prices[:, None] * gains_of(follower)).sum(axis=3)
    bound, *pairs, _ = pairs_of(transition, paid, discount, initial)
    return np.append(bound, slopes_of(follower, *pairs, initial))


def slopes_without_prices(transition, leader, follower, prices, discount, initial):
    paid = leader + (prices[:, None] * gains_of(follower)).sum(axis=3)
    bound, *_ = pairs_of(transition, paid, discount, initial)
    _, *pairs, visits = pairs_of(transition, leader, discount, initial)
    return np.append(bound, slopes_of(follower, *pairs, visits))


def slopes_of_the_answer(transition, leader, follower, prices, discount, initial):
    paid = leader + (prices[:, None] * gains_of(follower)).sum(axis=3)
    bound, leads, _, visits = pairs_of(transition, paid, discount, initial)
    answers = follower[np.arange(len(initial)), leads].argmax(axis=1)
    return np.append(bound, slopes_of(follower, leads, answers, visits))


def slopes_in_the_column(transition, leader, follower, prices, discount, initial):
    paid = leader + (prices[:, None] * gains_of(follower)).sum(axis=3)
    bound, *pairs, visits = pairs_of(transition, paid, discount, initial)
    return np.append(bound, slopes_of(follower, *pairs, visits).swapaxes(1, 2))


WANTED = RNG.normal(size=(4, 3, 3))
PRICES = RNG.exponential(0.5, size=(4, 3, 3))
NONE = np.zeros((4, 3, 3))
INDIFFERENT = np.tile(RNG.normal(size=(4, 3, 1)), (1, 1, 3))  # all answers are worth the same to the follower
AGREED = (SUBJECT, WANTED, 3 * WANTED, NONE, 0.9, START)  # both want the same
GAME = (SUBJECT, PAY, WANTED)
TASK_3 = [
    WrongAnswer(
        "bound_from_prices",
        bound_free,
        "Your bound is free of charge: it lets the follower do what the leader likes best.",
        (*GAME, NONE, 0.9, START),
    ),
    WrongAnswer(
        "bound_from_prices",
        bound_punishing,
        "Your bound rewards answers that the follower does not like.",
        (SUBJECT, PAY, INDIFFERENT, PRICES, 0.9, START),
    ),
    WrongAnswer(
        "bound_from_prices",
        bound_turned,
        "Your bound charges the price of (b, b′) when b′ is played, not when b is.",
        (*GAME, NONE + 0.3, 0.9, START),
    ),
    WrongAnswer(
        "bound_from_prices",
        bound_most_tempting,
        "Your bound charges an answer for one other answer only, the most tempting one; each has its price.",
        (*GAME, NONE, 0.9, START),
    ),
    WrongAnswer(
        "bound_from_prices",
        bound_pure,
        "Your bound holds only for a leader who commits to single actions.",
        AGREED,
    ),
    WrongAnswer(
        "bound_from_prices",
        slopes_from_the_start,
        "Your slopes weight the states by where one starts, not by where the pair goes.",
        (*GAME, PRICES, 0.0, START),
    ),
    WrongAnswer(
        "bound_from_prices",
        slopes_without_prices,
        "Your slopes are those of the pair that would be best without prices.",
        (*GAME, NONE, 0.9, START),
    ),
    WrongAnswer(
        "bound_from_prices",
        slopes_of_the_answer,
        "Your slopes let the follower answer with what is best for it; the bound is attained by another answer.",
        AGREED,
    ),
    WrongAnswer(
        "bound_from_prices",
        slopes_in_the_column,
        "Your slopes stand in the column of the answer that is played, not in its row.",
        (SUBJECT, PAY, INDIFFERENT, PRICES, 0.9, START),
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
