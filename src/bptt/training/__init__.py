"""Training: the loop, its record, and what watches it."""

from bptt.training.checkpoints.file import Checkpoint, read_checkpoint
from bptt.training.evaluate import evaluate, predict_source
from bptt.training.loop import train
from bptt.training.watching.callbacks import Callback, Event
from bptt.training.watching.csv_log import CSVLog
from bptt.training.watching.divergence import TrainingDivergedError
from bptt.training.watching.early_stopping import EarlyStopping
from bptt.training.watching.history import History
from bptt.training.watching.progress import ProgressBar
from bptt.training.watching.recorded import Recorded
from bptt.training.watching.tensorboard import TensorBoard

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
