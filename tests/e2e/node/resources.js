// Calls every resource of OpenAI's SDK for Node through the gateway, and prints what came back, as JSON.
import { createRequire } from "node:module";

import { newClient } from "../../../examples/node-openai/keyturn_client.js";

const require = createRequire(new URL("../../../examples/node-openai/package.json", import.meta.url));
const { OpenAIRealtimeWebSocket } = require("openai/realtime/websocket");

const client = newClient();
const model = "gpt-4o-mini";
const messages = [{ role: "user", content: "one two" }];
const bytes = Uint8Array.from({ length: 10_000 }, (_, place) => place % 256);
const fileOf = (name, type) => new File([bytes], name, { type });

async function all(pages) {
  const found = [];
  for await (const one of pages) found.push(one);
  return found;
}

async function size(response) {
  return (await response.arrayBuffer()).byteLength;
}

const calls = {
  async chat() {
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    return [data.choices[0].message.content, response.headers.has("x-keyturn-lease")];
  },
  async chat_stream() {
    const chunks = await all(await client.chat.completions.create({ model, messages, stream: true }));
    return chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");
  },
  async chat_raw() {
    const response = await client.chat.completions.create({ model, messages }).asResponse();
    return [response.status, (await response.json()).object];
  },
  async responses() {
    const made = await client.responses.create({ model, input: "one two" });
    const kept = await client.responses.retrieve(made.id);
    const events = await all(await client.responses.create({ model, input: "one two", stream: true }));
    return [made.output_text, kept.id === made.id, events.at(-1).type];
  },
  async embeddings() {
    const asked = { model: "text-embedding-3-small", input: ["a", "b"], dimensions: 3 };
    const answer = await client.embeddings.create(asked);
    return answer.data.map((one) => one.embedding.length);
  },
  async moderations() {
    return (await client.moderations.create({ input: "kind words" })).results.length;
  },
  async models() {
    const listed = await all(client.models.list());
    return [listed.length > 0, (await client.models.retrieve(listed[0].id)).id === listed[0].id];
  },
  async files() {
    const file = await client.files.create({ file: fileOf("h\u00f6ren.bin"), purpose: "user_data" });
    const content = Buffer.from(await (await client.files.content(file.id)).arrayBuffer());
    const deleted = await client.files.delete(file.id);
    return [file.filename, content.equals(Buffer.from(bytes)), deleted.deleted];
  },
  async images() {
    const made = await client.images.generate({ model: "gpt-image-1", prompt: "a dot", n: 2 });
    const image = [fileOf("a.png", "image/png"), fileOf("b.png", "image/png")];
    const edited = await client.images.edit({ model: "gpt-image-1", image, prompt: "make it blue" });
    return [made.data.length, edited.data.length];
  },
  async audio() {
    const file = fileOf("word.mp3", "audio/mpeg");
    const heard = await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file });
    const said = await client.audio.speech.create({ model: "tts-1", voice: "alloy", input: "one two" });
    return [heard.text, await size(said)];
  },
  async batches() {
    const lines = await client.files.create({ file: fileOf("lines.jsonl"), purpose: "batch" });
    const batch = await client.batches.create({
      input_file_id: lines.id,
      endpoint: "/v1/chat/completions",
      completion_window: "24h",
    });
    const listed = await client.batches.list({ limit: 1 });
    return [batch.status, (await client.batches.retrieve(batch.id)).status, listed.data.length];
  },
  async vector_stores() {
    const file = await client.files.create({ file: fileOf("manual.txt"), purpose: "assistants" });
    const store = await client.vectorStores.create({ name: "manuals" });
    const held = await client.vectorStores.files.create(store.id, { file_id: file.id });
    const found = await all(client.vectorStores.search(store.id, { query: ["one", "t\u00fcr"] }));
    return [held.status, found[0].filename, (await client.vectorStores.delete(store.id)).deleted];
  },
  async fine_tuning() {
    const lines = await client.files.create({ file: fileOf("lines.jsonl"), purpose: "fine-tune" });
    const job = await client.fineTuning.jobs.create({ model, training_file: lines.id });
    const events = await all(client.fineTuning.jobs.listEvents(job.id, { limit: 5 }));
    return [job.status, events.length, (await client.fineTuning.jobs.cancel(job.id)).status];
  },
  async assistants() {
    const assistant = await client.beta.assistants.create({ model, name: "clerk" });
    const thread = await client.beta.threads.create({ messages });
    const run = await client.beta.threads.runs.createAndPoll(thread.id, { assistant_id: assistant.id });
    const said = await all(client.beta.threads.messages.list(thread.id));
    return [run.status, said.length > 0, (await client.beta.assistants.delete(assistant.id)).deleted];
  },
  async realtime() {
    // As in a browser: no headers, so that the app's default key serves.
    const socket = await OpenAIRealtimeWebSocket.create(client, { model: "gpt-realtime" });
    const types = [];
    const ended = new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("event", (event) => {
        types.push(event.type);
        if (event.type === "session.created") {
          const content = [{ type: "input_text", text: "one two" }];
          socket.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
          socket.send({ type: "response.create" });
        }
        if (event.type === "response.done") resolve(event.response.usage.total_tokens);
      });
    });
    const tokens = await ended;
    socket.close();
    return [types[0], tokens];
  },
  async refusal() {
    const other = newClient({ defaultHeaders: { "X-Keyturn-Key": "users/alice/keys/none" }, maxRetries: 0 });
    const error = await other.models.list().catch((caught) => caught);
    return [error.constructor.name, error.status, error.code];
  },
};

const told = {};
for (const [name, call] of Object.entries(calls)) {
  told[name] = await call().catch((error) => `${error.constructor.name}: ${error.message}`);
}
console.log(JSON.stringify(told));
