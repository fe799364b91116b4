"""What the tests share: how hypothesis draws, random models that are hard enough, and a browser."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, settings

from pencourse import MDP, Entropy

settings.register_profile("course", derandomize=True, database=None, deadline=None, max_examples=60)
# A planted mistake has to be seen once; nobody reads its smallest example.
settings.register_profile(
    "mutants", settings.get_profile("course"), phases=(Phase.explicit, Phase.generate), report_multiple_bugs=False
)
settings.load_profile("course")


def draw_mdp(
    seed: int,
    n_states: int = 6,
    n_actions: int = 3,
    *,
    discount: float = 0.9,
    temperature: float = 0.1,
    regularizer: object = None,
    branching: int | None = None,
    scale: float = 1.0,
) -> MDP:
    """Draw a model without `pencourse.worlds`: signed rewards, ρ positive and not uniform, dense or sparse kernel."""
    rng = np.random.default_rng(seed)
    transition = rng.dirichlet(np.full(n_states, 0.7), size=(n_states, n_actions))
    if branching is not None:
        kept = rng.permuted(np.broadcast_to(np.arange(n_states) < branching, transition.shape), axis=2)
        transition = np.where(kept, transition + 1e-3, 0.0)
        transition /= transition.sum(axis=2, keepdims=True)
    reward = scale * rng.normal(size=(n_states, n_actions))
    initial = 0.9 * rng.dirichlet(np.ones(n_states)) + 0.1 / n_states
    return MDP(transition, reward, discount, initial, temperature, regularizer or Entropy())


@pytest.fixture(scope="session")
def draw() -> Callable[..., MDP]:
    """`draw_mdp`."""
    return draw_mdp


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    import chromium
    from playwright.sync_api import sync_playwright

    program = chromium.find()
    if not program:
        reason = "NO BROWSER TEST: there is no Chromium here. Install chromium, and run it again."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=chromium.FLAGS)
        yield launched
        launched.close()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Measure the coverage of a test's first two parameters only: tracing nearly doubles the time of the others.

    Of several parameters the last one counts: those before it may name the code that is tested.
    """
    if not config.pluginmanager.hasplugin("_cov"):
        return
    seen: Counter[str] = Counter()
    for item in items:
        name, _, parameters = item.nodeid.partition("[")
        name += parameters.rpartition("-")[0]
        seen[name] += 1
        if seen[name] > 2:
            item.add_marker("no_cover")
