"""f, exact by enumeration of all pairs of segments, or from labelled pairs: a sample and a memory of old samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from ...bilevel import Objective
from ...evaluation import Evaluation
from ...sampling import Segments, enumerate_segments, leave_one_out, roll_out, score_gradient, segment_sum, tally
from ...simplex import uniform_policy
from ...typing import Array
from .shared import RlhfProblem


class ExactRlhf(RlhfProblem):
    """f as an exact expectation over all pairs of segments, of which there may be a few thousand."""

    def __init__(self, *shared: Any, same_start: bool) -> None:
        super().__init__(*shared)
        n_actions = self.world.n_actions
        uniform = uniform_policy(self.world.n_states, n_actions)
        self.segments, chance = enumerate_segments(self.world, uniform, self.segment_length)
        self.world_chance = chance * n_actions**self.segment_length  # without the policy's factors
        self.sums = segment_sum(self.features, self.segments, self.labeller.segment_discount)
        self.preferences = self.labeller.preferences(self.segments)
        starts = self.segments.states[:, 0]
        self.together = np.equal.outer(starts, starts) / self.world.initial[starts] if same_start else 1.0

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None = None) -> Objective:
        """f = Σ p(d⁰) p(d¹) loss(d⁰, d¹), or Σ_s ρ(s) Σ p(d⁰|s) p(d¹|s) loss if the pairs share their start."""
        segments, sums = self.segments, self.sums @ x
        z = sums[:, None] - sums
        losses = self.together * (np.logaddexp(0.0, z) - self.preferences * z)
        slopes = self.together * (expit(z) - self.preferences)
        factors = at.policy[segments.states, segments.actions]  # (n, T)
        chance = self.world_chance * factors.prod(axis=1)
        expected = losses @ chance  # the mean loss of pairs with each segment, which may be first or second
        # ∂p(d)/∂y is p(d) without one factor: from the left times from the right, which is right at factors of 0.
        ones = np.ones((len(segments), 1))
        left = np.cumprod(np.hstack([ones, factors[:, :-1]]), axis=1)
        right = np.cumprod(np.hstack([ones, factors[:, :0:-1]]), axis=1)[:, ::-1]
        gradient = tally(segments, (2 * expected * self.world_chance)[:, None] * left * right, *at.policy.shape)
        upper = 2 * (chance * (slopes @ chance)) @ self.sums
        return Objective(float(chance @ expected), gradient, upper)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Labelled pairs of segments.

    Attributes
    ----------
    segments : Segments
        With 2T steps: the first segment's, then the second's.
    differences : array (n, d)
        Φ(d⁰) − Φ(d¹).
    labels : array (n,)
        1 where the first was preferred.
    log_probability : array (n,)
        Of all 2T actions, under the policy that they were drawn from.
    """

    segments: Segments
    differences: Array
    labels: Array
    log_probability: Array

    def __len__(self) -> int:
        """n."""
        return len(self.labels)

    def joined(self, more: "Pairs") -> "Pairs":
        """Return these and more."""
        arrays = ((getattr(self, name), getattr(more, name)) for name in ("differences", "labels", "log_probability"))
        return Pairs(self.segments.joined(more.segments), *map(np.concatenate, arrays))


class SampledRlhf(RlhfProblem):
    """f estimated from labelled pairs, which `upper_objective` or `collect` asks for.

    Attributes
    ----------
    labels_used : int
        By this problem; the labeller counts for all.
    """

    def __init__(
        self, *shared: Any, same_start: bool, pairs: int, every: int, budget: int | None, reuse: str, clip: float
    ) -> None:
        super().__init__(*shared)
        self.same_start, self.pairs, self.every, self.budget = same_start, pairs, every, budget
        self.reuse, self.clip = reuse, clip
        self._seen: Pairs | None = None
        self.labels_used = self._newest = self._calls = 0
        self._behaviour: Any = None

    @property
    def seen(self) -> Pairs:
        """What the estimates are made of: all pairs so far, or the newest batch alone (`reuse` = "none")."""
        if self._seen is None:
            raise ValueError("seen is None; allowed are labelled pairs: give rng a Generator, or call collect first.")
        return self._seen

    def collect(self, policy: Array, pairs: int, rng: np.random.Generator) -> Pairs:
        """Draw pairs of segments from a policy, have them labelled, keep and return them."""
        start = roll_out(self.world, policy, pairs, rng, length=1).states[:, 0] if self.same_start else None
        both = [roll_out(self.world, policy, pairs, rng, length=self.segment_length, start=start) for _ in range(2)]
        labels = self.labeller.label(both[0], both[1], rng)
        first, second = (segment_sum(self.features, part, self.labeller.segment_discount) for part in both)
        segments = both[0].joined(both[1], axis=1)
        new = Pairs(segments, first - second, labels, _log_probability(policy, segments))
        self._seen = new if self._seen is None or self.reuse == "none" else self._seen.joined(new)
        self.labels_used, self._newest, self._behaviour = self.labels_used + pairs, pairs, policy
        return new

    def ratios(self, policy: Array) -> Array:
        """Return min(clip, Π_t y(a_t|s_t) / Π_t y_then(a_t|s_t)) for each pair seen, shape (N,), t over its 2T steps.

        Without the cut they are unbiased weights whose variance grows exponentially in T. Cut, and normalised to
        sum 1, they give biased estimates. (Σ ratios)² / Σ ratios² is the number of pairs that they are worth.
        """
        log_ratio = _log_probability(policy, self.seen.segments) - self.seen.log_probability
        return np.exp(np.minimum(log_ratio, np.log(self.clip)))

    def upper_objective(self, x: Array, at: Evaluation, rng: np.random.Generator | None = None) -> Objective:
        """Estimates of f and its derivatives; `problem` says of what, and when new pairs are labelled."""
        wanted = self.pairs if self.budget is None else min(self.pairs, self.budget - self.labels_used)
        if rng is not None and wanted > 0 and self._calls % self.every == 0:
            self.collect(at.policy, wanted, rng)
        self._calls += 1
        seen, newest = self.seen, self._newest
        z = seen.differences @ x
        losses, slopes = np.logaddexp(0.0, z) - seen.labels * z, expit(z) - seen.labels
        shares, weights = np.full(len(z), 1.0 / len(z)), np.zeros(len(z))
        if self.reuse == "reweighted":
            ratios = self.ratios(at.policy)
            shares = ratios / max(float(ratios.sum()), 1e-300)
            weights = np.where(ratios < self.clip, shares * (losses - shares @ losses), 0.0)
        elif np.array_equal(at.policy, self._behaviour):
            weights[-newest:] = leave_one_out(losses[-newest:]) / newest
        told = np.flatnonzero(weights)  # the others may hold actions that the policy never takes
        slope = score_gradient(at.policy, seen.segments[told], weights[told])
        return Objective(float(shares @ losses), slope, (shares * slopes) @ seen.differences)


def _log_probability(policy: Array, segments: Segments) -> Array:
    with np.errstate(divide="ignore"):
        result: Array = np.log(policy[segments.states, segments.actions]).sum(axis=1)
    return result
