"""Regulatory sequence models under distribution shift: simulator, models, metrics, experiments."""
