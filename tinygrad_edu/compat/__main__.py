"""`python -m tinygrad_edu.compat program.py arguments…` runs a program written for PyTorch."""

import sys

from . import main

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
