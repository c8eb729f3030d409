"""`ganvas mcp`: runs for agents, over the Model Context Protocol."""
