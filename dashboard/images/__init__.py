"""Pictures made on the server; Pillow is loaded only when somebody asks for one.

Only this package may load it, and `dashboard.figures`, in processes of its own.
"""
