"""Names: what is answered, by which server, and what each container's own files say."""
