"""What penalty methods are compared with: the exact hypergradient, independent learners, learning from preferences."""

from .hypergradient import Hypergradient, hypergradient, hypergradient_descent, hypergradient_states
from .independent import independent_gradient, independent_states

__all__ = [
    "Hypergradient",
    "hypergradient",
    "hypergradient_descent",
    "hypergradient_states",
    "independent_gradient",
    "independent_states",
]
