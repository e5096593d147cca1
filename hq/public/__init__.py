"""The usage and privacy policy that the agency posts, the compliance matrix, and the figures for the public.

Owns the statute's slots, the texts that fill them, the suppression of small cells, the static bundle and its
comparison with what is posted. The facts themselves are other apps'; nothing here shows a plate.
"""
