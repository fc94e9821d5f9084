"""Call OpenAI through Keyturn with the unmodified openai SDK.

Run it in a shell that has sourced `.keyturn/client.env`:

    .venv/bin/python examples/openai_sdk.py "Say hello"
"""

from __future__ import annotations

import os
import ssl
import sys

from openai import DefaultHttpxClient, OpenAI


def main() -> None:
    """Ask the question of the command line; print the streamed answer, then the receipt."""
    client = OpenAI(
        base_url=os.environ["KEYTURN_HTTP"] + "/v1",
        api_key=os.environ["KEYTURN_APP_TOKEN"],  # the app's own token, not an OpenAI key
        default_headers={"X-Keyturn-Key": os.environ["KEYTURN_KEY"]},
        http_client=DefaultHttpxClient(
            verify=ssl.create_default_context(cafile=os.environ["KEYTURN_CA"])
        ),
    )
    raw = client.chat.completions.with_raw_response.create(
        model=os.environ.get("KEYTURN_MODEL", "gpt-4o-mini"),
        messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Say hello"}],
        stream=True,
    )
    for chunk in raw.parse():
        for choice in chunk.choices:
            print(choice.delta.content or "", end="", flush=True)
    print()
    for name, value in raw.headers.items():
        if name.startswith("x-keyturn-"):
            print(f"{name}: {value}", file=sys.stderr)


if __name__ == "__main__":
    main()
