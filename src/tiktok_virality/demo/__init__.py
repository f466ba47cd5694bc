"""The planted corpus: synthetic clips whose view counts follow a rule that is known."""
