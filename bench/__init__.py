"""What the stream costs, beside the seed's Node server and the textbook Channels consumer: `make bench`.

Nothing of the product imports this; it measures the product through its command line and its wire.
"""
