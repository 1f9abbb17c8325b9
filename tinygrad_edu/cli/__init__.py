"""The command `tge`. `main` is its entry point; the commands themselves are in the files beside this one."""

from __future__ import annotations

import sys
from collections.abc import Sequence

INTERRUPTED = 130  # 128 + SIGINT, as shells report it


def main(args: Sequence[str] | None = None) -> int:
    """Run `tge` with `args` (default: the command line) and return its exit status.

    0: done. 1: something failed on the way (training diverged, a gradient is wrong, the disk is full). 2: wrong use.
    130: interrupted by Ctrl-C.
    """
    try:
        import click

        from .commands import cli
    except ImportError as error:
        if error.name not in ("click", "rich", "safetensors", "matplotlib"):
            raise
        sys.stderr.write(f"tge needs {error.name}: pip install {error.name}\n")
        return 2
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
