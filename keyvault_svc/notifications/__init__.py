"""The key service's way to owners: a bounded queue, signed webhooks and mail.

Owns when an event is told, and by which channel. Must never keep a request waiting, and never
lets a secret or an address of a receiver into a log. May import the domain and its own settings.
"""
