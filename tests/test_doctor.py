"""`vidaug doctor`: what it finds here, and that what goes wrong is a finding."""

from __future__ import annotations

import platform

import h5py
import pytest
import torch
from console import vidaug

from vidaug_cli import device, doctor


def test_it_says_what_is_here() -> None:
    done = vidaug("doctor", "--json")
    said = done.result
    found = {each["name"]: each["found"] for each in said["findings"]}
    assert said["works"] is (done.code == 0)
    assert found["Python"].startswith(platform.python_version())
    assert found["h5py"] == f"{h5py.__version__}, HDF5 {h5py.version.hdf5_version}"
    assert found["torch"].startswith(f"{torch.__version__}, torchvision ")
    assert "libavcodec" in found["PyAV"]
    assert {"cores", "memory", "/dev/shm", "open files", "CUDA", "bfloat16, cpu"} <= set(found)
    assert max(map(len, vidaug("doctor").out.splitlines())) <= 100


@pytest.mark.parametrize("far", [0.5, float("nan")])
def test_wrong_numbers_of_a_device_are_bad(monkeypatch: pytest.MonkeyPatch, far: float) -> None:
    monkeypatch.setattr(device, "bf16_error", lambda name: far)
    done = vidaug("doctor")
    assert done.code == 1
    assert "BAD   bfloat16, cpu" in done.out
    assert "--amp off" in done.out
    assert done.out.endswith("something would not work: see BAD above\n")


def test_a_library_that_is_broken_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr(device, "gpus", broken)
    done = vidaug("doctor")
    assert done.code == 1
    assert "libcudnn.so.9: cannot open shared object file" in done.out


def test_a_convolution_in_bfloat16_is_as_near_as_its_mantissa_allows() -> None:
    assert 0.0005 < device.bf16_error("cpu") < doctor.FAR
