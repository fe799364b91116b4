"""Problem set 09: commitment to followers of several types, choosing from a lottery, a bound from prices.

In all three the leader's action alone moves the kernel. Each `Task` is called with the student's function, and with a
seed for other instances.
"""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..typing import Array
from ..worlds import random_mdp
from . import Instance, Mistake, Task


def _garnet(rng: np.random.Generator, n_states: int, n_leader: int) -> Array:
    """Draw a sparse kernel that the leader's action moves, shape (S, L, S)."""
    return np.asarray(random_mdp(rng, n_states, n_leader, 0.5, branching=2).transition)


def _worth(kernel: Array, gain: Array, discount: float) -> Array:
    """Return the values of a chain P (…, S, S) that pays gain (…, S)."""
    system = np.asarray(np.eye(gain.shape[-1]) - discount * kernel, dtype=float)
    result: Array = np.linalg.solve(system, gain[..., None])[..., 0]
    return result


def _optimum(kernel: Array, gain: Array, discount: float) -> Array:
    """Return the optimal values by policy iteration; kernel (S, A, S), gain (S, A), −∞ where an action is forbidden."""
    if not np.isfinite(gain.max(axis=1)).all():
        raise ValueError("a state without an allowed action")
    states, ahead = np.arange(len(gain)), gain
    value, moved = np.full(len(gain), -np.inf), np.inf
    while moved > 1e-13 * np.abs(ahead[np.isfinite(ahead)]).max():
        chosen = states, ahead.argmax(axis=1)
        new = _worth(kernel[chosen], gain[chosen], discount)
        moved, value = (new - value).max(), new
        ahead = gain + discount * kernel @ value
    return value


# Task 1: followers of several types. Arguments: P (S, 2, S), r_l (S, 2, F), r_f (K, S, 2, F), w (K,), γ.

ROUNDING = 1e-9  # of max|r_f|: differences below are rounding


def _mixture(table: Array, share: Array) -> Array:
    """Return (1−p) table₀ + p table₁ for shares p (S, C) of action 1; table (S, 2, N), the result (S, C, N)."""
    result: Array = table[:, None, 0] + share[:, :, None] * (table[:, None, 1] - table[:, None, 0])
    return result


def _intervals(rf: Array) -> tuple[Array, Array]:
    """Return the ends of the interval of shares on which each answer is best for each type, (K, S, F) and (K, S, F)."""
    gain = rf[..., :, None] - rf[..., None, :]  # what b gains on b′, (K, S, 2, F, F)
    at_0, at_1 = gain[:, :, 0], gain[:, :, 1]
    with np.errstate(all="ignore"):
        tie = at_0 / (at_0 - at_1)
    low = np.where((at_0 < 0) & (at_1 >= 0), tie, 0.0)
    high = np.where((at_1 < 0) & (at_0 >= 0), tie, np.where((at_0 < 0) & (at_1 < 0), -1.0, 1.0))
    return low.max(axis=3), high.min(axis=3)


