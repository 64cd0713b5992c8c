"""Networks small enough to be run in tests."""

from __future__ import annotations

from pathlib import Path

import torch
from checkpoint_makers import made
from torch import nn

from vidaug_cli.data.sampling import ClipSpec
from vidaug_cli.train.slowfast import Architecture, SlowFast

TINY = Architecture(blocks=(1, 1, 1, 1), bottleneck=False, width=8, beta=4, alpha=4, fast_frames=8, head_bias=True)


def random_network(classes: int, architecture: Architecture = TINY, seed: int = 0) -> SlowFast:
    """In eval mode, with a head whose answers differ well from clip to clip."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SlowFast(architecture, classes).eval()
        nn.init.normal_(network.head.weight)
    return network


def brightness_network(classes: int, architecture: Architecture = TINY) -> SlowFast:
    """Class 0 is what is bright, class 1 what is dark, frame by frame: no convolution looks at other frames.

    Without biases a ReLU network is homogeneous, so that on flat frames above the mean all activations are multiples
    of the brightness; the head's row 0 makes that a positive one.
    """
    network = random_network(classes, architecture)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                middle = module.kernel_size[0] // 2
                taps = torch.arange(module.kernel_size[0]) != middle
                module.weight[:, :, taps] = 0
        video = torch.full((1, architecture.fast_frames, 32, 32, 3), 228, dtype=torch.uint8)
        seen = torch.cat([maps.mean((2, 3, 4)) for maps in network.features(video)], 1)
        network.head.weight[0] = seen / seen.norm()
        network.head.weight[1] = -network.head.weight[0]
    return network


def save(path: Path, network: SlowFast, classes: tuple[str, ...], clip: ClipSpec) -> Path:
    """A checkpoint of the network."""
    weights = network.state_dict()
    return made(path, architecture=network.architecture, weights=weights, classes=classes, clip=clip)
