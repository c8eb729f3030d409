"""The page, files and process of figures and movies."""
