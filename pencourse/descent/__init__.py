"""Penalty-based bilevel reinforcement learning (PBRL): descend F_λ = f + λp in x and in the policy y.

One iteration from (x, y), with a solver of the lower level as oracle (lesson 08):

    π̂ ≈ π*(x)                                 the oracle, warm-started
    y ← a step along −∇_y F_λ(x, y)/λ          mirror step, projection, or the minimiser itself (`pbrl_partial`)
    x ← Proj_X[x − α ∇_x F_λ(x, y)]            ∇_x p by Danskin's theorem at π̂, or by the adjoint

The framework is that of Shen, Yang and Chen (2025), whose algorithm moves both at once (`simultaneous`). Here the
policy moves first: one that lags a step behind enters x's gradient with the factor λ, and α would have to shrink like
1/λ.

In a zero-sum game y is a pair of policies and the oracle gives both best responses to it: to the old pair for the
policies' step, to the new one for x's.

For Stackelberg games at τ = 0, `annealing` puts several such descents together.
"""

from .annealing import Commitment, anneal, multistart, switch_policies
from .loop import pbrl_states
from .pbrl import pbrl, pbrl_partial

__all__ = ["Commitment", "anneal", "multistart", "pbrl", "pbrl_partial", "pbrl_states", "switch_policies"]
