"""Wrong answers to problem set 12."""

import numpy as np
from scipy.special import entr, logsumexp

import pencourse as pc
from pencourse import worlds

from . import WrongAnswer

RNG = np.random.default_rng(121)


# Task 1


def last(transition, reward, stage, sweeps=3000):
    """Repeat V ← stage(r + PV)[0]; return V and both weights."""
    value = np.zeros(len(reward))
    with np.errstate(all="ignore"):
        for _ in range(sweeps):
            before, value = value, stage(reward + transition @ value)[0]
            if np.abs(value - before).max() <= 1e-14 * np.abs(value).max():
                break
        return np.column_stack([value, *stage(reward + transition @ value)[1:]])


def formulas(table):
    (a, b), (c, d) = table[:, 0].T, table[:, 1].T
    bottom = a + d - b - c
    return (a * d - b * c) / bottom, (d - c) / bottom, (d - b) / bottom


def right_stage(table):
    worst, best = table.min(axis=2), table.max(axis=1)
    saddle = worst.max(axis=1) >= best.min(axis=1)
    value, first, second = formulas(table)
    return (
        np.where(saddle, worst.max(axis=1), value),
        np.where(saddle, worst[:, 0] >= worst[:, 1], first),
        np.where(saddle, best[:, 0] <= best[:, 1], second),
    )


def values_of(transition, reward, first, second):
    one, two = (np.stack([weight, 1 - weight], axis=1) for weight in (first, second))
    kernel = np.einsum("sa,sb,sabt->st", one, two, transition)
    return np.linalg.solve(np.eye(len(reward)) - kernel, np.einsum("sa,sb,sab->s", one, two, reward))


def game_always_mixed(transition, reward):
    return last(transition, reward, formulas)


def game_cut_off(transition, reward):
    def stage(table):
        _, first, second = formulas(table)
        p, q = np.clip(first, 0, 1), np.clip(second, 0, 1)
        return np.einsum("as,sab,bs->s", [p, 1 - p], table, [q, 1 - q]), p, q

    return last(transition, reward, stage)


def game_maximin(transition, reward):
    def stage(table):
        low, high = table.min(axis=2), table.max(axis=1)
        return low.max(axis=1), 1.0 - low.argmax(axis=1), 1.0 - high.argmin(axis=1)

    return last(transition, reward, stage)


def game_minimax(transition, reward):
    def stage(table):
        low, high = table.min(axis=2), table.max(axis=1)
        return high.min(axis=1), 1.0 - low.argmax(axis=1), 1.0 - high.argmin(axis=1)

    return last(transition, reward, stage)


def game_turned(transition, reward):
    def stage(table):
        value, first, second = right_stage(-table)
        return -value, first, second

    return last(transition, reward, stage)


def game_columns_exchanged(transition, reward):
    value, first, second = last(transition, reward, right_stage).T
    return np.stack([value, second, first], axis=1)


def game_other_action(transition, reward):
    value, first, second = last(transition, reward, right_stage).T
    return np.stack([value, 1 - first, 1 - second], axis=1)


def game_own_indifference(transition, reward):
    """Choose p so that both rows are worth the same, as for the other player."""

    def stage(table):
        value, first, second = right_stage(table)
        pure = np.isin(first, (0, 1))
        return value, np.where(pure, first, second), np.where(pure, second, first)

    return last(transition, reward, stage)


def game_of_rewards(transition, reward):
    with np.errstate(all="ignore"):
        _, first, second = right_stage(reward)
    return np.column_stack([values_of(transition, reward, first, second), first, second])


def game_newton(transition, reward):
    """Evaluate the rows of the moment, as policy iteration does."""
    value = np.zeros(len(reward))
    with np.errstate(all="ignore"):
        for _ in range(101):
            _, first, second = right_stage(reward + transition @ value)
            value = values_of(transition, reward, first, second)
    return np.column_stack([value, first, second])


def game_hundred_sweeps(transition, reward):
    return last(transition, reward, right_stage, 100)


