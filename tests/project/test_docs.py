"""docs/*.md are true: every link to a line of code leads to the line that defines what the link names."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted((ROOT / "docs").glob("*.md"))


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Any:
    """tools/links.py."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import links  # type: ignore[import-not-found]

    return links


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_to_what_they_name(links: Any, document: Path) -> None:
    assert links.problems(document) == []


def test_one_step_goes_from_the_command_to_the_kernel(links: Any) -> None:
    text = (ROOT / "docs" / "one-step.md").read_text(encoding="utf-8")
    symbols = [symbol for symbol, _, _ in links.LINK.findall(text)]
    way = ["train", "Trainer.fit", "_Called.__call__", "Operation.apply", "Node", "Kernels", "vector_gemm", "tile",
           "backward", "_Pass.propagate", "Optimizer.step", "adam", "History"]  # fmt: skip
    places = [symbols.index(symbol) for symbol in way]
    assert places == sorted(places)
    assert len(links.LINK.findall(text)) == len(re.findall(r"#L\d+", text)), "a link the test does not understand"


def test_a_moved_line_is_noticed_and_mended(links: Any, tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("import os\n\n\nclass A:\n    def b(self):\n        pass\n\n\nc: int = 3\n")
    (tmp_path / "code.cpp").write_text("float twice(float x);\n\nstatic float twice(float x) {\n    return x;\n}\n")
    document = tmp_path / "page.md"
    document.write_text("[`A.b`](code.py#L1) [`c`](code.py#L9) [`twice`](code.cpp#L1) [`gone`](code.py#L1)\n")
    assert [problem.split(": ")[1].split(" ")[0] for problem in links.problems(document)] == ["A.b", "twice", "gone"]
    links.mend(document)
    assert "code.py#L5" in document.read_text()
    assert "code.cpp#L3" in document.read_text()
    assert len(links.problems(document)) == 1


def test_quoted_code_is_in_the_sources() -> None:
    text = (ROOT / "docs" / "one-step.md").read_text(encoding="utf-8")
    (loop,) = re.findall(r"```python\n(self\.optimizer\.zero_grad.*?)```", text, re.DOTALL)
    trainer = (ROOT / "tinygrad_edu" / "train" / "trainer.py").read_text(encoding="utf-8")
    for line in loop.strip().splitlines():
        assert line.strip() in trainer
    (kernel,) = re.findall(r"```cpp\n(.*?)```", text, re.DOTALL)
    assert kernel.strip() in (ROOT / "csrc/cpu/per_isa/tiles.h").read_text(encoding="utf-8")


def test_the_program_of_the_training_page_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    path = tmp_path / "program.py"
    path.write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), encoding="utf-8")
    names = runpy.run_path(str(path))
    said = capsys.readouterr().out
    assert "→ EarlyStopping.on_epoch_end" in said
    assert names["halving"].epochs_used < names["search"].epochs_used / 2
    assert names["split"].test.readings == ["Trainer.evaluate"]
    assert "over 5 seeds" in said


def test_the_program_at_the_end_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "one-step.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"```python\n(import tinygrad_edu.*?)```", text, re.DOTALL)
    path = tmp_path / "program.py"
    path.write_text(program, encoding="utf-8")
    runpy.run_path(str(path))
    assert capsys.readouterr().out.startswith("<CrossEntropy>\n<Linear>\n<LinearActivation>\n")


def test_the_table_of_names_is_that_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import coverage_table  # type: ignore[import-not-found]

    text = coverage_table.PAGE.read_text(encoding="utf-8")
    assert coverage_table.replaced(text, coverage_table.tables()) == text, "`make coverage` writes it again"
