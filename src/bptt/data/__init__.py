"""Data: tables, scaling, windows and sequences drawn by index, the embedded and the lab's weather."""

from bptt.cache import cache_folder
from bptt.data.arrays import Arrays
from bptt.data.batch import Batch, Source, Streams
from bptt.data.beijing import find_beijing, load_beijing
from bptt.data.missing import Filled, check_complete, fill_forward
from bptt.data.nyc import Repaired, load_nyc
from bptt.data.reading import read_table
from bptt.data.regular import Regular, regular
from bptt.data.scaling import Scaler
from bptt.data.sequences import Sequences
from bptt.data.split import DaySplit, split_days
from bptt.data.stretches import Stretches
from bptt.data.table import Table
from bptt.data.weather import WeatherData, load_weather
from bptt.data.windows import Windows

__all__ = [
    "Arrays",
    "Batch",
    "DaySplit",
    "Filled",
    "Regular",
    "Repaired",
    "Scaler",
    "Sequences",
    "Source",
    "Streams",
    "Stretches",
    "Table",
    "WeatherData",
    "Windows",
    "cache_folder",
    "check_complete",
    "fill_forward",
    "find_beijing",
    "load_beijing",
    "load_nyc",
    "load_weather",
    "read_table",
    "regular",
    "split_days",
]
