"""Ask a question and print the answer, then the receipt: `python chat.py "Say hello"`."""

from __future__ import annotations

import os
import sys

from keyturn_client import new_client


def main() -> None:
    """Ask the question of the command line."""
    with new_client() as client:
        raw = client.chat.completions.with_raw_response.create(
            model=os.environ.get("KEYTURN_MODEL", "gpt-4o-mini"),
            messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Say hello"}],
        )
    print(raw.parse().choices[0].message.content)
    for name, value in raw.headers.items():
        if name.startswith("x-keyturn-"):  # which key, grant and lease served it
            print(f"{name}: {value}", file=sys.stderr)


if __name__ == "__main__":
    main()
