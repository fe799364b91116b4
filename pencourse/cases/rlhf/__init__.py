"""Reinforcement learning from human feedback: x is a reward that explains a person's preferences, y a policy for it.

A segment is T steps (s_0, a_0, …, s_{T−1}, a_{T−1}) with s_0 ~ ρ. Of two segments d⁰, d¹ the person prefers the first
with probability q = σ(R(d⁰) − R(d¹)), R(d) = Σ_t δᵗ r(s_t, a_t), r a true reward that only she knows (Bradley and
Terry). The learner's reward is r_x = Σ_k x_k φ_k, with segment sums ⟨x, Φ⟩. With both segments drawn from y,

    f(x, y) = E [log(1 + e^z) − q z],     z = ⟨x, Φ(d⁰) − Φ(d¹)⟩,

is the expected cross-entropy of label and prediction. In x it is logistic regression,

    ∂f/∂x = E [(σ(z) − q) (Φ(d⁰) − Φ(d¹))],

in y it needs the scores of both segments,

    ∂f/∂y = E [(log(1 + e^z) − q z) (score(d⁰) + score(d¹))].

The dynamics do not depend on x, and f owes nothing to x through the model. f also falls when y makes pairs that are
easier to label, so the bilevel optimum is not at the true reward (lesson 11).

What preferences cannot tell. With δ = γ and deterministic moves, pairs that share their start and their end hide
γΦ(s′) − Φ(s), which changes no optimal policy (Ng, Harada and Russell 1999). With δ = 1 (Christiano et al. 2017, and
the default here) they hide Φ(s′) − Φ(s), which does change it where γ < 1. Constants are hidden by both, and matter
where episodes end.

Steps in y are mirror steps (`descent`): with the entropy y ∝ y exp(−step · ∂F/∂y), a step on the logits of y. It is the
natural gradient's step; the plain gradient in softmax logits is y ⊙ (∂F/∂y less its mean under y).

References: Christiano, Leike, Brown, Martic, Legg and Amodei, *Deep reinforcement learning from human preferences*
(2017); the bilevel form is that of Shen, Yang and Chen (2025).
"""

from ...models import MDP
from ...typing import Array
from ...validation import checked_array, checked_count, checked_positive
from .objectives import ExactRlhf, Pairs, SampledRlhf
from .shared import Labeller, RlhfProblem, entry_features, tabular_features

__all__ = ["ExactRlhf", "Labeller", "Pairs", "RlhfProblem", "SampledRlhf"]
__all__ += ["entry_features", "problem", "tabular_features"]


def problem(
    world: MDP,
    labeller: Labeller | Array | None = None,
    features: Array | None = None,
    *,
    segment_length: int = 1,
    same_start: bool = False,
    bound: float = 1.0,
    radius: float | None = None,
    pairs: int | None = None,
    every: int = 1,
    budget: int | None = None,
    reuse: str = "all",
    clip: float = 10.0,
) -> ExactRlhf | SampledRlhf:
    """State RLHF in a world as a bilevel problem.

    Parameters
    ----------
    world : MDP
        Dynamics, ρ, γ, τ. Its reward is hidden from the problem.
    labeller : Labeller or array (S, A), optional
        The person, or her true reward; the world's reward unless given.
    features : array (S, A, d), optional
        φ; `tabular_features(world)` unless given. Absorbing states should pay nothing: what is paid there is paid for
        ever, and no pair of short segments tells how much.
    segment_length : int
        T ≥ 1.
    same_start : bool
        Both segments of a pair begin in one state, as two answers to one prompt do.
    bound, radius : float
        X is the box |x_k| ≤ bound, or the ball ‖x‖₂ ≤ radius if a radius is given. In units of log-odds per feature.
    pairs : int, optional
        Unless given, f is exact, by enumeration of all segments (2,000 at most). Else f is sampled: a call of
        `upper_objective` first has that many new pairs labelled, drawn from the policy at which it is called; 0 leaves
        it to calls of `collect`.
    every : int
        Only the first call, the (every+1)-th, … asks for labels. (`pbrl` calls three times an iteration: for the
        policy's step, for x's, and at π*(x) for the record.)
    budget : int, optional
        Labels at which `upper_objective` stops asking; old ones have to do then. `collect` does not look at it.
    reuse : str
        What estimates are made of. "none": the newest batch; unbiased where every = 1. "all": f and ∂f/∂x from all
        pairs seen, unweighted, which is right for the mixture of the policies so far; ∂f/∂y from the newest batch, at
        the policy that it was drawn from, and 0 elsewhere. "reweighted": all from all pairs, by ratios of likelihood
        (`SampledRlhf.ratios`); biased for f, but between purchases its value and slopes belong to one function.
    clip : float
        Where these ratios are cut, above 0.

    Returns
    -------
    ExactRlhf or SampledRlhf
        A `BilevelProblem` whose x has shape (d,).

    Raises
    ------
    ValueError
        If an argument is out of its range or has the wrong shape, or f should be exact and there are too many segments.
    """
    shape = world.reward.shape
    if not isinstance(labeller, Labeller):
        labeller = Labeller(checked_array("labeller", world.reward if labeller is None else labeller, shape))
    if labeller.shape != shape:
        raise ValueError(f"labeller has a reward of shape {labeller.shape}; allowed is {shape}, the world's.")
    features = checked_array("features", tabular_features(world) if features is None else features, (*shape, None))
    checked_count("segment_length", segment_length, 1)
    checked_count("pairs", pairs or 0, 0)
    checked_count("every", every, 1)
    checked_count("budget", budget or 0, 0)
    if reuse not in {"none", "all", "reweighted"}:
        raise ValueError(f"reuse is {reuse!r}; allowed is 'none', 'all' or 'reweighted'.")
    box, ball = checked_positive("bound", bound), None if radius is None else checked_positive("radius", radius)
    shared = (world, labeller, features, segment_length, box, ball)
    if pairs is None:
        return ExactRlhf(*shared, same_start=same_start)
    cut = checked_positive("clip", clip)
    return SampledRlhf(*shared, same_start=same_start, pairs=pairs, every=every, budget=budget, reuse=reuse, clip=cut)
