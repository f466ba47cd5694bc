"""Torch modules with their frozen configurations."""
