"""What a GPU does as a processor does, and what only a GPU does; run with `make test-gpu`."""
