"""The sandbox of weft run, in real namespaces."""
