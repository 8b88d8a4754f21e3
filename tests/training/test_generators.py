from __future__ import annotations

import pytest
import torch

from photochrom import color
from photochrom.errors import ConfigError
from photochrom.training.networks.discriminators import PatchGAN
from photochrom.training.networks.encoders import Encoder
from photochrom.training.networks.generators import BinGenerator, UNet, build
from photochrom.training.networks.layers import SameConv


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.fixture(scope="module")
def pretrained():
    return build("photochrom", pretrained=True).eval()


def test_sizes_are_those_of_the_documentation(pretrained):
    assert count(pretrained) == 3_752_115 + 127_488 + 10_755  # the layers for hints and palettes; HintSpread
    assert count(build("unet", pretrained=False)) == 41_825_474
    assert count(PatchGAN(64)) == 2_768_705 - 3 * 64 * 16  # the reference sees 6 channels, ours 3


@pytest.mark.parametrize("shape", [(128, 128), (96, 160), (32, 192)])
def test_bins_come_at_stride_4_for_any_multiple_of_32(pretrained, shape):
    with torch.no_grad():
        logits = pretrained(torch.rand(2, 1, *shape))
    assert logits.shape == (2, 323, shape[0] // 4, shape[1] // 4)


def test_the_unet_halves_six_times_then_once_more_and_comes_back():
    unet = UNet().eval()
    assert [block[0].out_channels for block in unet.down] == [64, 128, 256, 512, 512, 512]
    assert all(block[0].kernel_size == (4, 4) and block[0].stride == (2, 2) for block in unet.down)
    assert unet.bottleneck.out_channels == 512
    assert [len(block) for block in unet.up] == [3, 3, 2, 2, 2, 2]  # dropout in the first two
    with torch.no_grad():
        chroma = unet(torch.rand(1, 1, 128, 128))
    assert chroma.shape == (1, 2, 128, 128) and chroma.abs().max() <= 0.5


@pytest.mark.parametrize("kind", ["lite0", "lite2"])
def test_the_luma_stem_answers_as_the_color_one_does_to_grey(kind):
    rgb = Encoder(3, kind).eval()
    rgb.load_imagenet()
    grey = Encoder(1, kind).eval()
    grey.load_imagenet()
    luma = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        for one, two in zip(rgb(luma.expand(-1, 3, -1, -1)), grey(luma), strict=True):
            assert torch.allclose(one, two, atol=1e-4)


def test_both_encoders_are_tapped_where_their_scale_changes():
    # Tan & Le 2019, table 1, scaled by 1.1 and 1.2 for Lite2; the last features of each scale.
    small, large = Encoder(1), Encoder(1, "lite2")
    assert (small.taps, small.widths) == ((2, 4, 10, 15), (24, 40, 112, 320))
    assert (large.taps, large.widths) == ((3, 6, 14, 20), (24, 48, 120, 352))
    with torch.no_grad():
        taps = large.eval()(torch.rand(1, 1, 64, 96))
    assert [tuple(tap.shape[1:]) for tap in taps] == [(24, 16, 24), (48, 8, 12), (120, 4, 6), (352, 2, 3)]


def test_same_padding_is_tensorflows():
    kernel = torch.tensor([[[[0.0, 0, 0], [0, 0, 0], [0, 0, 1]]]])
    layer = SameConv(1, 1, kernel_size=3, stride=2, bias=False)
    layer.weight.data = kernel
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    # TensorFlow pads one row and column behind and none before: the last tap of the first window is pixel (2, 2).
    assert layer(x).flatten().tolist() == [10, 0, 0, 0]


def test_decoding_moves_from_the_mean_to_the_mode(pretrained):
    logits = torch.randn(1, 323, 2, 2, generator=torch.Generator().manual_seed(1)) * 3
    bins = torch.from_numpy(color.bins())
    mean = torch.einsum("nkhw,kc->nchw", logits.softmax(1), bins)
    assert torch.allclose(pretrained.decode(logits, 1.0), mean, atol=1e-5)
    mode = bins[logits.argmax(1)].permute(0, 3, 1, 2)
    assert torch.allclose(pretrained.decode(logits, 0.01), mode, atol=1e-3)


def test_logits_at_positions_are_those_of_the_whole(pretrained):
    luma, positions = torch.rand(2, 1, 64, 64), torch.tensor([0, 5, 255])
    with torch.no_grad():
        whole = pretrained(luma).flatten(2)[:, :, positions].transpose(1, 2)
        part = pretrained.logits_at(pretrained.features(luma), positions)
    assert torch.allclose(whole, part, atol=1e-4)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch():
    generator = BinGenerator().train()
    luma = torch.rand(3, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(generator(luma)[:1], generator(luma[:1]), atol=1e-5)


def test_the_patch_is_70_pixels_wide():
    critic = PatchGAN(8).eval()
    luma = torch.rand(1, 1, 128, 128)
    chroma = torch.zeros(1, 2, 128, 128, requires_grad=True)
    scores = critic(luma, chroma)
    scores[0, 0, scores.shape[2] // 2, scores.shape[3] // 2].backward()
    rows = chroma.grad.abs().sum((0, 1, 3)).nonzero()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_an_unknown_generator_is_refused():
    with pytest.raises(ConfigError, match="expected one of photochrom, unet"):
        build("vgg", pretrained=False)