def game_loose(transition, reward):
    """Stop when the values change by less than 0.001."""
    value, change = np.zeros(len(reward)), 1.0
    with np.errstate(all="ignore"):
        while change > 1e-3:
            new, first, second = right_stage(reward + transition @ value)
            value, change = new, np.abs(new - value).max()
    return np.column_stack([value, first, second])


MOVES = worlds.random_mdp(RNG, 3, 4, 0.5).transition.reshape(3, 2, 2, 3)
PENNIES = np.array([[2.0, -1.0], [-1.0, 1.0]]) * np.ones((3, 1, 1))
DOMINANT = np.array([[4.0, 3.0], [2.0, 0.0]]) + RNG.random((3, 1, 1))
ENDS = 0 * MOVES  # every game stops after one move
SAME = 0.6 * np.broadcast_to(MOVES[:, :1, :1], MOVES.shape)  # nobody moves the state
SYMMETRIC = np.array([[1.0, -1.0], [-1.0, 1.0]]) * np.ones((3, 1, 1))
MIXED = "Your players mix in every state, although a stage game may have a saddle point."
CUT = (
    "Your weights are those of a mixed equilibrium, cut off at 0 and 1; that finds the right action at a saddle point"
    " only by luck."
)
PURE = "Your players commit to single actions; where there is no saddle point they have to mix."
SHORT = "Your iteration stops before it has arrived."
TASK_1 = [
    WrongAnswer("stopping_game", game_always_mixed, MIXED, (ENDS, PENNIES)),
    WrongAnswer("stopping_game", game_cut_off, CUT, (ENDS, PENNIES)),
    WrongAnswer("stopping_game", game_maximin, PURE, (SAME, DOMINANT)),
    WrongAnswer("stopping_game", game_minimax, PURE, (SAME, DOMINANT)),
    WrongAnswer(
        "stopping_game", game_turned, "Your player 1 minimises and your player 2 maximises.", (ENDS, SYMMETRIC)
    ),
    WrongAnswer("stopping_game", game_columns_exchanged, "Your columns of policies are exchanged.", (SAME, PENNIES)),
    WrongAnswer(
        "stopping_game", game_other_action, "Your policies hold the probabilities of action 1.", (ENDS, SYMMETRIC)
    ),
    WrongAnswer(
        "stopping_game",
        game_own_indifference,
        "Your players mix so that each is indifferent itself; it is the other one whom a mixture makes indifferent.",
        (SAME, DOMINANT),
    ),
    WrongAnswer(
        "stopping_game",
        game_of_rewards,
        "Your players play the equilibrium of today's rewards; what they do also decides whether and where the game"
        " goes on.",
        (SAME, PENNIES),
    ),
    WrongAnswer(
        "stopping_game",
        game_newton,
        "Your iteration gives the rows of the moment their lasting value, and so it may go round in circles.",
        (SAME, PENNIES),
    ),
    WrongAnswer("stopping_game", game_hundred_sweeps, SHORT, (SAME, PENNIES)),
    WrongAnswer("stopping_game", game_loose, SHORT, (ENDS, PENNIES)),
]


# Task 2


def one_step(transition, reward, discount, tau, first, second, *, pays=True, single=False):
    """Return V and the gains by one step, (2, S)."""
    uniform = np.full(len(reward), 1 / len(reward))
    at = pc.evaluate(pc.ZeroSumGame(transition, reward, discount, uniform, tau), (first, second))
    ahead = [(at.action_value * second[:, None]).sum(axis=2), -(at.action_value * first[:, :, None]).sum(axis=1)]
    gains = []
    for table, other, value in zip(ahead, (second, first), (at.value, -at.value), strict=True):
        charged = table - pays * tau * entr(other).sum(axis=1)[:, None]
        soft = tau > 0 and not single
        best = tau * logsumexp(charged / tau, axis=1) if soft else charged.max(axis=1)
        gains.append(best - value)
    return np.array(gains)


def put_together(gains, rho, discount):
    later = discount / (1 - discount)
    return np.array(
        [
            (gains @ rho).sum() + later * gains.min(axis=1).sum(),
            (gains @ rho).sum() + later * gains.max(axis=1).sum(),
        ]
    )


