"""Problem set 11: the gradient that pairs drawn on policy have, a baseline for answers that meet, hidden rewards.

Each `Task` is called with the student's function, and with a seed for other instances.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import combinations, permutations, product

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, expit, log_expit, softmax

from ..simplex import random_policy
from ..typing import Array
from . import Instance, Mistake, Task

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Task 1: pairs of different answers. Arguments: ρ, y, r, r_x, ε.


def _pair_gradient(rho: Array, y: Array, true: Array, learnt: Array, noise: float) -> Array:
    """Sum over all pairs, one by one, and differentiate by complex steps in the logits."""
    n_states, n_actions = y.shape
    result = np.zeros((n_states, n_actions + 1))
    steps = np.log(y)[:, None] + 1e-30j * np.vstack([np.zeros(n_actions), np.eye(n_actions)])
    turned = softmax(steps, axis=-1)  # (S, A + 1, A)
    for s in range(n_states):
        loss, chance = np.zeros((2, n_actions + 1), dtype=complex)
        for a, b in permutations(range(n_actions), 2):
            first = (1 - noise) * expit(true[s, a] - true[s, b]) + noise / 2
            ahead = learnt[s, a] - learnt[s, b]
            both = turned[s, :, a] * turned[s, :, b]
            loss += both * (-first * log_expit(ahead) - (1 - first) * log_expit(-ahead))
            chance += both
        found = rho[s] * loss / chance
        result[s] = np.append(found[0].real, found[1:].imag / 1e-30)
    return result


def _pair_with(
    rho: Array,
    y: Array,
    true: Array,
    learnt: Array,
    noise: float,
    *,
    prefers: Callable[[Array], Array] | None = None,
    entropy: bool = False,
    redraw: bool = True,
    renormalise: bool = True,
    moving: bool = True,
    answers: float = 2.0,
    logits: bool = True,
    counted: bool = True,
    sign: float = 1.0,
) -> Array:
    """Follow the taught way with one thing changed; `prefers` makes label probabilities of reward differences."""
    gaps, z = (table[:, :, None] - table[:, None, :] for table in (true, learnt))
    q = (1 - noise) * expit(gaps) + noise / 2 if prefers is None else prefers(gaps)
    losses = np.logaddexp(0, z) - q * z - (entr(q) + entr(1 - q) if entropy else 0.0)
    kept = (1 - np.eye(y.shape[1])) if redraw else np.ones((y.shape[1],) * 2)
    chance = np.einsum("sa,ab,sb->s", y, kept, y) if renormalise else np.ones(len(y))
    mean = np.einsum("sa,ab,sab,sb->s", y, kept, losses, y) / chance
    level = mean[:, None, None] if moving and redraw and renormalise else 0.0
    slope = answers * np.einsum("ab,sab,sb->sa", kept, losses - level, y) / chance[:, None]
    if logits:
        slope = y * (slope - (y * slope).sum(axis=1, keepdims=True))
    weights = rho if counted else np.ones_like(rho)
    result: Array = weights[:, None] * np.column_stack([mean, sign * slope])
    return result


def _second_redrawn(rho: Array, y: Array, true: Array, learnt: Array, noise: float) -> Array:
    """Keep the first answer and draw the second one until it differs: y_a y_b / (1 − y_a)."""
    gaps, z = (table[:, :, None] - table[:, None, :] for table in (true, learnt))
    losses = np.logaddexp(0, z) - ((1 - noise) * expit(gaps) + noise / 2) * z
    kept = 1 - np.eye(y.shape[1])
    others = (y[:, None] * kept).sum(axis=2)  # 1 − y_a without cancellation
    parts = y[:, :, None] * y[:, None, :] * kept / others[:, :, None] * losses
    first = parts.sum(axis=2) / others
    slope = first + parts.sum(axis=1) - y * (first + parts.sum(axis=1)).sum(axis=1, keepdims=True)
    result: Array = rho[:, None] * np.column_stack([parts.sum(axis=(1, 2)), slope])
    return result


def _draw_pairs(rng: np.random.Generator) -> Iterator[Instance]:
    def instance(
        label: str, n_states: int, n_actions: int, noise: float, size: float = 1.0, certain: float = 0.0
    ) -> Instance:
        y = (1 - certain) * np.eye(n_actions)[rng.integers(n_actions, size=n_states)]
        y = (
            y + certain * random_policy(rng, n_states, n_actions)
            if certain
            else random_policy(rng, n_states, n_actions)
        )
        y = 0.9 * y + 0.1 / n_actions if not certain else y
        true, learnt = rng.normal(size=(2, n_states, n_actions)) * [[[1.5]], [[size]]]
        return Instance(label, (rng.dirichlet(np.ones(n_states)), y, true, learnt, noise))

    yield instance("three answers and labels without noise", 3, 3, 0.0)
    yield instance("four answers and noise", 4, 4, 0.3)
    yield instance("two answers", 3, 2, 0.1)
    yield instance("a policy that is almost certain", 3, 3, 0.2, certain=1e-4)
    yield instance("learnt rewards of size 1e3", 2, 4, 0.1, size=1e3)


pair_gradient = Task(
    _pair_gradient,
    _draw_pairs,
    (
        Mistake(
            "Your gradient counts one answer of the pair; both change with the policy.",
            lambda *given: _pair_with(*given, answers=1.0),
        ),
        Mistake(
            "Your gradient forgets that the chance of two different answers changes with the policy too.",
            lambda *given: _pair_with(*given, moving=False),
        ),
        Mistake(
            "Your pairs may consist of the same answer twice; such pairs are thrown away.",
            lambda *given: _pair_with(*given, redraw=False),
        ),
        Mistake(
            "Your pairs of the same answer cost nothing but still count; others are drawn in their place.",
            lambda *given: _pair_with(*given, renormalise=False),
        ),
        Mistake(
            "Your first answer stays and only the second is drawn anew; both are.",
            _second_redrawn,
        ),
        Mistake(
            "Your loss does not know the noise of the labels.",
            lambda *given: _pair_with(*given, prefers=expit),
        ),
        Mistake(
            "Your noise turns labels round; a coin contradicts only half of the time.",
            lambda *given: _pair_with(
                *given, prefers=lambda gaps: (1 - given[4]) * expit(gaps) + given[4] * expit(-gaps)
            ),
        ),
        Mistake(
            "Your label is 1 where the second answer is preferred.",
            lambda *given: _pair_with(*given, prefers=lambda gaps: (1 - given[4]) * expit(-gaps) + given[4] / 2),
        ),
        Mistake(
            "Your person always prefers the better answer; here even a clear preference is only probable.",
            lambda *given: _pair_with(
                *given, prefers=lambda gaps: (1 - given[4]) * np.heaviside(gaps, 0.5) + given[4] / 2
            ),
        ),
        Mistake(
            "Your loss is a divergence: it subtracts the entropy of the labels, which depends on the pair.",
            lambda *given: _pair_with(*given, entropy=True),
        ),
        Mistake(
            "Your derivative is one in the probabilities; one in the logits is asked.",
            lambda *given: _pair_with(*given, logits=False),
        ),
        Mistake(
            "Your questions all count in full; they come with the probabilities of the start.",
            lambda *given: _pair_with(*given, counted=False),
        ),
        Mistake(
            "Your questions all count alike; they come with the probabilities of the start.",
            lambda rho, *given: _pair_with(np.full_like(rho, 1 / len(rho)), *given),
        ),
        Mistake(
            "Your gradient has the wrong sign.",
            lambda *given: _pair_with(*given, sign=-1.0),
        ),
    ),
    not_finite="The result holds NaN or an infinity (an exponential out of range, or 0 times an infinity)",
)


# Task 2: a baseline for answers that meet. Arguments: s_i, answers, losses, y.


def _estimate(states: Integers, answers: Integers, losses: Array, y: Array) -> Array:
    """Take the baselines pair by pair, and differentiate weighted logarithms by complex steps in the logits."""
    n, k = answers.shape
    n_actions = y.shape[1]
    result = np.zeros((len(y), n_actions + 1))
    for s, given, loss in zip(states, answers, losses, strict=True):
        pairs = list(combinations(range(k), 2))
        result[s, 0] += np.mean([loss[pair] for pair in pairs]) / n
        logs = np.log(softmax(np.log(y[s]) + 1e-30j * np.eye(n_actions), axis=-1)).imag / 1e-30  # (logit, answer)
        for pair in pairs:
            for j in pair:
                others = [loss[other] for other in pairs if j not in other]
                result[s, 1:] += (loss[pair] - np.mean(others)) * logs[:, given[j]] / (n * len(pairs))
    return result


def _from_weights(
    states: Integers,
    answers: Integers,
    losses: Array,
    y: Array,
    weights: Array,
    *,
    score: str = "logits",
    shares: Array | None = None,
    mean: Array | None = None,
) -> Array:
    """Return the estimate whose answers' scores have these weights (n, k), for pairs whose mean is taken."""
    n, k = answers.shape
    result = np.zeros((len(y), y.shape[1] + 1))
    shares = np.full(n, 1 / n) if shares is None else shares
    scores = np.eye(y.shape[1])[answers] - (y[states][:, None] if score == "logits" else 0.0)  # (n, k, A)
    if score == "probabilities":
        scores = scores / y[states][:, None]
    slopes = 2 / (k * (k - 1)) * np.einsum("nj,nja->na", weights, scores)
    mean = losses.sum(axis=(1, 2)) / (k * (k - 1)) if mean is None else mean
    np.add.at(result, states, shares[:, None] * np.column_stack([mean, slopes]))
    return result


