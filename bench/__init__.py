"""Measures the stream beside other servers, the seed's on Node first of all: `make bench`.

Nothing of the product imports this; it measures the product through its command line and its wire.
"""
