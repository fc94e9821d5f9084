#!/usr/bin/env bash
# Ask OpenAI through Keyturn with curl: chat.sh [--stream] QUESTION
#
# Reads KEYTURN_HTTP, KEYTURN_CA, KEYTURN_KEY and KEYTURN_APP_TOKEN_FILE, or else KEYTURN_APP_TOKEN.
set -euo pipefail

path=/v1/chat/completions stream=false
if [[ "${1:-}" == --stream ]]; then
  stream=true
  shift
fi
question="${*:-Say hello}"
model="${KEYTURN_MODEL:-gpt-4o-mini}"

# What a shell sees of a JSON text: quotes, backslashes and control characters must be escaped.
json_text() {
  local text="${1//\\/\\\\}"
  text="${text//\"/\\\"}" text="${text//$'\n'/\\n}" text="${text//$'\t'/\\t}"
  printf '"%s"' "$text"
}

token() {
  if [[ -n "${KEYTURN_APP_TOKEN_FILE:-}" ]]; then cat "$KEYTURN_APP_TOKEN_FILE"; else printf '%s\n' "$KEYTURN_APP_TOKEN"; fi
}

# A header in a file descriptor, not in an argument: every user of the machine can read arguments.
# --fail-with-body keeps the error object, whose `code` says what to do, and exits with 22.
# --retry repeats 408, 429, 5xx and timeouts, waiting as `retry-after` says.
curl --silent --show-error --no-buffer --fail-with-body \
  --connect-timeout 5 --max-time "${TIMEOUT_SECONDS:-60}" --retry "${RETRIES:-2}" --retry-max-time 120 \
  --cacert "$KEYTURN_CA" \
  --header @<(printf 'Authorization: Bearer %s\n' "$(token)") \
  --header "X-Keyturn-Key: $KEYTURN_KEY" \
  --header 'Content-Type: application/json' \
  --data @- "$KEYTURN_HTTP$path" <<JSON
{"model": $(json_text "$model"), "stream": $stream,
 "messages": [{"role": "user", "content": $(json_text "$question")}]}
JSON
