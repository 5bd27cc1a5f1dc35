"""Real shifts of assay and program beside their simulated twins: the parts of notebook 05.

``assays`` → ``networks`` (what is trained, what is asked) and ``severity`` → ``curves`` (what the
simulator forecasts) → ``judging`` → ``tables``.
"""