def _estimate_with(
    states: Integers,
    answers: Integers,
    losses: Array,
    y: Array,
    *,
    baseline: Callable[[Array], Array] | None = None,
    factor: float = 1.0,
    spread: Callable[[Array], Array] | None = None,
    score: str = "logits",
    shares: Array | None = None,
    diagonal: bool = False,
) -> Array:
    """Follow the taught way with one thing changed; `baseline` makes of losses (n, k, k) what is taken from them."""
    level = _left_out(losses) if baseline is None else baseline(losses)
    weights = factor * ((1 - np.eye(answers.shape[1])) * (losses - level)).sum(axis=2)
    if spread is not None:
        weights = weights / spread(losses)[:, None]
    mean = losses.mean(axis=(1, 2)) if diagonal else None
    return _from_weights(states, answers, losses, y, weights, score=score, shares=shares, mean=mean)


def _left_out(losses: Array) -> Array:
    """Return the mean of the pairs without the answer, (n, k, 1)."""
    k = losses.shape[1]
    left = losses.sum(axis=(1, 2), keepdims=True) - 2 * losses.sum(axis=2, keepdims=True)
    result: Array = left / ((k - 1) * (k - 2))
    return result


def _mean(losses: Array) -> Array:
    """Return the mean over the pairs of each question, (n, 1, 1)."""
    k = losses.shape[1]
    result: Array = losses.sum(axis=(1, 2), keepdims=True) / (k * (k - 1))
    return result


