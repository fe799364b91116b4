"""Speed of `solve` beside other ways to the same optimum, of PBRL's iterations and of `solve_zero_sum`: `make bench`.

The unit is one hot `np.linalg.solve(I − γP_π, r)` at the same number of states, on one thread, measured in the same
run between the blocks of everything else, so that a busy or a slow machine moves both sides alike. Each figure is a
median of blocks. Not a test: it prints, and fails nothing.

    python benchmarks/bench.py               everything
    python benchmarks/bench.py --quick       fewer blocks
    python benchmarks/bench.py --all         also cvxpy where it takes minutes, at 400 states and a dense kernel
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy reads them
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import argparse
import dataclasses
import importlib.util
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator

import numpy as np

import pencourse as pc
from pencourse import exact, worlds

A, DISCOUNT, TEMPERATURE, RESIDUAL = 5, 0.9, 0.1, 1e-10
# In units: (gate, aim)
GOALS = {(100, None): (7, 3.5), (100, 4): (11, 7), (400, None): (5, 1.5), (400, 4): (9, 6.5)}
DESCENT_GOAL, DESCENT_STEPS = (16, 8), 300  # (gate, aim) in units for one iteration
GAME_GOAL = (250, 60)  # (gate, aim) in units for an equilibrium to a gap of 1e-8
MISSING = [name for name in ("quantecon", "mdptoolbox") if importlib.util.find_spec(name) is None]

Task = tuple[str, Callable[[], np.ndarray], float]  # name, run that returns V*, (1 − γ)·error allowed, in mdp.scale


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Measure `solve` beside other ways to the same optimum.")
    parser.add_argument("--quick", action="store_true", help="fewer blocks")
    parser.add_argument("--all", action="store_true", help="also cvxpy where it takes minutes")
    options = parser.parse_args()
    blocks = 5 if options.quick else 15
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {_processor()}, one thread")
    print(
        f"A = {A}, γ = {DISCOUNT}, τ = {TEMPERATURE} or 0, residual {RESIDUAL:g} relative; medians of {blocks} blocks"
    )
    for name in MISSING:
        print(f"{name} is missing: pip install -c constraints.txt -e '.[bench]' brings it")
    for (n_states, branching), (gate, aim) in GOALS.items():
        kind = "dense" if branching is None else f"Garnet-{branching}"
        rng = np.random.default_rng(n_states)
        mdp = worlds.random_mdp(rng, n_states, A, DISCOUNT, branching=branching, temperature=TEMPERATURE)
        hard = dataclasses.replace(mdp, temperature=0.0)
        print(f"\nS = {n_states}, {kind}")
        heading = f"{'':36}{'ms':>9}{'units':>9}{'× ours':>8}"
        print(f"{heading}   gate {gate:g}, aim {aim:g} units" if gate else heading)
        for temperature, tasks in ((TEMPERATURE, _soft(mdp)), (0, _hard(hard))):
            if (n_states, branching) == (400, None) and not options.all:
                tasks = [task for task in tasks if "cvxpy" not in task[0]]
            measured = list(_measure(mdp, tasks, blocks))
            ours = measured[0][1] / measured[0][2]
            for name, seconds, unit in measured:
                verdict = ""
                if (name, temperature) == ("pencourse.solve", TEMPERATURE):
                    verdict = "   meets the aim" if seconds <= aim * unit else "   within the gate"
                    verdict = verdict if seconds <= gate * unit else "   MISSES THE GATE"
                label = f"τ = {temperature:<4g}{name}"
                print(f"{label:36}{1e3 * seconds:9.3f}{seconds / unit:9.1f}{seconds / unit / ours:8.1f}{verdict}")
        print(f"{'one unit':36}{1e3 * unit:9.3f}{1:9.1f}")
    descent(blocks)
    zero_sum(blocks)


def descent(blocks: int) -> None:
    """Measure one iteration of each method of descent on a random game with 100 states and 5 x 5 actions."""
    game = worlds.random_stackelberg_game(np.random.default_rng(0), 100, A, A, DISCOUNT, temperature=TEMPERATURE)
    model = pc.follower_mdp(game, np.full((100, A), 1 / A))
    runs = {
        "pbrl, value penalty": lambda n: pc.pbrl(game, iterations=n),
        "pbrl, Bellman penalty": lambda n: pc.pbrl(game, penalty="bellman", iterations=n),
        "pbrl_partial": lambda n: pc.pbrl_partial(game, iterations=n),
        "hypergradient_descent": lambda n: pc.hypergradient_descent(game, iterations=n),
    }
    print(f"\nOne iteration of descent, S = 100, {A} x {A} actions; {DESCENT_STEPS} iterations, all of them done")
    print(f"{'':36}{'ms':>9}{'units':>9}   gate {DESCENT_GOAL[0]}, aim {DESCENT_GOAL[1]} units for pbrl")
    for name, run in runs.items():
        done = len(run(20).history) - 1  # hot, too
        if done != 20:
            raise RuntimeError(f"{name} stopped after {done} of 20 iterations.")
        unit = unit_of(model)
        units, seconds = [], []
        for _ in range(max(3, blocks // 3)):
            units.append(_block(unit, 200))
            began = time.perf_counter()
            done = len(run(DESCENT_STEPS).history) - 1
            seconds.append((time.perf_counter() - began) / done)
        one, took = statistics.median(units), statistics.median(seconds)
        verdict = ""
        if name.startswith("pbrl,"):
            verdict = next(
                (
                    word
                    for goal, word in zip(DESCENT_GOAL[::-1], ("   meets the aim", "   within the gate"), strict=True)
                    if took <= goal * one
                ),
                "   MISSES THE GATE",
            )
        print(f"{name:36}{1e3 * took:9.3f}{took / one:9.1f}{verdict}")


def zero_sum(blocks: int) -> None:
    """Measure the equilibrium of random games with 100 states and 5 x 5 actions, beside scipy's stage games."""
    gate, aim = GAME_GOAL
    print(f"\nEquilibrium of a game, S = 100, {A} x {A} actions, duality gap 1e-8 relative")
    print(f"{'':36}{'ms':>9}{'units':>9}   gate {gate}, aim {aim} units for solve_zero_sum")
    for branching, kind in ((None, "dense"), (4, "Garnet-4")):
        data = worlds.random_stackelberg_game(np.random.default_rng(0), 100, A, A, DISCOUNT, branching=branching)
        hard = pc.ZeroSumGame(data.transition, data.leader_reward, DISCOUNT, data.initial)
        for temperature in (TEMPERATURE, 0):
            game = hard.with_temperature(temperature)
            unit = unit_of(pc.response_mdp(game, 1, np.full((100, A), 1 / A)))
            pairs = [(_block(unit, 200), _block(lambda game=game: pc.solve_zero_sum(game), 5)) for _ in range(blocks)]
            one, took = (statistics.median(column) for column in zip(*pairs, strict=True))
            verdict = "meets the aim" if took <= aim * one else "within the gate"
            verdict = verdict if took <= gate * one else "MISSES THE GATE"
            label = f"τ = {temperature:<4g}{kind}"
            print(f"{label:36}{1e3 * took:9.3f}{took / one:9.1f}   {verdict}")
        took = _block(lambda hard=hard: [_linprog(payoff) for payoff in hard.reward], 1)
        print(f"{'scipy linprog, each stage game once':36}{1e3 * took:9.3f}{took / one:9.1f}")


