"""Bad input is refused at the door: which field, which index, which value, and what would be allowed."""

import numpy as np
import pytest

import pencourse as pc
from pencourse import validation, worlds

S, A = 3, 2


def good():
    kernel = np.full((S, A, S), 0.25)
    kernel[:, :, 0] = 0.5
    return {
        "transition": kernel,
        "reward": np.arange(6.0).reshape(S, A),
        "discount": 0.9,
        "initial": np.array([0.5, 0.5, 0.0]),
        "temperature": 0.1,
    }


def changed(field, index, value):
    fields = good()
    fields[field] = np.array(fields[field])
    fields[field][index] = value
    return fields


def replaced(field, value):
    return {**good(), field: value}


def make(fields):
    return lambda: pc.MDP(**fields)


def world():
    return pc.MDP(**good())


def with_policy(index, value):
    policy = np.full((S, A), 0.5)
    policy[index] = value
    return lambda: pc.evaluate(world(), policy)


def game(**fields):
    kernel = np.full((3, 2, 4, 3), 1 / 3)
    good_game = {"transition": kernel, "reward": np.zeros((3, 2, 4)), "discount": 0.9, "initial": [0.5, 0.5, 0.0]}
    return lambda: pc.ZeroSumGame(**{**good_game, **fields})


def with_entry(shape, index, value):
    array = np.full(shape, 1 / 3)
    array[index] = value
    return array