def _commitment(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
    """Ask for every profile of answers on which interval of shares it is best; its ends are the leader's actions."""
    profiles = np.array(list(product(range(rl.shape[2]), repeat=len(w))))  # (N, K)
    lows, highs = _intervals(rf)
    low = np.max([ends[:, b] for ends, b in zip(lows, profiles.T, strict=True)], axis=0)  # (S, N)
    high = np.min([ends[:, b] for ends, b in zip(highs, profiles.T, strict=True)], axis=0)
    paid = rl[:, :, profiles] @ w  # (S, 2, N)
    gain = [np.where(low <= high, paid[:, 0] + end * (paid[:, 1] - paid[:, 0]), -np.inf) for end in (low, high)]
    share = np.clip(np.concatenate([low, high], axis=1), 0.0, 1.0)
    return _optimum(_mixture(P, share), np.concatenate(gain, axis=1), g)


def _candidates(rf: Array, *, ends: bool = True) -> Array:
    """Return the shares (S, C) at which some type is indifferent between two answers, and 0 and 1."""
    first, second = np.triu_indices(rf.shape[3], 1)
    gap = rf[..., first] - rf[..., second]  # (K, S, 2, pairs)
    share = gap[:, :, 0] / (gap[:, :, 0] - gap[:, :, 1])
    share = np.moveaxis(np.where((share >= 0) & (share <= 1), share, 0.0), 1, 0).reshape(rf.shape[1], -1)
    pure = np.tile([0.0, 1.0], (rf.shape[1], 1))
    return np.concatenate([pure, share], axis=1) if ends else pure


def _tied(rf: Array, share: Array, width: float | None = None) -> NDArray[np.bool_]:
    """Return which answers are best for each type at each share, shape (K, S, C, F)."""
    wanted = np.stack([_mixture(table, share) for table in rf])
    allowed = ROUNDING * np.abs(rf).max(axis=(1, 2, 3))[:, None, None, None] if width is None else width
    result: NDArray[np.bool_] = wanted >= wanted.max(axis=3, keepdims=True) - allowed
    return result


def _answered(rl: Array, tied: NDArray[np.bool_], w: Array, share: Array, ties: str = "for") -> Array:
    """Return what the leader is paid today at each share, (S, C), ties broken "for" or "against" it, or the "first"."""
    paid = np.broadcast_to(_mixture(rl, share), tied.shape)
    if ties == "first":
        kept = np.take_along_axis(paid, tied.argmax(axis=3)[..., None], axis=3)[..., 0]
    else:
        kept = np.where(tied, paid, -np.inf).max(axis=3)
        kept = np.where(tied, paid, np.inf).min(axis=3) if ties == "against" else kept
    result: Array = np.einsum("k,ksc->sc", w, kept)
    return result


def _commitment_with(
    P: Array,
    rl: Array,
    rf: Array,
    w: Array,
    g: float,
    *,
    pure: bool = False,
    ties: str = "for",
    width: float | None = None,
    swapped: bool = False,
    myopic: bool = False,
    later: float | None = None,
) -> Array:
    """Follow the taught way with one thing changed."""
    share = _candidates(rf, ends=not pure)
    paid = _answered(rl, _tied(rf, share, width), w, share, ties)
    kernel = _mixture(P, 1 - share if swapped else share)
    if myopic:
        here = np.arange(len(rl)), paid.argmax(axis=1)
        return _worth(kernel[here], paid[here], g)
    return _optimum(kernel, paid, g if later is None else later)


def _mean_type(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
    return _commitment_with(P, rl, np.einsum("k,ksab->sab", w, rf)[None], np.ones(1), g)


def _mean_type_in_truth(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
    """Plan for the mean follower, and count what the true types then do."""
    mean = np.einsum("k,ksab->sab", w, rf)[None]
    share = _candidates(mean)
    planned = _answered(rl, _tied(mean, share), np.ones(1), share)
    value = _optimum(_mixture(P, share), planned, g)
    best = (planned + g * _mixture(P, share) @ value).argmax(axis=1)[:, None]
    chosen = np.take_along_axis(share, best, axis=1)
    paid = _answered(rl, _tied(rf, chosen), w, chosen)
    return _worth(_mixture(P, chosen)[:, 0], paid[:, 0], g)


def _likeliest_type(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
    return _commitment(P, rl, rf[[w.argmax()]], np.ones(1), g)


def _told_apart(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
    """Let the leader announce a row for each type that comes."""
    share, states, value = _candidates(rf), np.arange(len(rl))[:, None], np.zeros(len(rl))
    kernel = _mixture(P, share)
    paid = np.stack([_answered(rl, _tied(table[None], share), np.ones(1), share) for table in rf])
    for _ in range(50):  # of policy iteration
        best = (paid + g * kernel @ value).argmax(axis=2)  # (K, S)
        gain = np.take_along_axis(paid, best[:, :, None], axis=2)[:, :, 0]
        before, value = value, _worth(np.einsum("k,skt->st", w, kernel[states, best.T]), w @ gain, g)
        if np.abs(value - before).max() <= 1e-13 * np.abs(value).max():
            break
    return value


def _one_game_each(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
    values = [_commitment(P, rl, table[None], np.ones(1), g) for table in rf]
    result: Array = w @ np.array(values)
    return result


def _of_all_answers(which: str) -> Callable[..., Array]:
    """Return the mistake of followers who play whatever is best, or worst, for the leader."""

    def compute(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
        if which == "best":
            return _optimum(P, rl.max(axis=2), g)
        share = _candidates(np.concatenate([rl[None], rf]))
        everything = np.ones((len(w), *share.shape, rl.shape[2]), dtype=np.bool_)
        return _optimum(_mixture(P, share), _answered(rl, everything, w, share, "against"), g)

    return compute


def _unchecked_ties(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
    """Take the better of two answers where a type is indifferent between them, although a third may be best."""
    n_types, _, _, n_actions = rf.shape
    share = _candidates(rf)
    tied = _tied(rf, share)
    pairs = list(zip(*np.triu_indices(n_actions, 1), strict=True))
    for k in range(n_types):
        for n, pair in enumerate(pairs):
            column = 2 + k * len(pairs) + n
            tied[k, share[:, column] > 0, column] |= np.isin(np.arange(n_actions), pair)
    return _optimum(_mixture(P, share), _answered(rl, tied, w, share), g)


def _on_a_grid(P: Array, rl: Array, rf: Array, w: Array, g: float) -> Array:
    """Try 1,001 shares in each state, which are near all ties and on none of them."""
    share = np.tile(np.linspace(0.0, 1.0, 1001), (len(rl), 1))
    return _optimum(_mixture(P, share), _answered(rl, _tied(rf, share), w, share), g)


def _nearly(found: Array, P: Array, rl: Array, rf: Array, w: Array, g: float) -> bool:
    """Tell whether the leader gets less than the best, but hardly less than with all ties broken against it."""
    worst, best = _commitment_with(P, rl, rf, w, g, ties="against"), _commitment(P, rl, rf, w, g)
    size = np.abs(best).max()
    return bool((worst - 0.02 * size <= found).all() and (found <= best + 1e-6 * size).all())


def _absolute(width: float) -> Mistake:
    return Mistake(
        "Your followers' ties depend on the unit in which their rewards are counted.",
        lambda *given: _commitment_with(*given, width=width),
    )


def _relative_to_all(width: float) -> Mistake:
    return Mistake(
        "Your ties are as wide for a type with small rewards as for one with large ones.",
        lambda *given: _commitment_with(*given, width=width * np.abs(given[2]).max()),
    )


def _is_clear(P: Array, rl: Array, rf: Array, w: Array, g: float) -> bool:
    """Tell whether what is not tied is far from it, and the usual mistakes far from the result."""
    share = _candidates(rf)
    wanted = np.stack([_mixture(table, share) for table in rf])
    short = wanted.max(axis=3, keepdims=True) - wanted
    sizes = np.abs(rf).max(axis=(1, 2, 3))[:, None, None, None]
    if (short / sizes)[~_tied(rf, share)].min() <= 1e-3:
        return False
    best = _commitment(P, rl, rf, w, g)
    others: list[Callable[..., Array]] = [
        partial(_commitment_with, pure=True),
        partial(_commitment_with, ties="against"),
    ]
    others += [partial(_commitment_with, myopic=True)]
    others += [_likeliest_type, _mean_type, _told_apart] if len(w) > 1 else []
    return all(np.abs(other(P, rl, rf, w, g) - best).max() > 1e-3 * np.abs(best).max() for other in others)


def _draw_commitment(rng: np.random.Generator) -> Iterator[Instance]:
    def drawn(n_states: int, n_actions: int, n_types: int, g: float) -> tuple[Array, Array, Array, Array, float]:
        while True:
            P, rl = _garnet(rng, n_states, 2), rng.normal(size=(n_states, 2, n_actions))
            rf = rng.normal(size=(n_types, n_states, 2, n_actions))
            w = rng.dirichlet(3 * np.ones(n_types))
            if _is_clear(P, rl, rf, w, g):
                return P, rl, rf, w, g

    yield Instance("two types and three answers", drawn(4, 3, 2, 0.9))
    yield Instance("three types and two answers", drawn(5, 2, 3, 0.6))
    yield Instance("a single type", drawn(4, 4, 1, 0.95))
    P, rl, rf, w, g = drawn(4, 3, 2, 0.8)
    sizes = np.array([1.0, 1e6])[:, None, None, None]
    yield Instance("types whose rewards differ in size by 1e6", (P, rl, sizes * rf, w, g))
    P, rl, rf, w, g = drawn(4, 3, 2, 0.9)
    yield Instance("followers' rewards of size 1e-9", (P, 1e3 * rl, 1e-9 * rf, w, g))
    # Answer 0 is best under action 0 alone, and only as good as another one; the leader would like it.
    P, rl, rf, w, g = drawn(4, 3, 2, 0.9)
    rf[:, :, 0, 0] = rf[:, :, 0].max(axis=2)
    rf[:, :, 1, 0] = rf[:, :, 1].min(axis=2) - 1.0
    rl[:, 0, 0] += 4.0
    yield Instance("an answer that is best at one end only", (P, rl, rf, w, g))


commitment_value = Task(
    _commitment,
    _draw_commitment,
    (
        Mistake("Your leader plays against the mean of all types, a follower that does not exist.", _mean_type),
        Mistake(
            "Your leader commits as if all followers were the mean of the types; the true ones answer otherwise.",
            _mean_type_in_truth,
        ),
        Mistake("Your leader prepares for the likeliest type only.", _likeliest_type),
        Mistake(
            "Your leader knows which type comes; it has to announce one row for all of them.",
            _told_apart,
        ),
        Mistake("Your leader plays a game of its own with each type, and adds up.", _one_game_each),
        Mistake(
            "Your types are equally frequent.",
            lambda P, rl, rf, w, g: _commitment(P, rl, rf, np.full(len(w), 1 / len(w)), g),
        ),
        Mistake(
            "Your leader commits to single actions only; it may mix.",
            lambda *given: _commitment_with(*given, pure=True),
        ),
        Mistake(
            "Your followers break ties against the leader.", lambda *given: _commitment_with(*given, ties="against")
        ),
        Mistake(
            "Your followers take the first of equally good answers.",
            lambda *given: _commitment_with(*given, ties="first"),
        ),
        Mistake(
            "Your followers answer with what is best for the leader, whatever it is worth to them.",
            _of_all_answers("best"),
        ),
        Mistake("Your followers answer with what is worst for the leader.", _of_all_answers("worst")),
        Mistake(
            "Your followers may choose between two answers of equal worth, even where a third is worth more to them.",
            _unchecked_ties,
        ),
        Mistake(
            "Your leader takes in each state what pays best today.",
            lambda *given: _commitment_with(*given, myopic=True),
        ),
        Mistake("Your values count today only.", lambda *given: _commitment_with(*given, later=0.0)),
        Mistake("Your values are averages per step.", lambda *given: (1 - given[4]) * _commitment(*given)),
        Mistake(
            "Your rewards and your kernel take x(1|s) for the probability of different actions.",
            lambda *given: _commitment_with(*given, swapped=True),
        ),
        *(_absolute(width) for width in (1e-6, 1e-8, 1e-9)),
        *(_relative_to_all(width) for width in (1e-5, 1e-6)),
        Mistake(
            "Your leader does not get all that ties offer: it has to stand exactly on them, and to be answered as it"
            " likes best, also where rounding hides the tie.",
            _on_a_grid,
            _nearly,
        ),
    ),
)


# Task 2: the best commitment in a lottery. Arguments: P (S, L, S), r_l (S, L, F), μ (S, L, F), γ, ρ.

DUST = 1e-8  # of a state's weight: what an answer weighs less is a solver's dust


def _options(P: Array, rl: Array, joint: Array, width: float | None = DUST) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return for each state and answer where its row leads (S, F, S), what it pays (S, F), and whether it is asked."""
    weight = joint.sum(axis=1)
    asked = weight > 0 if width is None else weight > width * weight.sum(axis=1, keepdims=True)
    rows = np.where(asked[:, None], joint, 0.0) / np.where(asked, weight, 1.0)[:, None]
    return np.einsum("sab,sat->sbt", rows, P), np.einsum("sab,sab->sb", rows, rl), asked


def _best_choice(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
    """Try every choice of one asked answer in each state."""
    kernel, gain, asked = _options(P, rl, joint)
    chosen = np.array(list(product(*(np.flatnonzero(row) for row in asked))))
    states = np.arange(len(rho))
    return float((_worth(kernel[states, chosen], gain[states, chosen], g) @ rho).max())


def _lottery(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> Array:
    """Return the values of the lottery: in each state an answer is drawn, and its row played."""
    kernel, gain, asked = _options(P, rl, joint)
    odds = np.where(asked, joint.sum(axis=1), 0.0)
    odds = odds / odds.sum(axis=1, keepdims=True)
    return _worth(np.einsum("sb,sbt->st", odds, kernel), (odds * gain).sum(axis=1), g)


def _choosing(
    score: Callable[..., Array], *, width: float | None = DUST, divided: bool = True, sharp: bool = False
) -> Callable[..., float]:
    """Return the mistake of choosing answers by a score (S, F) of kernel, gain, joint and the lottery's values."""

    def compute(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
        kernel, gain, asked = _options(P, rl, joint, width)
        found = score(kernel, gain, joint, g * kernel @ _lottery(P, rl, joint, g, rho))
        states, b = np.arange(len(rho)), np.where(asked, found, -np.inf).argmax(axis=1)
        rows = joint[states, :, b]
        if sharp:
            rows = np.eye(joint.shape[1])[rows.argmax(axis=1)]
        rows = rows / (rows.sum(axis=1) if divided else joint.sum(axis=(1, 2)))[:, None]
        moves = np.einsum("sa,sat->st", rows, P)
        return float(rho @ _worth(moves, (rows * rl[states, :, b]).sum(axis=1), g))

    return compute


def _best_of(width: float | None = DUST, *, later: float | None = None) -> Callable[..., float]:
    """Return the taught way with another idea of what is asked, or of what comes later."""

    def compute(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
        kernel, gain, asked = _options(P, rl, joint, width)
        value = _optimum(kernel, np.where(asked, gain, -np.inf), g if later is None else later)
        return float(rho @ value)

    return compute


def _averaged(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
    """Draw the leader's action and the answer independently, each with its share of the lottery."""
    whole = joint.sum(axis=(1, 2))[:, None]
    x, y = joint.sum(axis=2) / whole, joint.sum(axis=1) / whole
    return float(rho @ _worth(np.einsum("sa,sat->st", x, P), np.einsum("sa,sb,sab->s", x, y, rl), g))


def _averaged_best(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
    """Average the rows, and let the follower give whichever asked answer the leader likes best."""
    _, _, asked = _options(P, rl, joint)
    x = joint.sum(axis=2) / joint.sum(axis=(1, 2))[:, None]
    gain = np.where(asked, np.einsum("sa,sab->sb", x, rl), -np.inf).max(axis=1)
    return float(rho @ _worth(np.einsum("sa,sat->st", x, P), gain, g))


def _same_answer(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
    kernel, gain, asked = _options(P, rl, joint)
    return float(max(rho @ _worth(kernel[:, b], gain[:, b], g) for b in np.flatnonzero(asked.all(axis=0))))


def _one_step_value(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
    kernel, gain, asked = _options(P, rl, joint)
    ahead = gain + g * kernel @ _lottery(P, rl, joint, g, rho)
    return float(rho @ np.where(asked, ahead, -np.inf).max(axis=1))


def _mixed_up(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
    """Combine the row of one asked answer with any other answer that is asked in that state."""
    kernel, _, asked = _options(P, rl, joint)
    rows = np.where(asked[:, None], joint, 0.0) / np.where(asked, joint.sum(axis=1), 1.0)[:, None]
    paid = np.where(asked[:, None], np.einsum("sab,sac->sbc", rows, rl), -np.inf).max(axis=2)
    return float(rho @ _optimum(kernel, np.where(asked, paid, -np.inf), g))


def _unnormalised_best(P: Array, rl: Array, joint: Array, g: float, rho: Array) -> float:
    """Divide every row by the weight of its state, and choose the best."""
    kernel, gain, asked = _options(P, rl, joint)
    odds = joint.sum(axis=1) / joint.sum(axis=(1, 2))[:, None]
    return float(rho @ _optimum(odds[:, :, None] * kernel, np.where(asked, odds * gain, -np.inf), g))


def _draw_lottery(rng: np.random.Generator) -> Iterator[Instance]:
    def mixed(P: Array, rows: Array, odds: Array, g: float, rho: Array) -> Array:
        """Return the occupancies μ of a lottery; rows (S, L, F), odds (S, F)."""
        moves = np.einsum("sb,sab,sat->st", odds, rows, P)
        visits = np.linalg.solve((np.eye(len(rho)) - g * moves).T, rho)
        result: Array = visits[:, None, None] * odds[:, None] * rows
        return result

    def drawn(
        n_states: int, n_leader: int, n_follower: int, g: float, asked: int, *, everywhere: bool = False
    ) -> tuple[Array, Array, Array, float, Array]:
        while True:
            P, rl = _garnet(rng, n_states, n_leader), rng.normal(size=(n_states, n_leader, n_follower))
            rho = rng.dirichlet(np.ones(n_states))
            rows = np.moveaxis(rng.dirichlet(0.5 * np.ones(n_leader), size=(n_states, n_follower)), 2, 1)
            ranks = rng.random((n_states, n_follower)).argsort(axis=1).argsort(axis=1)
            ranks = ranks if not everywhere else np.tile(np.arange(n_follower), (n_states, 1))
            odds = np.where(ranks < asked, rng.uniform(0.2, 1.0, (n_states, n_follower)), 0.0)
            joint = mixed(P, rows, odds / odds.sum(axis=1, keepdims=True), g, rho)
            given = (P, rl, joint, g, rho)
            best = _best_choice(*given)
            others = (_BY_ONE_STEP, _BY_PAY, _BY_WEIGHT, _BY_ENTRY, _averaged_best)
            if abs(best) > 0.5 and all(abs(best - other(*given)) > 0.005 * abs(best) for other in others):
                return given

    yield Instance("three of four answers asked in each state", drawn(5, 3, 4, 0.9, 3))
    yield Instance("two of three answers asked in each state", drawn(6, 3, 3, 0.8, 2))
    yield Instance("the same answers asked everywhere", drawn(4, 4, 3, 0.95, 3, everywhere=True))
    P, rl, joint, g, rho = drawn(5, 3, 4, 0.9, 2)
    weight = joint.sum(axis=1)
    # What is not asked is not quite 0, but a solver's dust, whose rows mean nothing and which would pay well.
    dust = np.where(weight > 0, 0.0, 1e-12 * np.array([1.0, 1.0, -1.0, 1.0]) * weight.sum(axis=1, keepdims=True))
    rows = np.moveaxis(rng.dirichlet(np.ones(3), size=(5, 4)), 2, 1)
    rl = np.where(weight[:, None] > 0, rl, rl + 3.0)
    yield Instance("a solver's dust", (P, rl, joint + dust[:, None] * rows, g, rho))
    yield Instance("a state that is hardly ever visited", _hidden_treasure(rng, mixed))


def _hidden_treasure(rng: np.random.Generator, mixed: Callable[..., Array]) -> tuple[Array, Array, Array, float, Array]:
    """Draw a lottery that asks in three of ten million steps for the row that leads to the best state."""
    P, rl = np.zeros((4, 2, 4)), rng.uniform(0.0, 1.0, (4, 2, 3))
    P[:3, 0, :3] = rng.dirichlet(np.ones(3), size=3)
    P[:3, 1] = np.eye(4)[3]
    P[3] = np.eye(4)[3], np.append(rng.dirichlet(np.ones(3)), 0.0)
    rl[3] = rng.uniform(3.0, 4.0, (2, 3))
    rows = np.stack([[0.99, 0.01], [0.5, 0.5], [0.9, 0.1]], axis=1) + np.zeros((4, 1, 1))
    rows[:3, :, 0] = [1.0, 0.0]
    rows[:3, :, 2] = [1.0, 0.0]
    odds = np.tile([0.6, 3e-7, 0.4 - 3e-7], (4, 1))
    rho = np.append(rng.dirichlet(np.ones(3)), 0.0)
    return P, rl, mixed(P, rows, odds, 0.9, rho), 0.9, rho


_BY_WEIGHT = _choosing(lambda kernel, gain, joint, later: joint.sum(axis=1))
_BY_ENTRY = _choosing(lambda kernel, gain, joint, later: joint.max(axis=1))
_BY_PAY = _choosing(lambda kernel, gain, joint, later: gain)
_BY_ONE_STEP = _choosing(lambda kernel, gain, joint, later: gain + later)

best_of_lottery = Task(
    _best_choice,
    _draw_lottery,
    (
        Mistake(
            "Your number is what the lottery itself earns; nothing has been chosen from it.",
            lambda P, rl, joint, g, rho: float((joint * rl).sum()),
        ),
        Mistake(
            "Your leader and follower draw independently of each other; a row belongs to the answer that it is for.",
            _averaged,
        ),
        Mistake(
            "Your leader averages its rows over the answers, and then nobody knows what the follower does.",
            _averaged_best,
        ),
        Mistake(
            "Your choice is the answer of largest weight, which is as good as any if the lottery is optimal, but this"
            " one is not.",
            _BY_WEIGHT,
        ),
        Mistake("Your choice is where the largest single entry stands.", _BY_ENTRY),
        Mistake("Your choice is what pays most today.", _BY_PAY),
        Mistake(
            "Your choice is where most of today's reward comes from; what is seldom asked may be better.",
            _choosing(lambda kernel, gain, joint, later: joint.sum(axis=1) * gain),
        ),
        Mistake(
            "Your choice looks ahead with the lottery's values only; what is chosen in one state changes what is good"
            " in others.",
            _BY_ONE_STEP,
        ),
        Mistake("Your number is one step better than the lottery, but no choice earns it.", _one_step_value),
        Mistake("Your choice is the same answer in all states.", _same_answer),
        Mistake(
            "Your leader plays the likeliest action of the row that it chose; then the answer need not be a best one.",
            _choosing(lambda kernel, gain, joint, later: joint.sum(axis=1), sharp=True),
        ),
        Mistake(
            "Your rows do not sum to 1.",
            _choosing(lambda kernel, gain, joint, later: joint.sum(axis=1), divided=False),
        ),
        Mistake(
            "Your rows do not sum to 1.",
            lambda *given: _unnormalised_best(*given),
        ),
        Mistake(
            "Your leader asks for answers that are a solver's dust, and believes the rows that stand there.",
            _best_of(None),
        ),
        Mistake(
            "Your follower gives any answer that is asked in the state, whichever row the leader plays.",
            _mixed_up,
        ),
        *(
            Mistake("Your leader passes over answers that are seldom asked, but are no dust.", _best_of(width))
            for width in (1e-2, 1e-3, 1e-4, 1e-6)
        ),
        Mistake("Your values count today only.", _best_of(later=0.0)),
        Mistake("Your number is an average per step.", lambda *given: (1 - given[3]) * _best_choice(*given)),
        Mistake(
            "Your number does not start where the game starts.",
            lambda P, rl, joint, g, rho: _best_choice(P, rl, joint, g, np.full(len(rho), 1 / len(rho))),
        ),
    ),
    not_finite="The result is NaN or infinite (is every state left with an answer, and no weight of 0 divided by?)",
)


# Task 3: a bound from prices. Arguments: P (S, L, S), r_l and r_f (S, L, F), λ (S, F, F), γ, ρ.


def _gains(rf: Array) -> Array:
    """Return what b gains the follower on b′, shape (S, L, F, F)."""
    result: Array = rf[:, :, :, None] - rf[:, :, None]
    return result


def _best_pairs(P: Array, gain: Array, g: float) -> tuple[Array, Array, Array]:
    """Return the optimal values, and the leader's action and the answer that attain them in each state."""
    kernel = np.repeat(P, gain.shape[2], axis=1)
    flat = gain.reshape(len(gain), -1)
    value = _optimum(kernel, flat, g)
    a, b = np.divmod((flat + g * kernel @ value).argmax(axis=1), gain.shape[2])
    return value, a, b


def _bound(P: Array, rl: Array, rf: Array, prices: Array, g: float, rho: Array) -> Array:
    """Plan with the prices; then, at the pair that is best, differentiate the value by complex steps in each price."""
    gain = _gains(rf)
    paid = rl + np.einsum("sbc,sabc->sab", prices, gain)
    value, a, b = _best_pairs(P, paid, g)
    states = np.arange(len(rho))
    moved = prices.ravel() + 1e-30j * np.eye(prices.size)
    moved = moved.reshape(-1, *prices.shape)[:, states, b]  # (S F F, S, F)
    dearer = rl[states, a, b] + (moved * gain[states, a, b]).sum(axis=2)
    return np.append(rho @ value, _worth(P[states, a], dearer, g).imag @ rho / 1e-30)


def _bound_with(
    P: Array,
    rl: Array,
    rf: Array,
    prices: Array,
    g: float,
    rho: Array,
    *,
    paid: Callable[[Array, Array], Array] | None = None,
    pure: bool = False,
    at: str = "priced",
    visits: str = "occupancy",
    sign: float = 1.0,
    turned: bool = False,
    later: float | None = None,
    bound: Callable[[Array], float] | None = None,
    start: Array | None = None,
) -> Array:
    """Follow the taught way with one thing changed; `paid` gets the prices (S, 1, F, F) and the gains."""
    gain, states = _gains(rf), np.arange(len(rho))
    start = rho if start is None else start
    extra = (lambda lam, d: (lam * d).sum(axis=3)) if paid is None else paid
    priced = rl + extra(prices[:, None], gain)
    if pure:
        priced = np.where(np.arange(rl.shape[2]) == rf.argmax(axis=2)[:, :, None], priced, -np.inf)
    value, a, b = _best_pairs(P, priced, g if later is None else later)
    first = float(start @ value) if bound is None else bound(value)
    if at == "cooperative":
        _, a, b = _best_pairs(P, rl, g)
    elif at == "answered":
        b = rf[states, a].argmax(axis=1)
    system = np.eye(len(rho)) - g * P[states, a]
    weights = {
        "occupancy": start @ np.linalg.inv(system),
        "start": start,
        "per step": (1 - g) * start @ np.linalg.inv(system),
        "backwards": np.linalg.solve(system, start),
        "once": np.ones_like(rho),
    }[visits]
    slope = np.zeros(prices.shape)
    slope[states, b] = weights[:, None] * gain[states, a, b]
    return np.append(first, sign * (np.swapaxes(slope, 1, 2) if turned else slope))


def _scaled_first(found: Array, factor: float) -> Array:
    return np.append(factor * found[0], found[1:])


def _times_prices(P: Array, rl: Array, rf: Array, prices: Array, g: float, rho: Array) -> Array:
    found = _bound(P, rl, rf, prices, g, rho)
    return np.append(found[0], found[1:] * prices.ravel())


def _free(prices: Array, gain: Array) -> Array:
    return np.zeros(gain.shape[:3])


def _punished(prices: Array, gain: Array) -> Array:
    result: Array = -(prices * gain).sum(axis=3)
    return result


def _most_tempting(prices: Array, gain: Array) -> Array:
    result: Array = (prices * gain).min(axis=3)
    return result


def _turned(prices: Array, gain: Array) -> Array:
    result: Array = (np.swapaxes(prices, 2, 3) * gain).sum(axis=3)
    return result


def _mean_price(prices: Array, gain: Array) -> Array:
    result: Array = (prices * gain).mean(axis=3)
    return result


def _draw_bound(rng: np.random.Generator) -> Iterator[Instance]:
    def drawn(
        n_states: int, n_leader: int, n_follower: int, g: float, size: float, *, sparse: float = 0.5
    ) -> tuple[Array, Array, Array, Array, float, Array]:
        while True:
            P, (rl, rf) = _garnet(rng, n_states, n_leader), rng.normal(size=(2, n_states, n_leader, n_follower))
            prices = rng.exponential(size, (n_states, n_follower, n_follower))
            prices *= rng.random(prices.shape) < sparse
            given = (P, rl, rf, prices, g, rng.dirichlet(np.ones(n_states)))
            best = _bound(*given)
            changes = [
                _bound_with(*given, paid=paid) for paid in (_free, _punished, _most_tempting, _turned, _mean_price)
            ]
            apart = min(abs(other[0] - best[0]) for other in changes) > 0.01 * abs(best[0])
            if apart and abs(best[0]) > 0.5 and _by_a_margin(*given):
                return given

    yield Instance("three answers, γ = 0.9", drawn(4, 3, 3, 0.9, 0.5))
    yield Instance("four answers, γ = 0.6", drawn(5, 2, 4, 0.6, 1.0))
    yield Instance("high prices", drawn(4, 3, 3, 0.9, 20.0))
    P, rl, rf, prices, g, rho = drawn(5, 3, 3, 0.95, 0.5)
    yield Instance("leader's rewards of size 1e3", (P, 1e3 * rl, rf, 1e3 * prices, g, rho))
    P, rl, rf, prices, g, rho = drawn(4, 4, 2, 0.8, 0.5, sparse=1.0)
    yield Instance("a single start state", (P, rl, rf, prices, g, np.eye(4)[rng.integers(4)]))


def _by_a_margin(P: Array, rl: Array, rf: Array, prices: Array, g: float, rho: Array) -> bool:
    """Tell whether the best pair of each state is much better than the next, so that there is a slope."""
    priced = rl + np.einsum("sbc,sabc->sab", prices, _gains(rf))
    value, _, _ = _best_pairs(P, priced, g)
    ahead = np.sort((priced + g * (P @ value)[:, :, None]).reshape(len(rho), -1), axis=1)
    return bool((ahead[:, -1] - ahead[:, -2]).min() > 1e-3)


bound_from_prices = Task(
    _bound,
    _draw_bound,
    (
        Mistake(
            "Your bound is free of charge: it lets the follower do what the leader likes best.",
            lambda *given: _bound_with(*given, paid=_free),
        ),
        Mistake(
            "Your bound rewards answers that the follower does not like.",
            lambda *given: _bound_with(*given, paid=_punished, sign=-1.0),
        ),
        Mistake(
            "Your bound rewards answers that the follower does not like.",
            lambda *given: _bound_with(*given, paid=_punished),
        ),
        Mistake(
            "Your bound charges the price of (b, b′) when b′ is played, not when b is.",
            lambda *given: _bound_with(*given, paid=_turned),
        ),
        Mistake(
            "Your bound charges the price of (b, b′) when b′ is played, not when b is.",
            lambda *given: _bound_with(*given, paid=_turned, turned=True),
        ),
        Mistake(
            "Your bound charges an answer for one other answer only, the most tempting one; each has its price.",
            lambda *given: _bound_with(*given, paid=_most_tempting),
        ),
        Mistake(
            "Your bound takes the mean over the other answers; each has its own price, and they add up.",
            lambda *given: _bound_with(*given, paid=_mean_price),
        ),
        Mistake(
            "Your bound holds only for a leader who commits to single actions.",
            lambda *given: _bound_with(*given, pure=True),
        ),
        Mistake(
            "Your bound holds only for a leader who commits to single actions.",
            lambda *given: _bound_with(*given, pure=True, paid=_free),
        ),
        Mistake("Your bound counts today only.", lambda *given: _bound_with(*given, later=0.0)),
        Mistake(
            "Your bound is an average per step.",
            lambda *given: _scaled_first(_bound(*given), 1 - given[4]),
        ),
        Mistake(
            "Your bound and slopes are averages per step.",
            lambda *given: (1 - given[4]) * _bound(*given),
        ),
        Mistake(
            "Your bound is that of the best state; the game starts elsewhere too.",
            lambda *given: _bound_with(*given, bound=lambda value: float(value.max())),
        ),
        Mistake(
            "Your result does not start where the game starts.",
            lambda *given: _bound_with(*given, start=np.full(len(given[5]), 1 / len(given[5]))),
        ),
        Mistake("Your slopes have the wrong sign.", lambda *given: _bound_with(*given, sign=-1.0)),
        Mistake(
            "Your slopes stand in the column of the answer that is played, not in its row.",
            lambda *given: _bound_with(*given, turned=True),
        ),
        Mistake(
            "Your slopes weight the states by where one starts, not by where the pair goes.",
            lambda *given: _bound_with(*given, visits="start"),
        ),
        Mistake("Your slopes count every state once.", lambda *given: _bound_with(*given, visits="once")),
        Mistake(
            "Your slopes are averages per step: the visits of your occupancy sum to 1.",
            lambda *given: _bound_with(*given, visits="per step"),
        ),
        Mistake(
            "Your visits flow backwards: look at which index of P is the state one comes from.",
            lambda *given: _bound_with(*given, visits="backwards"),
        ),
        Mistake(
            "Your slopes are those of the pair that would be best without prices.",
            lambda *given: _bound_with(*given, at="cooperative"),
        ),
        Mistake(
            "Your slopes let the follower answer with what is best for it; the bound is attained by another answer.",
            lambda *given: _bound_with(*given, at="answered"),
        ),
        Mistake(
            "Your slopes are those of the whole charge; one for each single price is asked.",
            lambda *given: _times_prices(*given),
        ),
    ),
)
