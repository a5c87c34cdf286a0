"""How fast weft is, beside others: ``make bench`` runs everything and writes docs/benchmarks.md."""
