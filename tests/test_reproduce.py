"""``python -m pencourse reproduce``: what stands in its tables is what the methods found."""

import numpy as np
import pandas as pd
import pytest

import pencourse.__main__ as command_line
from pencourse import evaluate, exact, solve
from pencourse.cases.stackelberg import best_response
from pencourse.commands.reproduce import rlhf, stackelberg
from pencourse.descent import pbrl_partial
from pencourse.simplex import uniform_policy


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("results")
    words = ["reproduce", "stackelberg", "--quick", "--seeds", "1", "--jobs", "1", "--out", str(where)]
    assert command_line.main(words) == 0
    return where


@pytest.fixture(scope="module")
def table(folder):
    return pd.read_csv(folder / "stackelberg.csv")


def test_it_writes_tables_and_pictures(folder, table):
    written = {path.name for path in folder.iterdir()}
    pictures = {f"stackelberg_{family}.png" for family in stackelberg.FAMILIES}
    assert written == {"stackelberg.csv", "stackelberg_curves.csv", *pictures}
    runs = len(stackelberg.METHODS) * len(stackelberg.QUICK.steps)
    assert table.groupby("family").size().to_dict() == {"random": runs, "leader": runs + 1, "follower": runs + 1}


def test_returns_are_at_the_followers_true_answer(table):
    """Recomputed: in the random family at τ = 0.1, in the others at τ = 0, never at the pair of a method's end."""
    for family in stackelberg.FAMILIES:
        game = stackelberg.draw(family, 0, stackelberg.QUICK)
        row = table[(table["family"] == family) & (table["method"] == "partial") & (table["step"] == 0.2)].iloc[0]
        found = pbrl_partial(game, iterations=49, step=0.2)
        if family != "random":
            game = stackelberg.replace(game, temperature=0.0)
        answers = [best_response(game, found.upper, ties=ties).leader_return for ties in ("leader", "against")]
        assert np.allclose(row[["leader_return", "ties_against"]].astype(float), answers, rtol=1e-5)
        assert np.isclose(row["follower_gap"], found.penalty, rtol=1e-4)
        assert abs(row["leader_return"] - row["pair_return"]) > 1e-6


def test_nothing_exceeds_the_certificate(table):
    certified = table[table["family"] != "random"]
    assert (certified["leader_return"] <= certified["bound"] + 1e-6).all()
    assert (certified["ties_against"] <= certified["leader_return"] + 1e-9).all()
    assert table.loc[table["family"] == "random", "certificate"].isna().all()
    for family in ("leader", "follower"):
        optimum = exact.stackelberg(stackelberg.draw(family, 0, stackelberg.QUICK))
        assert np.allclose(certified.loc[certified["family"] == family, "certificate"], optimum.primal, rtol=1e-5)


def test_every_method_has_the_same_budget(table):
    single = table[table["method"] != stackelberg.MULTISTART]
    assert set(single["soft_solves"]) == {stackelberg.QUICK.budget}


def test_one_step_is_chosen_by_the_median():
    rows = [("a", seed, "m", step, value) for seed, step, value in [(0, 1, 5), (1, 1, 5), (2, 1, 0), (0, 2, 9)]]
    rows += [("a", 1, "m", 2, 4), ("a", 2, "m", 2, 4)]
    table = pd.DataFrame(rows, columns=["family", "seed", "method", "step", "leader_return"])
    assert (stackelberg.chosen(table)["chosen"] == (table["step"] == 1)).all()


def test_the_summary(table, capsys):
    summary = stackelberg.summary(table)
    picks = table[table["chosen"]].set_index(["family", "method"])
    assert (summary["leader_return"] - picks["leader_return"]).abs().max() <= 1e-6
    assert summary.groupby("family")["best_of_single"].sum().eq(1).all()


def test_a_family_alone_and_bad_words(tmp_path, capsys):
    words = ["reproduce", "stackelberg", "--quick", "--seeds", "1", "--family", "random", "--jobs", "1"]
    assert command_line.main([*words, "--out", str(tmp_path / "new" / "folder")]) == 0
    assert "closed" not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--seeds is 0; allowed is an integer, at least 1"):
        command_line.main(["reproduce", "stackelberg", "--seeds", "0"])
    with pytest.raises(SystemExit):
        command_line.main(["reproduce", "nothing"])


# RLHF


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    where = tmp_path_factory.mktemp("rlhf")
    assert command_line.main(["reproduce", "rlhf", "--quick", "--seeds", "2", "--jobs", "1", "--out", str(where)]) == 0
    assert {path.name for path in where.iterdir()} == {"rlhf.csv", "rlhf.png"}
    return pd.read_csv(where / "rlhf.csv")


def test_no_method_asks_for_more_labels_than_it_may(labels):
    assert (labels["labels_used"] <= labels["labels"]).all() and (labels["labels_used"] > 0.9 * labels["labels"]).all()
    assert set(labels["method"]) == {*rlhf.METHODS, *rlhf.VARIANTS}


def test_shares_are_of_the_way_under_the_true_reward(labels):
    world = rlhf.world_of("hazard grid")
    low = evaluate(world, uniform_policy(world.n_states, world.n_actions)).expected_return
    assert np.allclose(labels["uniform"], low, rtol=1e-5)
    assert np.allclose(labels["optimum"], solve(world).expected_return, rtol=1e-5)
    assert (labels["true_return"] <= labels["optimum"] + 1e-6).all()
    share = (labels["true_return"] - labels["uniform"]) / (labels["optimum"] - labels["uniform"])
    assert np.allclose(labels["closed"], share, atol=1e-4)
    plain = labels[(labels["noise"] == 0) & labels["method"].isin(rlhf.METHODS)]
    median = plain.groupby(["method", "labels"])["closed"].median().unstack()
    assert (median[500] > median[100]).all()  # labels help


@pytest.mark.parametrize("name", rlhf.FULL.worlds)
def test_worlds_are_scaled_alike(name):
    world = rlhf.world_of(name)
    assert 3.5 < np.abs(world.reward).max() <= 4.0 + 1e-12  # the grid pays 4 or −4 on arrival, less what slips
    assert (world.initial > 0).all() and world.temperature == 0.05
