"""The Nikaido–Isoda penalty: what it is worth, where it is zero, its gradients, its landscape."""

import dataclasses
import itertools

import numpy as np
import pytest
from games import (
    answers,
    derivative,
    draw_game,
    draw_kernel,
    draw_pair,
    faced,
    height,
    one_state,
    pennies,
    value_of,
    visits,
)

from pencourse import (
    Entropy,
    SquaredNorm,
    ZeroSumGame,
    best_responses,
    evaluate,
    exact,
    nikaido_isoda,
    solve_zero_sum,
)

REGULARIZERS = pytest.mark.parametrize("regularizer", [Entropy(), SquaredNorm()], ids=lambda h: h.name)


def uniform(game):
    return tuple(np.full((game.n_states, n), 1.0 / n) for n in game.n_actions)


# Values


@REGULARIZERS
@pytest.mark.parametrize("temperature", [0.0, 0.1, 1.0])
def test_it_is_the_sum_of_two_optimal_values(temperature, regularizer):
    """Against the referee's conic programs, and against the definition of each gain."""
    for seed in range(4):
        game = draw_game(seed, temperature=temperature, regularizer=regularizer, branching=2 + seed % 3)
        pair = draw_pair(seed, game)
        found = nikaido_isoda(game, pair)
        best = [exact.solve_mdp(mdp).expected_return for mdp in faced(game, pair)]
        assert np.isclose(found.value, sum(best), rtol=0, atol=1e-6 / (1 - game.discount))  # CLARABEL's 1e-8 of V
        value = game.initial @ value_of(game, pair)
        assert np.allclose(found.gains, [best[0] - value, best[1] + value], rtol=0, atol=1e-5)
        assert np.isclose(sum(found.gains), found.value, rtol=0, atol=1e-12) and min(found.gains) >= -1e-9
        assert found.residual == max(plan.residual for plan in found.best) <= 1e-9 and found.optimal is None


def pure_policies(n_states, n_actions):
    return [np.eye(n_actions)[list(choice)] for choice in itertools.product(range(n_actions), repeat=n_states)]


@pytest.mark.parametrize("discount", [0.0, 0.6, 0.95])
def test_without_a_temperature_it_is_the_duality_gap_over_pure_answers(discount):
    """An MDP has an optimal policy that is pure, so the maximum and the minimum are over finitely many."""
    for seed in range(6):
        game = draw_game(seed, 3, (3, 2), discount=discount, temperature=0.0)
        first, second = draw_pair(seed, game)
        most = max(game.initial @ value_of(game, (pure, second)) for pure in pure_policies(3, 3))
        least = min(game.initial @ value_of(game, (first, pure)) for pure in pure_policies(3, 2))
        found = nikaido_isoda(game, (first, second))
        assert np.isclose(found.value, most - least, rtol=0, atol=1e-8 / (1 - discount))
        value = game.initial @ value_of(game, (first, second))
        assert np.allclose(found.gains, [most - value, value - least], rtol=0, atol=1e-8 / (1 - discount))


def test_pennies_by_hand():
    """ψ = τ log Σ exp(±(2q−1)/τ) + τh(q) + τ log Σ exp(±(2p−1)/τ) + τh(p), over 1 − γ."""
    p, q, tau = 0.7, 0.2, 0.3
    h = [u * np.log(u) + (1 - u) * np.log(1 - u) for u in (p, q)]
    wins = [tau * np.logaddexp((2 * u - 1) / tau, (1 - 2 * u) / tau) for u in (q, p)]
    game = pennies(discount=0.5, temperature=tau)
    assert np.isclose(nikaido_isoda(game, ([[p, 1 - p]], [[q, 1 - q]])).value, 2 * (sum(wins) + tau * sum(h)))
    hard = nikaido_isoda(pennies(temperature=0.0), ([[p, 1 - p]], [[q, 1 - q]]))
    assert np.isclose(hard.value, abs(2 * q - 1) + abs(2 * p - 1))


