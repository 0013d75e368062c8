# mypy: disallow-subclassing-any=False
"""The two networks that ``train.py`` compares, as PyTorch modules. Never imported at run time.

Both take a batch of grey images, shape (n, 1, 224, 224), float32 in [0, 1], and return ``(logit, activation,
features)``: the logit, shape (n,); the class-activation map, shape (n, 7, 7), whose mean is the logit without its bias;
the pooled features, shape (n, channel).
"""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

# (expansion, kernel, stride, channels out, repeats): EfficientNet-B0 (Tan & Le 2019, table 1) in its Lite form, which
# has no squeeze-and-excitation, ReLU6 for swish, and a stem and head of fixed width.
LITE0_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class ClassActivation(nn.Module):
    """A linear head on globally pooled features, which also gives its class-activation map (Zhou et al. 2016)."""

    def __init__(self, channels: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(channels, 1)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logit, activation and features of maps, shape (n, channel, row, column)."""
        features = maps.mean((2, 3))
        logit = self.linear(self.dropout(features))[:, 0]
        activation = functional.conv2d(maps, self.linear.weight[:, :, None, None])[:, 0]
        return logit, activation, features


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's ``SAME``: at stride 2 the odd pixel goes to the bottom and the right."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> None:
        super().__init__(
            inputs, outputs, kernel, stride=stride, groups=groups, bias=False, padding=kernel // 2 if stride == 1 else 0
        )
        total = kernel - stride
        self.pad = (total // 2, total - total // 2) * 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad and convolve."""
        return super().forward(functional.pad(x, self.pad) if self.stride[0] > 1 else x)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the constants that the published weights were trained with."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, linear projection; the names are those of the published state dict."""

    def __init__(self, inputs: int, outputs: int, *, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expands = expansion > 1
        self.residual = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = SameConv(inputs, inner, 1)
            self._bn0 = norm(inner)
        self._depthwise_conv = SameConv(inner, inner, kernel, stride=stride, groups=inner)
        self._bn1 = norm(inner)
        self._project_conv = SameConv(inner, outputs, 1)
        self._bn2 = norm(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform, and add the input where the shapes allow."""
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 for one grey channel.

    Parameters
    ----------
    weights : Path or None
        State dict of the three-channel ImageNet network. Its stem is summed over the colours, which is exact for a grey
        image, since that network scales all three channels alike.
    """

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        self._conv_stem = SameConv(1, 32, 3, stride=2)
        self._bn0 = norm(32)
        blocks, inputs = [], 32
        for expansion, kernel, stride, outputs, repeats in LITE0_STAGES:
            for repeat in range(repeats):
                step = stride if repeat == 0 else 1
                blocks.append(InvertedResidual(inputs, outputs, expansion=expansion, kernel=kernel, stride=step))
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(320, 1280, 1)
        self._bn1 = norm(1280)
        self.head = ClassActivation(1280)
        if weights is not None:
            state = torch.load(weights, map_location="cpu", weights_only=True)
            state["_conv_stem.weight"] = state["_conv_stem.weight"].sum(1, keepdim=True)
            backbone = {key: value for key, value in state.items() if not key.startswith("_fc.")}
            left_out = self.load_state_dict(backbone, strict=False).missing_keys
            if {key.split(".")[0] for key in left_out} != {"head"}:
                raise ValueError("the weights are not those of EfficientNet-Lite0")

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logit, activation and features of images."""
        x = (x * 255 - 127) / 128
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        logit, activation, features = self.head(functional.relu6(self._bn1(self._conv_head(x))))
        return logit, activation, features


class ResNet18(nn.Module):
    """MONAI's two-dimensional ResNet-18, from random weights, with the same small head."""

    def __init__(self) -> None:
        super().__init__()
        from monai.networks.nets import resnet18

        trunk = resnet18(spatial_dims=2, n_input_channels=1, num_classes=1, conv1_t_size=7, conv1_t_stride=2)
        self.trunk = nn.Sequential(
            trunk.conv1, trunk.bn1, trunk.act, trunk.maxpool, trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4
        )
        self.head = ClassActivation(512)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logit, activation and features of images."""
        logit, activation, features = self.head(self.trunk((x - 0.5) * 4))
        return logit, activation, features
