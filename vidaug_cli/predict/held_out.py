"""Scores of the videos that a run was validated on: what `vidaug predict` would make of them."""

from __future__ import annotations

from vidaug_cli.errors import VidaugError
from vidaug_cli.predict.predict import Prediction, predict_shards
from vidaug_cli.predict.predictor import read_predictor
from vidaug_cli.train.run import TrainingRun


def predict_validation(run: TrainingRun, device: str) -> Prediction:
    """Return the scores of a finished run's best network for its validation videos.

    Raises VidaugError where the run has no validation.
    """
    predictor = read_predictor(run.folder, device=device, amp=run.settings.amp)
    if run.validation is None:
        raise VidaugError("has no validation", where=run.folder)
    return predict_shards(predictor, run.validation.folders[0])
