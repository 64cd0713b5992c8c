"""Random numbers that depend on nothing but (seed, copy, clip, step)."""

from enum import IntEnum

import numpy as np

MAX_SEED = 2**32 - 1  # one 32-bit word of entropy, so that no two (seed, copy, clip, step) are the same


class Step(IntEnum):
    """What a generator is for; every use has its own stream, so that one more draw for one changes no other."""

    SHUFFLE = 0
    SAMPLE = 1
    MIX = 2
    AUGMENT = 3  # the first augment op; the next ones count up from here
    NETWORK = 2**16  # what torch draws in an epoch, such as dropout; beyond all augment ops
    RING = 2**16 + 1  # of one copy of a group of videos, whose number takes the place of the clip
    TURN = 2**16 + 2  # in which order the videos of a class get copies


def generator(seed: int, copy: int, clip: int, step: int) -> np.random.Generator:
    """Return the generator for one step of one clip.

    Args:
        seed: the seed of the whole plan, 0 to `MAX_SEED`.
        copy: which copy of the data set, from 0.
        clip: position of the clip in the plan, from 0.
        step: a `Step`, or `Step.AUGMENT` plus the position of an augment op.
    """
    return np.random.default_rng([seed, copy, clip, step])
