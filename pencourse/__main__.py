"""The command line, ``python -m pencourse COMMAND``: what the Makefile calls, and all there is without make.

A new command is a function in a module of ``pencourse.commands`` that takes the parsed arguments and returns
an exit status, and its three lines in `parser`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

INSTALL = "python -m pip install -c constraints.txt -e '.[course]'"


def parser() -> argparse.ArgumentParser:
    """Return the parser: every command sets ``call`` to its ``module:function``."""
    top = argparse.ArgumentParser(prog="python -m pencourse", description="Run the course.")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    lab = commands.add_parser("lab", help="open JupyterLab on the welcome notebook")
    lab.add_argument("flags", nargs="*", metavar="FLAG", help="for JupyterLab, after --: -- --port=8899")
    lab.set_defaults(call="lab:lab")

    course = commands.add_parser("course", help="execute every lesson in a copy; table the results")
    course.add_argument("names", nargs="*", metavar="LESSON", help="only lessons that begin so: 01 02")
    course.add_argument("--out", metavar="FILE", help="also write seconds and memory there: docs/times.csv")
    course.set_defaults(call="lessons:course")

    execute = commands.add_parser("execute", help="re-execute lessons and solutions in place")
    execute.add_argument("names", nargs="*", metavar="NAME", help="only notebooks that begin so: 01 ps01")
    execute.set_defaults(call="lessons:execute")

    progress = commands.add_parser("progress", help="tell which problem sets pass")
    progress.set_defaults(call="learner:command")

    again = commands.add_parser("reproduce", help="run an experiment of the case studies; write tables and a picture")
    again.add_argument("experiment", choices=("stackelberg", "rlhf", "incentives"))
    again.add_argument("--seeds", type=int, metavar="N", help="how many games or runs (10; with --quick 3)")
    again.add_argument("--out", default="results", metavar="DIR", help="where to write (results)")
    again.add_argument("--quick", action="store_true", help="small instances, in seconds")
    again.add_argument("--family", choices=("random", "leader", "follower"), help="stackelberg: only these games")
    again.add_argument("--jobs", type=int, default=-1, metavar="N", help="processes (all processors)")
    again.set_defaults(call="reproduce:reproduce")
    grade = commands.add_parser("grade", help="autograde a class; table the scores")
    grade.add_argument("names", nargs="*", metavar="SET", help="only problem sets that begin so: ps01")
    grade.add_argument("--student", action="append", metavar="NAME", help="only this student (may be repeated)")
    grade.add_argument("--course", metavar="DIR", help="folder with nbgrader_config.py (this repository)")
    grade.add_argument("--jobs", type=int, default=2, metavar="N", help="submissions at once (2)")
    grade.add_argument("--seconds", type=float, default=60.0, help="for each cell (60)")
    grade.add_argument("--total", type=float, default=300.0, metavar="SECONDS", help="for each notebook (300)")
    grade.add_argument("--memory", type=int, default=2000, metavar="MB", help="for each notebook (2000)")
    grade.add_argument("--disk", type=int, default=200, metavar="MB", help="for each notebook (200)")
    grade.add_argument("--user", metavar="NAME", help="run students' code as this user; only root can, see the recipe")
    grade.set_defaults(call="grade:grade")

    copy = commands.add_parser("class-copy", help="write the problem sets with other instances for one class")
    copy.add_argument("names", nargs="*", metavar="SET", help="only problem sets that begin so: ps01")
    copy.add_argument("--seed", required=True, help="a long number that only you know")
    copy.add_argument("--out", metavar="DIR", help="where to write (grading/class-SEED)")
    copy.set_defaults(call="class_copy:class_copy")
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Run the command that ``words`` (by default the command line) name; return its exit status."""
    arguments = parser().parse_args(words)
    module, function = arguments.call.split(":")
    try:
        # Loaded here, so that one command does not wait for what another one needs.
        command = getattr(importlib.import_module(f"pencourse.commands.{module}"), function)
        return int(command(arguments))
    except ModuleNotFoundError as missing:
        sys.exit(f"The package {missing.name} is missing; {INSTALL} brings it.")


if __name__ == "__main__":
    sys.exit(main())
