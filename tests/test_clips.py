"""What somebody's own training loop hands over by mistake is told with a way out; any form of the right is taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from vidaug_cli import Blend, Clips, ClipsError, VidaugError, augment_batch, load_recipe, mix

VIDEO = torch.randint(0, 256, (4, 6, 20, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
NUMBERS = torch.tensor([0, 2, 1, 2])
TARGET = one_hot(NUMBERS, 3).float()
ONES = torch.ones(4, 6)
FLOAT = VIDEO / 255
AT = {"seed": 0, "epoch": 0, "first_clip": 0}
RECIPES = ["randaugment_t", "cutout", "vipriors2020", "cutmixup"]
ZERO = "target: row 0 is 0, and a soft label is shares from 0 up that sum to 1"
ONE_HOT = "looks like class numbers: try torch.nn.functional.one_hot"

MISTAKES: list[tuple[object, object, object, str]] = [
    (
        VIDEO.permute(0, 4, 1, 2, 3), TARGET, None,
        "video: is uint8 (4, 3, 6, 20, 24), should be uint8 (B, T, H, W, C) with 3 channels or 1; "
        "looks like (B, C, T, H, W): try video.permute(0, 2, 3, 4, 1)",
    ),
    (VIDEO.permute(0, 1, 4, 2, 3), TARGET, None, "looks like (B, T, C, H, W): try video.permute(0, 1, 3, 4, 2)"),
    (
        FLOAT, TARGET, None,
        "video: is float32 (4, 6, 20, 24, 3), should be uint8 (B, T, H, W, C) with 3 channels or 1; "
        "float video from 0 to 1: try (video * 255).round().to(torch.uint8)",
    ),
    (VIDEO.double(), TARGET, None, "float video from 0 to 255: try video.round().to(torch.uint8)"),
    (FLOAT - 0.5, TARGET, None, "looks normalised: augment before you normalise"),
    (FLOAT.permute(0, 4, 1, 2, 3), TARGET, None, "permute(0, 2, 3, 4, 1), and float video from 0 to 1: try (video"),
    (VIDEO.long(), TARGET, None, "video: is int64 (4, 6, 20, 24, 3), should be uint8"),
    (VIDEO[0], TARGET, None, "looks like one clip: try video[None]"),
    (torch.cat([VIDEO, VIDEO[..., :1]], -1), TARGET, None, "looks like RGB with transparency: try video[..., :3]"),
    (VIDEO[..., :2], TARGET, None, "video: is uint8 (4, 6, 20, 24, 2), should be uint8 (B, T, H, W, C) with 3"),
    (VIDEO[:, :0], TARGET, None, "video: is uint8 (4, 0, 20, 24, 3), should be"),
    (VIDEO.numpy(), TARGET, None, "video: is no tensor of torch; try torch.as_tensor(video)"),
    (VIDEO, NUMBERS, None, f"target: is int64 (4,), should be float32 (4, classes); {ONE_HOT}(target, CLASSES)."),
    (VIDEO, NUMBERS.int(), None, f"{ONE_HOT}(target.long(), CLASSES).float()"),
    (VIDEO, NUMBERS.float(), None, f"{ONE_HOT}(target.long(), CLASSES).float()"),
    (VIDEO, NUMBERS[:, None], None, f"{ONE_HOT}(target[:, 0], CLASSES).float()"),
    (VIDEO, TARGET.long(), None, "target: is int64 (4, 3), should be float32 (4, classes); try target.float()"),
    (VIDEO, TARGET.double(), None, "try target.float()"),
    (VIDEO, TARGET[:3], None, "target: is float32 (3, 3), should be float32 (4, classes)"),
    (VIDEO, [0, 2, 1, 2], None, "target: is no tensor of torch"),
    (VIDEO, TARGET, ONES[0], "weights: is float32 (6,), should be float32 (4, 6); leave them out where nothing is"),
    (VIDEO, TARGET, ONES.double(), "weights: is float64 (4, 6), should be float32 (4, 6)"),
]  # fmt: skip


@pytest.mark.parametrize(("video", "target", "weights", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_told_with_what_came_and_what_to_do(
    video: Tensor, target: Tensor, weights: Tensor | None, message: str
) -> None:
    with pytest.raises(ClipsError) as error:
        Clips(video, target, weights)
    assert message in str(error.value)
    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, VidaugError)


@pytest.mark.parametrize("numbers", ["target", "target.long()", "target[:, 0]", "target[:, 0].long()"])
def test_the_advice_for_class_numbers_works(numbers: str) -> None:
    target = NUMBERS[:, None] if "[" in numbers else NUMBERS
    target = target.int() if "long" in numbers else target
    with pytest.raises(ClipsError) as error:
        Clips(VIDEO, target)
    advice = str(error.value).split("try ")[1]
    assert numbers in advice
    made = eval(advice.replace("CLASSES", "3"), {"torch": torch, "target": target})
    assert torch.equal(Clips(VIDEO, made).target, TARGET)


@pytest.mark.parametrize(
    "arrange", [lambda video: video.permute(0, 4, 1, 2, 3), lambda video: video.permute(0, 1, 4, 2, 3)]
)
@pytest.mark.parametrize("levels", [VIDEO, FLOAT, VIDEO.float()], ids=["bytes", "to 1", "to 255"])
def test_the_advice_for_videos_works(arrange: Callable[[Tensor], Tensor], levels: Tensor) -> None:
    video = arrange(levels)
    with pytest.raises(ClipsError) as error:
        Clips(video, TARGET)
    for part in str(error.value).split("try ")[1:]:
        video = eval(part.split(", and ")[0], {"torch": torch, "video": video})
    assert torch.equal(Clips(video, TARGET).video, VIDEO)


@pytest.mark.parametrize(
    ("target", "weights", "message"),
    [
        (TARGET * 2, ONES, "target: row 0 is 2, 0, 0, and a soft label is shares from 0 up that sum to 1"),
        (NUMBERS[:, None].float(), ONES, f"{ZERO}; {ONE_HOT}"),
        (torch.tensor([[2.0, -1.0, 0.0]] * 4), ONES, "target: row 0 is 2, -1, 0"),
        (torch.full((4, 3), float("nan")), ONES, "target: row 0 is nan, nan, nan"),
        (torch.cat([TARGET[:3], torch.full((1, 3), float("inf"))]), ONES, "target: row 3 is inf, inf, inf"),
        (torch.zeros(4, 400), ONES, "target: row 0 is 0, 0, 0, 0, 0, 0 ..., and a soft label"),
        (TARGET, ONES * 255, "weights: row 0 is 255, 255, 255, 255, 255, 255, and a weight is a share, 0 to 1"),
        (TARGET, -ONES, "weights: row 0 is -1, "),
    ],
)  # fmt: skip
def test_values_are_looked_at_where_a_batch_is_handed_over(target: Tensor, weights: Tensor, message: str) -> None:
    with pytest.raises(ClipsError) as error:
        augment_batch(load_recipe("none"), Clips(VIDEO, target, weights), **AT)
    assert str(error.value).startswith(message)


def test_labels_that_were_made_in_half_precision_are_good() -> None:
    shares = torch.rand(4, 300, generator=torch.Generator().manual_seed(0)).softmax(1).bfloat16().float()
    assert not torch.allclose(shares.sum(1), torch.ones(4), atol=1e-5)
    assert len(augment_batch(load_recipe("none"), Clips(VIDEO, shares), **AT)) == 4


def test_weights_may_be_left_out(device: torch.device) -> None:
    clips = Clips(VIDEO.to(device), TARGET.to(device))
    assert (clips.weights.device.type, clips.weights.dtype) == (device.type, torch.float32)
    assert torch.equal(clips.weights.cpu(), ONES)


def test_parts_on_two_devices_are_told() -> None:
    with pytest.raises(ClipsError, match=r"target: is on meta, and video on cpu; try target\.to\(video\.device\)"):
        Clips(VIDEO, TARGET.to("meta"))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(
    "arrange",
    [
        lambda part: part.transpose(0, -1).contiguous().transpose(0, -1),
        lambda part: torch.stack([part, part], 1)[:, 0],
        lambda part: part.flip(1).flip(1)[:, :],
    ],
    ids=["transposed", "strided", "plain"],
)
def test_how_a_batch_lies_in_memory_changes_nothing(name: str, arrange: Callable[[Tensor], Tensor]) -> None:
    parts = [VIDEO, TARGET, ONES]
    plain, other = (augment_batch(load_recipe(name), Clips(*given), **AT) for given in (parts, map(arrange, parts)))
    for part in ("video", "target", "weights"):
        assert torch.equal(getattr(plain, part), getattr(other, part))


@pytest.mark.parametrize("name", RECIPES)
def test_expanded_parts_are_taken_and_left_as_they_were(name: str) -> None:
    parts = [part[:1].expand(4, *part.shape[1:]) for part in (VIDEO, TARGET, ONES)]
    before = [part.clone() for part in parts]
    made = augment_batch(load_recipe(name), Clips(*parts), **AT)
    whole = augment_batch(load_recipe(name), Clips(*before), **AT)
    assert torch.equal(made.video, whole.video)
    assert all(map(torch.equal, parts, before))


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("count", [0, 1])
def test_batches_of_none_and_one(name: str, count: int) -> None:
    made = augment_batch(load_recipe(name), Clips(VIDEO[:count], TARGET[:count]), **AT)
    assert made.video.shape == VIDEO[:count].shape
    assert torch.equal(made.target, TARGET[:count])


@pytest.mark.parametrize("name", RECIPES)
def test_grey_clips_are_taken(name: str) -> None:
    made = augment_batch(load_recipe(name), Clips(VIDEO[..., :1], TARGET), **AT)
    assert made.video.shape == (*VIDEO.shape[:-1], 1)


def test_a_colour_to_fill_grey_clips_with_is_refused() -> None:
    recipe = load_recipe("randaugment_t", overrides=["randaugment_t.fill=[1, 2, 3]"])
    with pytest.raises(ClipsError, match=r"fill: has 3 levels, and the clips have 1 channel; give one level"):
        augment_batch(recipe, Clips(VIDEO[..., :1], TARGET), **AT)


def test_gradients_flow_through_the_labels() -> None:
    logits = torch.zeros(4, 3, requires_grad=True)
    made = augment_batch(load_recipe("fademixup"), Clips(VIDEO, logits.softmax(1)), **AT)
    (made.target[:, 0] ** 2).sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0


def test_batches_that_cannot_be_mixed_with_each_other_are_told() -> None:
    own = Clips(VIDEO, TARGET)
    with pytest.raises(ClipsError, match=r"the partner's target: is \(4, 4\) on cpu, the own one \(4, 3\) on cpu"):
        mix(own, Clips(VIDEO, torch.eye(4)), [Blend()] * 4)
    with pytest.raises(ClipsError, match=r"the partner's video: is \(3, 6, "):
        mix(own, Clips(VIDEO[:3], TARGET[:3]), [Blend()] * 4)
    with pytest.raises(ClipsError, match="there are 2 blends for 4 clips"):
        mix(own, own, [Blend()] * 2)


def test_arrays_of_numpy_are_told_as_what_they_are_not() -> None:
    with pytest.raises(ClipsError, match=r"weights: is no tensor of torch; try torch\.as_tensor"):
        Clips(VIDEO, TARGET, np.ones((4, 6), np.float32))  # type: ignore[arg-type]