@pytest.mark.parametrize("temperature", [0.0, 0.01, 0.1, 1.0])
def test_zero_at_equilibria_and_nowhere_else(temperature):
    for seed in range(12):
        game = draw_game(seed, discount=0.5 + 0.49 * (seed % 2), temperature=temperature, branching=2)
        found = solve_zero_sum(game)
        at = nikaido_isoda(game, found.policies)
        rounding = 1e-9 * game.scale / (1 - game.discount)
        assert -rounding <= at.value <= 1e-8 * game.scale + rounding  # what solve_zero_sum promises
        for player in range(2):
            other = list(found.policies)
            other[player] = 0.5 * other[player] + 0.5 * np.roll(other[player], 1, axis=1)
            far = np.abs(other[player] - found.policies[player]).max()  # and ‖·‖₁ is twice as much, ρ at least 1/40
            assert nikaido_isoda(game, tuple(other)).value >= 0.04 * temperature * far**2 - 2e-8 * game.scale
        assert nikaido_isoda(game, draw_pair(seed, game)).value > 1e-3


def test_zero_at_the_referees_equilibrium():
    for seed, temperature in enumerate((0.0, 0.1, 1.0)):
        game = draw_game(seed, 3, (2, 3), temperature=temperature)
        first, second = (np.maximum(policy, 0) for policy in exact.solve_zero_sum(game).policies)
        pair = first / first.sum(axis=1, keepdims=True), second / second.sum(axis=1, keepdims=True)
        assert abs(nikaido_isoda(game, pair).value) <= 1e-4 * game.scale / (1 - game.discount)  # policies: 1e-4


def test_where_nobody_comes_it_sees_nothing():
    """State 1 is never reached from ρ = (1, 0): uniform policies are no equilibrium there, and ψ = 0."""
    kernel = np.zeros((2, 2, 2, 2))
    kernel[0, ..., 0] = kernel[1, ..., 1] = 1.0
    reward = np.zeros((2, 2, 2))
    reward[1, 0] = 1.0
    game = ZeroSumGame(kernel, reward, 0.5, [1.0, 0.0], 0.1)
    assert abs(nikaido_isoda(game, uniform(game)).value) <= 1e-9
    seen = dataclasses.replace(game, initial=[0.9, 0.1])
    assert nikaido_isoda(seen, uniform(game)).value > 0.05


# Gradients


STATES = 3
FAMILIES = [
    pytest.param(
        branching, temperature, discount, regularizer, id=f"{name}-{temperature}-{discount}-{regularizer.name}"
    )
    for name, branching in (("dense", None), ("garnet", 2))
    for temperature in (0.01, 0.1, 1.0)
    for discount in (0.9, 0.99)
    for regularizer in (Entropy(), SquaredNorm())
]


@pytest.mark.parametrize(("branching", "temperature", "discount", "regularizer"), FAMILIES)
def test_gradients_on_a_hundred_and_twenty_models(branching, temperature, discount, regularizer):
    """Both policies, reward, and reward and kernel together, along random directions; 24 families of five.

    Where r moves by h, action values move by h/(1−γ), and answers by their τ-th part: the step is a fiftieth of that,
    so that what differences of fourth order miss is of relative size (1/50)⁴. The squared norm's answers have kinks,
    where they begin to play an action: none lies between these points.
    """
    step = 0.02 * temperature * (1 - discount)
    for seed in range(5):
        shape, rng = ((3, 3), (2, 3), (3, 2), (2, 2), (4, 4))[seed], np.random.default_rng(seed)
        game = draw_game(seed, STATES, shape, discount=discount, temperature=temperature, regularizer=regularizer)
        kernels = [draw_kernel(np.random.default_rng(100 + seed), STATES, shape, branching)] * 2
        kernels[1] = kernels[0] * rng.random(kernels[0].shape)
        kernels[1] /= kernels[1].sum(axis=-1, keepdims=True)
        game = dataclasses.replace(game, transition=(kernels[0] + kernels[1]) / 2)
        pair, other = draw_pair(seed, game, inner=0.5), draw_pair(50 + seed, game)
        dr, dp = rng.normal(size=game.reward.shape), kernels[1] - kernels[0]
        dp *= min(1.0, (1 - discount) / np.abs(dp).sum(axis=-1).max())  # on V it weighs what dr does
        turn = [there - here for there, here in zip(other, pair, strict=True)]
        found = nikaido_isoda(game, pair, best=answers(game, pair))

        def moved(t, policies=(0, 0), reward=0, kernel=0, game=game, pair=pair, turn=turn, dr=dr, dp=dp):
            model = dataclasses.replace(
                game, reward=game.reward + t * reward * dr, transition=game.transition + t * kernel * dp
            )
            return model, tuple(p + t * on * d for p, on, d in zip(pair, policies, turn, strict=True))

        for what in ({"policies": (1, 0)}, {"policies": (0, 1)}, {"reward": 1}, {"reward": 1, "kernel": 1}):
            measured = derivative(lambda t, what=what, moved=moved: height(*moved(t, **what)), step)
            if "policies" in what:
                player = what["policies"].index(1)
                gradient, direction = found.policy_gradients[player], turn[player]
                given = (gradient * direction).sum()
                size = np.linalg.norm(gradient) * np.linalg.norm(direction)
            elif "kernel" in what:
                given = sum((t.mass * (dr + discount * dp @ t.next_value)).sum() for t in found.terms)
                size = sum(np.linalg.norm(t.mass) for t in found.terms) * np.linalg.norm(dr)
            else:
                given = (found.reward_gradient * dr).sum()
                size = np.linalg.norm(found.reward_gradient) * np.linalg.norm(dr)
            assert abs(given - measured) <= 1e-6 * size, (seed, what)