def interval_one_step(transition, reward, discount, initial, tau, first, second):
    gains = one_step(transition, reward, discount, tau, first, second)
    return np.array([(gains @ initial).sum(), gains.max(axis=1).sum()])


def interval_together(transition, reward, discount, initial, tau, first, second):
    """Add the players' gains first, and look for the best and the worst state of the sum."""
    gains = one_step(transition, reward, discount, tau, first, second).sum(axis=0)
    later = discount / (1 - discount)
    return gains @ initial + later * np.array([gains.min(), gains.max()])


def interval_only_upper_together(transition, reward, discount, initial, tau, first, second):
    gains = one_step(transition, reward, discount, tau, first, second)
    both = gains.sum(axis=0)
    later = discount / (1 - discount)
    return np.array([both @ initial + later * gains.min(axis=1).sum(), both @ initial + later * both.max()])


def interval_of_means(transition, reward, discount, initial, tau, first, second):
    gains = one_step(transition, reward, discount, tau, first, second)
    return np.array([(gains @ initial).sum(), (gains @ initial).sum() / (1 - discount)])


def interval_loose(transition, reward, discount, initial, tau, first, second):
    gains = one_step(transition, reward, discount, tau, first, second)
    return np.array([gains.min(axis=1).sum(), gains.max(axis=1).sum()]) / (1 - discount)


def interval_loose_below(transition, reward, discount, initial, tau, first, second):
    gains = one_step(transition, reward, discount, tau, first, second)
    return np.array([(gains @ initial).sum(), put_together(gains, initial, discount)[1]])


def interval_of_player_1(transition, reward, discount, initial, tau, first, second):
    gains = one_step(transition, reward, discount, tau, first, second)
    return put_together(gains[:1], initial, discount)


def interval_own_visits(transition, reward, discount, initial, tau, first, second):
    """Weight the gains with the occupancy of the pair."""
    kernel = np.einsum("sa,sb,sabt->st", first, second, transition)
    visits = np.linalg.solve(np.eye(len(initial)) - discount * kernel.T, initial)
    return np.full(2, (one_step(transition, reward, discount, tau, first, second) @ visits).sum())


def interval_normalised(transition, reward, discount, initial, tau, first, second):
    gains = one_step(transition, reward, discount, tau, first, second)
    least, largest = gains.min(axis=1).sum(), gains.max(axis=1).sum()
    return (1 - discount) * (gains @ initial).sum() + discount * np.array([least, largest])


def interval_single_actions(transition, reward, discount, initial, tau, first, second):
    return put_together(one_step(transition, reward, discount, tau, first, second, single=True), initial, discount)


def interval_without_the_others_charge(transition, reward, discount, initial, tau, first, second):
    return put_together(one_step(transition, reward, discount, tau, first, second, pays=False), initial, discount)


def interval_without_temperature(transition, reward, discount, initial, tau, first, second):
    return put_together(one_step(transition, reward, discount, 0.0, first, second), initial, discount)


def interval_by_planning(transition, reward, discount, initial, tau, first, second):
    game = pc.ZeroSumGame(transition, reward, discount, initial, tau)
    return np.full(2, pc.nikaido_isoda(game, (first, second)).value)


