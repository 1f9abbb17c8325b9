"""Say in one line what is missing to compile the kernels; say nothing if nothing is.

`make` calls it before it installs. Nothing that is missing is an error: the library then works on its NumPy kernels.
"""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def missing() -> str | None:
    """What is missing, with the way to get it; or None."""
    compiler = (os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "g++").split()[0]
    if shutil.which(compiler) is None:
        how = "xcode-select --install" if sys.platform == "darwin" else "on Debian or Ubuntu: apt install g++"
        return f"the C++ compiler {compiler} ({how}; or name another one: CXX=clang++)"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers, Python.h (on Debian or Ubuntu: apt install python3-dev)"
    return None


if __name__ == "__main__":
    what = missing()
    if what is not None:
        sys.stderr.write(f"make: missing: {what}. Going on with the NumPy reference kernels, which are slower.\n")
