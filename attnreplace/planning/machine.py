"""What a machine achieves: of data sheets, or measured in a few seconds."""

import dataclasses
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from attnreplace.errors import UserError
from attnreplace.planning.work import Work
from attnreplace.students import StudentConfig, build_student


@dataclass(frozen=True)
class Machine:
    """What the program achieves on a machine, not what its maker promises."""

    name: str
    fp32_flops: float
    """Operations a second in float32 matrix products, one device."""
    bf16_flops: float
    """The same in bfloat16."""
    memory_bandwidth: float
    """Bytes a second between a device and its memory."""
    disk_bandwidth: float
    """Bytes a second of the disk, shared by all devices."""
    call_seconds: float
    """What an update of one student costs however small it is: some hundred calls."""
    memory: float
    """Bytes for students, one device."""
    disk: float
    """Free bytes of the disk."""
    gpu: bool
    devices: int = 1
    origin: str = ""
    """Where the figures are from."""

    def flops(self, bf16: bool) -> float:
        """Operations a second of one device."""
        return self.bf16_flops if bf16 else self.fp32_flops

    def parts(self, work: Work, bf16: bool) -> dict[str, float]:
        """Seconds of one device for each kind of work."""
        moved = work.traffic + work.weights + (work.casts if bf16 else 0.0)
        return {
            "products": work.flops / self.flops(bf16),
            "memory": moved / self.memory_bandwidth,
            "calls": work.calls * self.call_seconds,
        }

    def seconds(self, work: Work, bf16: bool) -> float:
        """Seconds of one device for so much work.

        A CPU does one after the other. A GPU works while the calls of the next kernels are made,
        so that the longer of the two counts.
        """
        parts = self.parts(work, bf16)
        busy = parts["products"] + parts["memory"]
        return max(busy, parts["calls"]) if self.gpu else busy + parts["calls"]


MACHINES = {
    "two-cores": Machine(
        name="two-cores",
        fp32_flops=1.5e11,
        bf16_flops=3e11,
        memory_bandwidth=3.6e10,
        disk_bandwidth=5e8,
        call_seconds=1e-3,
        memory=1.6e10,
        disk=1e11,
        gpu=False,
        origin="assumed: two cores of a server with AVX-512 and bfloat16, the memory's rate as "
        "measured on one, 16 GB, 100 GB of disk",
    ),
    "a100": Machine(
        name="a100",
        fp32_flops=0.7 * 19.5e12,
        bf16_flops=0.4 * 312e12,
        memory_bandwidth=0.8 * 2.039e12,
        disk_bandwidth=2e9,
        call_seconds=2e-3,
        memory=8e10,
        disk=2e12,
        gpu=True,
        origin="data sheet of the NVIDIA A100 80GB; assumed: 70 % of the peak in float32, 40 % in "
        "bfloat16, 80 % of the bandwidth, 2 TB of disk at 2 GB/s",
    ),
    "h100": Machine(
        name="h100",
        fp32_flops=0.7 * 67e12,
        bf16_flops=0.4 * 989e12,
        memory_bandwidth=0.8 * 3.35e12,
        disk_bandwidth=2e9,
        call_seconds=2e-3,
        memory=8e10,
        disk=2e12,
        gpu=True,
        origin="data sheet of the NVIDIA H100 SXM; assumed: 70 % of the peak in float32, 40 % in "
        "bfloat16, 80 % of the bandwidth, 2 TB of disk at 2 GB/s",
    ),
}


def get_machine(text: str) -> Machine:
    """A machine by name; "8xa100" has eight such devices.

    Raises:
        UserError: none of that name.
    """
    count, times, name = text.rpartition("x")
    if not (times and count.isdecimal()):
        count, name = "1", text
    if name not in MACHINES or not int(count):
        raise UserError(
            f"no machine {text!r}; valid: {', '.join(MACHINES)}, several devices as 8xa100, "
            "or --measure"
        )
    return dataclasses.replace(MACHINES[name], name=text, devices=int(count))


SECONDS = 0.4
"""Of each measurement, about."""
DISK_BYTES = 2**28
ROWS, COLUMNS, HIDDEN = 128, 2048, 1024
"""A product of the shape that students have: few sentences, wide weights."""


def measure_machine(folder: Path) -> Machine:
    """Measure this machine with the threads that torch has now; takes some seconds.

    Of several GPUs the first stands for all.

    Args:
        folder: on the disk where the run will be.
    """
    gpu = torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    memory = torch.cuda.mem_get_info()[0] if gpu else psutil.virtual_memory().available
    threads = torch.get_num_threads()
    return Machine(
        name=torch.cuda.get_device_name() if gpu else f"this machine, {threads} threads",
        fp32_flops=_product_rate(torch.float32, device),
        bf16_flops=_product_rate(torch.bfloat16, device),
        memory_bandwidth=_memory_rate(device),
        disk_bandwidth=_disk_rate(folder),
        call_seconds=_update_seconds(device),
        memory=float(memory),
        disk=float(shutil.disk_usage(folder).free),
        gpu=gpu,
        devices=max(1, torch.cuda.device_count()),
        origin="measured; memory and disk are what is free now",
    )


def _best(call: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of several calls."""
    call()
    best, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until:
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


def _product_rate(dtype: torch.dtype, device: torch.device) -> float:
    scale = 8 if device.type == "cuda" else 1
    x = torch.randn(ROWS * scale, COLUMNS, device=device).to(dtype)
    weight = torch.randn(HIDDEN * scale, COLUMNS, device=device).to(dtype)
    flops = 2 * x.shape[0] * COLUMNS * weight.shape[0]
    return flops / _best(lambda: x @ weight.T, device)


def _memory_rate(device: torch.device) -> float:
    # Larger than any cache; read twice and written once, as an optimiser's update mostly is.
    a, b = torch.ones(2, 2**26 if device.type == "cuda" else 2**24, device=device)
    return 3 * a.numel() * a.element_size() / _best(lambda: a.add_(b), device)


def _disk_rate(folder: Path) -> float:
    """Bytes a second written through to the disk; reading is mostly no slower."""
    block = bytes(2**24)
    with tempfile.TemporaryFile(dir=folder) as file:
        start = time.perf_counter()
        for _ in range(DISK_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return DISK_BYTES / (time.perf_counter() - start)


def _update_seconds(device: torch.device) -> float:
    """One update of a student too small to take time for its numbers."""
    config = StudentConfig(family="shallow_ff", d_model=4, d_out=4, positions=4, hidden=2)
    student = build_student(config).to(device)
    optimizer = torch.optim.AdamW(student.parameters(), fused=True)
    x, mask = torch.randn(2, 4, 4, device=device), torch.ones(2, 4, device=device).bool()

    def update() -> None:
        student(x, mask).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    return _best(update, device)
