"""The best commitment of a leader at τ = 0, exactly, where that can be had (lesson 09).

The leader announces x; the follower answers with an optimal policy b, of several with the best one for the leader. In
three families of games a program has the leader's best return ρᵀW as its optimum.

**Leader-controlled**, P(s′|s,a). The follower cannot steer, so b(s) maximises Σ_a x(a|s) r_f(s,a,b) alone, and all
pairs of a row x(·|s) and a best answer b to it are the actions of an MDP of the leader. Its occupancies solve one LP,

    max Σ μ(s,a,b) r_l(s,a,b)   s.t.   Σ_{a,b} μ(s′,a,b) = c(s′) + γ Σ μ(s,a,b) P(s′|s,a),   μ ≥ 0,
                                       Σ_a μ(s,a,b) [r_f(s,a,b) − r_f(s,a,b′)] ≥ 0   for all s, b, b′.

The dual, with multipliers λ ≥ 0 of the last line, asks for

    W(s) ≥ r_l(s,a,b) + γ Σ P(s′|s,a) W(s′) + Σ_{b′} λ(s,b,b′) [r_f(s,a,b) − r_f(s,a,b′)]   for all s, a, b.

By complementary slackness *every* b with Σ_a μ(s,a,b) > 0 attains W(s) with the row μ(s,·,b)/Σ_a μ(s,a,b), so one such
b in each state is optimal, from every state if c > 0. Never average the rows: b need not be a best answer to the
average. **Matrix games**, S = 1 or γ = 0, are a special case: the LP joins those that there are for each b.

**Follower-controlled**, P(s′|s,b). The follower's V now matters, and what it does is a binary z(s,b): a mixed-integer
LP. With u(s,a,b) = x(a|s) z(s,b), so that Σ_a u(s,a,b) = z(s,b), and P_b V = Σ P(s′|s,b) V(s′),

    max ρᵀW   s.t.   V(s) ≥ Σ_{a,b′} u(s,a,b′) r_f(s,a,b) + γP_b V                                for all s, b,
                     V(s) ≤ Σ_{a,b′} u(s,a,b′) r_f(s,a,b′) + γP_b V + Σ_{b′} M(s,b′,b) z(s,b′)    for all s, b,

and the second line also for W and r_l. Here M(s,b′,b) = max γ(P_b′ − P_b)V over bounds on V. So if z(s,b′) = 1, that
line is V(s) ≤ r_f + γP_b′ V for b = b′ and nothing more for other b: V is the value of z, and the first line makes z
optimal. Ties leave z free, to the leader's choice. Between 0 and 1, z evades M, but not occupancies: μ = d(s) u(s,a,b)
obeys the flow, lies between u times the least and the largest occupancy d of s that there is, and bounds both returns,
ρᵀW ≤ Σ μ r_l and ρᵀV ≤ Σ μ r_f. (Ten states, three actions each: 20 s with M = span r/(1−γ) and no μ, 2 s so.)

For other kernels the problem is NP-hard (Letchford, MacDermed, Conitzer, Parr and Isbell, *Computing optimal strategies
to commit to in stochastic games*, 2012).

References: Conitzer and Sandholm, *Computing the optimal strategy to commit to* (2006): an LP for each b; Conitzer and
Korzhyk, *Commitment to correlated strategies* (2011): joined; Paruchuri and others, *Playing games for security*
(2008): u; Vorobeychik and Singh, *Computing Stackelberg equilibria in discounted stochastic games* (2012): M.
"""

from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from ..models import ConvergenceError, StackelbergGame
from ..typing import Array
from .solver import PRECISE, solve_program


