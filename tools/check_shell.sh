#!/usr/bin/env bash
# Run shellcheck over every shell script that git tracks or would track.
set -euo pipefail
cd "$(dirname "$0")/.."
shellcheck="${SHELLCHECK:-.venv/bin/shellcheck}"

scripts=()
while IFS= read -r -d '' file; do
  if [[ -f "$file" ]] && head -n 1 "$file" | grep -qaE '^#!.*\b(ba)?sh$'; then
    scripts+=("$file")
  fi
done < <(git ls-files --cached --others --exclude-standard -z)
"$shellcheck" "${scripts[@]}"
