"""What penalty methods are compared with: exact hypergradients, independent learners, meta-gradients, preferences."""

from .estimates import hpgd, sobirl
from .hypergradient import Hypergradient, hypergradient, hypergradient_descent, hypergradient_states
from .independent import independent_gradient, independent_states
from .meta_gradient import meta_gradient, meta_gradient_states
from .rlhf import dpo, drlhf, drlhf_states, two_stage

__all__ = [
    "Hypergradient",
    "dpo",
    "drlhf",
    "drlhf_states",
    "hpgd",
    "hypergradient",
    "hypergradient_descent",
    "hypergradient_states",
    "independent_gradient",
    "independent_states",
    "meta_gradient",
    "meta_gradient_states",
    "sobirl",
    "two_stage",
]
