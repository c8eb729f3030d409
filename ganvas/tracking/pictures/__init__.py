"""Pictures of a loop: copied in the loop, drawn on the writer's thread, stored as PNG."""
