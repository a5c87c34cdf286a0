"""What broke others: one file for each fault or attack, played for real."""
