"""Print an answer while the model makes it: `python stream.py "Say hello"`."""

from __future__ import annotations

import os
import sys

from keyturn_client import new_client


def main() -> None:
    """Ask the question of the command line; leaving the `with` early ends the request."""
    with (
        new_client() as client,
        client.chat.completions.create(
            model=os.environ.get("KEYTURN_MODEL", "gpt-4o-mini"),
            messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Say hello"}],
            stream=True,
        ) as stream,
    ):
        for chunk in stream:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
    print()


if __name__ == "__main__":
    main()
