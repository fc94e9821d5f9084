// Print an answer while the model makes it: node stream.js "Say hello"
import { newClient } from "./keyturn_client.js";

const stream = await newClient().chat.completions.create({
  model: process.env.KEYTURN_MODEL ?? "gpt-4o-mini",
  messages: [{ role: "user", content: process.argv.slice(2).join(" ") || "Say hello" }],
  stream: true,
});
// Leaving the loop early, or stream.controller.abort(), ends the request to OpenAI.
for await (const chunk of stream) {
  for (const choice of chunk.choices) process.stdout.write(choice.delta.content ?? "");
}
process.stdout.write("\n");
