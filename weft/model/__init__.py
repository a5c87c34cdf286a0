"""What people ask for: small frozen records, validated once, where they enter."""
