"""Pictures of records: arrays in, matplotlib axes out. matplotlib is loaded by the first picture."""

from bptt.plots.autocorrelation import autocorrelation, autocorrelations
from bptt.plots.curves import curves
from bptt.plots.eigenvalues import eigenvalues
from bptt.plots.error_by_horizon import error_by_horizon, error_by_month
from bptt.plots.error_by_hour import error_by_hour, errors_by_hour
from bptt.plots.fits import fits
from bptt.plots.forecast_fan import forecast_fan
from bptt.plots.forecast_runs import forecast_runs
from bptt.plots.forecast_week import forecast_week
from bptt.plots.learning_curve import learning_curve, running_mean
from bptt.plots.method_bars import method_bars
from bptt.plots.panels import panels
from bptt.plots.path_lengths import path_lengths
from bptt.plots.preload import preload
from bptt.plots.receptive_field import receptive_field
from bptt.plots.save import png_bytes, save_png
from bptt.plots.scatter import scatter
from bptt.plots.smooth import smooth_curve
from bptt.plots.state_space import state_space
from bptt.plots.states import hidden_states
from bptt.plots.style import DARK, LIGHT, Theme
from bptt.plots.themed import themed_pngs
from bptt.plots.truncation import truncation
from bptt.plots.unrolled import Nodes, unrolled

__all__ = [
    "DARK",
    "LIGHT",
    "Nodes",
    "Theme",
    "autocorrelation",
    "autocorrelations",
    "curves",
    "eigenvalues",
    "error_by_horizon",
    "error_by_hour",
    "error_by_month",
    "errors_by_hour",
    "fits",
    "forecast_fan",
    "forecast_runs",
    "forecast_week",
    "hidden_states",
    "learning_curve",
    "method_bars",
    "panels",
    "path_lengths",
    "png_bytes",
    "preload",
    "receptive_field",
    "running_mean",
    "save_png",
    "scatter",
    "smooth_curve",
    "state_space",
    "themed_pngs",
    "truncation",
    "unrolled",
]
