"""Known models: architectures from the literature, their pretrained weights where installed, and what models cost."""

from .efficientnet import EfficientNetLite0, features_of_grey
from .gpt import GPT
from .minilm import MiniLM, WordPieces
from .presets import PRESETS, Preset, count_parameters, training_bytes
from .pretrained import PRETRAINED, Pretrained, load_pretrained, load_wordpieces

__all__ = [
    "GPT",
    "PRESETS",
    "PRETRAINED",
    "EfficientNetLite0",
    "MiniLM",
    "Preset",
    "Pretrained",
    "WordPieces",
    "count_parameters",
    "features_of_grey",
    "load_pretrained",
    "load_wordpieces",
    "training_bytes",
]
