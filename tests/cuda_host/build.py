"""Compiles CUDA C++ to a library for this machine, with g++; what has been compiled once is kept.

The text is taken as it is but for one statement: `extern __shared__ T name[];` has no counterpart in C++ and becomes a
pointer to the block's dynamic shared memory. Local `#include "…"` are put in place, so that this holds in them too.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
INCLUDE = HERE / "include"
COMPILER = os.environ.get("CXX", "g++")

KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(\w+)\s*\(')
DYNAMIC_SHARED = re.compile(
    r"extern\s+__shared__\s+((?:__align__|alignas)\s*\(\s*\d+\s*\)\s+)?([\w:]+(?:\s+[\w:]+)*?)\s+(\w+)\s*\[\s*\]\s*;"
)
LOCAL_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"[^\n]*$', re.MULTILINE)
SYSTEM_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*<([^>]+)>[^\n]*$", re.MULTILINE)
FLAGS = {
    "fast": ["-O2", "-fsanitize=integer-divide-by-zero"],  # which would end the process
    # Not -O2: accesses must stay those of the source, neither joined nor moved.
    "check": [
        "-O1",
        "-fsanitize=thread",
        "--param=tsan-instrument-func-entry-exit=0",
        "-fsanitize=alignment,bounds,shift,integer-divide-by-zero,signed-integer-overflow",
    ],
}
# Options of NVRTC that mean nothing here.
IGNORED = re.compile(
    r"-(-use_fast_math|use_fast_math|-?ftz=|-?fmad=|-?maxrregcount|lineinfo|-?device-as-default|default-)"
)


class BuildError(RuntimeError):
    """g++ refuses the text; the message is what it says."""


def cache() -> Path:
    """The folder for what has been compiled: $TGE_CUDA_HOST_CACHE, or one in the user's cache, or a temporary one."""
    base = os.environ.get("TGE_CUDA_HOST_CACHE")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for folder in [Path(base)] if base else [home / "tinygrad_edu" / "cuda_host", Path(tempfile.gettempdir()) / "tge"]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return Path(tempfile.mkdtemp())


def available() -> bool:
    """Whether there is a compiler to do it with."""
    return shutil.which(COMPILER) is not None


def machine_flags() -> list[str]:
    """Fused multiply-add in hardware, where there is one: fmaf() would be a slow library call."""
    info = Path("/proc/cpuinfo")
    words = info.read_text(encoding="utf-8").split() if platform.machine() == "x86_64" and info.exists() else []
    return ["-mavx2", "-mfma"] if {"avx2", "fma"} <= set(words) else []


def compiled(name: str, sources: dict[str, str], command: Sequence[str]) -> Path:
    """The library that `command` makes of `sources`; it runs in a folder with these files, and only the first time."""
    tools = [p.read_text(encoding="utf-8") for d in ("include", "runtime") for p in sorted((HERE / d).iterdir())]
    key = hashlib.sha256(repr((sorted(sources.items()), list(command), tools, platform.machine())).encode())
    library = cache() / f"{name}-{key.hexdigest()[:20]}.so"
    if library.exists():
        return library
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        for file, text in sources.items():
            (Path(folder) / file).write_text(text, encoding="utf-8")
        run([COMPILER, "-std=c++17", "-fPIC", "-shared", *command, "-o", "out.so"], folder)
        os.replace(Path(folder) / "out.so", library)  # at once: another process may be building the same
    return library


def run(command: Sequence[str], folder: str) -> str:
    """What the command prints; BuildError if it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    if done.returncode:
        raise BuildError(f"{' '.join(command[:1])} refuses the kernels:\n{done.stderr.strip()}")
    return done.stdout


def runtime() -> Path:
    """The library with the scheduler, the memory and the checks."""
    portable = ["-DCUDA_HOST_UCONTEXT"] if os.environ.get("TGE_CUDA_HOST_UCONTEXT") else []  # as on other processors
    command = [
        "-O2",
        *portable,
        "-gdwarf-4",
        f"-I{HERE / 'runtime'}",
        *(str(p) for p in sorted((HERE / "runtime").glob("*.cpp"))),
    ]
    return compiled("runtime", {}, command)


def split_options(options: Sequence[str]) -> tuple[list[str], list[Path]]:
    """NVRTC's options as g++ takes them: definitions, and the folders of local includes."""
    defines, folders = [], []
    for option in options:
        if option.startswith("-D"):
            defines.append(option)
        elif option.startswith(("-I", "--include-path=")):
            folders.append(Path(option.removeprefix("--include-path=").removeprefix("-I")))
        elif re.match(r"--?std=", option):
            if not option.endswith("c++17"):
                raise BuildError(f"the host build is C++17, the kernels ask for {option}")
        elif not IGNORED.match(option):
            raise BuildError(f"unknown option for NVRTC: {option!r}")
    return defines, folders


