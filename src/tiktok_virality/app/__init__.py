"""The `tiktok-virality` command: what is done to a corpus outside of a run."""
