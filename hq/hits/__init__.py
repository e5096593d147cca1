"""Owns the live board, the verification of hits, and the correction of misreads.

A hit as the unit told it is `hq.records`'; the lists that it came from are `hq.lists`'.
"""
