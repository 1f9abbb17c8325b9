# Types for the compiled form of containers.py; without a compiler nothing reads them.

from .module cimport is_plain
