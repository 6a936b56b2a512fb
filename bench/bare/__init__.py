"""A view that only answers, on our server and without middleware: the measure for REST."""
