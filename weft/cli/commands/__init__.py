"""One module for each command: its options, its examples, and what it does."""
