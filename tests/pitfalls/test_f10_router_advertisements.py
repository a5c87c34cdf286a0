"""A container says that it is the router: neither the host nor another container changes a route or an address."""
