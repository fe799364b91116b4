"""What penalty methods are compared with: the exact hypergradient, and the usual ways of learning from preferences."""

from .hypergradient import Hypergradient, hypergradient, hypergradient_descent, hypergradient_states

__all__ = ["Hypergradient", "hypergradient", "hypergradient_descent", "hypergradient_states"]
