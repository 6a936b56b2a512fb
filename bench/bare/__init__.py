"""A view that does nothing but answer, on our server and with our middleware: what REST is measured against."""
