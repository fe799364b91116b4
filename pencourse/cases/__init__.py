"""The case studies as bilevel problems: each turns data into a problem that any of the methods takes."""

from . import reward_shaping, stackelberg

__all__ = ["reward_shaping", "stackelberg"]