@dataclass(frozen=True, eq=False)
class ExactStackelberg:
    """A pair of policies, what it is worth, and a bound that no pair exceeds, all at τ = 0.

    Attributes
    ----------
    leader_policy : array (S, L)
        x.
    follower_policy : array (S, F)
        A best answer to x in every state, up to 1e-9 max|r_f|; rows are one-hot.
    value, follower_value : array (S,)
        Of this pair, by a linear solve.
    family : str
        "matrix game", "leader-controlled" or "follower-controlled".
    program : str
        The family, the kind of program, the solver, and the follower's temperature: 0, whatever the game's.
    primal, dual : float
        ρᵀ `value`, and an upper bound: primal ≤ optimum ≤ dual. The linear program's bound is the value of a point
        that meets all constraints of its dual, whatever the solver did; the mixed-integer program's is what the
        solver had proved when it was done or its time was over.
    """

    leader_policy: Array
    follower_policy: Array
    value: Array
    follower_value: Array
    family: str
    program: str
    primal: float
    dual: float

    @property
    def expected_return(self) -> float:
        """The leader's return from ρ under the pair of policies."""
        return self.primal

    @property
    def gap(self) -> float:
        """dual − primal ≥ 0: what the leader may have missed."""
        return self.dual - self.primal


def stackelberg(game: StackelbergGame, *, time_limit: float = 60.0) -> ExactStackelberg:
    """Find the leader's best commitment in a Stackelberg Markov game against a follower without regulariser.

    The game's temperature is ignored. A follower at τ > 0 may be worth more to the leader than the bound says, so
    evaluate a policy with the follower at τ = 0 before you compare.

    Parameters
    ----------
    game : StackelbergGame
        With S = 1, γ = 0, or a kernel that depends (beyond 1e-12) on the action of one player only.
    time_limit : float
        Seconds, above 0, for the mixed-integer program of follower-controlled games.

    Returns
    -------
    ExactStackelberg
        With a `gap` of more than rounding only if the time limit stopped the solver.

    Raises
    ------
    ValueError
        If the kernel depends on both actions, or time_limit is not positive.
    ConvergenceError
        If a solver fails, or finds no pair of policies in time; if the follower's policy is no best answer up to
        1e-9 max|r_f|; if primal and dual differ by more than 1e-6 max|r_l|/(1−γ) and not for lack of time. (HiGHS
        keeps constraints to 1e-10; the gap is λ times as much in each step, and 1e-6 leaves room for λ = 10⁴.)
    """
    if not time_limit > 0:
        raise ValueError(f"time_limit is {time_limit!r}; allowed is a number of seconds above 0.")
    family = _family(game)
    # Solvers like rewards of size 1; values scale with them.
    unit, follower_unit = (float(np.abs(r).max()) or 1.0 for r in (game.leader_reward, game.follower_reward))
    scaled = replace(game, leader_reward=game.leader_reward / unit)
    scaled = replace(scaled, follower_reward=game.follower_reward / follower_unit)
    if family == "follower-controlled":
        kind, (x, answer, bound, stopped) = "mixed-integer", _mixed_integer(scaled, time_limit)
    else:
        kind, (x, answer, bound), stopped = "linear", _linear(scaled), False
    program = f"{family}: {kind}, HIGHS, τ = 0"
    values, missed = _evaluate(scaled, x, answer)
    if not missed <= 1e-9:
        raise ConvergenceError(f"exact.stackelberg ({program}; the follower's answer)", missed, 1e-9, 1)
    primal, allowed = float(game.initial @ values[0]), 1e-6 / (1 - game.discount)
    if not -allowed <= bound - primal <= (np.inf if stopped else allowed):
        raise ConvergenceError(f"exact.stackelberg ({program}; the gap)", abs(bound - primal), allowed, 1)
    value, follower_value, policy = unit * values[0], follower_unit * values[1], np.eye(game.n_follower)[answer]
    bound = max(bound, primal)  # what a pair attains is above it by rounding only
    return ExactStackelberg(x, policy, value, follower_value, family, program, unit * primal, unit * bound)


def _family(game: StackelbergGame) -> str:
    """Return whose action moves the kernel."""
    if game.n_states == 1 or game.discount == 0:
        return "matrix game"
    by_leader, by_follower = (float(np.ptp(game.transition, axis=axis).max()) for axis in (1, 2))
    if by_follower <= 1e-12:
        return "leader-controlled"
    if by_leader <= 1e-12:
        return "follower-controlled"
    raise ValueError(
        f"transition changes by up to {by_leader:.3g} with the leader's action and by up to {by_follower:.3g} with the "
        "follower's; allowed is a kernel that depends on the action of one of them. For others we know of no exact "
        "program (the problem is NP-hard); hypergradient_descent from many starts gives a reference, no certificate."
    )


