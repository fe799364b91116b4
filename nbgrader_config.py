"""nbgrader for this course: solutions/ is released as exercises/, what belongs to a class is in grading/."""

from pathlib import Path

root = Path(__file__).resolve().parent
(root / "grading").mkdir(exist_ok=True)

c = get_config()  # noqa: F821 (nbgrader defines it)

c.CourseDirectory.root = str(root)
c.CourseDirectory.course_id = "pencourse"
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.CourseDirectory.submitted_directory = "grading/submitted"
c.CourseDirectory.autograded_directory = "grading/autograded"
c.CourseDirectory.feedback_directory = "grading/feedback"
c.CourseDirectory.solution_directory = "grading/solution"
c.CourseDirectory.db_url = f"sqlite:///{root / 'grading' / 'gradebook.db'}"
c.NbGrader.logfile = str(root / "grading" / "nbgrader.log")

# A student's endless loop costs the student one task, not the teacher the evening.
c.ExecutePreprocessor.timeout = 60
c.ExecutePreprocessor.interrupt_on_timeout = True

# A feedback page shows no hidden test.
c.GenerateFeedback.preprocessors = [
    "nbgrader.preprocessors.GetGrades",
    "nbgrader.preprocessors.ClearHiddenTests",
    "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
]

# The same bytes whatever the umask was: released files can be read by all and written by their owner.
c.GenerateAssignment.permissions = 644
