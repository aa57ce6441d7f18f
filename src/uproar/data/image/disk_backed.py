"""Arrays that are in memory where they fit, and on disk where they do not."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uproar.types import UproarError

SHARE = 0.5  # of the memory available: models, importance and the page cache need some too
ASSUMED = 4 * 2**30  # bytes of memory where the system does not tell
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def allocate(shape: tuple[int, ...], *, available: int) -> NDArray[np.float32]:
    """Return an array of zeros, on disk where it takes more than half of ``available`` bytes.

    The array on disk maps a temporary file. The system writes pages out and reads them back as
    memory allows, so that nothing fails, and what does not fit is slow. The file has no name (on
    Windows: is deleted on close) and is gone with the array, even when the process is killed.

    :raises UproarError: when there is not enough room on the disk either.

    >>> allocate((2, 3), available=10).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    needed = 4 * math.prod(shape)
    if needed <= SHARE * available:
        return np.zeros(shape, dtype=np.float32)
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    # The file is sparse: without this check, a disk that is full would end the process by a
    # signal at the first page that cannot be written.
    if needed > free:
        raise UproarError(
            f"an array of shape {shape} takes {needed / 1e9:.1f} GB, which is more than half of "
            f"the memory available ({available / 1e9:.1f} GB) and more than is free in {folder} "
            f"({free / 1e9:.1f} GB); use a smaller size or fewer examples, or set TMPDIR"
        )
    with tempfile.TemporaryFile() as file:
        return np.asarray(np.memmap(file, dtype=np.float32, mode="w+", shape=shape))


def memory_available() -> int:
    """Return the bytes of memory that this process can take, as far as the system tells.

    >>> memory_available() > 0
    True
    """
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = 1024 * int(lines["MemAvailable"].split()[0])
    elif hasattr(os, "sysconf"):
        available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    else:
        available = ASSUMED
    # A container may use less than its machine has.
    texts = [Path(limit).read_text().strip() for limit in LIMITS if Path(limit).exists()]
    return min([available, *(int(text) for text in texts if text.isdecimal())])
