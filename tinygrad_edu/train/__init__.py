"""Training: the Trainer, its callbacks, the history it returns, and checkpoints that survive anything."""

from .callbacks import Callback, Checkpoint, CSVLog, EarlyStopping, StopOnNaN, TrainState
from .checkpoint import CheckpointError, fingerprint, load_checkpoint, load_model, save_checkpoint, write_atomically
from .history import History
from .metrics import accuracy, mean_absolute_error, r2_score
from .trainer import Trainer

__all__ = [
    "CSVLog",
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "EarlyStopping",
    "History",
    "StopOnNaN",
    "TrainState",
    "Trainer",
    "accuracy",
    "fingerprint",
    "load_checkpoint",
    "load_model",
    "mean_absolute_error",
    "r2_score",
    "save_checkpoint",
    "write_atomically",
]
