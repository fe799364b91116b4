"""Wrong answers to problem set 13."""

import cvxpy as cp
import numpy as np

import pencourse as pc
from pencourse.bilevel import Objective, minus_return
from pencourse.equilibria import stage_adjoint

from . import WrongAnswer

RNG = np.random.default_rng(131)
S, A, B = 4, 3, 2


def distributions(*shape):
    return RNG.dirichlet(np.ones(shape[-1]), size=shape[:-1])


P, R, WANTED = distributions(S, A, B, S), RNG.normal(size=(S, A, B)), RNG.normal(size=(S, A, B))
START = distributions(S)
WAGES = RNG.uniform(-1, 1, size=(S, A))


# Task 1


def played(transition, reward, discount, initial, temperature, wages):
    """Return the evaluation of the equilibrium."""
    game = pc.ZeroSumGame(transition, reward + wages[:, :, None], discount, initial, temperature)
    return pc.evaluate(game, pc.solve_zero_sum(game, tolerance=1e-10).policies)


def paid_by(designer_reward, fee, wages):
    return fee / 2 * wages[:, :, None] ** 2 - designer_reward


def look_ahead(at, reward):
    return reward + at.game.discount * at.game.transition @ at.side_value(reward)


def slopes_of(at, worth, visits=None):
    visits = at.occupancy if visits is None else visits
    return tuple(visits[:, None] * slope for slope in at.marginal(worth))


def answered(at, slopes, temperature):
    """Return what the players' answer adds, shape (S, A)."""
    return carried_on(at, stage(at, slopes, temperature))


def stage(at, slopes, temperature):
    return stage_adjoint(at.policies, at.action_value, slopes, temperature)


def carried_on(at, weights):
    return at.action_value_adjoint(weights).sum(axis=2)


def fees(at, fee, wages):
    return at.occupancy[:, None] * at.policies[0] * fee * wages


def wage_without_fee(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    return answered(at, slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages))), temperature)


def wage_announced(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)))
    return fee * wages + answered(at, slopes, temperature)


def wage_in_the_first_step(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)))
    return initial[:, None] * at.policies[0] * fee * wages + answered(at, slopes, temperature)


def wage_that_moves_nobody(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    return fees(played(transition, reward, discount, initial, temperature, wages), fee, wages)


def wage_of_the_payee(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    first, second = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)))
    return fees(at, fee, wages) + answered(at, (first, 0 * second), temperature)


def separate(at, slopes, temperature, sides):
    """Return the answers of players each of whom takes the other's policy as given."""
    first, second = at.policies
    parts = []
    for policy, slope in zip(at.policies, slopes, strict=True):
        parts.append(policy * (slope - (policy * slope).sum(axis=1, keepdims=True)) / temperature)
    weights = sides[0] * parts[0][:, :, None] * second[:, None] + sides[1] * first[:, :, None] * parts[1][:, None]
    return carried_on(at, weights)


def wage_to_loners(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)))
    return fees(at, fee, wages) + separate(at, slopes, temperature, (1, -1))


def wage_among_allies(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)))
    weights = np.zeros_like(reward)
    for s, (p, q) in enumerate(zip(*at.policies, strict=True)):
        # The step is a joint one of two who both want more.
        n, m = len(p), len(q)
        system = np.zeros((n + m + 2, n + m + 2))
        system[:n, :n], system[n:-2, n:-2] = np.diag(-temperature / p), np.diag(-temperature / q)
        system[:n, n:-2], system[n:-2, :n] = at.action_value[s], at.action_value[s].T
        system[:n, -2] = system[-2, :n] = system[n:-2, -1] = system[-1, n:-2] = 1
        step = -np.linalg.solve(system, np.concatenate([slopes[0][s], slopes[1][s], [0, 0]]))
        weights[s] = np.outer(step[:n], q) + np.outer(p, step[n:-2])
    return fees(at, fee, wages) + carried_on(at, weights)


def wage_without_temperature(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)))
    return fees(at, fee, wages) + answered(at, slopes, 1.0)


def wage_of_one_step(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)))
    weights = stage(at, slopes, temperature)
    return fees(at, fee, wages) + weights.sum(axis=2)


def wage_that_moves_no_fees(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    return fees(at, fee, wages) + answered(at, slopes_of(at, look_ahead(at, -designer_reward)), temperature)


def wage_of_a_designer_of_today(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, paid_by(designer_reward, fee, wages))
    return fees(at, fee, wages) + answered(at, slopes, temperature)


def wage_seen_from_the_start(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)), initial)
    return fees(at, fee, wages) + answered(at, slopes, temperature)


