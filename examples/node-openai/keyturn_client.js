// The openai SDK's client, pointed at Keyturn. Copy this file into your app.
//
// Reads KEYTURN_HTTP (the gateway's address), KEYTURN_CA (its CA, as a file), KEYTURN_KEY (the name
// of the key to use) and the app's token: KEYTURN_APP_TOKEN_FILE, or else KEYTURN_APP_TOKEN.
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";

import OpenAI from "openai";
import { Agent, install } from "undici";

install(); // undici's fetch and FormData as the global ones: uploads need both from one make

// The SDK asks before each request, so a renewed file is picked up.
async function appToken() {
  const file = process.env.KEYTURN_APP_TOKEN_FILE;
  return file ? (await readFile(file, "utf8")).trim() : process.env.KEYTURN_APP_TOKEN;
}

export function newClient(options = {}) {
  return new OpenAI({
    baseURL: `${process.env.KEYTURN_HTTP}/v1`,
    apiKey: appToken, // proves which app calls; an OpenAI key has no place here
    defaultHeaders: { "X-Keyturn-Key": process.env.KEYTURN_KEY },
    fetchOptions: { dispatcher: new Agent({ connect: { ca: readFileSync(process.env.KEYTURN_CA) } }) },
    ...options,
  });
}
