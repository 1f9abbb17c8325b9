"""`as_torch`: programs written for PyTorch run unmodified; what was there before comes back; gaps are named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tinygrad_edu as tg

PROGRAM = """
import sys
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset
import torch.utils.data as data
from torch.distributions import Categorical

torch.manual_seed(0)
X = torch.randn(64, 3)
y = (X.sum(1) > 0).long()
loader = DataLoader(TensorDataset(X, y), batch_size=16, shuffle=True)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 16)
        self.b = nn.Linear(16, 2)

    def forward(self, x):
        return self.b(F.relu(self.a(x)))

net = Net()
optimizer = optim.Adam(net.parameters(), lr=0.03)
scheduler = StepLR(optimizer, step_size=10, gamma=0.5)
for epoch in range(20):
    for x, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x), target)
        loss.backward()
        clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    scheduler.step()
torch.save(net.state_dict(), sys.argv[1])
again = Net()
again.load_state_dict(torch.load(sys.argv[1]))
with torch.no_grad():
    right = (again(X).argmax(1) == y).float().mean().item()
print("accuracy", right, torch.__name__, isinstance(loss, torch.Tensor))
assert right > 0.9 and Categorical(logits=torch.zeros(2)).sample().item() in (0, 1)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(tg.__file__).parents[1])}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=120, env=environment)


def test_a_program_for_pytorch_runs_unmodified(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run("-m", "tinygrad_edu.compat", str(program), str(tmp_path / "weights"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("accuracy")
    assert tg.load(tmp_path / "weights").keys() == {"a.weight", "a.bias", "b.weight", "b.bias"}


def test_the_same_program_runs_under_pytorch_too(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = run(str(program), str(tmp_path / "weights"))
    assert done.returncode == 0, done.stderr


def test_it_runs_with_the_import_changed(tmp_path: Path) -> None:
    text = PROGRAM.replace("import torch\n", "import tinygrad_edu as torch\n", 1)
    text = text.replace("import torch.", "import tinygrad_edu.").replace("from torch", "from tinygrad_edu")
    program = tmp_path / "program.py"
    program.write_text(text)
    done = run(str(program), str(tmp_path / "weights"))
    assert done.returncode == 0, done.stderr


def inside(code: str) -> str:
    """What a fresh process prints for `code` after importing us."""
    done = run("-c", f"import sys, tinygrad_edu as tg\nfrom tinygrad_edu.compat import as_torch\n{code}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_undo_puts_back_what_was_there() -> None:
    code = (
        "import types\n"
        "before = dict(sys.modules), list(sys.meta_path)\n"
        "with as_torch() as alias:\n"
        "    import torch, torch.nn.functional as F\n"
        "    assert torch.tensor is tg.tensor and torch.nn.Linear is tg.nn.Linear and F.relu is tg.nn.functional.relu\n"
        "    assert torch.nn.functional is F and torch.optim.Adam is tg.optim.Adam\n"
        "alias.undo()\n"
        "assert (dict(sys.modules), list(sys.meta_path)) == before\n"
        "fake = sys.modules['torch'] = types.ModuleType('torch')\n"
        "try: as_torch()\n"
        "except RuntimeError as error: print(error)\n"
        "with as_torch(replace=True):\n"
        "    import torch; assert torch.ones is tg.ones\n"
        "    try: as_torch(replace=True)\n"
        "    except RuntimeError as error: print(error)\n"
        "import torch; assert torch is fake\n"
    )
    printed = inside(code)
    assert "PyTorch itself is imported" in printed
    assert "torch already means tinygrad_edu" in printed


@pytest.mark.parametrize(
    ("line", "kind", "message"),
    [
        (
            "torch.randnn(2)",
            "AttributeError",
            "torch.randnn: tinygrad_edu does not have it; the nearest name is torch.randn",
        ),
        ("torch.nn.Lineer(2, 2)", "AttributeError", "the nearest name is torch.nn.Linear"),
        ("from torch.optim import Adan", "ImportError", "Adan"),
        ("import torch.cuda.nvtx", "ModuleNotFoundError", "tinygrad_edu has no module torch.cuda"),
        ("import torch.utils.dat", "ModuleNotFoundError", "the nearest module is torch.utils.data"),
        ("import torch.fft", "ModuleNotFoundError", "tinygrad_edu has no module torch.fft"),
    ],
)
def test_gaps_are_named(line: str, kind: str, message: str) -> None:
    printed = inside(
        f"with as_torch():\n    import torch\n    try:\n        {line}\n"
        f"    except Exception as error: print(type(error).__name__, error)"
    )
    assert printed.startswith(kind)
    assert message in printed


def test_usage_is_told() -> None:
    assert "usage" in run("-m", "tinygrad_edu.compat").stderr
    assert run("-m", "tinygrad_edu.compat", "no such file.py").returncode == 2


def test_modules_have_their_own_names_too() -> None:
    import tinygrad_edu.nn.functional as F
    from tinygrad_edu.utils.data import DataLoader

    names: list[Any] = [
        F.relu,
        DataLoader,
        tg.utils.data.Dataset,
        tg.optim.lr_scheduler.StepLR,
        tg.distributions.Normal,
    ]
    assert all(callable(name) for name in names)
