# Types for the compiled form of collector.py; without a compiler nothing reads them.

cimport cython

from .variable cimport Node, Variable

cdef object _hide, _show

@cython.locals(edge=tuple, parent=Node)
cpdef hide(Node node)

@cython.locals(leaf=Variable, gradient=Variable)
cpdef bint _leads_on(Variable leaf)

@cython.locals(node=Node, edge=tuple, shown=list)
cpdef reveal(Variable x)