def _linprog(payoff: np.ndarray) -> float:
    """Return the value of a matrix game: max v, v ≤ p'payoff, p on the simplex."""
    from scipy.optimize import linprog

    system, ones = np.c_[-payoff.T, np.ones(A)], np.ones((1, A))
    bounds = [(0, None)] * A + [(None, None)]
    return -linprog(np.r_[np.zeros(A), -1.0], system, np.zeros(A), np.c_[ones, 0], 1.0, bounds).fun


def _soft(mdp: pc.MDP) -> list[Task]:
    return [
        ("pencourse.solve", lambda: pc.solve(mdp, tolerance=RESIDUAL).value, RESIDUAL),
        ("plain soft value iteration", lambda: soft_value_iteration(mdp), RESIDUAL),
        ("cvxpy (pencourse.exact)", lambda: exact.solve_mdp(mdp).value, 1e-6),
    ]


def _hard(mdp: pc.MDP) -> list[Task]:
    tasks: list[Task] = [("pencourse.solve", lambda: pc.solve(mdp, tolerance=RESIDUAL).value, RESIDUAL)]
    if "quantecon" not in MISSING:
        from quantecon.markov import DiscreteDP

        problem = DiscreteDP(mdp.reward, mdp.transition, mdp.discount)
        tasks.append(("quantecon policy iteration", lambda: problem.solve(method="policy_iteration").v, RESIDUAL))
    if "mdptoolbox" not in MISSING:
        from mdptoolbox.mdp import PolicyIteration

        kernels = np.ascontiguousarray(mdp.transition.transpose(1, 0, 2))

        solver = PolicyIteration(kernels, mdp.reward, mdp.discount)  # its checks of the data are not measured
        start = solver.policy.copy()

        def toolbox() -> np.ndarray:
            solver.policy, solver.V, solver.iter = start.copy(), np.zeros(mdp.n_states), 0
            solver.run()
            return np.array(solver.V)

        tasks.append(("pymdptoolbox policy iteration", toolbox, RESIDUAL))
    tasks.append(("cvxpy (pencourse.exact)", lambda: exact.solve_mdp(mdp).value, 1e-6))
    return tasks


