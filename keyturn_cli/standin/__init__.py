"""A local server that answers as api.openai.com does, for demos and tests.

Holds no model: every answer is made from the request alone, and from what earlier
requests made, which it keeps in memory. How an answer goes out is up to the suffixes of
the model's name (`manner`), and to the paths under /standin (`control`).

Listens on 127.0.0.1 only, accepts only keys of its own making (`standin_keys`), and never
writes or logs a key. Imports aiohttp and leaf modules of `svc_runtime`, and neither
service.
"""