# what is done, and the four facts that the message has to hold: field, index (if any), value, what is allowed
BAD = {
    "row sum": (
        make(changed("transition", (1, 0, 2), 0.35)),
        ["the row sum of transition[1, 0]", "1.1", "1 within 1e-09"],
    ),
    "row sum by a hair": (
        make(changed("transition", (2, 1, 0), 0.5 + 1e-8)),
        ["transition[2, 1]", "1.00000001", "1e-09"],
    ),
    "negative probability": (
        make(changed("transition", (2, 1, 0), -0.5)),
        ["transition[2, 1, 0]", "-0.5", "at least 0"],
    ),
    "NaN in the kernel": (make(changed("transition", (0, 1, 1), np.nan)), ["transition[0, 1, 1]", "nan", "finite"]),
    "kernel's last axis": (
        make(replaced("transition", np.full((3, 2, 2), 0.5))),
        ["transition", "(3, 2, 2)", "(S, A, S)"],
    ),
    "kernel of two axes": (make(replaced("transition", np.eye(3))), ["transition", "(3, 3)", "(any, any, any)"]),
    "no actions": (make(replaced("transition", np.zeros((3, 0, 3)))), ["transition", "(3, 0, 3)", "(any, any, any)"]),
    "infinite reward": (make(changed("reward", (2, 0), np.inf)), ["reward[2, 0]", "inf", "finite"]),
    "NaN reward": (make(changed("reward", (0, 1), np.nan)), ["reward[0, 1]", "nan", "finite"]),
    "reward transposed": (make(replaced("reward", np.zeros((2, 3)))), ["reward", "(2, 3)", "(3, 2)"]),
    "reward of words": (make(replaced("reward", [["a", "b"]] * 3)), ["reward", "array of real numbers", "'a'"]),
    "ragged reward": (make(replaced("reward", [[0.0], [0.0, 1.0], [2.0]])), ["reward", "array of real numbers"]),
    "complex reward": (make(replaced("reward", np.full((3, 2), 1j))), ["reward", "array of real numbers"]),
    "discount 1": (make(replaced("discount", 1)), ["discount", "1.0", "0 <= discount < 1"]),
    "negative discount": (make(replaced("discount", -0.1)), ["discount", "-0.1", "0 <= discount < 1"]),
    "NaN discount": (make(replaced("discount", np.nan)), ["discount", "nan", "0 <= discount < 1"]),
    "discount a word": (make(replaced("discount", "0.9")), ["discount", "'0.9'", "0 <= discount < 1"]),
    "discount True": (make(replaced("discount", True)), ["discount", "True", "0 <= discount < 1"]),
    "discount an array": (
        make(replaced("discount", np.array([0.9]))),
        ["discount", "array([0.9])", "0 <= discount < 1"],
    ),
    "negative temperature": (make(replaced("temperature", -0.5)), ["temperature", "-0.5", "at least 0"]),
    "infinite temperature": (
        make(replaced("temperature", np.inf)),
        ["temperature", "inf", "finite number, at least 0"],
    ),
    "NaN temperature": (make(replaced("temperature", np.nan)), ["temperature", "nan", "at least 0"]),
    "start no distribution": (make(changed("initial", 0, 0.4)), ["the row sum of initial", "0.9", "1 within 1e-09"]),
    "negative start": (make(changed("initial", 2, -0.1)), ["initial[2]", "-0.1", "at least 0"]),
    "start of wrong length": (make(replaced("initial", [0.5, 0.5])), ["initial", "(2,)", "(3)"]),
    "policy's shape": (lambda: pc.evaluate(world(), np.full((2, 3), 1 / 3)), ["policy", "(2, 3)", "(3, 2)"]),
    "policy's row": (with_policy((1, 0), 0.6), ["the row sum of policy[1]", "1.1", "1 within 1e-09"]),
    "negative policy": (with_policy((2, 1), -0.5), ["policy[2, 1]", "-0.5", "at least 0"]),
    "NaN policy": (with_policy((0, 0), np.nan), ["policy[0, 0]", "nan", "finite"]),
    "solve's start": (lambda: pc.solve(world(), initial_value=np.zeros(2)), ["initial_value", "(2,)", "(3)"]),
    "solve's NaN": (lambda: pc.solve(world(), initial_value=[0, np.nan, 0]), ["initial_value[1]", "nan", "finite"]),
    "tolerance 0": (lambda: pc.solve(world(), tolerance=0.0), ["tolerance", "0.0", "above 0"]),
    "tolerance NaN": (lambda: pc.solve(world(), tolerance=np.nan), ["tolerance", "nan", "above 0"]),
    "sweeps' start": (lambda: next(pc.value_iteration(world(), [1.0])), ["initial_value", "(1,)", "(3)"]),
    "policy iteration's start": (
        lambda: next(pc.policy_iteration(world(), np.ones((S, A)))),
        ["the row sum of policy[0]", "2.0", "1 within"],
    ),
    "mirror descent's start": (
        lambda: next(pc.mirror_descent(world(), 1.0, np.ones((S, 1)))),
        ["policy", "(3, 1)", "(3, 2)"],
    ),
    "step 0": (lambda: next(pc.mirror_descent(world(), 0.0)), ["step", "0.0", "above 0"]),
    "step negative": (lambda: next(pc.mirror_descent(world(), -1.0)), ["step", "-1.0", "above 0"]),
    "step infinite": (lambda: next(pc.mirror_descent(world(), np.inf)), ["step", "inf", "above 0"]),
    "exploration": (lambda: worlds.mixed_start(np.ones(1), 1.5), ["exploration", "1.5", "from 0 to 1"]),
    "exploration NaN": (lambda: worlds.mixed_start(np.ones(1), np.nan), ["exploration", "nan", "from 0 to 1"]),
    "branching 0": (
        lambda: worlds.random_mdp(np.random.default_rng(0), 3, 2, 0.9, branching=0),
        ["branching", "0", "from 1 to n_states = 3"],
    ),
    "branching 4": (
        lambda: worlds.random_mdp(np.random.default_rng(0), 3, 2, 0.9, branching=4),
        ["branching", "4", "from 1 to n_states = 3"],
    ),
    "ragged drawing": (lambda: worlds.gridworld(["SF", "G"], 0.9), ["rows", "[2, 1]", "equal lengths"]),
    "empty drawing": (lambda: worlds.gridworld([], 0.9), ["rows", "[]", "equal lengths, at least 1"]),
    "unknown letter": (lambda: worlds.gridworld(["SF", "xG"], 0.9), ["rows[1][0]", "'x'", "S, G, H, #, . and F"]),
    "no start": (lambda: worlds.gridworld(["FG"], 0.9), ["rows", "no start", "at least one S"]),
    "slip": (lambda: worlds.gridworld(["SG"], 0.9, slip=-0.1), ["slip", "-0.1", "from 0 to 1"]),
    "game's kernel of three axes": (
        game(transition=np.full((3, 2, 3), 1 / 3)),
        ["transition", "(3, 2, 3)", "(any, any, any, any)"],
    ),
    "game's kernel, last axis": (game(transition=np.full((3, 2, 4, 2), 0.5)), ["transition", "(S, A, B, S)"]),
    "game's row sum": (
        game(transition=with_entry((3, 2, 4, 3), (2, 1, 3, 0), 0.5)),
        ["the row sum of transition[2, 1, 3]", "1.1666", "1 within 1e-09"],
    ),
    "game's NaN kernel": (
        game(transition=with_entry((3, 2, 4, 3), (0, 1, 2, 1), np.nan)),
        ["transition[0, 1, 2, 1]", "nan", "finite"],
    ),
    "game's reward, players exchanged": (game(reward=np.zeros((3, 4, 2))), ["reward", "(3, 4, 2)", "(3, 2, 4)"]),
    "game's infinite reward": (
        game(reward=with_entry((3, 2, 4), (1, 0, 3), -np.inf)),
        ["reward[1, 0, 3]", "-inf", "finite"],
    ),
    "game's discount": (game(discount=1.0), ["discount", "1.0", "0 <= discount < 1"]),
    "game's start": (game(initial=[0.5, 0.6, 0.0]), ["the row sum of initial", "1.1", "1 within 1e-09"]),
    "game's temperature": (game(temperature=-0.1), ["temperature", "-0.1", "at least 0"]),
    "game's new reward": (lambda: game()().with_reward(np.zeros((3, 8))), ["reward", "(3, 8)", "(3, 2, 4)"]),
    "game's branching": (
        lambda: worlds.random_zero_sum_game(np.random.default_rng(0), 3, 2, 2, 0.9, branching=4),
        ["branching", "4", "from 1 to n_states = 3"],
    ),
    "slip NaN": (lambda: worlds.gridworld(["SG"], 0.9, slip=np.nan), ["slip", "nan", "from 0 to 1"]),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name):
    act, facts = BAD[name]
    with pytest.raises(ValueError) as refused:
        act()
    message = str(refused.value)
    missing = [fact for fact in facts if fact not in message]
    assert not missing, f"{message!r} does not say {missing}"
    # "must be" stands where no value could be read as a number at all
    assert "allowed" in message or "must be an array of real numbers" in message