def wage_by_half(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    at = played(transition, reward, discount, initial, temperature, wages)
    slopes = slopes_of(at, look_ahead(at, paid_by(designer_reward, fee, wages)))
    return fees(at, fee, wages) + answered(at, slopes, temperature) / reward.shape[2]


def wage_by_the_library(transition, reward, designer_reward, discount, initial, temperature, fee, wages):
    class Wages:
        initial_upper = wages

        def lower_model(self, x):
            return pc.ZeroSumGame(transition, reward + x[:, :, None], discount, initial, temperature)

        def upper_objective(self, x, at, rng=None):
            f = minus_return(at, designer_reward - fee / 2 * x[:, :, None] ** 2)
            return Objective(f.value, f.policy_gradient, fees(at, fee, x), f.terms)

        def pull_back(self, x, terms):
            return sum(term.mass.sum(axis=2) for term in terms if term.channel == "lower")

        def project(self, x):
            return x

    return pc.hypergradient(Wages(), wages).gradient


GAME = (P, R, WANTED, 0.9, START, 0.5)
ONE_STEP = (P, R, WANTED, 0.0, START, 0.5, 0.7, WAGES)
ALONE = (P[:, :, :1], R[:, :, :1], WANTED[:, :, :1], 0.9, START, 0.5, 0.7, WAGES)  # player 2 has no choice
FIXED = (P[:, :1, :1], R[:, :1, :1], WANTED[:, :1, :1], 0.9, START, 0.5, 0.7, WAGES[:, :1])
APART = (P, R[:, :, :1] + R[:, :1], WANTED, 0.0, START, 0.5, 0.7, WAGES)  # what one does is the same to the other
UNPAID = (*GAME, 0.7, 0 * WAGES)
TASK_1 = [
    WrongAnswer(
        "wage_gradient",
        wage_without_fee,
        "Your gradient leaves out that a higher wage costs a higher fee each time it is paid.",
        (*GAME, 0.0, WAGES),
    ),
    WrongAnswer(
        "wage_gradient",
        wage_announced,
        "Your fee is that of wages announced; it is charged when a wage is paid, and as often.",
        UNPAID,
    ),
    WrongAnswer("wage_gradient", wage_in_the_first_step, "Your fee is charged in the first step only.", ONE_STEP),
    WrongAnswer(
        "wage_gradient",
        wage_that_moves_nobody,
        "Your gradient keeps both policies as they are, whatever x becomes.",
        FIXED,
    ),
    WrongAnswer(
        "wage_gradient",
        wage_of_the_payee,
        "Your gradient lets player 1 move and holds player 2 in its place.",
        ALONE,
    ),
    WrongAnswer("wage_gradient", wage_to_loners, "Your players each answer as if the other stood still.", APART),
    WrongAnswer(
        "wage_gradient", wage_among_allies, "Your player 2 answers as if it wanted what player 1 wants.", ALONE
    ),
    WrongAnswer(
        "wage_gradient",
        wage_without_temperature,
        "Your players answer as fast at every temperature.",
        (P, R, WANTED, 0.9, START, 1.0, 0.7, WAGES),
    ),
    WrongAnswer(
        "wage_gradient",
        wage_of_one_step,
        "Your stage games change in the first step only; x changes what later states are worth, too.",
        ONE_STEP,
    ),
    WrongAnswer(
        "wage_gradient",
        wage_that_moves_no_fees,
        "Your designer does not care who is paid when the policies move: the fees belong to what an action is worth.",
        UNPAID,
    ),
    WrongAnswer(
        "wage_gradient",
        wage_of_a_designer_of_today,
        "Your slope in the policies looks at the designer's reward and fee of today only.",
        ONE_STEP,
    ),
    WrongAnswer(
        "wage_gradient",
        wage_seen_from_the_start,
        "Your slope in the policies weights the states by where the game starts, not by where it goes.",
        ONE_STEP,
    ),
    WrongAnswer(
        "wage_gradient",
        wage_by_half,
        "Your wage reaches one of player 2's actions at a time; it is paid whatever player 2 does.",
        ALONE,
    ),
    WrongAnswer(
        "wage_gradient",
        wage_by_the_library,
        "Your function uses hypergradient, which this task asks you to do without.",
        (*GAME, 0.7, WAGES),
    ),
]


# Task 2


class Program:
    """The variables x and V, and the conditions that a student may forget."""

    def __init__(self, transition, reward, first, second, discount, later=None):
        self.reward, self.first, self.second = reward, first, second
        self.states = np.arange(len(reward))
        self.value = cp.Variable(len(reward))
        self.tables = [cp.Variable(reward.shape[1:]) for _ in self.states]
        kernel, self.later = discount * transition, self.value if later is None else later
        self.kernel = kernel
        self.moves = kernel[self.states, first, second]
        self.paid = cp.hstack([x[first[s], second[s]] for s, x in enumerate(self.tables)])
        self.conditions = [self.value[s] == self.earned(s, first[s], second[s]) for s in self.states]

    def earned(self, s, a, b):
        return self.reward[s, a, b] + self.tables[s][a, b] + self.kernel[s, a, b] @ self.later

    def within(self, bound):
        self.conditions += [cp.abs(x) <= bound for x in self.tables]
        return self

    def keeps_first(self, margin, where=None):
        for s in self.states if where is None else where:
            for a in range(self.reward.shape[1]):
                if a != self.first[s]:
                    self.conditions.append(self.earned(s, a, self.second[s]) <= self.value[s] - margin)
        return self

    def keeps_second(self, margin, where=None, sign=1):
        for s in self.states if where is None else where:
            for b in range(self.reward.shape[2]):
                if b != self.second[s]:
                    self.conditions.append(sign * (self.earned(s, self.first[s], b) - self.value[s]) >= margin)
        return self

    def visits(self, initial):
        return np.linalg.solve(np.eye(len(initial)) - self.moves.T, initial)

    def least(self, cost):
        problem = cp.Problem(cp.Minimize(cost), self.conditions)
        problem.solve(solver=cp.HIGHS)
        return problem.value


def paid_to_hold_player_1(transition, reward, first, second, discount, initial, bound, margin):
    program = Program(transition, reward, first, second, discount).within(bound).keeps_first(margin)
    return program.least(program.visits(initial) @ cp.abs(program.paid))


def paid_to_hold_player_2(transition, reward, first, second, discount, initial, bound, margin):
    program = Program(transition, reward, first, second, discount).within(bound).keeps_second(margin)
    return program.least(program.visits(initial) @ cp.abs(program.paid))


def paid_to_allies(transition, reward, first, second, discount, initial, bound, margin):
    program = Program(transition, reward, first, second, discount).within(bound)
    program.keeps_first(margin).keeps_second(margin, sign=-1)
    return program.least(program.visits(initial) @ cp.abs(program.paid))


def paid_without_margin(transition, reward, first, second, discount, initial, bound, margin):
    program = Program(transition, reward, first, second, discount).within(bound).keeps_first(0).keeps_second(0)
    return program.least(program.visits(initial) @ cp.abs(program.paid))


def paid_with_old_values(transition, reward, first, second, discount, initial, bound, margin):
    states = np.arange(len(initial))
    moves = discount * transition[states, first, second]
    old = np.linalg.solve(np.eye(len(initial)) - moves, reward[states, first, second])
    program = Program(transition, reward, first, second, discount, old).within(bound)
    program.keeps_first(margin).keeps_second(margin)
    return program.least(program.visits(initial) @ cp.abs(program.paid))


def paid_for_today(transition, reward, first, second, discount, initial, bound, margin):
    program = Program(transition, reward, first, second, 0.0).within(bound).keeps_first(margin).keeps_second(margin)
    states = np.arange(len(initial))
    moves = discount * transition[states, first, second]
    return program.least(np.linalg.solve(np.eye(len(initial)) - moves.T, initial) @ cp.abs(program.paid))


def paid_where_one_comes(transition, reward, first, second, discount, initial, bound, margin):
    program = Program(transition, reward, first, second, discount).within(bound)
    visits = program.visits(initial)
    where = np.flatnonzero(visits > 1e-12)
    program.keeps_first(margin, where).keeps_second(margin, where)
    return program.least(visits @ cp.abs(program.paid))


def complete(transition, reward, first, second, discount, bound, margin):
    program = Program(transition, reward, first, second, discount).within(bound)
    return program.keeps_first(margin).keeps_second(margin)


def paid_in_the_first_step(transition, reward, first, second, discount, initial, bound, margin):
    program = complete(transition, reward, first, second, discount, bound, margin)
    return program.least(initial @ cp.abs(program.paid))


def paid_once(transition, reward, first, second, discount, initial, bound, margin):
    program = complete(transition, reward, first, second, discount, bound, margin)
    return program.least(cp.sum(cp.abs(program.paid)))


def paid_per_step(transition, reward, first, second, discount, initial, bound, margin):
    program = complete(transition, reward, first, second, discount, bound, margin)
    return program.least((1 - discount) * program.visits(initial) @ cp.abs(program.paid))


def paid_and_threatened(transition, reward, first, second, discount, initial, bound, margin):
    program = complete(transition, reward, first, second, discount, bound, margin)
    sizes = cp.hstack([cp.sum(cp.abs(x)) for x in program.tables])
    return program.least(program.visits(initial) @ sizes)


def paid_on_balance(transition, reward, first, second, discount, initial, bound, margin):
    program = complete(transition, reward, first, second, discount, bound, margin)
    return program.least(program.visits(initial) @ program.paid)


def paid_with_any_threat(transition, reward, first, second, discount, initial, bound, margin):
    program = Program(transition, reward, first, second, discount).keeps_first(margin).keeps_second(margin)
    return program.least(program.visits(initial) @ cp.abs(program.paid))


ZEROS = np.zeros(S, dtype=int)
# Player 1 earns 1 by leaving action 0, more than a threat can take away; player 2 has no reason to leave it.
TEMPTED = np.zeros((S, A, B))
TEMPTED[:, 1, 0], TEMPTED[:, 2, 0], TEMPTED[:, 0, 1] = 1.0, 0.3, 2.0
MOVED = np.zeros((S, A, B))
MOVED[:, 0, 1], MOVED[:, 1, 0] = -1.0, -2.0  # here player 2 earns 1, and player 1 stays
DUEL = (TEMPTED, ZEROS, ZEROS)
NOW = (P, *DUEL, 0.0, START, 0.8, 0.2)
ALONE_2 = (P[:, :, :1], TEMPTED[:, :, :1], ZEROS, ZEROS, 0.6, START, 0.8, 0.2)
SINGLE = (P[:1, :, :, :1] / P[:1, :, :, :1], TEMPTED[:1], ZEROS[:1], ZEROS[:1], 0.0, np.ones(1), 0.8, 0.2)
CALM = TEMPTED * [[[1.0], [-1.0], [-1.0]]]  # nobody has a reason to leave
TASK_2 = [
    WrongAnswer(
        "least_payments",
        paid_to_hold_player_1,
        "Your profile is safe from player 1's deviations only.",
        ALONE_2,
    ),
    WrongAnswer(
        "least_payments",
        paid_to_hold_player_2,
        "Your profile is safe from player 2's deviations only.",
        (P[:, :1], MOVED[:, :1], ZEROS, ZEROS, 0.6, START, 0.8, 0.2),
    ),
    WrongAnswer(
        "least_payments",
        paid_to_allies,
        "Your player 2 is kept in the profile as if it wanted what player 1 wants.",
        ALONE_2,
    ),
    WrongAnswer(
        "least_payments",
        paid_without_margin,
        "Your deviations may cost nothing; each has to cost the margin.",
        (P, *DUEL, 0.6, START, 0.8, 0.0),
    ),
    WrongAnswer(
        "least_payments",
        paid_with_old_values,
        "Your later states are worth what they are without payments.",
        NOW,
    ),
    WrongAnswer("least_payments", paid_for_today, "Your players look at today only.", NOW),
    WrongAnswer(
        "least_payments",
        paid_where_one_comes,
        "Your players keep to the profile only where it leads them from the start; it is to be an equilibrium in every "
        "state.",
        (P, *DUEL, 0.6, START, 0.8, 0.2),
    ),
    WrongAnswer("least_payments", paid_in_the_first_step, "Your payments are those of the first step only.", NOW),
    WrongAnswer(
        "least_payments",
        paid_once,
        "Your payments count once for each state, however often it is visited.",
        SINGLE,
    ),
    WrongAnswer(
        "least_payments",
        paid_per_step,
        "Your payments are those of an average step: the visits of your occupancy sum to 1.",
        NOW,
    ),
    WrongAnswer(
        "least_payments",
        paid_and_threatened,
        "Your cost counts threats, which nobody ever has to pay.",
        (P, CALM, ZEROS, ZEROS, 0.0, START, 0.8, 0.2),
    ),
    WrongAnswer(
        "least_payments",
        paid_on_balance,
        "Your payments to one player cancel those to the other; each costs its size.",
        SINGLE,
    ),
    WrongAnswer(
        "least_payments",
        paid_with_any_threat,
        "Your threats are not limited by the bound.",
        (P, CALM, ZEROS, ZEROS, 0.0, START, 0.8, 0.2),
    ),
]


# Task 3


def conditions(transition, reward, first, second, discount, temperature):
    """Return for each player the matrix on (x, V) and the right sides, a row for each of its actions."""
    n_states = len(reward)
    cells = np.eye(reward.size).reshape(*reward.shape, reward.size)
    ahead = discount * transition - np.eye(n_states)[:, None, None, :]
    whole = np.concatenate([cells, ahead], axis=3)
    rows = np.einsum("sabk,sb->sak", whole, second), np.einsum("sabk,sa->sbk", whole, first)
    h1, h2 = charges(first, temperature), charges(second, temperature)
    return rows, (
        temperature * np.log(first) - h2 - np.einsum("sab,sb->sa", reward, second),
        h1 - temperature * np.log(second) - np.einsum("sab,sa->sb", reward, first),
    )


def charges(policy, temperature):
    return temperature * (policy * np.log(policy)).sum(axis=1, keepdims=True)


def visits_of(transition, first, second, discount, initial):
    moves = np.einsum("sa,sb,sabt->st", first, second, transition)
    return np.linalg.solve(np.eye(len(initial)) - discount * moves.T, initial)


def made(transition, first, second, discount, initial):
    visits = visits_of(transition, first, second, discount, initial)
    return visits[:, None, None] * first[:, :, None] * second[:, None]


def cheapest(weights, rows, right):
    """Minimise Σ weights x² over (x, V) subject to the rows."""
    keep = np.vstack([table.reshape(-1, table.shape[-1]) for table in rows])
    goal = np.concatenate([numbers.ravel() for numbers in right])
    free = keep.shape[1] - weights.size
    square = np.diag(np.append(weights.ravel(), np.zeros(free)))
    system = np.block([[square, keep.T], [keep, np.zeros((len(keep), len(keep)))]])
    solution = np.linalg.lstsq(system, np.append(np.zeros(keep.shape[1]), goal), rcond=1e-13)[0]
    return solution[: weights.size].reshape(weights.shape)


def bought_by_announcement(transition, reward, first, second, discount, initial, temperature):
    return cheapest(np.ones_like(reward), *conditions(transition, reward, first, second, discount, temperature))


def bought_for_the_first_step(transition, reward, first, second, discount, initial, temperature):
    weights = initial[:, None, None] * first[:, :, None] * second[:, None]
    return cheapest(weights, *conditions(transition, reward, first, second, discount, temperature))


def bought_in_every_cell(transition, reward, first, second, discount, initial, temperature):
    weights = np.ones_like(reward) * visits_of(transition, first, second, discount, initial)[:, None, None]
    return cheapest(weights, *conditions(transition, reward, first, second, discount, temperature))


def bought_from_player_1(transition, reward, first, second, discount, initial, temperature):
    rows, right = conditions(transition, reward, first, second, discount, temperature)
    return cheapest(made(transition, first, second, discount, initial), rows[:1], right[:1])


def bought_from_player_2(transition, reward, first, second, discount, initial, temperature):
    rows, right = conditions(transition, reward, first, second, discount, temperature)
    return cheapest(made(transition, first, second, discount, initial), rows[1:], right[1:])


def bought_by_indifference(transition, reward, first, second, discount, initial, temperature):
    weights = made(transition, first, second, discount, initial)
    return cheapest(weights, *conditions(transition, reward, first, second, discount, 0.0))


def bought_with_one_sign(transition, reward, first, second, discount, initial, temperature):
    rows, (right1, right2) = conditions(transition, reward, first, second, discount, temperature)
    right2 = right2 + 2 * temperature * np.log(second) - 2 * charges(second, temperature)
    return cheapest(made(transition, first, second, discount, initial), rows, (right1, right2))


def bought_without_charges(transition, reward, first, second, discount, initial, temperature):
    rows, (right1, right2) = conditions(transition, reward, first, second, discount, temperature)
    shift = charges(second, temperature) - charges(first, temperature)
    return cheapest(made(transition, first, second, discount, initial), rows, (right1 + shift, right2 + shift))


def bought_at_temperature_1(transition, reward, first, second, discount, initial, temperature):
    weights = made(transition, first, second, discount, initial)
    return cheapest(weights, *conditions(transition, reward, first, second, discount, 1.0))


def bought_with_old_values(transition, reward, first, second, discount, initial, temperature):
    game = pc.ZeroSumGame(transition, reward, discount, initial, temperature)
    later = pc.evaluate(game, (first, second)).action_value
    weights = made(transition, first, second, discount, initial)
    return cheapest(weights, *conditions(transition, later, first, second, 0.0, temperature))


def bought_for_today(transition, reward, first, second, discount, initial, temperature):
    weights = made(transition, first, second, discount, initial)
    return cheapest(weights, *conditions(transition, reward, first, second, 0.0, temperature))


def bought_somehow(transition, reward, first, second, discount, initial, temperature):
    return temperature * (np.log(first)[:, :, None] - np.log(second)[:, None]) - reward


FIRST, SECOND = distributions(S, A), distributions(S, B)
EVEN_1, EVEN_2, EVEN = np.full((S, A), 1 / A), np.full((S, B), 1 / B), np.full(S, 1 / S)
BEST = cheapest(made(P, FIRST, SECOND, 0.9, START), *conditions(P, R, FIRST, SECOND, 0.9, 0.5))
BALANCED = 0.5 * (np.log(FIRST)[:, :, None] - np.log(SECOND)[:, None]) - BEST  # the simple payments are the best ones
TODAY = (P, R, FIRST, SECOND, 0.0, START, 0.5)
BANDIT = (np.ones((1, A, B, 1)), R[:1], FIRST[:1], SECOND[:1], 0.9, np.ones(1), 0.5)
TASK_3 = [
    WrongAnswer(
        "bought_profile",
        bought_by_announcement,
        "Your payments are the least announced; asked are the least that are made.",
        (P, R, EVEN_1, EVEN_2, 0.0, EVEN, 0.5),
    ),
    WrongAnswer("bought_profile", bought_for_the_first_step, "Your payments are the least of the first step.", TODAY),
    WrongAnswer(
        "bought_profile",
        bought_in_every_cell,
        "Your payments count in every visit in full; one is made only if its two actions are played.",
        (P, R, EVEN_1, EVEN_2, 0.9, START, 0.5),
    ),
    WrongAnswer(
        "bought_profile",
        bought_from_player_1,
        "Your payments keep player 1 in the profile, but not player 2.",
        (P[:, :, :1], R[:, :, :1], FIRST, SECOND[:, :1] / SECOND[:, :1], 0.9, START, 0.5),
    ),
    WrongAnswer(
        "bought_profile",
        bought_from_player_2,
        "Your payments keep player 2 in the profile, but not player 1.",
        (P[:, :1], R[:, :1], FIRST[:, :1] / FIRST[:, :1], SECOND, 0.9, START, 0.5),
    ),
    WrongAnswer(
        "bought_profile",
        bought_by_indifference,
        "Your players are indifferent between their actions; at τ > 0 that makes them play all alike.",
        (P, R, EVEN_1, EVEN_2, 0.9, START, 0.5),
    ),
    WrongAnswer(
        "bought_profile",
        bought_with_one_sign,
        "Your player 2 has player 1's sign before its logarithm.",
        (P, R, FIRST, EVEN_2, 0.9, START, 0.5),
    ),
    WrongAnswer(
        "bought_profile",
        bought_without_charges,
        "Your values leave out what the players are charged for their mixtures.",
        TODAY,
    ),
    WrongAnswer(
        "bought_profile",
        bought_at_temperature_1,
        "Your players have the temperature 1.",
        (P, R, FIRST, SECOND, 0.9, START, 1.0),
    ),
    WrongAnswer(
        "bought_profile",
        bought_with_old_values,
        "Your later states are worth what they are without payments; x changes that, too.",
        BANDIT,
    ),
    WrongAnswer("bought_profile", bought_for_today, "Your players look at today only.", BANDIT),
    WrongAnswer(
        "bought_profile",
        bought_somehow,
        "Your payments make the profile the equilibrium, but cheaper ones do, too.",
        (P, BALANCED, FIRST, SECOND, 0.9, START, 0.5),
    ),
]

WRONG_ANSWERS = [*TASK_1, *TASK_2, *TASK_3]
