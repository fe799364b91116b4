"""`checks.grade`: a right answer passes in silence, a wrong one hears one sentence, and never the answer.

What the problem sets make of it stands in test_problem_sets.py.
"""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from pencourse.checks import Instance, Mistake, Task, Wrong, grade

INSTANCES = [
    Instance("two numbers above 0", (np.array([1.0, 2.0]),)),
    Instance("one below 0", (np.array([-3.0, 0.5]),)),
]


def double(x):
    return 2 * x


MISTAKES = [
    Mistake("The sign is flipped.", lambda x: -2 * x),
    Mistake("The factor is missing.", lambda x: x),
    Mistake("The size is right, the sign is not.", lambda x: 2 * np.abs(x)),
]


def refused(answer, mistakes=MISTAKES, **options):
    with pytest.raises(Wrong) as said:
        grade(answer, double, INSTANCES, mistakes, **options)
    assert isinstance(said.value, AssertionError) and len(said.value.args) == 1
    return str(said.value)


def test_right_answers_pass():
    assert grade(double, double, INSTANCES, MISTAKES) is None
    grade(lambda x: [2 * v for v in x], double, INSTANCES)  # a list will do
    grade(lambda x: 2 * x * (1 + 1e-9), double, INSTANCES)
    grade(lambda x: x.sum(), lambda x: float(x.sum()), INSTANCES)  # and so will a number


def test_each_mistake_has_its_sentence():
    for mistake in MISTAKES:
        assert refused(mistake.compute) == mistake.message


def test_a_mistake_speaks_only_if_it_explains_every_instance():
    for answer in (lambda x: x if x[0] > 0 else -2 * x, lambda x: 2 * x if x[0] > 0 else -2 * x):
        assert refused(answer) not in [mistake.message for mistake in MISTAKES]
    assert refused(lambda x: 2 * np.abs(x)) == MISTAKES[2].message  # right on the first instance


def test_an_unknown_mistake_hears_where_it_fails_first():
    assert "right on 0 of 2 instances; it fails first on two numbers above 0" in refused(lambda x: 3 * x)
    partly = refused(lambda x: 2 * x + (x[0] < 0), mistakes=())
    assert "right on 1 of 2 instances; it fails first on one below 0" in partly


def test_what_cannot_be_compared():
    def unwritten(x):
        raise NotImplementedError

    def broken(x):
        return x["key"]

    assert refused(unwritten) == "The function is not written yet."
    assert refused(broken).startswith("The function stopped with IndexError")
    assert "of its cell, on two numbers above 0" in refused(broken)
    assert refused(lambda x: None) == "The function returns nothing: is the return statement missing?"
    assert refused(lambda x: "two") == "The function returns a str; a number or an array is asked."
    assert refused(lambda x: [[1.0], [1.0, 2.0]]) == "The function returns a list; a number or an array is asked."
    assert refused(lambda x: 2 * x[:, None]) == "The result has shape (2, 1); asked is (2,)."
    assert refused(np.array([2.0, 4.0])) == "A function is asked; this is a ndarray."
    nan = refused(lambda x: x * np.nan)
    assert nan.startswith("The result holds NaN or an infinity") and nan.endswith("on two numbers above 0.")
    with pytest.raises(Wrong, match="asked is a single number"):
        grade(double, lambda x: x.sum(), INSTANCES)


def test_a_program_that_ends_itself_is_no_answer():
    def leaves(x):
        raise SystemExit(3)

    assert refused(leaves).startswith("The function stopped with SystemExit: 3 (line ")


def test_fractions_and_decimals_are_numbers():
    grade(lambda x: [Fraction(2 * v) for v in x], double, INSTANCES)
    grade(lambda x: Decimal(float(x.sum())), lambda x: x.sum(), INSTANCES)
    assert refused(lambda x: [Fraction(v) for v in x]) == MISTAKES[1].message


def test_yes_or_no_is_asked():
    def positive(x):
        return bool(x.min() > 0)

    for answer, said in (
        (lambda x: "yes", "The function returns a str; True or False is asked."),
        (lambda x: x > 0, "The result has shape (2,); asked is True or False."),
        (lambda x: x.min(), "The function returns a number; True or False is asked."),
        (lambda x: np.nan, "The function returns a number; True or False is asked."),
    ):
        with pytest.raises(Wrong) as heard:
            grade(answer, positive, INSTANCES)
        assert str(heard.value) == said
    grade(lambda x: x.min() > 0, positive, INSTANCES)
    grade(lambda x: int(x.min() > 0), positive, INSTANCES)


def test_an_instance_may_have_its_own_tolerance():
    strict = [Instance("strict", (np.ones(2),), tolerance=1e-9)]
    grade(lambda x: 2 * x * (1 + 1e-8), double, INSTANCES)
    with pytest.raises(Wrong, match="it fails first on strict"):
        grade(lambda x: 2 * x * (1 + 1e-8), double, [*INSTANCES, *strict])


def test_an_answer_that_stops_only_sometimes_is_still_explained():
    def breaks(x):
        return -2 * x if x[0] > 0 else x["key"]

    assert refused(breaks) == MISTAKES[0].message
    assert refused(breaks, mistakes=()).startswith("The function stopped with IndexError")
    assert refused(lambda x: 2 * x if x[0] > 0 else x["key"]).startswith("The function stopped with IndexError")


def test_a_result_that_is_finite_only_sometimes_is_still_explained():
    assert refused(lambda x: -2 * x if x[0] > 0 else x * np.nan) == MISTAKES[0].message


def test_the_tolerance_is_relative_to_the_largest_entry():
    refused(lambda x: 2 * x + 1e-3)
    grade(lambda x: 2 * x + 1e-3, double, INSTANCES, tolerance=1e-2)
    grade(lambda x: 2 * x + 1e-3, double, [Instance("large", (np.array([1e6, 0.0]),))])
    grade(lambda x: 0 * x, lambda x: 0 * x, INSTANCES)


def test_a_mistake_that_fails_itself_explains_nothing():
    def fails(x):
        raise ValueError

    broken = [Mistake("shape", lambda x: x.sum()), Mistake("nan", lambda x: x * np.nan), Mistake("error", fails)]
    assert refused(lambda x: -2 * x, mistakes=[*broken, MISTAKES[0]]) == MISTAKES[0].message


def test_a_mistake_may_be_recognised_by_what_it_leads_to():
    huge = Mistake("It is huge.", lambda x: 1e12 * x, lambda found, x: np.abs(found).max() > 1e6 * np.abs(x).max())
    assert refused(lambda x: -7e11 * x, mistakes=[huge]) == "It is huge."
    assert refused(lambda x: 3 * x, mistakes=[huge]) != "It is huge."


def test_an_answer_may_write_into_what_it_is_given():
    def in_place(x):
        x *= 2
        return x

    grade(in_place, double, INSTANCES)
    assert INSTANCES[0].arguments[0].tolist() == [1.0, 2.0]


def test_a_task_draws_its_instances_from_the_seed(capsys):
    seen = []

    def draw(rng):
        seen.append(rng.random())
        return [Instance("drawn", (rng.normal(size=3),))]

    task = Task(double, draw, MISTAKES)
    task(double)
    task(double, seed=0)
    task(double, seed=1)
    assert capsys.readouterr().out == "Right on all 1 instances.\n" * 3
    assert seen[0] == seen[1] != seen[2]
    with pytest.raises(Wrong, match=r"The sign is flipped\."):
        task(lambda x: -2 * x)


def test_jupyter_shows_the_sentence_alone():
    assert Wrong("One sentence.")._render_traceback_() == ["One sentence."]