SHAPE = (3, 2, 2)
DENSE = worlds.random_mdp(RNG, 3, 4, 0.5).transition.reshape(*SHAPE, 3)
PAID = RNG.normal(size=SHAPE)
START = RNG.dirichlet(np.ones(3))
ONE, TWO = (RNG.dirichlet(np.ones(2), size=3) for _ in "ab")
CLEAR = (DENSE, PAID, 0.9, START, 0.0, ONE, TWO)  # no temperature
TODAY = (DENSE, PAID, 0.0, START, 0.3, ONE, TWO)  # no later steps
ALONE = (np.ones((1, 2, 2, 1)), PAID[:1], 0.9, np.ones(1), 0.3, ONE[:1], TWO[:1])  # one state
FIXED = (DENSE, np.broadcast_to(PAID[:, :, :1], SHAPE), 0.0, START, 0.0, ONE, TWO)  # player 2 changes nothing
APART = (
    "Your {} end lets both players go on to the same states; each deviates alone, and goes where its own gain is {}."
)
TASK_2 = [
    WrongAnswer(
        "gap_interval",
        interval_one_step,
        "Your bounds are for a single deviation; who deviates once may do so in every step.",
        (ALONE[0], ALONE[1], 0.0, *ALONE[3:]),
    ),
    WrongAnswer("gap_interval", interval_together, APART.format("upper", "largest"), ALONE),
    WrongAnswer("gap_interval", interval_only_upper_together, APART.format("upper", "largest"), ALONE),
    WrongAnswer(
        "gap_interval",
        interval_of_means,
        "Your upper end takes for granted that later states are as in the mean; who deviates goes where it pays.",
        TODAY,
    ),
    WrongAnswer(
        "gap_interval",
        interval_loose,
        "Your upper end is valid, but not the lowest: where the first step is taken is known.",
        ALONE,
    ),
    WrongAnswer(
        "gap_interval",
        interval_loose_below,
        "Your lower end is valid, but not the highest: later steps gain something, too.",
        TODAY,
    ),
    WrongAnswer(
        "gap_interval",
        interval_of_player_1,
        "Your interval is for the gain of one player; ψ adds what both gain.",
        FIXED,
    ),
    WrongAnswer(
        "gap_interval",
        interval_own_visits,
        "Your deviations visit the states as often as the pair does; who deviates goes elsewhere.",
        ALONE,
    ),
    WrongAnswer(
        "gap_interval",
        interval_normalised,
        "Your visits sum to 1; discounted visits sum to something else.",
        TODAY,
    ),
    WrongAnswer(
        "gap_interval",
        interval_single_actions,
        "Your deviations are to single actions; with a temperature a mixed row may gain more.",
        CLEAR,
    ),
    WrongAnswer(
        "gap_interval",
        interval_without_the_others_charge,
        "Your gains leave out what the other player pays for its row, although V counts it.",
        CLEAR,
    ),
    WrongAnswer(
        "gap_interval",
        interval_without_temperature,
        "Your gains are those of the game without temperature.",
        CLEAR,
    ),
    WrongAnswer(
        "gap_interval",
        interval_by_planning,
        "Your interval has no width: you solved for the best responses, and one step of each is all you may use.",
        ALONE,
    ),
]


# Task 3


def seen(kernel, reward, discount, rho, own, other, charge):
    """Return the visits, what each action of the mover leads to (its axis first), and the return."""
    joint = own[:, :, None] * other[:, None]
    system = np.eye(len(rho)) - discount * np.einsum("sab,sabt->st", joint, kernel)
    value = np.linalg.solve(system, (joint * reward).sum(axis=(1, 2)) + charge)
    ahead = ((reward + discount * kernel @ value) * other[:, None]).sum(axis=2)
    return np.linalg.solve(system.T, rho), ahead, rho @ value


def answered(kernel, reward, discount, rho, tau, fixed, extra=0.0):
    """Return the best response to rows of the other player (the first axis of actions)."""
    paid = np.einsum("sa,sab->sb", fixed, reward) + extra
    return pc.solve(pc.MDP(np.einsum("sa,sabt->sbt", fixed, kernel), paid, discount, rho, tau))


def entropies(rows):
    return entr(rows).sum(axis=1)