def _evaluate(game: StackelbergGame, x: Array, answer: Array) -> tuple[Array, float]:
    """Return the values (2, S) of leader and follower, and how much the follower's best answer gains on this one."""
    reward = np.einsum("sa,ksab->ksb", x, np.stack([game.leader_reward, game.follower_reward]))
    moves = game.discount * np.einsum("sa,sabt->sbt", x, game.transition)
    here = np.arange(game.n_states), answer
    values = np.linalg.solve(np.eye(game.n_states) - moves[here], reward[:, *here].T).T
    best = (reward[1] + moves @ values[1]).max(axis=1)
    return values, float((best - values[1]).max())


_PRECISE = PRECISE | {"canon_backend": cp.SCIPY_CANON_BACKEND}  # cvxpy's default knows no arrays of three axes


def _linear(game: StackelbergGame) -> tuple[Array, Array, float]:
    """Return x, the follower's actions, and an upper bound on the return; c = 1 + Sρ."""
    n_states, shape = game.n_states, game.leader_reward.shape
    joint, mass = cp.Variable(shape, nonneg=True), cp.Variable(shape[:2])
    moves = sp.csr_array(game.transition[:, :, 0].reshape(-1, n_states))
    inflow = game.discount * (moves.T @ cp.reshape(mass, (moves.shape[0],), order="C"))
    flow = cp.sum(mass, axis=1) == 1 + n_states * game.initial + inflow
    gain = game.follower_reward[:, :, :, None] - game.follower_reward[:, :, None]  # of b over b′
    obey = cp.sum(cp.multiply(cp.reshape(joint, (*shape, 1), order="C"), gain), axis=1) >= 0
    objective = cp.Maximize(cp.sum(cp.multiply(game.leader_reward, joint)))
    problem = cp.Problem(objective, [flow, obey, mass == cp.sum(joint, axis=2)])
    solve_program(problem, cp.HIGHS, "exact.stackelberg", **_PRECISE)
    # W and λ may miss a constraint of the dual by the solver's tolerance; W plus a constant misses none.
    value, multiplier = np.asarray(flow.dual_value), np.maximum(obey.dual_value, 0.0)
    least = game.leader_reward + np.einsum("sbc,sabc->sab", multiplier, gain) + game.discount * game.transition @ value
    missing = max(0.0, float((least - value[:, None, None]).max()))
    return *_commitment(joint.value), float(game.initial @ value) + missing / (1 - game.discount)


def _commitment(joint: Array) -> tuple[Array, Array]:
    """Read x (S, L) and the follower's actions (S,) from μ: in each state the row of one b, never an average.

    Any b of positive weight would do; division by the largest weight magnifies the solver's errors least.
    """
    answer = joint.sum(axis=1).argmax(axis=1)
    return _rows(joint[np.arange(len(joint)), :, answer]), answer


