"""Training: the loop, its record, and what watches it."""

from bptt.training.callbacks import Callback, Event
from bptt.training.checkpoint_file import Checkpoint, read_checkpoint
from bptt.training.csv_log import CSVLog
from bptt.training.divergence import TrainingDivergedError
from bptt.training.early_stopping import EarlyStopping
from bptt.training.evaluate import evaluate, predict_source
from bptt.training.history import History
from bptt.training.loop import train
from bptt.training.progress import ProgressBar
from bptt.training.recorded import Recorded
from bptt.training.tensorboard import TensorBoard

__all__ = [
    "CSVLog",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Event",
    "History",
    "ProgressBar",
    "Recorded",
    "TensorBoard",
    "TrainingDivergedError",
    "evaluate",
    "predict_source",
    "read_checkpoint",
    "train",
]