def gaps(
    *,
    parts=(1, 1, 1),
    where="own",
    swap=False,
    charge_slope=True,
    share=0.0,
    zero_sum=False,
    signs=(1, 1),
    hard=False,
):
    """Make a student's solution with something changed; `share` of the other one's τh is charged, too."""

    def compute(transition, rewards, discount, initial, temperatures, policies, directions):
        taus = temperatures[::-1] if swap else temperatures
        total, slopes = 0.0, []
        for i, j in ((0, 1), (1, 0)):
            kernel, mine, yours = (
                np.swapaxes(table, 1, 2) if i else table for table in (transition, rewards[i], rewards[j])
            )
            own, other, e = policies[i], policies[j], directions[i]
            extra = share * taus[i] * entropies(own)
            plan = answered(kernel, yours, discount, initial, 0.0 if hard else taus[j], own, extra[:, None])
            reply, world = plan.policy, (discount, initial)
            own_charge = taus[i] * entropies(own) + share * taus[j] * entropies(other)
            now = seen(kernel, mine, *world, own, other, own_charge)
            has = seen(kernel, yours, *world, own, other, taus[j] * entropies(other) + extra)
            could = seen(kernel, yours, *world, own, reply, taus[j] * entropies(reply) + extra)
            steep = taus[i] * np.log(own) if charge_slope else 0.0
            shared = share * taus[i] * np.log(own)
            total += could[2] - has[2]
            if zero_sum:
                met = seen(kernel, mine, *world, own, reply, taus[i] * entropies(own))
                slopes.append(-(met[0] @ (e * (met[1] - steep)).sum(axis=1)))
                continue
            visits = {"own": (now[0], could[0], has[0]), "start": (initial,) * 3, "pair": (now[0],) * 3}[where]
            own_part = visits[0] @ (e * (now[1] - steep)).sum(axis=1)
            could_part = visits[1] @ (e * (could[1] - shared)).sum(axis=1)
            has_part = visits[2] @ (e * (has[1] - shared)).sum(axis=1)
            slopes.append(signs[i] * (-parts[0] * own_part + parts[1] * could_part - parts[2] * has_part))
        return np.array([total, *slopes])

    return compute


gaps_of_a_zero_sum_game = gaps(zero_sum=True)
gaps_of_the_mover = gaps(parts=(1, 0, 0))
gaps_of_the_other = gaps(parts=(0, 1, 1))
gaps_without_what_it_has = gaps(parts=(1, 1, 0))
gaps_with_a_fixed_best_return = gaps(parts=(1, 0, 1))
gaps_from_the_start = gaps(where="start")
gaps_with_the_pairs_visits = gaps(where="pair")
gaps_with_exchanged_temperatures = gaps(swap=True)
gaps_with_flat_charges = gaps(charge_slope=False)
gaps_with_shared_charges = gaps(share=-1.0)
gaps_with_two_charges = gaps(share=1.0)
gaps_of_a_minimiser = gaps(signs=(1, -1))
gaps_with_hard_answers = gaps(hard=True)


def gaps_of_one_return(transition, rewards, discount, initial, temperatures, policies, directions):
    """Take the lesson's ψ with player 1's reward."""
    found = gaps_of_a_zero_sum_game(transition, rewards, discount, initial, temperatures, policies, directions)
    first, second = policies
    turned = np.swapaxes(transition, 1, 2), np.swapaxes(rewards[0], 1, 2)
    best = answered(*turned, discount, initial, temperatures[0], second).expected_return
    reply = answered(transition, rewards[1], discount, initial, temperatures[1], first).policy
    charge = temperatures[0] * entropies(first)
    found[0] = best - seen(transition, rewards[0], discount, initial, first, reply, charge)[2]
    return found


def gaps_at_the_same_time(transition, rewards, discount, initial, temperatures, policies, directions):
    """Compare with the pair in which both have answered."""
    found = gaps()(transition, rewards, discount, initial, temperatures, policies, directions)
    first, second = policies
    turned = np.swapaxes(transition, 1, 2), np.swapaxes(rewards[0], 1, 2)
    one = answered(*turned, discount, initial, temperatures[0], second).policy
    two = answered(transition, rewards[1], discount, initial, temperatures[1], first).policy
    found[0] = 0.0
    for i in (0, 1):
        for pair, sign in (((one, two), 1), ((first, second), -1)):
            charge = temperatures[i] * entropies(pair[i])
            found[0] += sign * seen(transition, rewards[i], discount, initial, *pair, charge)[2]
    return found


for name, function in list(globals().items()):
    if name.startswith("gaps_"):
        function.__name__ = name

