"""The only room that touches the machine's network: it observes, and applies operations."""