def _pairs_spread(losses: Array, ddof: int = 0) -> Array:
    rows, columns = np.triu_indices(losses.shape[1], 1)
    result: Array = losses[:, rows, columns].std(axis=1, ddof=ddof)
    return result


def _per_state(states: Integers, *given: Array) -> Array:
    shares = 1 / np.bincount(states)[states]
    return _estimate_with(states, *given, shares=shares)  # type: ignore[arg-type]


def _without_the_pair(losses: Array) -> Array:
    k = losses.shape[1]
    pairs = k * (k - 1) / 2
    result: Array = (pairs * _mean(losses) - losses) / (pairs - 1)
    return result


def _of_other_questions(losses: Array) -> Array:
    means = _mean(losses)
    result: Array = (means.sum() - means) / (len(means) - 1)
    return result


def _draw_answers(rng: np.random.Generator) -> Iterator[Instance]:
    def instance(label: str, n: int, k: int, n_states: int, n_actions: int) -> Instance:
        y = 0.8 * random_policy(rng, n_states, n_actions) + 0.2 / n_actions
        while True:
            states = rng.integers(n_states, size=n)
            answers = np.array([rng.choice(n_actions, size=k, p=y[s]) for s in states])
            if all(len(set(row)) > 1 for row in answers):
                break
        true, learnt = 2 * rng.normal(size=(2, n_states, n_actions))
        gaps, z = (
            table[states[:, None], answers][:, :, None] - table[states[:, None], answers][:, None]
            for table in (true, learnt)
        )
        labels = np.triu(rng.random((n, k, k)) < expit(gaps), 1)
        labels = labels + np.tril(1 - np.swapaxes(labels, 1, 2), -1)
        losses = (np.logaddexp(0, z) - labels * z) * (1 - np.eye(k))
        return Instance(label, (states, answers, losses, y))

    yield instance("six questions with four answers each", 6, 4, 2, 3)
    yield instance("twenty questions with three answers each", 20, 3, 4, 3)
    yield instance("a single question with five answers", 1, 5, 1, 3)
    yield instance("states that nobody asks about", 3, 6, 5, 4)


