"""EfficientNet-Lite0: a network for photographs, made of few and cheap convolutions (Tan and Le 2019)."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .. import nn
from ..autograd import no_grad
from ..creation import tensor

F = nn.functional
# times the channels are widened, kernel, stride, output channels, how many blocks
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class Unit(nn.Module):
    """Convolution, batch normalisation and, if `active`, ReLU6: (N, I, H, W) → (N, O, ⌈H/stride⌉, ⌈W/stride⌉).

    Zeros go around the picture as TensorFlow's "same" puts them: where they cannot be shared evenly, one more on the
    right and at the bottom. The weights were learned with that, and are useless with PyTorch's symmetric padding.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, *, each_alone: bool = False,
                 active: bool = True) -> None:  # fmt: skip
        super().__init__()
        groups = inputs if each_alone else 1
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        self.active = active

    def forward(self, x: Any) -> Any:
        """See the class."""
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        around: list[int] = []
        for size in (x.shape[3], x.shape[2]):  # F.pad begins with the last dimension
            missing = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            around += [missing // 2, missing - missing // 2]
        x = self.norm(self.conv(F.pad(x, around) if any(around) else x))
        return F.relu6(x) if self.active else x


class Block(nn.Module):
    """Widen the channels, let each look around in its own picture, narrow them again: an inverted bottleneck.

    Where nothing changes in size the input is added to the result, so that a block only learns what to change.
    """

    def __init__(self, inputs: int, outputs: int, widen: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = inputs * widen
        self.expand = Unit(inputs, inner) if widen > 1 else nn.Identity()
        self.depthwise = Unit(inner, inner, kernel, stride, each_alone=True)
        self.project = Unit(inner, outputs, active=False)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        """(N, inputs, H, W) → (N, outputs, H/stride, W/stride)."""
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """Photographs (N, 3, H, W), values (pixel − 127) / 128, → logits (N, classes). 4,652,008 parameters with 1,000.

    `features(x)` gives what the last layer, `head`, reads: (N, 1280). The pictures it was trained on have 224 × 224
    pixels; others from about 64 work. Tan and Le, "EfficientNet", ICML 2019; "Lite" leaves out what phones do slowly.
    """

    def __init__(self, classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        self.stem = Unit(3, 32, 3, 2)
        blocks, channels = [], 32
        for widen, kernel, stride, outputs, count in STAGES:
            for i in range(count):
                blocks.append(Block(channels, outputs, widen, kernel, stride if i == 0 else 1))
                channels = outputs
        self.blocks = nn.Sequential(*blocks)
        self.top = Unit(channels, 1280)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(1280, classes)

    def features(self, x: Any) -> Any:
        """(N, 3, H, W) → (N, 1280): the mean over the picture of what was found in it."""
        return self.top(self.blocks(self.stem(x))).mean((2, 3))

    def forward(self, x: Any) -> Any:
        """(N, 3, H, W) → (N, classes)."""
        return self.head(self.dropout(self.features(x)))


@no_grad()
def features_of_grey(model: EfficientNetLite0, pictures: np.ndarray, size: int = 96) -> np.ndarray:
    """Grey pictures (n, H, W) uint8, brought to size × size and to three equal colours → their features (n, 1280)."""
    x = F.interpolate(tensor(pictures[:, None].astype(np.float32)), size=(size, size), mode="bilinear")
    return model.features(((x - 127) / 128).expand(-1, 3, -1, -1)).numpy()


PARTS = {
    "_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "top.conv", "_bn1": "top.norm", "_fc": "head",
    "_expand_conv": "expand.conv", "_depthwise_conv": "depthwise.conv", "_project_conv": "project.conv",
}  # fmt: skip
NORMS = {"_bn0": "expand.norm", "_bn1": "depthwise.norm", "_bn2": "project.norm"}


def name_here(theirs: str) -> str:
    """The name in this model of a tensor in the published file: "_blocks.3._bn1.weight" → "blocks.3.depthwise…"."""
    found = re.fullmatch(r"(?:_blocks\.(\d+)\.)?(_\w+)\.(\w+)", theirs)
    if found is None:
        return theirs
    block, part, last = found.groups()
    return f"{PARTS[part]}.{last}" if block is None else f"blocks.{block}.{({**PARTS, **NORMS})[part]}.{last}"
