// Tell errors apart by their code, with retries and timeouts: node errors.js "Say hello"
import OpenAI from "openai";

import { newClient } from "./keyturn_client.js";

// docs/app-developers.md lists every code and what to do. Texts may change, codes never do.
const ASK_OWNER = ["NOT_GRANTED", "GRANT_REVOKED", "GRANT_EXPIRED", "MODEL_NOT_GRANTED", "KEY_DISABLED"];

function explain(error) {
  if (error instanceof OpenAI.APIConnectionTimeoutError)
    return "no answer in time; the model may still have done the work";
  if (error instanceof OpenAI.APIConnectionError) return `the gateway cannot be reached: ${error.cause}`;
  if (error instanceof OpenAI.PermissionDeniedError)
    return `${error.code}: ask ${ASK_OWNER.includes(error.code) ? "the key owner" : "the operator"}`;
  if (error instanceof OpenAI.RateLimitError)
    return `${error.code}: try again in ${error.headers.get("retry-after") ?? "some"} seconds`;
  if (error instanceof OpenAI.APIError)
    return `${error.code}: request ${error.headers.get("x-keyturn-request-id")}`;
  throw error;
}

// The SDK repeats 408, 409, 429, 5xx and lost connections, waiting as `retry-after` says.
// Each attempt is a request to OpenAI of its own, and so is what it costs.
const client = newClient({ maxRetries: 2 });
try {
  const completion = await client.chat.completions.create(
    {
      model: process.env.KEYTURN_MODEL ?? "gpt-4o-mini",
      messages: [{ role: "user", content: process.argv.slice(2).join(" ") || "Say hello" }],
    },
    { timeout: 1000 * (process.env.TIMEOUT_SECONDS ?? 60) }, // milliseconds, of each attempt
  );
  console.log(completion.choices[0].message.content);
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
}
