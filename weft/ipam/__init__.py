"""Subnets, blocks and addresses: who may have which."""
