"""Published ports that the kernel cannot translate, relayed by the agent."""
