"""Roll-outs, many at once, and what is estimated from them (lessons 10 and 11).

A roll-out draws s_0 ~ ρ, a_t ~ y(·|s_t), s_{t+1} ~ P(·|s_t, a_t). It ends after a given number of steps, or after each
step with probability 1 − γ. The random end H makes discounted sums unbiased without weights,

    E Σ_{t ≤ H} g(s_t, a_t) = Σ_t Pr(H ≥ t) E g(s_t, a_t) = Σ_t γᵗ E g(s_t, a_t),

so g = r − τh(y) estimates V^y(ρ), and g = 1[s_t = s, a_t = a] the occupancy d^y(s) y(a|s). Derivatives in the policy
come from the score function: a segment has probability (factors of the world) × Π_t y(a_t|s_t), so

    ∂/∂y(a|s) E G = E [G Σ_t 1[s_t = s, a_t = a] / y(a|s)].

A number that does not depend on the segment may be taken from G (a baseline): it adds to the derivative a constant in
each row, which means nothing on the simplex, and can take away most of the variance (Williams, *Simple statistical
gradient-following algorithms for connectionist reinforcement learning*, 1992).
"""

from .estimates import (
    estimate_action_value,
    leave_one_out,
    regularised_reward,
    score_gradient,
    segment_sum,
    tally,
    td_update,
    visits,
)
from .segments import Integers, Segments, enumerate_segments, roll_out

__all__ = [
    "Integers",
    "Segments",
    "enumerate_segments",
    "estimate_action_value",
    "leave_one_out",
    "regularised_reward",
    "roll_out",
    "score_gradient",
    "segment_sum",
    "tally",
    "td_update",
    "visits",
]