def _rows(weights: Array) -> Array:
    """Return distributions (S, L): the solver may leave an entry a little below 0, a sum a little off 1."""
    weights = np.maximum(weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def _mixed_integer(game: StackelbergGame, time_limit: float) -> tuple[Array, Array, float, bool]:
    """Return x, the follower's actions, an upper bound on the return, and whether time was over before the end."""
    choice = cp.Variable((game.n_states, game.n_follower), boolean=True)
    problem, _ = _program(game, choice)
    precise = _PRECISE | {"mip_feasibility_tolerance": 1e-9, "mip_abs_gap": 1e-9, "mip_rel_gap": 0.0}
    caller = "exact.stackelberg"
    solve_program(problem, cp.HIGHS, caller, cp.USER_LIMIT, time_limit=float(time_limit), **precise)
    said = problem.solver_stats.extra_stats
    if said.primal_solution_status != 2:  # HiGHS's number for a feasible point
        raise ConvergenceError(f"{caller} (HIGHS: no pair of policies in {time_limit:g} s)", np.inf, 0.0, 1)
    answer = np.asarray(choice.value).argmax(axis=1)
    # With z fixed the program is linear; x is found anew without the slack of a z that is only nearly 0 or 1.
    fixed, joint = _program(game, np.eye(game.n_follower)[answer])
    solve_program(fixed, cp.HIGHS, caller, **_PRECISE)
    together = _highest(game.leader_reward.max(axis=1), game.transition[:, 0], game.discount)  # if both wanted W
    bound = min(-said.mip_dual_bound, float(game.initial @ together))
    return _rows(joint.value.sum(axis=2)), answer, bound, problem.status == cp.USER_LIMIT


def _program(game: StackelbergGame, choice: cp.Variable | Array) -> tuple[cp.Problem, cp.Variable]:
    """Return the program, and its u, for a variable z (S, F) or for a given one."""
    shape, initial, kernel = game.leader_reward.shape, game.initial, game.transition[:, 0]
    moves = game.discount * sp.csr_array(kernel.reshape(-1, game.n_states))
    joint, occupancy = cp.Variable(shape, nonneg=True), cp.Variable(shape, nonneg=True)  # u, μ
    visits = cp.sum(occupancy, axis=1)
    least, most = (np.broadcast_to(bound[:, None, None], shape) for bound in _occupancy_bounds(game))
    constraints = [
        cp.sum(joint, axis=1) == choice,
        cp.sum(choice, axis=1) == 1,
        cp.sum(visits, axis=1) == initial + moves.T @ cp.reshape(visits, (moves.shape[0],), order="C"),
        occupancy >= cp.multiply(least, joint),
        occupancy <= cp.multiply(most, joint),
    ]
    step, values = game.discount * (kernel[:, :, None] - kernel[:, None]), []  # γ(P_b′ − P_b) at [s, b′, b]
    for reward in (game.leader_reward, game.follower_reward):
        value = cp.Variable(game.n_states)
        low = -_highest(-reward.min(axis=1), kernel, game.discount)
        high = _highest(reward.max(axis=1), kernel, game.discount)
        slack = np.maximum(step, 0.0) @ high + np.minimum(step, 0.0) @ low  # M
        now = _column(cp.sum(cp.multiply(reward, joint), axis=(1, 2)))
        ahead = cp.reshape(moves @ value, choice.shape, order="C")
        constraints += [
            low <= value,
            value <= high,
            _column(value) <= now + ahead + cp.sum(cp.multiply(_column(choice), slack), axis=1),
            initial @ value <= cp.sum(cp.multiply(reward, occupancy)),
        ]
        values.append(value)
    # `value`, `reward` and `ahead` are the follower's now; no answer may be better than V.
    constraints += [_column(value) >= cp.sum(cp.multiply(_column(cp.sum(joint, axis=2)), reward), axis=1) + ahead]
    return cp.Problem(cp.Maximize(initial @ values[0]), constraints), joint


def _column(expression: cp.Expression | Array) -> cp.Expression:
    """Append an axis of length 1."""
    return cp.reshape(expression, (*expression.shape, 1), order="C")


def _occupancy_bounds(game: StackelbergGame) -> Array:
    """Return the least and the largest occupancy of each state under any follower, shape (2, S)."""
    prizes = np.repeat(np.eye(game.n_states)[:, :, None], game.n_follower, axis=2)  # 1 for a step in one state
    bounds = [
        [sign * game.initial @ _highest(sign * prize, game.transition[:, 0], game.discount) for prize in prizes]
        for sign in (-1.0, 1.0)
    ]
    return np.array(bounds)


def _highest(reward: Array, kernel: Array, discount: float) -> Array:
    """Return an upper bound on V* of an MDP, reward (S, A), kernel (S, A, S): policy iteration, plus what is left."""
    states, value = np.arange(len(reward)), np.zeros(len(reward))
    for _ in range(100):
        before, policy = value, (reward + discount * kernel @ value).argmax(axis=1)
        value = np.linalg.solve(np.eye(len(reward)) - discount * kernel[states, policy], reward[states, policy])
        if np.abs(value - before).max() <= 1e-12:
            break
    left = (reward + discount * kernel @ value).max(axis=1) - value
    return value + max(0.0, float(left.max())) / (1 - discount)
