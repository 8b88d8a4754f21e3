"""Find the processes of a training run, also those that torchrun or SLURM started, and let them act as one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from typing import Any, Literal, TypeVar, final

import torch
from lightning.fabric import Fabric
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from photochrom.errors import ConfigError, PhotochromError
from photochrom.training.config import Config
from photochrom.training.networks.generators import LAYOUTS

Made = TypeVar("Made")

AGREE_STEPS = 4
"""Several processes ask each other every so many steps whether one of them was told to end."""


@dataclass(frozen=True)
class World:
    """The processes of a run, each with a device of its own."""

    local: int
    """Processes on this machine."""
    nodes: int = 1
    """Machines."""
    rank: int = 0
    """Number of this process among all."""
    starter: Literal["", "torchrun", "srun"] = ""
    """Who started the processes; empty: this process starts them, where there are several."""

    @property
    def size(self) -> int:
        """Number of all processes."""
        return self.local * self.nodes


def world(devices: int = 1) -> World:
    """Take the number of processes from torchrun or SLURM's srun, else ``devices`` on this machine.

    Raises:
        ConfigError: if ``devices`` contradicts the processes that were started, or the machines have different numbers of them.
    """
    known = os.environ
    if "TORCHELASTIC_RUN_ID" in known:
        size, local, rank = (int(known[name]) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE", "RANK"))
        if size % local:
            raise ConfigError(f"torchrun started {size} processes, {local} of them here: expected as many on every machine")
        found = World(local, size // local, rank, "torchrun")
    elif "SLURM_STEP_ID" in known and int(known.get("SLURM_NTASKS", "1")) > 1:
        if not known.get("SLURM_NTASKS_PER_NODE", "").isdigit():
            raise ConfigError("srun started several processes, but not how many on each machine: give it --ntasks-per-node")
        local, nodes, rank = (int(known[name]) for name in ("SLURM_NTASKS_PER_NODE", "SLURM_NNODES", "SLURM_PROCID"))
        found = World(local, nodes, rank, "srun")
    else:
        return World(devices)
    if devices not in (1, found.local):
        raise ConfigError(
            f"devices is {devices}, but {found.starter} started {found.local} processes on each machine: leave it out"
        )
    return found


def fabric_of(processes: World, accelerator: str, precision: Literal["32-true", "bf16-mixed"]) -> Fabric:
    """Make what runs the processes: this one, spawned ones, or those that were started."""
    # Said, not guessed: the variables of a SLURM job around a single process must not count.
    starters = {"torchrun": TorchElasticEnvironment, "srun": SLURMEnvironment}
    environment = starters.get(processes.starter, LightningEnvironment) if processes.size > 1 else LightningEnvironment
    several = "ddp" if processes.starter else "ddp_spawn"
    return Fabric(
        accelerator=accelerator,
        devices=processes.local,
        num_nodes=processes.nodes,
        strategy=several if processes.size > 1 else "auto",
        precision=precision,
        plugins=[environment()],
    )


def from_first(fabric: Fabric, make: Callable[[], Made]) -> Made:
    """Make a value in the first process and give it to all; an error of Photochrom's is raised in all."""
    made: Any = None
    if fabric.is_global_zero:
        try:
            made = make()
        except PhotochromError as error:
            made = error
    made = fabric.broadcast(made)
    if isinstance(made, PhotochromError):
        fabric.barrier()  # or the first process might be gone before the others know
        raise made
    value: Made = made
    return value


def parts_of(batch: int, processes: int, at_once: int) -> int:
    """Find into how many equal parts each process splits its share of a batch, to take at most ``at_once`` crops at a time.

    0 sets no limit.
    """
    share = batch // processes
    return next(parts for parts in range(1, share + 1) if share % parts == 0 and (not at_once or share // parts <= at_once))


def precision_of(config: Config, accelerator: str) -> Literal["32-true", "bf16-mixed", "bf16-decoder"]:
    """Resolve the precision ``auto``: bfloat16 where it is faster, on a CPU by instructions of its own in full convolutions.

    The encoder of ``photochrom`` consists of depthwise convolutions, which gain nothing from it on a CPU.
    """
    if config.precision != "auto":
        return config.precision
    if accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported() else "32-true"
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if accelerator not in ("auto", "cpu") or not native:
        return "32-true"
    return "bf16-mixed" if config.generator in LAYOUTS else "bf16-decoder"


@final
class Termination:
    """Notice SIGTERM, with which a scheduler takes its machine back, instead of ending at once."""

    def __init__(self, *, forward: bool = False) -> None:
        """Prepare; ``forward`` passes the signal on to the processes that this one has spawned."""
        self.asked = False
        self._forward = forward
        self._before: Any = None

    def __enter__(self) -> Termination:
        if threading.current_thread() is threading.main_thread():  # only there does Python take signals
            self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *problem: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _note(self, *_: object) -> None:
        self.asked = True
        for child in multiprocessing.active_children() if self._forward else ():
            child.terminate()

    def agreed(self, fabric: Fabric, steps: int) -> bool:
        """Return, in all processes alike, whether one of them was told to end; all must ask in the same step."""
        if fabric.world_size == 1:
            return self.asked
        if steps % AGREE_STEPS:
            return False
        told: Any = fabric.all_reduce(torch.tensor(float(self.asked), device=fabric.device), reduce_op="sum")
        return bool(told > 0)


def end_with_parent() -> None:
    """End this process as soon as the one that spawned it is gone, rather than train on unseen."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
