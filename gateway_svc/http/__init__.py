"""The gateway's HTTP surface: OpenAI's paths, as OpenAI's SDKs call them."""
