# Types for the compiled form of optimizer.py; without a compiler nothing reads them.

from ..autograd.grad_mode cimport switch_grad
from ..autograd.variable cimport arrays_of, count_changes, forget_gradients, gradients_of, with_gradient
