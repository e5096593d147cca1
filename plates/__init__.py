"""What a plate is: pure functions and values, shared by the unit, HQ and the simulated street.

No I/O of its own beyond reading what a caller hands it; it imports none of our other packages.
"""
