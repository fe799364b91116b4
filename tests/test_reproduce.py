"""``python -m pencourse reproduce``: what stands in its tables is what the methods found."""

import numpy as np
import pandas as pd
import pytest

import pencourse.__main__ as command_line
from pencourse import evaluate, exact, solve
from pencourse.cases import incentive_design
from pencourse.cases.stackelberg import best_response
from pencourse.commands.reproduce import incentives, rlhf, stackelberg
from pencourse.descent import pbrl_partial
from pencourse.models import ZeroSumGame, response_mdp
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


# Incentive design


@pytest.fixture(scope="module")
def paid_for(tmp_path_factory):
    where = tmp_path_factory.mktemp("incentives")
    words = ["reproduce", "incentives", "--quick", "--seeds", "1", "--jobs", "1", "--out", str(where)]
    assert command_line.main(words) == 0
    names = {"incentives.csv", "incentives_curves.csv", "incentives.png", "incentives_ends.png"}
    assert {path.name for path in where.iterdir()} == names
    return pd.read_csv(where / "incentives.csv"), pd.read_csv(where / "incentives_curves.csv")


def test_net_returns_are_at_the_true_equilibrium(paid_for):
    """Recomputed with the referee's equilibrium and best responses; at the method's own policies f is not the same."""
    table, _ = paid_for
    row = table[(table["method"] == incentives.PBRL) & table["chosen"] & (table["start"] == 0)].iloc[0]
    problem, scale = incentives.draw(0, incentives.QUICK), incentives.QUICK
    watched = incentives.Watched(problem.game, problem.designer_reward, problem.bound, problem.cost)
    *_, last = incentives.METHODS[incentives.PBRL].runs(watched, scale.budget, row["step"], 0.3, problem.initial_upper)
    x, game = last.upper, problem.lower_model(last.upper)
    referee = exact.solve_zero_sum(game)
    payoff = evaluate(game, referee.policies).side_value(problem.designer_reward) @ game.initial
    paid = 0.5 * incentives.COST * (x**2).sum()
    assert np.abs(x).max() <= incentives.BOUND
    # CLARABEL's policies are good to about 1e-4; returns are below 10, and the 10 visits carry an error on.
    assert np.allclose(
        row[["net_return", "designer_return", "paid"]].astype(float), [payoff - paid, payoff, paid], atol=1e-2
    )
    assert np.isclose(row["paid"], paid, rtol=1e-4)
    answers = [exact.solve_mdp(response_mdp(game, k, last.lower[2 - k])).expected_return for k in (1, 2)]
    assert np.isclose(row["nash_gap"], sum(answers), atol=1e-6)  # values of CLARABEL: 1e-8 or so
    assert abs(row["net_return"] - row["pair_return"]) > 1e-6


def test_all_methods_pay_from_the_same_budget(paid_for):
    table, curves = paid_for
    assert set(table["method"]) == set(curves["method"]) == set(incentives.METHODS)
    spent = table[table["method"] != incentives.NONE].set_index("method")["soft_solves"]
    exactly = [name for name in incentives.METHODS if name.startswith("PBRL") or name == incentives.META]
    assert (spent.loc[exactly] == incentives.QUICK.budget).all()
    assert (spent <= incentives.QUICK.budget).all() and (spent > 0.8 * incentives.QUICK.budget).all()


def test_curves_begin_without_incentives_and_end_where_the_method_ends(paid_for):
    table, curves = paid_for
    ends = table[table["chosen"] & (table["start"] == 0)].set_index("method")
    ways = curves.groupby("method")["median"]
    assert np.allclose(ways.first(), ends["none"].reindex(ways.first().index), rtol=1e-5)
    assert np.allclose(ways.last(), ends["net_return"].reindex(ways.last().index), rtol=1e-5)
    stages = curves[curves["method"] == incentives.PBRL].groupby("penalty_weight")["soft_solves"].max()
    each = incentives.QUICK.budget // incentives.STAGES
    assert stages.to_dict() == {weight: (k + 1) * each for k, weight in enumerate(incentives.RISING)}


def test_incentives_are_compared_in_the_same_game_from_the_same_start():
    rows = [(incentives.NONE, 0, 0, 1.0), (incentives.IMPLICIT, 0, 0, 3.0), (incentives.META, 0, 0, 2.0)]
    rows += [(incentives.IMPLICIT, 0, 1, 5.0), (incentives.META, 0, 1, 6.0), ("m", 0, 0, 2.5), ("m", 0, 1, 5.0)]
    table = pd.DataFrame(rows, columns=["method", "seed", "start", "net_return"]).assign(none=1.0, chosen=True)
    mine = incentives.compared(table).set_index(["method", "start"]).loc["m"]
    assert mine["closed"].tolist() == [0.75, 1.0] and mine["meta"].tolist() == [2.0, 6.0]
    assert np.allclose(mine["of_implicit"], [2.5 / 3, 1.0])


def test_steps_are_chosen_by_the_median_from_zero():
    rows = [("m", 1.0, 0.3, seed, 0, value) for seed, value in enumerate((5, 5, 0))]
    rows += [("m", 2.0, 0.3, seed, 0, value) for seed, value in enumerate((9, 4, 4))]
    rows += [("m", 2.0, 0.3, 0, 1, 99)]
    table = pd.DataFrame(rows, columns=[*incentives.RUN, "net_return"])
    assert incentives.chosen(table) == [("m", 1.0, 0.3)]


def test_what_counts_as_mixed():
    """Pennies mix in both rows; with 3 for heads whatever the other one shows, both rows are pure."""
    reward = np.array([[[1.0, -1.0], [-1.0, 1.0]]])
    game = ZeroSumGame(np.ones((1, 2, 2, 1)), reward, 0.5, np.ones(1), 0.1)
    problem = incentive_design.problem(game, reward, bound=5.0)
    assert incentives.mixed(problem, np.zeros((1, 2, 2))) == 1.0
    assert incentives.mixed(problem, np.array([[[3.0, 3.0], [0.0, 0.0]]])) == 0.0


def test_a_family_is_no_word_for_incentives():
    with pytest.raises(SystemExit, match="--family is for stackelberg only"):
        command_line.main(["reproduce", "incentives", "--family", "random"])
