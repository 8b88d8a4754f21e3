from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from photochrom.training.networks.layers import BatchNorm, Dropout


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 6, 3), BatchNorm(6), nn.ReLU(), Dropout(0.5), nn.Conv2d(6, 1, 3)).train()


def batch():
    return torch.randn(8, 2, 9, 9, generator=torch.Generator().manual_seed(1))


def half(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    net = network()
    torch.manual_seed(5)
    out = net(batch()[rank::2])
    out.square().mean().backward()
    gradients = [p.grad for p in net.parameters()]
    for gradient in gradients:
        dist.all_reduce(gradient)
    torch.save({"out": out.detach(), "grad": [g / 2 for g in gradients], "var": net[1].running_var}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_normalize_and_drop_as_one_with_the_whole_batch(tmp_path):
    mp.spawn(partial(half, folder=tmp_path), nprocs=2)
    net = network()
    torch.manual_seed(5)
    out = net(batch())
    out.square().mean().backward()
    parts = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    for rank, part in enumerate(parts):
        assert torch.allclose(part["out"], out[rank::2].detach(), atol=1e-5)
        assert torch.allclose(part["var"], net[1].running_var, atol=1e-5)
        for ours, theirs in zip(part["grad"], net.parameters(), strict=True):
            assert torch.allclose(ours, theirs.grad, atol=1e-5)


def test_batch_norm_alone_is_torchs():
    ours, theirs = BatchNorm(3).train(), nn.BatchNorm2d(3).train()
    x = torch.randn(4, 3, 5, 5)
    assert torch.equal(ours(x), theirs(x))


def test_dropout_drops_its_share_in_training_alone_and_keeps_the_mean():
    layer, x = Dropout(0.5), torch.ones(4, 8, 32, 32)
    dropped = layer.train()(x)
    assert 0.45 < float((dropped == 0).float().mean()) < 0.55
    assert 0.95 < float(dropped.mean()) < 1.05
    assert layer.eval()(x) is x
