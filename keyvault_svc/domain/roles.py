"""What the access tables know callers as."""

from __future__ import annotations

from typing import Final

PERSON: Final = "person"  # anybody with an ID token; which owners they act for, custody decides
GATEWAY: Final = "gateway"
