"""A local server that answers as api.openai.com does, for demos and tests.

Holds no model: every answer is made from the request alone. Listens on 127.0.0.1
only, accepts only keys of its own making (`standin_keys`), and never writes or logs
a key. Imports aiohttp and leaf modules of `svc_runtime`, and neither service.
"""
