"""Files of torch.save, opened so that a hostile one can neither run code nor fill the memory.

`torch.load(weights_only=True)` runs no foreign code, but a pickle may still ask it for a terabyte, or for a key that
takes for ever to hash. So the zip is checked first, its pickle is gone through without making anything, and torch reads
a copy of what was checked.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from vidaug_cli.errors import VidaugError
from vidaug_cli.train.pickle_check import RefusedError, check_keys, rehearse

MAX_ENTRIES = 50_000  # R101 with AdamW and a moving average has 4,469
MAX_PICKLE = 8_000_000  # bytes; that R101 has 505,515
MAX_VALUES, MAX_DEPTH = 1_000_000, 32  # of what comes out: a small pickle can hold one list a billion times over

_RECORD = re.compile(r"data\.pkl|byteorder|version|data/[0-9]+")


def read_archive(path: Path, hint: str) -> Any:
    """What torch.save wrote, on the CPU: dicts, lists, tuples, tensors without grad, strings, numbers, None.

    Raises VidaugError, with `hint`, on anything else.
    """
    try:
        if path.exists() and not path.is_file():  # to open a pipe would be to wait for ever
            raise RefusedError("is not a file")
        with path.open("rb") as file:
            checked = _checked_copy(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(checked, map_location="cpu", weights_only=True)
        return plain(loaded)
    except FileNotFoundError as error:
        raise VidaugError("does not exist", where=path, hint=hint) from error
    except OSError as error:
        raise VidaugError(f"cannot be read: {error.strerror or error}", where=path, hint=hint) from error
    except RefusedError as error:
        raise VidaugError(str(error), where=path, hint=hint) from error
    except Exception as error:  # neither zipfile nor torch says what it raises on bytes it does not expect
        raise VidaugError(f"is damaged or cut short ({type(error).__name__})", where=path, hint=hint) from error


def _checked_copy(file: BinaryIO) -> io.BytesIO:
    """The records as a new zip: two readers of a crafted one need not see the same."""
    start = file.read(4)
    if start[:2] == b"\x80\x02":
        raise RefusedError("is in torch's old format: load it with torch and save it again")
    if start != b"PK\x03\x04":
        raise RefusedError("is not a file of torch.save")
    copy = io.BytesIO()
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as made:
        entries = archive.infolist()
        _check_sizes(entries, file.seek(0, io.SEEK_END))
        records = {name: entry for entry in entries if _RECORD.fullmatch(name := entry.filename.partition("/")[2])}
        if "data.pkl" not in records or records["data.pkl"].file_size > MAX_PICKLE:
            raise RefusedError("is a zip, but not one of torch.save")
        rehearse(archive.read(records["data.pkl"]), {name: entry.file_size for name, entry in records.items()})
        for name, entry in records.items():
            made.writestr(f"checked/{name}", archive.read(entry))  # which compares the CRC
    copy.seek(0)
    return copy


def _check_sizes(entries: Sequence[zipfile.ZipInfo], size: int) -> None:
    """Refuse what torch.save does not write, so that nothing unfolds to more than the `size` bytes of the file."""
    if len(entries) > MAX_ENTRIES or len({entry.filename for entry in entries}) < len(entries):
        raise RefusedError("is a zip, but not one of torch.save")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        raise RefusedError("is compressed, which torch.save never does")
    if sum(entry.file_size for entry in entries) > size:
        raise RefusedError("declares more bytes than it has")


def plain(value: Any) -> Any:
    """The same with plain dicts and detached tensors. Raises ValueError on what `read_archive` would refuse."""
    return _plain(value, iter(range(MAX_VALUES)))


def _plain(value: Any, budget: Iterator[int], depth: int = 0) -> Any:
    if next(budget, None) is None or depth > MAX_DEPTH:
        raise RefusedError("holds too many values or too deep ones")
    if type(value) in (dict, OrderedDict):
        check_keys(dict.keys(value))
        return {_plain(key, budget, depth): _plain(entry, budget, depth + 1) for key, entry in dict.items(value)}
    if type(value) in (list, tuple):
        return type(value)(_plain(entry, budget, depth + 1) for entry in value)
    if type(value) in (Tensor, nn.Parameter):
        return value.detach()
    if type(value) is str:
        value.encode()  # half a surrogate pair could be read and never printed
    elif type(value) is int and value.bit_length() > 256:
        raise RefusedError("holds a number that is too large")
    elif value is not None and type(value) not in (bool, int, float):
        raise RefusedError("holds more than tensors and plain values")
    return value
