# Types for the compiled form of loss.py; without a compiler nothing reads them.

cimport cython

from ..autograd.function cimport applied
from ..autograd.variable cimport Variable


@cython.locals(x=Variable, y=Variable)
cpdef mse_loss(object input, object target, object reduction=*)
