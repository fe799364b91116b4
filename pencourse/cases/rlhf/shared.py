"""The person, the reward that is to explain her, and what the exact and the sampled problem share."""

from collections.abc import Sequence

import numpy as np
from scipy.special import expit

from ...bilevel import Term
from ...evaluation import evaluate
from ...models import MDP
from ...sampling import Segments, segment_sum
from ...typing import Array
from ...validation import checked_array, checked_number


class Labeller:
    """A person who has a true reward in mind, and shows only which of two segments she prefers.

    Parameters
    ----------
    reward : array (S, A)
        The true reward. Nothing but the methods of this class reads it. One unit is one unit of log-odds.
    segment_discount : float
        δ of the segment sums, from 0 to 1.
    noise : float
        The share ε of labels that are coin flips. Christiano et al. assume 0.1 and let the learner know; here the
        learner predicts σ(z) and does not, so its reward comes out a little flat.

    Attributes
    ----------
    labels_given : int
    shape : tuple
        (S, A).
    """

    def __init__(self, reward: Array, *, segment_discount: float = 1.0, noise: float = 0.0) -> None:
        self._reward = checked_array("reward", reward, (None, None))
        self.shape = self._reward.shape
        unit = "a number from 0 to 1"
        self.segment_discount = checked_number("segment_discount", segment_discount, 0.0, 1.0, allowed=unit)
        self.noise = checked_number("noise", noise, 0.0, 1.0, allowed=unit)
        self.labels_given = 0

    def _chance(self, first: Array, second: Array) -> Array:
        return (1 - self.noise) * np.asarray(expit(first - second)) + self.noise / 2

    def preferences(self, segments: Segments) -> Array:
        """Return for every pair of some segments the probability that the row's is preferred to the column's, (n, n).

        It is what infinitely many labels would show; the exact f is made of it.
        """
        sums = segment_sum(self._reward, segments, self.segment_discount)
        return self._chance(sums[:, None], sums)

    def label(self, first: Segments, second: Segments, rng: np.random.Generator) -> Array:
        """Return 1 where the first of two segments is preferred, 0 where the second is, shape (n,)."""
        sums = (segment_sum(self._reward, segments, self.segment_discount) for segments in (first, second))
        self.labels_given += len(first)
        return (rng.random(len(first)) < self._chance(*sums)).astype(np.float64)

    def score(self, world: MDP, policy: Array) -> float:
        """Return what a policy is worth to the person: its regularised return V^y(ρ) under the true reward."""
        return evaluate(world.with_reward(self._reward), policy).expected_return


class RlhfProblem:
    """What both forms of the problem share; x (d,) are the weights of the features. Made by `problem`."""

    def __init__(
        self, world: MDP, labeller: Labeller, features: Array, length: int, bound: float, radius: float | None
    ) -> None:
        self.world, self.labeller, self.features = world.with_reward(np.zeros(world.reward.shape)), labeller, features
        self.segment_length, self.bound, self.radius = length, bound, radius
        self.initial_upper = np.zeros(features.shape[2])

    def lower_model(self, x: Array) -> MDP:
        """The world with the reward Σ_k x_k φ_k."""
        return self.world.with_reward(self.features @ x)

    def pull_back(self, x: Array, terms: Sequence[Term]) -> Array:
        """Σ_{s,a} mass(s,a) φ_k(s,a), shape (d,); only the reward depends on x."""
        result: Array = np.tensordot(np.sum([term.mass for term in terms], axis=0), self.features, axes=2)
        return result

    def project(self, x: Array) -> Array:
        """The nearest point of the box [−bound, bound]^d, or of the ball ‖x‖ ≤ radius."""
        if self.radius is None:
            return np.clip(x, -self.bound, self.bound)
        return x * min(1.0, self.radius / max(float(np.linalg.norm(x)), 1e-300))


def _paid(world: MDP) -> Array:
    """Return 1 or, in states that no action leaves, where an episode is over, 0, shape (S, 1, 1); 1 if all are such."""
    over = (np.einsum("sas->sa", world.transition) == 1).all(axis=1)
    return np.where(over & ~over.all(), 0.0, 1.0)[:, None, None]


def tabular_features(world: MDP) -> Array:
    """Return φ (S, A, d), one weight for each state and action; absorbing states, where episodes end, pay nothing."""
    one = np.eye(world.reward.size).reshape(*world.reward.shape, -1) * _paid(world)
    return one[:, :, one.any(axis=(0, 1))]


def entry_features(world: MDP) -> Array:
    """Return φ_k(s,a) = P(k|s,a), (S, A, S): weight k is paid on entering state k, from states where episodes go on."""
    return world.transition * _paid(world)
