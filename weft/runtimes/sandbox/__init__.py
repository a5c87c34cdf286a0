"""`weft run`: one process in namespaces of its own."""
