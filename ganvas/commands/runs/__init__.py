"""Commands about runs: list, show, follow, compare, draw and change them."""
