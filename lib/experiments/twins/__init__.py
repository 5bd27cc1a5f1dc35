"""Real shifts of assay and program beside their simulated twins: the parts of notebook 05."""
