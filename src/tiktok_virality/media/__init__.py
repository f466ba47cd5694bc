"""One clip at a time: probe it, sample its frames, decode its sound."""
