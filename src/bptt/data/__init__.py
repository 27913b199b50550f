"""Data: tables, scaling, windows and sequences drawn by index, the embedded and the lab's weather."""

from bptt.cache import cache_folder
from bptt.data.examples.arrays import Arrays
from bptt.data.examples.batch import Batch, Source, Streams
from bptt.data.examples.sequences import Sequences
from bptt.data.examples.stretches import Stretches
from bptt.data.examples.windows import Windows
from bptt.data.missing import Filled, check_complete, fill_forward
from bptt.data.regular import Regular, regular
from bptt.data.scaling import Scaler
from bptt.data.tables.reading import read_table
from bptt.data.tables.table import Table
from bptt.data.weather.beijing import find_beijing, load_beijing
from bptt.data.weather.hourly import WeatherData, load_weather
from bptt.data.weather.nyc import Repaired, load_nyc
from bptt.data.weather.split import DaySplit, split_days

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
