"""Training: the Trainer, its callbacks, the history it returns, and checkpoints that survive anything."""

from .callbacks import (
    Callback,
    Checkpoint,
    CSVLog,
    EarlyStopping,
    LRMonitor,
    StopOnNaN,
    TensorBoardLog,
    TrainState,
)
from .checkpoint import CheckpointError, fingerprint, load_checkpoint, load_model, save_checkpoint, write_atomically
from .describe import LayerRow, layer_rows, summary
from .diagnosis import DIAGNOSES, Diagnosis, diagnose
from .explore import LRCurve, StepTrace, Verdict
from .finetune import load_weights, parameter_groups, replace_head
from .generate import generate
from .history import History
from .hparams import HParams
from .influence import EMA, Freeze, ReduceLROnPlateau, Unfreeze, freeze, unfreeze
from .kmeans import Clusters, k_means
from .metrics import accuracy, mean_absolute_error, r2_score
from .parallel import MPI, NCCL, Communicator, DataParallel, ParallelError
from .recorder import Recorder
from .reinforce import Episodes, advantages, play, policy_loss, reinforce, rewards_to_go
from .schedule import PerUpdate, Schedule
from .trainer import Trainer

__all__ = [
    "EMA",
    "DIAGNOSES",
    "MPI",
    "NCCL",
    "CSVLog",
    "Callback",
    "Checkpoint",
    "CheckpointError",
    "Clusters",
    "Communicator",
    "DataParallel",
    "Diagnosis",
    "EarlyStopping",
    "Episodes",
    "Freeze",
    "HParams",
    "History",
    "LRCurve",
    "LRMonitor",
    "LayerRow",
    "ParallelError",
    "PerUpdate",
    "Recorder",
    "ReduceLROnPlateau",
    "Schedule",
    "StepTrace",
    "StopOnNaN",
    "TensorBoardLog",
    "TrainState",
    "Trainer",
    "Unfreeze",
    "Verdict",
    "accuracy",
    "advantages",
    "fingerprint",
    "diagnose",
    "freeze",
    "generate",
    "k_means",
    "layer_rows",
    "load_checkpoint",
    "load_model",
    "load_weights",
    "mean_absolute_error",
    "parameter_groups",
    "play",
    "policy_loss",
    "r2_score",
    "reinforce",
    "replace_head",
    "rewards_to_go",
    "save_checkpoint",
    "summary",
    "unfreeze",
    "write_atomically",
]