def test_the_first_bad_index_is_named():
    fields = good()
    fields["reward"] = np.array(fields["reward"])
    fields["reward"][1, 1] = fields["reward"][2, 0] = np.nan
    with pytest.raises(ValueError, match=r"reward\[1, 1\]"):
        pc.MDP(**fields)


def test_what_is_good_is_taken_as_it_is():
    fields = good()
    mdp = pc.MDP(**fields)
    for field in ("transition", "reward", "initial"):
        array = getattr(mdp, field)
        assert array.dtype == np.float64 and array.flags.c_contiguous and not array.flags.writeable
        np.testing.assert_array_equal(array, fields[field])
    fields["reward"][0, 0] = 77.0  # the model holds a copy
    assert mdp.reward[0, 0] == 0.0
    assert isinstance(pc.MDP(**replaced("discount", np.float32(0.5))).discount, float)
    assert pc.MDP(**replaced("reward", [[1, 2], [3, 4], [5, 6]])).reward.dtype == np.float64
    assert pc.MDP(**changed("transition", (2, 1, 0), 0.5 + 1e-10)).discount == 0.9  # rounding is no mistake


def test_checked_number_at_the_ends_of_its_range():
    assert validation.checked_number("x", 0, 0.0, 1.0, allowed="0 to 1") == 0.0
    assert validation.checked_number("x", 1, 0.0, 1.0, allowed="0 to 1") == 1.0
    with pytest.raises(ValueError, match=r"x is 1\.0"):
        validation.checked_number("x", 1, 0.0, 1.0, allowed="0 to 1", open_high=True)


def test_refuse_where_names_a_lone_number_without_an_index():
    with pytest.raises(ValueError, match=r"^x is 3.0; allowed is less\.$"):
        validation.refuse_where("x", np.array(3.0), np.array(True), "less")


@pytest.mark.parametrize("number", [0, -1, 1.5, np.nan, True, "2", None])
def test_a_count_is_an_integer(number):
    with pytest.raises(ValueError, match=r"n is .*; allowed is an integer, at least 1"):
        validation.checked_count("n", number, 1)
    assert validation.checked_count("n", np.int64(3), 1) == 3
