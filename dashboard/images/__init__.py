"""Pictures made on the server. Only this package may load Pillow, and only when somebody asks for a picture."""
