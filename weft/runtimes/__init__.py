"""Who hands containers to weft."""
