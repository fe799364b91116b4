"""Penalties: how far policies are from solving the lower level, and how that changes with them and with the model."""

from .gaps import BellmanPenalty, Penalty, ValuePenalty, bellman_penalty, value_penalty
from .nikaido_isoda import NikaidoIsoda, nikaido_isoda
from .shared import AnyPenalty

__all__ = [
    "AnyPenalty",
    "BellmanPenalty",
    "NikaidoIsoda",
    "Penalty",
    "ValuePenalty",
    "bellman_penalty",
    "nikaido_isoda",
    "value_penalty",
]
