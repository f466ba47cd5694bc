"""Trained models outside of a run: scoring clips, packaging the scorer, keeping its versions."""
