"""Tell errors apart by their code, with retries and timeouts: `python errors.py "Say hello"`."""

from __future__ import annotations

import os
import sys

import openai
from keyturn_client import new_client

# docs/app-developers.md lists every code and what to do. Texts may change, codes never do.
ASK_OWNER = {"NOT_GRANTED", "GRANT_REVOKED", "GRANT_EXPIRED", "MODEL_NOT_GRANTED", "KEY_DISABLED"}


def main() -> int:
    """Ask the question of the command line; return 0, or 1 with the reason on standard error."""
    with new_client() as connected:
        # The SDK repeats 408, 409, 429, 5xx and lost connections, waiting as `retry-after` says.
        # Each attempt is a request to OpenAI of its own, and so is what it costs.
        client = connected.with_options(max_retries=2)
        try:
            completion = client.chat.completions.create(
                model=os.environ.get("KEYTURN_MODEL", "gpt-4o-mini"),
                messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Say hello"}],
                timeout=float(os.environ.get("TIMEOUT_SECONDS", "60")),  # of each attempt
            )
        except openai.OpenAIError as error:
            print(explain(error), file=sys.stderr)
            return 1
    print(completion.choices[0].message.content)
    return 0


def explain(error: openai.OpenAIError) -> str:
    """Return what went wrong, and whom to ask."""
    match error:
        case openai.APITimeoutError():
            told = "no answer in time; the model may still have done the work"
        case openai.APIConnectionError():
            told = f"the gateway cannot be reached: {error.__cause__}"
        case openai.PermissionDeniedError(code=code):
            told = f"{code}: ask {'the key owner' if code in ASK_OWNER else 'the operator'}"
        case openai.AuthenticationError(code="KEY_REJECTED_UPSTREAM" as code):
            told = f"{code}: OpenAI refused the key, tell its owner"
        case openai.RateLimitError(code=code, response=response):
            told = f"{code}: try again in {response.headers.get('retry-after', 'some')} seconds"
        case openai.APIStatusError(code=code, response=response):
            told = f"{code}: request {response.headers.get('x-keyturn-request-id')}"
        case _:
            told = str(error)
    return told


if __name__ == "__main__":
    sys.exit(main())
