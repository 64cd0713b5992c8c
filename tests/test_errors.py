"""What an error says, and that it says it in another process too."""

from __future__ import annotations

import pickle

import pytest

from vidaug_cli.errors import ShardError, VidaugError, VideoError


@pytest.mark.parametrize("kind", [VidaugError, VideoError, ShardError])
def test_an_error_survives_the_way_between_processes(kind: type[VidaugError]) -> None:
    error = pickle.loads(pickle.dumps(kind("is empty", where="a.mp4", hint="fill it")))
    assert type(error) is kind
    assert (str(error), error.reason) == ("a.mp4: is empty; fill it", "is empty; fill it")
    assert str(kind("is empty")) == "is empty"


@pytest.mark.parametrize("passing", [False, True])
def test_whether_a_reason_may_pass_survives_too(passing: bool) -> None:
    error = pickle.loads(pickle.dumps(VideoError("took too long", where="a.mp4", passing=passing)))
    assert error.passing is passing
    assert VideoError("is empty").passing is False
