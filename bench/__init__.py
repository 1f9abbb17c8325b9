"""Benchmarks against PyTorch, outside the package: `python -m bench --help`. Read `measure` first, then `cases/`."""