def test_gradient_in_the_reward_without_a_temperature():
    """The best answers are unique for almost every game, and ψ is linear in r as long as they stay."""
    for seed in range(10):
        game = draw_game(seed, 3, (3, 3), temperature=0.0)
        pair, dr = draw_pair(seed, game), np.random.default_rng(seed).normal(size=(3, 3, 3))
        found = nikaido_isoda(game, pair)

        def total(t, game=game, pair=pair, dr=dr):
            return height(game.with_reward(game.reward + t * dr), pair)

        measured = derivative(total, 1e-5)
        assert np.isclose((found.reward_gradient * dr).sum(), measured, rtol=1e-6, atol=1e-6)
        for gradient in found.policy_gradients:
            assert np.isfinite(gradient).all()


def test_entropys_slope_at_the_border_is_infinite():
    one, two = nikaido_isoda(pennies(), ([[1.0, 0.0]], [[0.0, 1.0]])).policy_gradients
    assert one[0, 1] == two[0, 0] == -np.inf and np.isfinite([one[0, 0], two[0, 1]]).all()


def test_the_weights_of_states_are_the_visits_of_one_player_and_the_other_ones_answer():
    game = draw_game(3, 4, (3, 3))
    pair = draw_pair(3, game)
    found = nikaido_isoda(game, pair)
    one, two = (plan.policy for plan in found.best)
    assert np.allclose(found.weights, [visits(game, (pair[0], two)), visits(game, (one, pair[1]))])


# Landscape


@pytest.mark.parametrize("temperature", [0.0, 0.01, 0.1, 1.0])
def test_gradient_dominance_where_it_is_split_at_the_nash_value(temperature):
    """v* − V^{π₁,b₂} ≤ ‖d^{π₁*,b₂}/d^{π₁,b₂}‖_∞ max⟨π₁′ − π₁, −∇ψ⟩, and likewise for π₂; d ≥ ρ."""
    for seed in range(40):
        game = draw_game(seed, temperature=temperature, branching=2 + seed % 3, shape=(3, 3))
        pair = draw_pair(seed, game)
        nash, at = solve_zero_sum(game), nikaido_isoda(game, pair)
        one, two = (plan.policy for plan in at.best)
        lost = nash.expected_return + at.best[1].expected_return, at.best[0].expected_return - nash.expected_return
        steep = [(-g.min(axis=1) + (p * g).sum(axis=1)).sum() for p, g in zip(pair, at.policy_gradients, strict=True)]
        there = visits(game, (nash.policies[0], two)), visits(game, (one, nash.policies[1]))
        ratios = [(far / near).max() for far, near in zip(there, at.weights, strict=True)]
        accuracy = 1e-7 * game.scale / (1 - game.discount)
        for half, ratio, slope, far in zip(lost, ratios, steep, there, strict=True):
            assert -accuracy <= half <= ratio * slope + accuracy
            assert ratio <= (far / game.initial).max() <= 1 / ((1 - game.discount) * game.initial.min()) + 1e-9
        assert np.isclose(sum(lost), at.value, rtol=0, atol=1e-9 * game.scale / (1 - game.discount))
        assert at.value <= max(ratios) * sum(steep) + 2 * accuracy