def flatten(code: str, folders: Sequence[Path], name: str = "kernels.cu", seen: set[Path] | None = None) -> str:
    """The text with its local includes put in place, each once; line numbers stay those of the files."""
    seen = set() if seen is None else seen

    def insert(match: re.Match[str]) -> str:
        path = next((f / match[1] for f in folders if (f / match[1]).is_file()), None)
        if path is None:
            return match[0]  # the compiler will say it
        line = code.count("\n", 0, match.start()) + 2
        if path.resolve() in seen:
            return ""
        seen.add(path.resolve())
        text = flatten(path.read_text(encoding="utf-8").replace("#pragma once", ""), folders, match[1], seen)
        return f'{text}\n#line {line} "{name}"'

    return f'#line 1 "{name}"\n' + LOCAL_INCLUDE.sub(insert, code)


def build(code: str, options: Sequence[str] = (), kind: str = "fast") -> Path:
    """A library with all kernels of the text and a table of them, which `library.Module` reads.

    Args:
        code: CUDA C++ as it is given to `cupy.RawModule`.
        options: NVRTC's options; -D, -I and -std are followed, those for the device's code have no meaning here.
        kind: "fast" for numbers, "check" for the build that reports every access that CUDA does not define.
    """
    defines, folders = split_options(options)
    text = flatten(code, folders)
    headers = "".join(f"#include <{h}>\n" for h in dict.fromkeys(SYSTEM_INCLUDE.findall(text)))
    text = DYNAMIC_SHARED.sub(r"CUDA_HOST_DYNAMIC_SHARED(\2, \3);", text)
    common = ["-include", str(INCLUDE / "cuda_host.h"), f"-I{INCLUDE}", "-Wno-unknown-pragmas", *defines]
    names = kernels(headers + text, common)
    source = (
        f"{headers}namespace {{\n{text}\n}}\n"
        'extern "C" {\n'
        'extern char __bss_start[] __attribute__((visibility("hidden")));\n'
        'extern char _end[] __attribute__((visibility("hidden")));\n'
        "char* ch_shared_begin() { return __bss_start; }\n"
        "char* ch_shared_end() { return _end; }\n"
        f"int ch_kernel_count() {{ return {len(names)}; }}\n"
        "const ch_kernel* ch_kernels() {\n"
        f"  static constexpr ch_kernel table[] = {{{', '.join(f'CUDA_HOST_KERNEL({n})' for n in names)}}};\n"
        "  return table;\n}\n}\n"
    )
    library = runtime()
    flags = [*FLAGS[kind], *machine_flags(), "-gdwarf-4", "-fno-threadsafe-statics", "-ffp-contract=fast", "-w"]
    sources = {"kernels.cpp": source}
    # Linked in a step of its own: with -fsanitize=thread the compiler would add its own hooks.
    objects = compiled(f"{kind}-object", sources, [*flags, *common, "-c", "kernels.cpp"])
    link = ["-nostartfiles", str(objects), str(library), f"-Wl,-rpath,{library.parent}", "-lm"]
    return compiled(kind, {}, link)


def kernels(text: str, common: Sequence[str]) -> list[str]:
    """The names of all kernels, also of those that macros make."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "kernels.cpp").write_text(text, encoding="utf-8")
        command = [COMPILER, "-std=c++17", "-E", "-P", "-DCUDA_HOST_FIND_KERNELS", *common, "kernels.cpp"]
        names = KERNEL.findall(run(command, folder))
    if not names:
        raise BuildError('no kernel in the text: they are `extern "C" __global__ void name(…)`')
    return names
