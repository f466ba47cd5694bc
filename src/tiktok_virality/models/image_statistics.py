"""A picture as statistics of its features: what is in it, how it looks, and roughly where.

The mean and the standard deviation of every channel over space tell colour, contrast and texture at
the early levels of a network and things at the late ones: Gatys et al., 2016, "Image Style Transfer
Using Convolutional Neural Networks"; Huang and Belongie, 2017, "Arbitrary Style Transfer in
Real-time with Adaptive Instance Normalization". Level 0 are the pixels themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

    from tiktok_virality.models.image_networks import Features

PIXEL_CHANNELS: Final = ("red", "green", "blue", "red_green", "yellow_blue", "chroma")


def pixel_level(pictures: Tensor) -> Tensor:
    """Return RGB pixels with their opponent colours and their chroma.

    Opponent colours are red - green and (red + green) / 2 - blue: Hasler and Süsstrunk, 2003,
    "Measuring colourfulness in natural images". Chroma is the largest of red, green and blue less
    the smallest, as in HSV.

    Args:
        pictures: RGB in [0, 1], [B, 3, H, W].

    Returns:
        [B, 6, H, W].
    """
    import torch

    red, green, blue = pictures.unbind(1)
    derived = [
        red - green,
        (red + green) / 2 - blue,
        pictures.amax(1) - pictures.amin(1),
    ]
    return torch.cat([pictures, torch.stack(derived, 1)], 1)


def describe(pictures: Tensor, features: Features, grid: tuple[int, int]) -> list[Tensor]:
    """Return what describes each picture, in parts of numbers that belong together.

    Args:
        pictures: RGB in [0, 1], [B, 3, H, W].
        features: What a network makes of them.
        grid: Rows and columns of the layout.

    Returns:
        [B, D] each: mean and standard deviation over space of each channel of the pixels and of
        each level; the final features; then the mean of each cell of the grid, of the pixels and of
        the last level but one, which knows things and still knows well where.
    """
    pixels = pixel_level(pictures)
    styles = [style(level) for level in (pixels, *features.levels)]
    layouts = [layout(level, grid) for level in (pixels, features.levels[-2:][0])]
    return [*styles, features.final.flatten(1), *layouts]


def style(level: Tensor) -> Tensor:
    """Return mean and standard deviation over space, [B, 2 C], of features [B, C, H, W]."""
    import torch

    variance, mean = torch.var_mean(level, dim=(2, 3), correction=0)
    return torch.cat([mean, variance.sqrt()], 1)


def layout(level: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the mean of each cell of a grid, [B, C * rows * columns], of features [B, C, H, W]."""
    from torch.nn.functional import adaptive_avg_pool2d

    return adaptive_avg_pool2d(level, grid).flatten(1)
