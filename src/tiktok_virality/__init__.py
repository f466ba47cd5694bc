"""Predict how widely a short video will be watched, from its pixels and its sound."""

from tiktok_virality.startup import let_torchvision_import

__version__ = "0.1.0"

let_torchvision_import()
