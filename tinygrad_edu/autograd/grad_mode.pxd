# Types for the compiled form of grad_mode.py; without a compiler nothing reads them.

cpdef bint is_grad_enabled()

cpdef bint switch_grad(bint enabled)
