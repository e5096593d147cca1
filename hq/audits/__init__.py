"""Audits of the access log, its weekly review, what is odd in it, how old what is searched is, and breaches.

Owns plans, samples, marks, findings, sign-offs and the breach register. Writing and proving the log is
`hq.log`, correcting a misread `hq.hits`.
"""
