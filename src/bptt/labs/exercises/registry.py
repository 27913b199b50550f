"""The labs that have an exercise."""

from __future__ import annotations

from bptt.labs.exercises.addition import ADDITION
from bptt.labs.exercises.exercise import Exercise
from bptt.labs.exercises.sine import SINE
from bptt.labs.exercises.weather import WEATHER

EXERCISES: dict[str, Exercise] = {exercise.lab: exercise for exercise in (WEATHER, SINE, ADDITION)}