def test_the_halves_from_the_pairs_own_value_are_not_dominated():
    """Pennies at τ = .1: π₁ uniform has no slope, but V^{π₁,π₂} − V^{π₁,b₂} = τ(log 2 + h(π₂)) is .037, the other .73.

    Player 1's half of ψ from V^{π₁,π₂} is what it gains by an answer. π₁ is the best that it can do against b₂(π₁), so
    ψ has no slope in π₁.
    """
    tau, q = 0.1, np.array([0.9, 0.1])
    at = nikaido_isoda(pennies(temperature=tau), ([[0.5, 0.5]], [q]))
    h = (q * np.log(q)).sum()
    assert np.isclose(at.gains[0], tau * np.logaddexp(0.8 / tau, -0.8 / tau) - tau * np.log(2))
    assert at.gains[0] > 0.73 and np.ptp(at.policy_gradients[0]) <= 1e-9
    assert np.isclose(at.gains[1], tau * (np.log(2) + h))
    nash = 0.0  # the value of pennies, whatever τ: split there, the half without slope is zero
    assert abs(nash + at.best[1].expected_return) <= 1e-9


@pytest.mark.parametrize("temperature", [0.05, 0.3, 1.0])
def test_quadratic_growth(temperature):
    """ψ ≥ (τ/2) Σρ (‖π₁ − π₁*‖₁² + ‖π₂ − π₂*‖₁²) =: N(π − π*)².

    The equilibrium is known up to its own ψ, so N of the distance to what stands for it is at most √ψ + √(its ψ).
    """
    for seed in range(30):
        game = draw_game(seed, temperature=temperature, branching=2, shape=(3, 3))
        nash, far = solve_zero_sum(game), draw_pair(seed, game)
        for share in (1.0, 0.1, 0.01):
            pair = tuple((1 - share) * near + share * there for near, there in zip(nash.policies, far, strict=True))
            squares = sum(np.abs(p - q).sum(axis=1) ** 2 for p, q in zip(pair, nash.policies, strict=True))
            grown = np.sqrt(temperature / 2 * game.initial @ squares)
            assert grown <= np.sqrt(max(nikaido_isoda(game, pair).value, 0)) + np.sqrt(nash.duality_gap) + 1e-5


def test_growth_is_attained_in_the_limit_where_a_player_cannot_do_harm():
    """One state, r = 0: ψ = τ KL(π₁‖u) + τ KL(π₂‖u), and Pinsker's constant is best at two actions near ½."""
    game, e = one_state([[0.0, 0.0], [0.0, 0.0]], temperature=0.4), 1e-3
    pair = ([[0.5 + e, 0.5 - e]], [[0.5 - e, 0.5 + e]])
    assert np.isclose(nikaido_isoda(game, pair).value, 0.2 * 2 * (2 * e) ** 2, rtol=1e-4)


# The door


def test_an_evaluation_saves_another_one_but_not_in_another_game():
    game = draw_game(0)
    pair = draw_pair(0, game)
    at = evaluate(game, pair)
    assert nikaido_isoda(game, at).value == nikaido_isoda(game, pair).value and nikaido_isoda(game, at).at is at
    with pytest.raises(ValueError, match="policies are an evaluation in another game; allowed is one in the game"):
        nikaido_isoda(game.with_temperature(0.2), at)
    of_an_mdp = evaluate(faced(game, pair)[0], pair[0])
    with pytest.raises(ValueError, match="policies are of type Evaluation; allowed is a pair"):
        nikaido_isoda(game, of_an_mdp)


def test_best_answers_that_are_known_are_taken():
    game = draw_game(0)
    pair = draw_pair(0, game)
    best = best_responses(game, pair)
    assert nikaido_isoda(game, pair, best=best).best is best


@pytest.mark.parametrize(
    "bad", [np.full((4, 3), 1 / 3), (np.full((4, 3), 1 / 3),) * 2, (np.ones((4, 3)), np.ones((4, 2)))]
)
def test_what_is_no_pair_of_policies_is_refused(bad):
    with pytest.raises(ValueError, match=r"policies.*; allowed is"):
        nikaido_isoda(draw_game(0), bad)
