"""Hold the presets of the original study to its networks and to one training step written plainly."""

from __future__ import annotations

import pytest
import torch
from lightning.fabric import Fabric
from torch.nn import functional as F

from photochrom import color
from photochrom.training import config
from photochrom.training.data import dataset
from photochrom.training.networks.discriminators import PatchGAN
from photochrom.training.networks.generators import LAYOUTS, Shape, UNet, build
from photochrom.training.setup import discriminator_of, generator_of, set_up
from photochrom.training.step import set_rates, step

SMALL = ["size=32", "generator_width=4", "discriminator_width=4", "batch=4", "stages.0.images=40"]


def count(network):
    return sum(p.numel() for p in network.parameters())


def test_parameters_are_those_of_the_documentation():
    assert count(generator_of(config.load("original-pix2pix"), pretrained=False)) == 41_827_523
    assert count(discriminator_of(config.load("original-pix2pix"))) == 2_791_233
    alternative = config.load("original-alternative")
    assert count(generator_of(alternative, pretrained=False)) == 30_812_867
    assert count(build("encoder-decoder", pretrained=False, shape=Shape(skips=True))) == 42_021_251
    assert count(discriminator_of(alternative)) == 6_961_985


def test_the_pix2pix_discriminator_is_four_strides_then_eight_by_eight():
    convolutions = [m for m in PatchGAN(64, "patch8", rgb=True).layers if isinstance(m, torch.nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [64, 128, 256, 512, 1]
    assert [m.kernel_size[0] for m in convolutions] == [4, 4, 4, 4, 8] and [m.stride[0] for m in convolutions] == [2] * 4 + [8]
    assert convolutions[0].in_channels == 4


def test_the_encoder_decoder_goes_down_to_one_pixel_and_comes_back():
    network = UNet(LAYOUTS["encoder-decoder"], Shape(width=64)).eval()
    assert [block[0].out_channels for block in network.down] == [64, 64, 128, 256, 512, 512, 512]
    assert network.bottleneck.out_channels == 512
    assert [block[0].out_channels for block in network.up] == [512, 512, 512, 256, 128, 64, 64]
    small = UNet(LAYOUTS["encoder-decoder"], Shape(width=4)).eval()
    deepest = []
    small.bottleneck.register_forward_hook(lambda _module, _inputs, output: deepest.append(output.shape))
    with torch.no_grad():
        picture = small(torch.rand(2, 1, 128, 128))
    assert deepest == [(2, 32, 1, 1)] and picture.shape == (2, 3, 128, 128)
    assert picture.min() >= 0 and picture.max() <= 1


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("kind", ["patch8", "global"])
def test_one_score_for_a_whole_picture_at_every_size(kind, size):
    critic = PatchGAN(4, kind, size=size, rgb=True)
    luma, rgb = torch.rand(2, 1, size, size), torch.rand(2, 3, size, size, requires_grad=True)
    scores = critic(luma, rgb)
    assert scores.shape == (2, 1, 1, 1)
    scores.sum().backward()
    assert (rgb.grad.abs().sum((0, 1)) > 0).all()


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_smaller_pictures_leave_levels_out(name, size):
    network = UNet(LAYOUTS[name], Shape(size=size, width=4)).train()
    answer = network.decode(network(torch.rand(2, 1, size, size)), 1.0)
    assert answer.shape == (2, 2, size, size) and answer.abs().max() <= 0.5 and network.stride == size
    assert len(network.down) == {128: 6, 64: 5, 32: 4}[size] + (name == "encoder-decoder")


def test_the_chroma_of_a_painted_picture_is_its_conversion():
    picture = torch.rand(2, 3, 8, 8) * 2 - 0.5
    clipped = picture.clamp(0, 1)
    network = UNet(LAYOUTS["unet-rgb"], Shape(size=32, width=2))
    _, cb, cr = color.rgb_to_ycbcr(clipped[:, 0], clipped[:, 1], clipped[:, 2])
    assert torch.allclose(network.decode(picture, 1.0), torch.stack([cb, cr], 1))


def test_noise_at_generation_stays_and_leaves_the_stored_statistics_alone():
    torch.manual_seed(0)
    luma = torch.rand(4, 1, 32, 32)
    quiet = UNet(LAYOUTS["unet-rgb"], Shape(size=32, width=4)).eval()
    noisy = UNet(LAYOUTS["unet-rgb"], Shape(size=32, width=4, noise=True)).eval()
    noisy.load_state_dict(quiet.state_dict())
    with torch.no_grad():
        assert torch.equal(quiet(luma), quiet(luma))
        assert not torch.allclose(noisy(luma), noisy(luma), atol=1e-6)
        torch.manual_seed(1)
        generated = noisy(luma)
        torch.manual_seed(1)
        assert torch.allclose(noisy.train()(luma), generated, atol=1e-6)
    noisy.load_state_dict(quiet.state_dict())
    with torch.no_grad():
        noisy.eval()(luma)
    assert all(torch.equal(value, quiet.state_dict()[name]) for name, value in noisy.state_dict().items())


def norm(p, name, x):
    return F.batch_norm(x, None, None, p[f"{name}.weight"], p[f"{name}.bias"], training=True)


def reference_unet(p, grey):
    """The study's U-Net at 32 px, by functions alone."""
    x, skips = grey, []
    for i in range(4):
        x = F.conv2d(x, p[f"down.{i}.0.weight"], p.get(f"down.{i}.0.bias"), stride=2, padding=1)
        x = F.leaky_relu(norm(p, f"down.{i}.1", x) if i else x, 0.2)
        skips.append(x)
    x = F.relu(F.conv2d(x, p["bottleneck.weight"], p["bottleneck.bias"], stride=2, padding=1))
    for i in range(4):
        x = norm(p, f"up.{i}.1", F.conv_transpose2d(x, p[f"up.{i}.0.weight"], stride=2, padding=1))
        if i < 2:
            x = x * (torch.rand(x.shape) >= 0.5) * 2
        x = torch.cat([F.relu(x), skips[-1 - i]], 1)
    return torch.tanh(F.conv_transpose2d(x, p["head.weight"], p["head.bias"], stride=2, padding=1))


def reference_encoder_decoder(p, grey):
    x = F.leaky_relu(F.conv2d(grey, p["down.0.0.weight"], p["down.0.0.bias"], padding=1), 0.2)
    for i in range(1, 5):
        x = F.leaky_relu(norm(p, f"down.{i}.1", F.conv2d(x, p[f"down.{i}.0.weight"], stride=2, padding=1)), 0.2)
    x = F.relu(F.conv2d(x, p["bottleneck.weight"], p["bottleneck.bias"], stride=2, padding=1))
    for i in range(5):
        x = F.relu(norm(p, f"up.{i}.1", F.conv_transpose2d(x, p[f"up.{i}.0.weight"], stride=2, padding=1)))
    return torch.sigmoid(F.conv2d(x, p["head.weight"], p["head.bias"], padding=1))


def reference_discriminator(p, grey, rgb):
    """As many strided convolutions as there are, then the last one."""
    x = F.leaky_relu(F.conv2d(torch.cat([grey, rgb], 1), p["layers.0.weight"], p["layers.0.bias"], stride=2, padding=1), 0.2)
    layer = 2
    while f"layers.{layer + 1}.weight" in p:
        x = F.conv2d(x, p[f"layers.{layer}.weight"], stride=2, padding=1)
        x = F.leaky_relu(norm(p, f"layers.{layer + 1}", x), 0.2)
        layer += 3
    return F.conv2d(x, p[f"layers.{layer}.weight"], p[f"layers.{layer}.bias"])  # its kernel is all that is left


def adam(p, loss):
    """Adam's first step with a rate of 2e-4 (Kingma & Ba 2015, algorithm 1): moments begin at 0, so both corrections cancel."""
    gradients = torch.autograd.grad(loss, list(p.values()))
    moved = {
        name: (value - 2e-4 * gradient / (gradient.square().sqrt() + 1e-8)).detach()
        for (name, value), gradient in zip(p.items(), gradients, strict=True)
    }
    return moved, torch.cat([gradient.flatten() for gradient in gradients]).norm()


REFERENCES = {"original-pix2pix": (reference_unet, 100), "original-alternative": (reference_encoder_decoder, 0)}


@pytest.mark.parametrize("preset", REFERENCES)
def test_one_step_equals_the_reference(preset, prepared, tmp_path):
    reference_generator, weight = REFERENCES[preset]
    settings = config.load(preset, SMALL)
    crops = dataset.Crops(dataset.index([prepared]), size=32, seed=0, smallest=1, stretch=0, aging=0, mirror=0)
    fabric = Fabric(accelerator="cpu", devices=1)
    networks, _, _ = set_up(fabric, settings, crops, tmp_path / "run")
    luma, chroma = (torch.stack(parts) for parts in zip(*(crops[i] for i in range(4)), strict=True))
    rgb = torch.cat(color.ycbcr_to_rgb(luma, chroma[:, :1], chroma[:, 1:]), 1)
    g = {name: value.detach().clone().requires_grad_(True) for name, value in networks.generator.named_parameters()}
    d = {name: value.detach().clone().requires_grad_(True) for name, value in networks.discriminator.named_parameters()}

    set_rates(networks, settings.stages[0], 1.0)
    torch.manual_seed(7)
    losses = step(fabric, networks, (luma, chroma), config=settings, stage=settings.stages[0])

    bce = F.binary_cross_entropy_with_logits
    torch.manual_seed(7)
    fake = reference_generator(g, luma)
    true_score, fake_score = reference_discriminator(d, luma, rgb), reference_discriminator(d, luma, fake.detach())
    real, wrong = bce(true_score, torch.ones_like(true_score)), bce(fake_score, torch.zeros_like(fake_score))
    d, slope_of_d = adam(d, (real + wrong) / 2)
    score = reference_discriminator(d, luma, fake)
    adversarial, l1 = bce(score, torch.ones_like(score)), (rgb - fake).abs().mean()
    g, slope_of_g = adam(g, adversarial + weight * l1)

    expected = {
        "real": real, "fake": wrong, "adversarial": adversarial, "l1": 255 * l1, "generator": adversarial + weight * l1,
        "grad_discriminator": slope_of_d, "grad_generator": slope_of_g,
    }  # fmt: skip
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(value.item(), rel=1e-4), name
    for network, reference in ((networks.generator, g), (networks.discriminator, d)):
        for name, value in network.named_parameters():
            assert torch.allclose(value, reference[name], atol=2e-6), name


def test_the_initial_weights_are_those_of_the_study():
    for network in (
        generator_of(config.load("original-pix2pix"), pretrained=False),
        discriminator_of(config.load("original-alternative")),
    ):
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d) and module.weight.numel() > 10_000:
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.05)
                assert abs(module.weight.mean().item()) < 1e-3
