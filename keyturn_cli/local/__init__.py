"""The local stack: the processes that one machine needs to run Keyturn, without containers.

Starts real programs (OpenBao, the services) as children with a minimal environment, and
stops them. Holds no custody code: it may import `svc_runtime`, never a service.
"""