paired_baseline = Task(
    _estimate,
    _draw_answers,
    (
        Mistake(
            "Your estimate has no baseline.",
            lambda *given: _estimate_with(*given, baseline=np.zeros_like),
        ),
        Mistake(
            "Your baseline is the mean of all pairs of the question, also of those that hold the answer itself.",
            lambda *given: _estimate_with(*given, baseline=_mean),
        ),
        Mistake(
            "Your baseline leaves out the pair itself, but other pairs of it hold the same answer.",
            lambda *given: _estimate_with(*given, baseline=_without_the_pair),
        ),
        Mistake(
            "Your baseline is the mean over all questions, the answer's own among them.",
            lambda *given: _estimate_with(*given, baseline=lambda losses: _mean(losses).mean(keepdims=True)),
        ),
        Mistake(
            "Your baseline comes from other questions only; that is no error, but pairs of the same one are asked.",
            lambda *given: _estimate_with(*given, baseline=_of_other_questions),
        ),
        Mistake(
            "Your baseline averages over the questions, place by place: look at the axes.",
            lambda *given: _estimate_with(*given, baseline=lambda losses: losses.mean(axis=0, keepdims=True)),
        ),
        Mistake(
            "Your baseline is added to the losses.",
            lambda *given: _estimate_with(*given, baseline=lambda losses: -_left_out(losses)),
        ),
        Mistake(
            "Your weights are divided by their spread, which is random too and changes the expectation.",
            lambda *given: _estimate_with(*given, spread=_pairs_spread),
        ),
        Mistake(
            "Your weights are divided by their spread, which is random too and changes the expectation.",
            lambda *given: _estimate_with(*given, baseline=_mean, spread=_pairs_spread),
        ),
        Mistake(
            "Your gradient counts each pair half: a pair has two answers, and both have a score.",
            lambda *given: _estimate_with(*given, factor=0.5),
        ),
        Mistake(
            "Your gradient counts each pair twice.",
            lambda *given: _estimate_with(*given, factor=2.0),
        ),
        Mistake(
            "Your score is the one for probabilities; the derivative in the logits is asked.",
            lambda *given: _estimate_with(*given, score="probabilities"),
        ),
        Mistake(
            "Your questions are added up; their mean is asked.",
            lambda *given: _estimate_with(*given, shares=np.ones(len(given[0]))),
        ),
        Mistake(
            "Your mean in each state is over the questions about it; how often a state is asked about is part of f.",
            _per_state,
        ),
        Mistake(
            "Your mean loss counts an answer's pair with itself, which is none.",
            lambda *given: _estimate_with(*given, diagonal=True),
        ),
    ),
)


# Task 3: hidden rewards. Arguments: successors, terminal, T, δ, γ, whether pairs have the same end.

Vectors = list[list[Fraction]]