BOTH = np.stack([PAID, RNG.normal(size=SHAPE)])
AGAINST = np.stack([PAID, -PAID])
IDLE = np.stack([PAID[:, :, :1], -PAID[:, :, :1]]) * np.ones((1, 1, 1, 2))  # what player 2 does changes nothing
SAME_TAU, TWO_TAUS = np.array([0.5, 0.5]), np.array([0.4, 0.8])
EVEN = np.full((3, 2), 0.5)
AWAY = (ONE[::-1] - ONE, TWO[::-1] - TWO)
STILL = (np.zeros((3, 2)), np.zeros((3, 2)))  # nobody moves
# Each player's reward depends on its own action alone, and nothing else comes later.
OWN_ONLY = np.stack([np.broadcast_to(PAID[:, :, :1], SHAPE), np.broadcast_to(PAID[:, :1], SHAPE)])
SEPARATE = (DENSE, OWN_ONLY, 0.0, START, TWO_TAUS, (ONE, TWO), AWAY)
SYMMETRIC_PAIR = (SAME / 0.6, BOTH, 0.9, START, SAME_TAU, (ONE, TWO), AWAY)
TASK_3 = [
    WrongAnswer(
        "own_gaps",
        gaps_of_one_return,
        "Your ψ and its slopes are those of a zero-sum game; here nothing cancels.",
        (DENSE, IDLE, 0.0, START, TWO_TAUS, (ONE, EVEN), AWAY),
    ),
    WrongAnswer(
        "own_gaps",
        gaps_of_a_zero_sum_game,
        "Your slopes are those of a zero-sum game, where what both have now cancels; here it does not.",
        (DENSE, AGAINST, 0.0, START, TWO_TAUS, (ONE, TWO), AWAY),
    ),
    WrongAnswer(
        "own_gaps",
        gaps_at_the_same_time,
        "Your players answer each other at the same time; each answers the row that is there.",
        SEPARATE,
    ),
    WrongAnswer(
        "own_gaps",
        gaps_of_the_mover,
        "Your slopes look only at what the one who moves could gain; its row also moves what the other could.",
        SEPARATE,
    ),
    WrongAnswer(
        "own_gaps",
        gaps_of_the_other,
        "Your slopes look only at what the other one could gain, not at what the one who moves has.",
        (DENSE, np.stack([0 * PAID, BOTH[1]]), 0.0, START, TWO_TAUS, (EVEN, TWO), (AWAY[0], STILL[1])),
    ),
    WrongAnswer(
        "own_gaps",
        gaps_without_what_it_has,
        "Your slopes take what the other one has now for fixed; the row that moves changes that, too.",
        SEPARATE,
    ),
    WrongAnswer(
        "own_gaps",
        gaps_with_a_fixed_best_return,
        "Your slopes take what the other one's best response earns for fixed; the row that moves changes it.",
        SEPARATE,
    ),
    WrongAnswer(
        "own_gaps",
        gaps_of_a_minimiser,
        "Your player 2 minimises its reward in the slopes; both maximise their own.",
        (DENSE, BOTH, 0.9, START, TWO_TAUS, (ONE, TWO), (AWAY[0], STILL[1])),
    ),
    WrongAnswer(
        "own_gaps",
        gaps_with_flat_charges,
        "Your slopes leave out how the charge for a row changes with the row.",
        (DENSE, BOTH, 0.9, START, TWO_TAUS, (EVEN, EVEN), AWAY),
    ),
    WrongAnswer(
        "own_gaps",
        gaps_from_the_start,
        "Your slopes weight the states by where one starts, not by where the policies go.",
        SEPARATE,
    ),
    WrongAnswer(
        "own_gaps",
        gaps_with_the_pairs_visits,
        "Your slopes weight the states by the visits of the pair also where a best response is played.",
        SYMMETRIC_PAIR,
    ),
    WrongAnswer(
        "own_gaps",
        gaps_with_exchanged_temperatures,
        "Your players' temperatures are exchanged.",
        SYMMETRIC_PAIR,
    ),
    WrongAnswer(
        "own_gaps",
        gaps_with_shared_charges,
        "Your players are paid what the other one pays for its row; each pays only for itself.",
        SYMMETRIC_PAIR,
    ),
    WrongAnswer(
        "own_gaps",
        gaps_with_two_charges,
        "Your players pay for the other one's row, too; each pays only for itself.",
        SYMMETRIC_PAIR,
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
