"""What a process keeps of the memory that it frees."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from torch import nn
from uproar.bench.device import keep_freed_memory
keep_freed_memory()
layers = nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()
module = nn.Sequential(*layers).requires_grad_(False)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        inputs = torch.zeros(512, 1, 8, 8).requires_grad_()
        torch.autograd.grad(module(inputs).sum(), inputs)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
torch.set_num_threads(1)
faults()
print(faults())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries keep in other ways")
def test_memory_of_a_pass_need_not_be_had_of_the_system_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    # Pages: without it 20,000; now and then one block of 4 MiB comes anew, 1,024.
    assert int(done.stdout) < 1000 + 1024
