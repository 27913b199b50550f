"""The training doctor: why a run failed, in words, with numbers, place and remedy. One disease a file."""

from bptt.diagnostics.doctor.diagnose import diagnose
from bptt.diagnostics.doctor.diseases.registry import NAMES
from bptt.diagnostics.doctor.finding import Diagnosis, Finding

__all__ = ["NAMES", "Diagnosis", "Finding", "diagnose"]
