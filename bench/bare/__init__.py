"""A view that does nothing but answer, on our server and without middleware: what REST is measured against."""
