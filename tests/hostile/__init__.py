"""Input that means harm: a seeded corpus of damaged and deceitful clips, and what must hold."""
