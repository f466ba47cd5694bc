"""The scoring page: a browser's way to the scorer."""
