"""Three labs as exercises: files with holes, and a grader that names the likeliest mistake."""

from bptt.labs.exercises.grade import Finding, Grade, grade
from bptt.labs.exercises.hand_out import hand_out
from bptt.labs.exercises.registry import EXERCISES

__all__ = ["EXERCISES", "Finding", "Grade", "grade", "hand_out"]
