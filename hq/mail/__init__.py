"""E-mail to the people of HQ through the agency's own SMTP server: a daily digest and alarms, never a plate.

Owns what is mailed to whom, the outbox and its retries. What an alarm is, each app says itself.
"""
