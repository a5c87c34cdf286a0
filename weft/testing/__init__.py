"""Tools for tests, shipped so that users can test too."""
