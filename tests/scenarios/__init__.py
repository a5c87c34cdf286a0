"""What weft does for its users, one file for each thing that they do."""
