"""Numbers in, numbers out: splits, metrics, intervals."""
