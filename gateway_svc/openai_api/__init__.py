"""The gateway's door to OpenAI: the only place where a plaintext key is exposed."""