def soft_value_iteration(mdp: pc.MDP) -> np.ndarray:
    """V ← τ log Σ exp((r + γPV)/τ) until nothing changes: what one writes first, with its arrays laid out well."""
    kernel = mdp.discount * mdp.transition.reshape(-1, mdp.n_states)
    value = np.zeros(mdp.n_states)
    while True:
        q = mdp.reward + (kernel @ value).reshape(mdp.reward.shape)
        top = q.max(axis=1)
        improved = top + mdp.temperature * np.log(np.exp((q - top[:, None]) / mdp.temperature).sum(axis=1))
        change = np.abs(improved - value).max()
        value = improved
        if change <= RESIDUAL * mdp.scale:
            return value


def unit_of(mdp: pc.MDP) -> Callable[[], object]:
    """Return the unit, hot: np.linalg.solve(I − γP_π, r) for the uniform policy."""
    kernel = np.einsum("sa,sat->st", np.full((mdp.n_states, A), 1 / A), mdp.transition)
    system, right = np.eye(mdp.n_states) - DISCOUNT * kernel, mdp.reward.mean(axis=1)

    def unit() -> object:
        return np.linalg.solve(system, right)

    unit()
    return unit


def _measure(mdp: pc.MDP, tasks: list[Task], blocks: int) -> Iterator[tuple[str, float, float]]:
    """Yield for each task its name, its seconds and those of the unit measured between its blocks."""
    unit = unit_of(mdp)
    unit_runs = max(1, int(0.05 / _block(unit, 1)))
    for name, task, accuracy in tasks:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other packages use what numpy and scipy have deprecated
            # Hot, compiled where a package compiles, and at the optimum that all share.
            began = time.perf_counter()
            distance = np.abs(task() - tasks[0][1]()).max() * (1 - DISCOUNT) / mdp.scale
            first = time.perf_counter() - began
            if distance > 2 * accuracy:
                raise RuntimeError(f"{name} ends {distance:.1e} from the others; {accuracy:.0e} is asked.")
            runs, seconds, units = max(1, int(0.05 / first)), [], []
            for _ in range(blocks if first < 0.5 else 2):
                units.append(_block(unit, unit_runs))
                seconds.append(_block(task, runs))
        yield name, statistics.median(seconds), statistics.median(units)


def _block(task: Callable[[], object], runs: int) -> float:
    """Return the seconds of one run, the mean over a block."""
    began = time.perf_counter()
    for _ in range(runs):
        task()
    return (time.perf_counter() - began) / runs


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
