"""What may go wrong around a run, brought about for real."""
