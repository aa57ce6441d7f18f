"""Files that are whole or absent: written under a temporary name, flushed, and renamed.

A temporary name says which process writes it, on which host, so that what a killed process left
behind can be told from what a living one is writing.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import socket
from pathlib import Path

from uproar.types import UproarError

_TEMPORARY = re.compile(r"[\w-]+\.(?P<host>[0-9a-f]{12})\.(?P<pid>[1-9]\d{0,8})\.\w+\.tmp")
_FULL = {errno.ENOSPC: "no space left on", errno.EDQUOT: "disk quota exceeded on"}


class StoreError(UproarError):
    """The store cannot be read or written; finished cells are kept, and the run stops."""


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that readers, now and after a crash, see all of it or nothing new.

    :param path: where. The folder is made when it is missing.
    :param content: the bytes of the file.
    :raises StoreError: in one line, when it cannot be written; nothing is left behind.
    """
    stem = path.name.partition(".")[0]
    temporary = path.with_name(f"{stem}.{_host()}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        _flush_folder(path.parent)
    except OSError as error:
        raise store_error(error, path.parent) from error


def remove(path: Path) -> None:
    """Remove a file if there is one.

    :raises StoreError: when it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise store_error(error, path.parent) from error


def append_line(path: Path, line: str) -> None:
    """Append one line durably; lines of several processes do not mix."""
    with path.open("ab", buffering=0) as file:
        # One write of an unbuffered file that was opened for appending lands in one piece.
        file.write(line.encode() + b"\n")
        os.fsync(file.fileno())


def sweep(folder: Path) -> int:
    """Remove the temporary files that dead processes of this host left; return how many.

    Files of living processes and of other hosts, whose processes cannot be asked for, stay.

    :raises StoreError: when a file cannot be removed.
    """
    removed = 0
    try:
        for path in folder.rglob("*.tmp"):
            name = _TEMPORARY.fullmatch(path.name)
            if name and name["host"] == _host() and not _alive(int(name["pid"])):
                path.unlink(missing_ok=True)
                removed += 1
    except OSError as error:
        raise store_error(error, folder) from error
    return removed


def store_error(error: OSError, folder: Path) -> StoreError:
    """Compose the one line that says what is wrong with the folder and what to do."""
    again = "finished cells are kept; {} and run the same command again"
    where = repr(str(folder))
    if error.errno in _FULL:
        return StoreError(f"{_FULL[error.errno]} {where}; {again.format('free some space')}")
    reason = (error.strerror or type(error).__name__).lower()
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "make the folder readable and writable or choose another one"
    else:
        remedy = "put the folder right or choose another one"
    return StoreError(f"cannot use the folder {where}: {reason}; {again.format(remedy)}")


def _host() -> str:
    """Return a short name of this host that any file system takes."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:12]


def _alive(pid: int) -> bool:
    """Say whether a process of this host runs; when in doubt, it does."""
    if os.name != "posix":
        # Elsewhere signal 0 is not a question: it ends the process.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut, where folders can be flushed."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems refuse the question; the file itself is flushed already.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
