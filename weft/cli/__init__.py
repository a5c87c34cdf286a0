"""What a person types.  It speaks to the API and to nothing else."""
