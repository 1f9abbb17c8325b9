"""The command `tge`. `main` is its entry point; the commands themselves are in the files beside this one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

NEEDED = ("click", "rich", "safetensors", "matplotlib")
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(args: Sequence[str] | None = None) -> int:
    """Run `tge` with `args` (default: the command line) and return its exit status.

    0: done. 1: something failed on the way (training diverged, a gradient is wrong, the disk is full). 2: wrong use.
    130: interrupted by Ctrl-C.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:  # now, not when the first checkpoint is due
        sys.stderr.write(f"tge needs {', '.join(missing)}: pip install {' '.join(missing)}\n")
        return 2
    try:
        import click

        from .commands import cli
    except KeyboardInterrupt:
        return INTERRUPTED
    try:
        status = cli.main(args, prog_name="tge", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("Interrupted.\n")
        return INTERRUPTED