def _null_space(rows: Vectors, width: int) -> Vectors:
    """Return a basis of what all rows map to 0, by elimination with fractions."""
    left = [list(row) for row in {tuple(row) for row in rows}]
    reduced: dict[int, list[Fraction]] = {}
    for column in range(width):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        left = [row for row in left if row is not pivot]
        pivot = [entry / pivot[column] for entry in pivot]
        left = [[x - row[column] * p for x, p in zip(row, pivot, strict=True)] for row in left]
        reduced = {c: [x - row[column] * p for x, p in zip(row, pivot, strict=True)] for c, row in reduced.items()} | {
            column: pivot
        }
    basis = []
    for free in sorted(set(range(width)) - set(reduced)):
        vector = [Fraction(int(i == free)) for i in range(width)]
        for column, row in reduced.items():
            vector[column] = -row[free]
        basis.append(vector)
    return basis


def _hidden(successors: Integers, terminal: Flags, length: int, delta: float, gamma: float, same_end: bool) -> Array:
    """Find the rewards that no pair sees, and those among them that come from a potential, without rounding."""
    n_states, n_actions = successors.shape
    (going,) = np.nonzero(~terminal)
    unknown = {(int(s), a): i for i, (s, a) in enumerate(product(going, range(n_actions)))}
    own, later = (Fraction(number).limit_denominator(1000) for number in (delta, gamma))
    groups: dict[tuple[int, int], Vectors] = defaultdict(list)
    for start, actions in product(range(n_states), product(range(n_actions), repeat=length)):
        state, sums = start, [Fraction(0)] * len(unknown)
        for t, action in enumerate(actions):
            if (state, action) in unknown:
                sums[unknown[state, action]] += own**t
            state = int(successors[state, action])
        groups[start, state if same_end else 0].append(sums)
    pairs = [[x - y for x, y in zip(sums, group[0], strict=True)] for group in groups.values() for sums in group[1:]]
    hidden = _null_space(pairs, len(unknown))
    shapes = [
        [later * (successors[s, a] == z) - Fraction(int(s == z)) for s, a in unknown] for z in going
    ]  # of potentials that are 1 in z
    meet = [[*(u[i] for u in hidden), *(u[i] for u in shapes)] for i in range(len(unknown))]
    return np.array([len(hidden), len(hidden) - len(_null_space(meet, len(hidden) + len(shapes)))])


def _hidden_with(
    successors: Integers,
    terminal: Flags,
    length: int,
    delta: float,
    gamma: float,
    same_end: bool,
    *,
    potential: float | None = None,
    free_end: bool = False,
    all_unknown: bool = False,
    across: bool = False,
    last_seen: bool = False,
    numbers: Callable[[int, int, int, int], tuple[int, int]] | None = None,
    constants: bool = False,
) -> Array:
    """Follow the taught way with one thing changed; `numbers` gets unknowns, hidden, harmless and all potentials."""
    n_states, n_actions = successors.shape
    known = np.zeros(n_states, dtype=bool) if all_unknown else terminal
    groups: dict[tuple[int, int], list[Array]] = defaultdict(list)
    for start, actions in product(range(n_states), product(range(n_actions), repeat=length)):
        state, last, sums = start, start, np.zeros(successors.shape)
        for t, action in enumerate(actions):
            sums[state, action] += delta**t * (not known[state])
            last, state = state, int(successors[state, action])
        end = (last if last_seen else state) if same_end else 0
        groups[0 if across else start, end].append(sums.ravel())
    differences = np.array([sums - group[0] for group in groups.values() for sums in group])
    later = gamma if potential is None else potential
    one = np.eye(n_states)[np.full(n_states, True) if free_end or all_unknown else ~terminal]
    shapes = np.where(known[:, None], 0.0, later * one[:, successors] - one[:, :, None]).reshape(len(one), -1)
    if constants:
        shapes = np.repeat(~known, n_actions)[None].astype(float)
    unknown = n_actions * int((~known).sum())
    hidden = unknown - _rank(differences)
    independent = _rank(shapes)
    harmless = independent - _rank(differences @ shapes.T)
    return np.array((hidden, hidden - harmless) if numbers is None else numbers(unknown, hidden, harmless, independent))


def _rank(matrix: Array) -> int:
    return int(np.linalg.matrix_rank(matrix, tol=1e-9))


