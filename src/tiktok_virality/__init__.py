"""Predict how widely a short video will be watched, from its pixels and its sound."""

__version__ = "0.1.0"
