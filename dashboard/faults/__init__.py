"""What can go wrong: each fault that rules look for."""
