"""What one worker does with a batch of each per-video stage."""
