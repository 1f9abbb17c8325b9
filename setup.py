"""Builds the compiled parts: the C++ kernels (tinygrad_edu.kernels._native) and the Cython-compiled engine.

Everything compiled is optional: without a compiler the package installs and runs on NumPy and plain Python.

Environment variables read here:
    TGE_REQUIRE_NATIVE=1   fail instead of installing without the compiled parts
    TGE_PURE=1             leave the Python files uncompiled
    TGE_WERROR=1           every compiler warning is an error
    TGE_SANITIZE=address,undefined | thread    a debug build with sanitizers
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BUILD = Path("build")
NATIVE = "tinygrad_edu.kernels._native"

# Namespace and vector width in bytes of each instruction set, and the flags that allow it.
BASELINE: dict[str, tuple[int, list[str]]] = {"baseline": (16, [])}
AVX512 = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mprefer-vector-width=512"]
X86 = {
    **BASELINE,
    "avx2": (32, ["-mavx2", "-mfma"]),
    "avx512": (64, AVX512),
}
# With a matrix unit, which Linux hands out: what multiplies matrices; the other kernels are those of avx512.
AMX = {"amx": (64, [*AVX512, "-mamx-tile", "-mamx-bf16", "-DTGE_SPLIT"])}
FILES_OF_SET = {"amx": ["table.cpp", "gemm.cpp", "split_gemm.cpp", "split_linear.cpp", "convolution.cpp"]}
# Python files that Cython compiles as they are: the engine, and what a step of training goes through all the time.
COMPILED = [
    "tensor.py",
    "autograd/*.py",
    "kernels/devices.py",
    *(
        f"ops/{name}.py"
        for name in ("_common", "activation", "attention", "elementwise", "functions", "linalg", "loss")
    ),
    *(f"ops/{name}.py" for name in ("normalization", "shape")),
    *(f"nn/{name}.py" for name in ("activation", "containers", "layers", "losses", "module", "normalization")),
    *(f"nn/functional/{name}.py" for name in ("activation", "linear", "loss", "normalization")),
    "optim/optimizer.py",
]
# uniform() must have the same bits everywhere: no fused multiply-add there.
FLAGS_OF_FILE = {"random.cpp": ["-ffp-contract=off"]}


def enabled(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def instruction_sets() -> dict[str, tuple[int, list[str]]]:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return BASELINE
    unit = "-mamx-bf16", "-mamx-tile", "-c", "-o", os.devnull  # the assembler is asked too
    is_there = sys.platform.startswith("linux") and compiles('int main() { asm volatile("tilerelease"); }', *unit)
    return X86 | (AMX if is_there else {})


def compiles(program: str, *flags: str) -> bool:
    """Whether the C++ compiler takes it."""
    probe = subprocess.run(
        [*compiler(), *flags, "-std=c++17", "-x", "c++", "-"],
        input=program,
        text=True,
        capture_output=True,
        check=False,
    )
    return probe.returncode == 0


def compiler() -> list[str]:
    return str(os.environ.get("CXX") or sysconfig.get_config_var("CXX") or "g++").split()


def native_flags() -> tuple[list[str], list[str]]:
    """Flags for compiling and for linking the kernels."""
    compile_flags = [
        "-std=c++17",
        "-fvisibility=hidden",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-ffp-contract=fast",
        "-Wall",
        "-Wextra",
    ]
    link_flags: list[str] = ["-pthread"]
    if sys.platform.startswith("linux"):
        compile_flags.append("-Wno-psabi")  # vectors are passed between inlined functions only
    if enabled("TGE_WERROR"):
        compile_flags += ["-Wconversion", "-Werror"]
    sanitizers = os.environ.get("TGE_SANITIZE", "")
    if sanitizers:
        kinds = f"-fsanitize={sanitizers}" + (",float-cast-overflow" if "undefined" in sanitizers else "")
        # fused multiply-add, which the elementary functions count on, is made by an optimisation that -O1 leaves out
        compile_flags += [
            "-O1",
            "-fexpensive-optimizations",
            "-g1",
            "-fno-omit-frame-pointer",
            kinds,
            "-D_GLIBCXX_ASSERTIONS",
        ]
        compile_flags += ["-fno-sanitize-recover=undefined"] if "undefined" in sanitizers else []
        link_flags.append(kinds)
    else:
        compile_flags += ["-O3", "-g0"]
    return compile_flags, link_flags


def compiler_problem() -> str | None:
    """Why nothing can be compiled here, or None."""
    command = compiler()[0]
    if shutil.which(command) is None:
        return f"{command} is not installed"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python.h is missing"
    return None if compiles("int main() {}", "-fsyntax-only") else f"{command} does not compile C++17"


def cython_extensions() -> list[Extension]:
    """The files of `COMPILED`, compiled as they are; C files go to the build folder."""
    if enabled("TGE_PURE") or enabled("TGE_SANITIZE"):
        return []
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    files = []
    for pattern in COMPILED:
        found = sorted(Path("tinygrad_edu").glob(pattern))
        if not found:
            raise SystemExit(f"setup.py: tinygrad_edu/{pattern}, which COMPILED names, is not there")
        files += [path for path in found if path.name != "__init__.py"]
    modules = [
        Extension(".".join(path.with_suffix("").parts), [str(path)], extra_compile_args=["-O2", "-g0"])
        for path in files
    ]
    extensions: list[Extension] = cythonize(
        modules,
        build_dir=str(BUILD / "cython"),
        quiet=True,
        compiler_directives={"language_level": 3, "annotation_typing": False, "binding": True, "nonecheck": True},
    )
    return extensions


class BuildPy(build_py):
    """Takes the CUDA kernels into the package: they are compiled where a GPU is, when they are first used."""

    def run(self) -> None:
        super().run()
        folder = Path(self.build_lib) / "tinygrad_edu" / "kernels" / "cuda" / "source"
        if self.editable_mode:
            return  # they are read from csrc/
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(Path("csrc/cuda").iterdir()):
            shutil.copyfile(source, folder / source.name)


class BuildExt(build_ext):
    """Compiles the kernels once per instruction set, two files at a time; does without, if it must."""

    def run(self) -> None:
        self.parallel = self.parallel or 2
        super().run()

    def build_extensions(self) -> None:
        problem = compiler_problem()
        if problem is None:
            try:
                if any(extension.name == NATIVE for extension in self.extensions):
                    import pybind11  # noqa: F401
            except ImportError:
                problem = "pybind11 is not installed"
        if problem is not None:
            self.do_without(problem)
            self.extensions = []
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        try:
            if ext.name == NATIVE:
                self.build_native(ext)
            else:
                super().build_extension(ext)
        except Exception as error:
            if enabled("TGE_WERROR"):
                raise
            self.do_without(f"{ext.name} failed to build: {error}".splitlines()[0])

    def do_without(self, problem: str) -> None:
        if enabled("TGE_REQUIRE_NATIVE"):
            raise SystemExit(
                f"tinygrad_edu: the compiled kernels cannot be built ({problem}), and they are "
                "required: TGE_REQUIRE_NATIVE is set"
            )
        print(
            f"tinygrad_edu: no C++ compiler found ({problem}): building without the compiled kernels; the NumPy "
            "reference kernels will be used. Install g++ and Python headers, then reinstall.",
            file=sys.stderr,
            flush=True,
        )

    def copy_extensions_to_source(self) -> None:
        built = [ext for ext in self.extensions if os.path.exists(self.get_ext_fullpath_built(ext))]
        self.extensions = built
        super().copy_extensions_to_source()

    def get_ext_fullpath_built(self, ext: Extension) -> str:
        return os.path.join(self.build_lib, self.get_ext_filename(ext.name))

    def get_outputs(self) -> list[str]:
        return [path for path in super().get_outputs() if os.path.exists(path)]

    def build_native(self, ext: Extension) -> None:
        import pybind11

        flags, link_flags = native_flags()
        sets = instruction_sets()
        have = [f"-DTGE_HAVE_{name.upper()}" for name in sets if name != "baseline"]
        folder = Path(self.build_temp) / ("native" + os.environ.get("TGE_SANITIZE", "").replace(",", "_"))
        jobs: list[tuple[str, str, list[str]]] = []
        for source in sorted(Path("csrc/cpu/per_isa").glob("*.cpp")):
            for name, (width, isa_flags) in sets.items():
                if source.name not in FILES_OF_SET.get(name, [source.name]):
                    continue
                jobs.append(
                    (
                        str(source),
                        str(folder / name),
                        [
                            *flags,
                            *isa_flags,
                            f"-DTGE_ISA={name}",
                            f"-DTGE_VECTOR_BYTES={width}",
                            *FLAGS_OF_FILE.get(source.name, []),
                        ],
                    )
                )
        # The bindings only look at arguments: less optimisation there, a quicker build.
        for source in sorted(Path("csrc/bindings").glob("*.cpp")):
            jobs.append((str(source), str(folder), [*flags, "-O1"]))
        for source in sorted(Path("csrc/cpu").glob("*.cpp")):
            jobs.append((str(source), str(folder), [*flags, *have]))
        jobs.sort(key=lambda job: Path(job[0]).stat().st_size, reverse=True)  # the long ones first
        # As system headers: their warnings are not ours to mend.
        include = [f"-isystem{path}" for path in (pybind11.get_include(), sysconfig.get_path("include"))]

        def compile_one(job: tuple[str, str, list[str]]) -> list[str]:
            source, output, arguments = job
            made = self.compiler.object_filenames([source], output_dir=output)
            newest = max(os.path.getmtime(path) for path in [source, "setup.py", *ext.depends])
            if not enabled("TGE_WERROR") and os.path.exists(made[0]) and os.path.getmtime(made[0]) > newest:
                return list(made)
            objects: list[str] = self.compiler.compile(
                [source], output_dir=output, extra_postargs=[*arguments, *include], depends=ext.depends
            )
            return objects

        with ThreadPoolExecutor(2) as pool:
            objects = [path for paths in pool.map(compile_one, jobs) for path in paths]
        self.compiler.link_shared_object(
            objects,
            self.get_ext_fullpath(ext.name),
            extra_postargs=link_flags,
            build_temp=self.build_temp,
            target_lang="c++",
        )


os.chdir(ROOT)
headers = [str(path) for path in sorted(Path("csrc").rglob("*.h"))]
native = Extension(NATIVE, sorted(str(path) for path in Path("csrc").rglob("*.cpp")), depends=headers, language="c++")
setup(ext_modules=[native, *cython_extensions()], cmdclass={"build_py": BuildPy, "build_ext": BuildExt})
