"""The `keyturn` command.

Owners use it to bring keys and grant them, auditors to read the trail, everybody to find out what
is wrong, and newcomers to run the whole on one machine. It speaks to the services as any client
does, over their published APIs, and imports neither.
"""
