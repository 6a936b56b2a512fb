"""Measures the stream, beside the seed's Node server and the consumer of Channels' tutorial: `make bench`.

Nothing of the product imports this; it measures the product through its command line and its wire.
"""
