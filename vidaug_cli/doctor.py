"""Whether this machine can do the work: versions, cores, memory, disks, limits and GPUs, each with what it means."""

from __future__ import annotations

import math
import os
import platform
import resource
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from vidaug_cli.words import cut, human_bytes

State = Literal["good", "note", "bad"]  # bad: something would not work
FAR = 0.05  # relative error of bfloat16 from which it counts as wrong; 8 bits of mantissa give 0.004 for one product
EXTRAS = {
    "matplotlib": ("plots", "curves, confusion matrices"),
    "distributed": ("dask", "--scheduler"),
    "tensorboard": ("tensorboard", "train --tensorboard"),
    "datasets": ("export", "export --format hf"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    found: str
    state: State = "good"
    means: str = ""  # what it means and what to do, where it is not simply good


def examine(folder: Path) -> Iterator[Finding]:
    """Yield what is found on this machine; `folder` is where shards would be written. Never raises."""
    for look in (_python, _libraries, _extras, _cores, _memory, _disk(folder), _shared_memory, _files, _torch):
        try:
            yield from look()
        except Exception as error:  # whatever a broken library raises is a finding
            name = getattr(look, "__name__", "check").strip("_")
            what = cut(f"{type(error).__name__}: {error}", 200).replace("\n", " ")
            yield Finding(name, what, "bad", "install vidaug-cli anew in an environment of its own")


def _python() -> Iterator[Finding]:
    yield Finding("vidaug", metadata.version("vidaug-cli"))
    yield Finding("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _libraries() -> Iterator[Finding]:
    from vidaug_cli.data import hdf5
    from vidaug_cli.data.video import decoder

    for versions in (decoder.versions(), hdf5.versions()):
        (name, number), *more = versions.items()
        yield Finding(name, ", ".join([number, *(" ".join(each) for each in more)]))


def _extras() -> Iterator[Finding]:
    for package, (extra, use) in EXTRAS.items():
        if find_spec(package) is None:
            how = f"needed for {use} only: pip install 'vidaug-cli[{extra}]'"
            yield Finding(package, "not installed", "note", how)
        else:
            yield Finding(package, metadata.version(package))


def _cores() -> Iterator[Finding]:
    from vidaug_cli.workers import why_alone, worker_count

    there, ours = os.cpu_count() or 1, worker_count(0)
    means = f"a container, an affinity or a job leaves {ours} of {there} to this process; -j 0 counts these"
    yield Finding("cores", f"{ours} of {there}", "note" if ours < there else "good", means if ours < there else "")
    if reason := why_alone():
        yield Finding("processes", reason, "note", "everything runs in one process, and takes longer")


def _memory() -> Iterator[Finding]:
    from vidaug_cli.workers import free_memory

    free = free_memory()
    if math.isinf(free):
        yield Finding("memory", "unknown", "note", "this system does not say how much is free")
        return
    little = free < 2e9
    means = "a process that renders clips takes over 1 GB: close other programs, or give the container more"
    yield Finding("memory", f"{human_bytes(free)} free", "note" if little else "good", means if little else "")


def _disk(folder: Path) -> Callable[[], Iterator[Finding]]:
    def disk() -> Iterator[Finding]:
        for name, place in ((f"disk of {folder}", folder), ("temporary files", Path(tempfile.gettempdir()))):
            if not os.access(place, os.W_OK):
                yield Finding(name, "cannot be written", "note", "name a folder with -o that can")
                continue
            free = shutil.disk_usage(place).free
            low = free < 5e9
            means = "little for shards: a clip of 64 frames of 160 pixels takes 4.9 MB; --codec video takes far less"
            yield Finding(name, f"{human_bytes(free)} free", "note" if low else "good", means if low else "")

    return disk


def _shared_memory() -> Iterator[Finding]:
    place = Path("/dev/shm")  # semaphores lie there; batches do not
    if os.access(place, os.W_OK):
        yield Finding("/dev/shm", f"{human_bytes(shutil.disk_usage(place).free)} free")
    else:
        yield Finding("/dev/shm", "cannot be written", "note", "everything runs in one process, and takes longer")


def _files() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    little = 0 <= soft < 1024
    means = f"many shards or processes need more: ulimit -n {min(4096, hard) if hard > 0 else 4096}"
    yield Finding("open files", f"up to {soft:,}", "note" if little else "good", means if little else "")


def _torch() -> Iterator[Finding]:
    from vidaug_cli.device import bf16_error, gpus

    seen = gpus()
    yield Finding("torch", f"{seen.torch}, torchvision {metadata.version('torchvision')}")
    if seen.names:
        yield Finding("CUDA", f"{seen.cuda}, cuDNN {seen.cudnn}, {', '.join(seen.names)}")
    elif seen.cuda:
        means = "the CPU is used; if there is a GPU, nvidia-smi says whether its driver is too old for this torch"
        yield Finding("CUDA", f"torch is built for {seen.cuda}, and can use no GPU", "note", means)
    else:
        yield Finding(
            "CUDA", "torch is built for the CPU", "note", "GPUs are not used; pytorch.org has builds for CUDA"
        )
    for device in ("cpu", *(f"cuda:{number}" for number in range(len(seen.names)))):
        far = bf16_error(device)
        bad = not far < FAR  # also where it is not a number
        means = "bfloat16 goes wrong on this device: give --amp off, and update torch or the driver"
        found = f"a 3-D convolution is within {far:.1%} of float32"
        yield Finding(f"bfloat16, {device}", found, "bad" if bad else "good", means if bad else "")


def works(findings: list[Finding]) -> bool:
    """Return whether nothing is bad."""
    return all(finding.state != "bad" for finding in findings)
