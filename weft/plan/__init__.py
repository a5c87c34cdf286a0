"""What this host's kernel should hold, worked out from records alone: no I/O, no clock, no randomness."""
