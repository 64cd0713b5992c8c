"""Memory that processes share: a file without a name, which is gone with its last user."""

from __future__ import annotations

import math
import mmap
import os
import weakref

import numpy as np
from numpy.typing import NDArray

from vidaug_cli.files import nameless_file
from vidaug_cli.words import human_bytes


class Memory:
    """Memory that grows as it is asked for; arrays in it stay good, also while it grows.

    Args:
        file: number of the file, where another process has given it one; without, a new one, closed with this object.
    """

    def __init__(self, file: int | None = None) -> None:
        self.file = nameless_file() if file is None else file
        if file is None:
            self.close = weakref.finalize(self, os.close, self.file)
        self._bytes = np.empty(0, np.uint8)

    def array(self, shape: tuple[int, ...], start: int = 0) -> NDArray[np.uint8]:
        """Return the uint8 array that begins at byte `start`. Raises MemoryError when there is not so much."""
        end = start + math.prod(shape)
        if len(self._bytes) < end:
            try:
                if os.fstat(self.file).st_size < end:  # never smaller: the other side maps it
                    os.ftruncate(self.file, end)
                self._bytes = np.frombuffer(mmap.mmap(self.file, end), np.uint8)
            except (OSError, OverflowError) as error:
                raise MemoryError(f"Unable to share {human_bytes(end)} of memory") from error
        return self._bytes[start:end].reshape(shape)

    def start(self, array: NDArray[np.uint8]) -> int:
        """Return where in this memory a contiguous array begins; -1 where it does not lie in it as it is now."""
        start = address(array) - address(self._bytes)
        inside = array.flags.c_contiguous and 0 <= start <= len(self._bytes) - array.nbytes
        return start if inside else -1


def is_short() -> bool:
    """Return whether this process gets no more memory."""
    try:
        mmap.mmap(-1, 2**27).close()
    except OSError:
        return True
    return False


def address(array: NDArray[np.uint8]) -> int:
    """Return where an array begins in this process."""
    return int(array.__array_interface__["data"][0])
