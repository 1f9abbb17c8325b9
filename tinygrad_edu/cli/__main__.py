"""`python -m tinygrad_edu.cli`: the same as `tge`."""

import sys

from . import main

sys.exit(main())
