// Ask a question and print the answer, then the receipt: node chat.js "Say hello"
import { newClient } from "./keyturn_client.js";

const { data: completion, response } = await newClient()
  .chat.completions.create({
    model: process.env.KEYTURN_MODEL ?? "gpt-4o-mini",
    messages: [{ role: "user", content: process.argv.slice(2).join(" ") || "Say hello" }],
  })
  .withResponse();

console.log(completion.choices[0].message.content);
for (const [name, value] of response.headers) {
  // Which key, grant and lease served it.
  if (name.startsWith("x-keyturn-")) console.error(`${name}: ${value}`);
}
