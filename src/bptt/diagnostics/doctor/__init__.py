"""The training doctor: why a run failed, in words, with numbers, place and remedy. One disease a file."""

from bptt.diagnostics.doctor.diagnose import diagnose
from bptt.diagnostics.doctor.finding import Diagnosis, Finding
from bptt.diagnostics.doctor.registry import NAMES

__all__ = ["NAMES", "Diagnosis", "Finding", "diagnose"]
