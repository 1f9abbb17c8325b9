"""What goes with modules: gradient clipping, parameters as a vector, sequences of different lengths."""

from . import rnn
from .gradients import clip_grad_norm_, clip_grad_value_
from .vector import parameters_to_vector, vector_to_parameters

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "rnn", "vector_to_parameters"]
