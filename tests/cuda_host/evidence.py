"""What the compiler made of products and attention: `python tests/cuda_host/evidence.py` writes docs/cuda.md's table.

Occupancy is the share of a multiprocessor's threads that can be there at once, as far as registers, shared memory and
limits allow (CUDA C++ Programming Guide, "Technical specifications per compute capability"). All of it is static: it
says that the compiler did what was meant, nothing of speed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[k]) for k in (1, 2)]

from cuda_host.nvrtc import Resources, machine_code, resources
from tinygrad_edu.kernels.cuda.gpu import sources

VERSION = (13, 0)  # of NVRTC: others have other registers
PAGE = Path(__file__).resolve().parents[2] / "docs" / "cuda.md"
BEGIN, END = "<!-- evidence -->\n", "<!-- /evidence -->"
# Of a multiprocessor: threads, blocks, bytes of shared memory, and those that the system keeps of each block's.
LIMITS = {
    75: (1024, 16, 64 << 10, 0),
    80: (2048, 32, 164 << 10, 1 << 10),
    90: (2048, 32, 228 << 10, 1 << 10),
    120: (1536, 24, 100 << 10, 1 << 10),
}
REGISTERS, THREADS = 65536, 256  # of a multiprocessor, of a block of these kernels
SHOWN = {
    "gemm.cu": ["gemm_tile16_f32", "gemm_block64_f32"],
    "gemm128.cu": ["gemm_block128_nn", "gemm_block128_nt", "gemm_block128_tn"],
    "gemm_tensor.cu": ["gemm_tf32_nn", "gemm_bf16_nn"],
    "attention.cu": ["attention64_f32", "attention_rows64_f32", "attention_keys64_f32"],
}


def text(file: str) -> str:
    """What `Device.function` gives to CuPy for a file."""
    folder = sources()
    return f'{(folder / "common.cuh").read_text()}\n#line 1 "{file}"\n{(folder / file).read_text()}'


def occupancy(used: Resources, arch: int) -> float:
    """Threads of a multiprocessor that are there at once, of those that could be."""
    threads, blocks, shared, kept = LIMITS[arch]
    of_warp = -(-used.registers * 32 // 256) * 256  # they are given out in pieces
    fit = [threads // THREADS, blocks, REGISTERS // of_warp // (THREADS // 32), shared // max(used.shared + kept, 1)]
    return min(fit) * THREADS / threads


def table() -> str:
    """Registers and occupancy for each architecture, and what the machine code of sm_80 reads, in Markdown."""
    found = {arch: {k: v for file in SHOWN for k, v in resources(text(file), (), arch).items()} for arch in LIMITS}
    code = {name: body for file in SHOWN for name, body in machine_code(text(file), (), 80).items()}
    lines = [
        "| kernel | "
        + " | ".join(f"sm_{arch}" for arch in LIMITS)
        + " | shared memory | reads of it, 128 bits | others | "
        "multiplications |",
        "|---|" + "---:|" * (len(LIMITS) + 4),
    ]
    for name in (name for names in SHOWN.values() for name in names):
        cells = []
        for arch in LIMITS:
            used = found[arch][name]
            spilled = f", {used.spill_stores} B spilled" if used.spill_stores else ""
            empty = name.startswith(("gemm_tf32", "gemm_bf16")) and arch < 80
            cells.append("–" if empty else f"{used.registers}, {occupancy(used, arch):.0%}{spilled}")
        wide = len(re.findall(r"\bLDS\.128\b", code[name]))
        reads = len(re.findall(r"\b(?:LDSM?|LD)\b", code[name]))  # LD: those of wmma, whose address may be any
        products = len(re.findall(r"\b(?:FFMA|HMMA)\b", code[name]))
        shared = f"{found[80][name].shared / 1024:.1f} KiB"
        lines.append(f"| `{name}` | {' | '.join(cells)} | {shared} | {wide} | {reads - wide} | {products} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    head, rest = page.split(BEGIN)
    PAGE.write_text(head + BEGIN + table() + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
