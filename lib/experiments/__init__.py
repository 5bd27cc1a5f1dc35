"""One module per notebook: a pure function from a frozen config to tables."""