HIDDEN_MISTAKES = (
    Mistake(
        "Your first number is how much the pairs tell; asked is how much they hide.",
        lambda *given: _hidden_with(
            *given, numbers=lambda all_, hidden, harmless, _: (all_ - hidden, hidden - harmless)
        ),
    ),
    Mistake(
        "Your sums are plain; later steps of a segment are discounted.",
        lambda succ, over, length, delta, *rest: _hidden_with(succ, over, length, 1.0, *rest),
    ),
    Mistake(
        "Your sums are discounted as the return is; the person has a discount of her own.",
        lambda succ, over, length, delta, gamma, end: _hidden_with(succ, over, length, gamma, gamma, end),
    ),
    Mistake(
        "Your harmless rewards are those that telescope in segments; what matters is the return.",
        lambda *given: _hidden_with(*given, potential=given[3]),
    ),
    Mistake(
        "Your potentials may be anything where episodes end, but the reward there is 0 and stays 0.",
        lambda *given: _hidden_with(*given, free_end=True),
    ),
    Mistake(
        "Your terminal states are states like any other; the reward there is known.",
        lambda *given: _hidden_with(*given, all_unknown=True),
    ),
    Mistake(
        "Your pairs compare segments from different starts.",
        lambda *given: _hidden_with(*given, across=True),
    ),
    Mistake(
        "Your pairs compare segments with different ends, also where she sees only those that end alike.",
        lambda succ, over, length, delta, gamma, _: _hidden_with(succ, over, length, delta, gamma, False),
    ),
    Mistake(
        "Your segments end where they act for the last time; asked is where that action leads.",
        lambda *given: _hidden_with(*given, last_seen=True),
    ),
    Mistake(
        "Your segments have a step too few.",
        lambda succ, over, length, *rest: _hidden_with(succ, over, length - 1, *rest),
    ),
    Mistake(
        "Your segments have a step too many.",
        lambda succ, over, length, *rest: _hidden_with(succ, over, length + 1, *rest),
    ),
    Mistake(
        "Your second number counts the hidden rewards that are harmless.",
        lambda *given: _hidden_with(*given, numbers=lambda all_, hidden, harmless, _: (hidden, harmless)),
    ),
    Mistake(
        "Your second number takes it that all potentials are hidden.",
        lambda *given: _hidden_with(*given, numbers=lambda all_, hidden, _, shapes: (hidden, hidden - shapes)),
    ),
    Mistake(
        "Your only harmless rewards are the constants.",
        lambda *given: _hidden_with(*given, constants=True),
    ),
)


def _draw_hidden(rng: np.random.Generator) -> Iterator[Instance]:
    """Draw worlds until each mistake is one and differs from all others."""

    def world(n_states: int, n_actions: int, ends: bool) -> tuple[Integers, Flags]:
        successors = rng.integers(n_states, size=(n_states, n_actions))
        terminal = np.zeros(n_states, dtype=bool)
        if ends:
            terminal[rng.integers(n_states)] = True
            successors[terminal] = np.flatnonzero(terminal)[0]
        return successors, terminal

    while True:
        instances = [
            Instance("plain sums over two steps with the same end", (*world(5, 2, False), 2, 1.0, 0.9, True)),
            Instance("plain sums and episodes that end", (*world(5, 2, True), 3, 1.0, 0.6, True)),
            Instance("sums discounted as the return, in episodes", (*world(5, 3, True), 2, 0.8, 0.8, True)),
            Instance("δ = 0.7 and γ = 0.9", (*world(4, 3, False), 2, 0.7, 0.9, True)),
            Instance("two steps with any end", (*world(5, 2, False), 2, 0.9, 0.8, False)),
            Instance("single steps in episodes", (*world(5, 2, True), 1, 0.9, 0.5, False)),
        ]
        rows = [np.concatenate([_hidden_with(*instance.arguments) for instance in instances])]
        rows += [np.concatenate([m.compute(*i.arguments) for i in instances]) for m in HIDDEN_MISTAKES]
        if len({tuple(row) for row in rows}) == len(rows):
            yield from instances
            return


hidden_rewards = Task(_hidden, _draw_hidden, HIDDEN_MISTAKES)
