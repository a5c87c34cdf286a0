"""HTTP and JSON on a unix socket: the server for the agent, the client for everyone else."""
