"""Upload a file, fetch it back and delete it: `python upload.py data.jsonl`."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from keyturn_client import new_client


def main() -> None:
    """Send the file of the command line; both ways it is streamed, whatever its size."""
    path = Path(sys.argv[1])
    digest = hashlib.sha256()
    with new_client() as client:
        uploaded = client.files.create(file=path, purpose="user_data", timeout=600.0)
        print(f"uploaded {uploaded.bytes} bytes as {uploaded.id}")
        with client.files.with_streaming_response.content(uploaded.id) as download:
            for piece in download.iter_bytes():
                digest.update(piece)
        print(f"downloaded, sha256 {digest.hexdigest()}")
        client.files.delete(uploaded.id)


if __name__ == "__main__":
    main()
