"""`make load-test`: 200 submissions of problem set 01, honest, hostile and cheating, graded at once.

Every one must be in the table, with its score or the reason why it has none, and in the gradebook.
"""

import shutil
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from test_classroom import EVERYBODY, NAME, RAW, ROOT, run
from test_classroom import parsed as rows_of

MANY = 200


def main() -> int:
    """Hand in, grade, compare; return 1 if a submission is lost or has another score than it should."""
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder)
        shutil.copy(ROOT / "nbgrader_config.py", course)
        shutil.copytree(ROOT / "solutions" / NAME, course / "solutions" / NAME)
        expected = {}
        for k, who in enumerate(islice(cycle([*EVERYBODY, *RAW]), MANY)):
            submitted = course / "grading" / "submitted" / f"{k:03d}-{who}" / NAME
            submitted.mkdir(parents=True)
            text = (
                nbformat.writes(EVERYBODY[who][0]).encode("utf-8", "surrogatepass") if who in EVERYBODY else RAW[who][0]
            )
            if text is not None:
                (submitted / f"{NAME}.ipynb").write_bytes(text)
            expected[submitted.parent.name] = f"{EVERYBODY[who][1]}" if who in EVERYBODY else "no score"
        began = time.perf_counter()
        said = run(course)[1]
        seconds = time.perf_counter() - began
        print(said)
        found = {who: score for who, (score, _, _) in rows_of(said).items()}
        with Gradebook(f"sqlite:///{course / 'grading' / 'gradebook.db'}") as book:
            entered = {submission.student.id for submission in book.assignment_submissions(NAME)}
    wrong = {who: (score, found.get(who)) for who, score in expected.items() if found.get(who) != score}
    lost = sorted(set(expected) - entered)
    print(f"{MANY} submissions in {seconds:.0f} s; {len(found)} in the table, {len(entered)} in the gradebook.")
    print(f"Lost: {lost or 'none'}. Other scores than expected: {wrong or 'none'}.")
    return int(bool(wrong or lost))


if __name__ == "__main__":
    sys.exit(main())
