// Print an answer while the model makes it, over gRPC: node chat_stream.js "Say hello"
//
// Reads KEYTURN_GRPC (the gateway's host and port), KEYTURN_KEY (the name of the key to use), three
// PEM files: KEYTURN_CA, and the app's KEYTURN_CERT and KEYTURN_CERT_KEY, and KEYTURN_PROTOS
// (Keyturn's folder protos/; by default that of this checkout).
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";
import protobuf from "protobufjs";

const PROTOS = process.env.KEYTURN_PROTOS ?? fileURLToPath(new URL("../../protos", import.meta.url));
const definition = protoLoader.loadSync("keyturn/gateway/v1/chat_completion_service.proto", {
  includeDirs: [PROTOS],
  keepCase: true, // names as in the protos
  enums: String,
  longs: String,
});
const gateway = grpc.loadPackageDefinition(definition).keyturn.gateway.v1;

// Repeats calls that an outage stopped before OpenAI was asked. Once the receipt is here, gRPC
// repeats nothing by itself: the model may have done the work.
const RETRIES = {
  methodConfig: [
    {
      name: [{ service: "keyturn.gateway.v1.ChatCompletionService" }],
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: "0.2s",
        maxBackoff: "2s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

// What of google.rpc an error is told with; docs/app-developers.md lists the reasons.
const { root } = protobuf.parse(
  `
  syntax = "proto3";
  message Any { string type_url = 1; bytes value = 2; }
  message Status { repeated Any details = 3; }
  message ErrorInfo { string reason = 1; }`,
  { keepCase: true },
);

function reasonOf({ code, metadata }) {
  const [status] = metadata.get("grpc-status-details-bin");
  const details = status ? root.lookupType("Status").decode(status).details : [];
  const info = details.find(({ type_url: type }) => type.endsWith("/google.rpc.ErrorInfo"));
  // Without a reason it is no refusal: a deadline, or nobody there.
  return info ? root.lookupType("ErrorInfo").decode(info.value).reason : grpc.status[code];
}

const pem = (variable) => readFileSync(process.env[variable]);
const client = new gateway.ChatCompletionService(
  process.env.KEYTURN_GRPC,
  grpc.credentials.createSsl(pem("KEYTURN_CA"), pem("KEYTURN_CERT_KEY"), pem("KEYTURN_CERT")),
  { "grpc.service_config": JSON.stringify(RETRIES) },
);

const metadata = new grpc.Metadata();
metadata.set("x-keyturn-key", process.env.KEYTURN_KEY);
const call = client.StreamChatCompletion(
  {
    parameters: {
      model: process.env.KEYTURN_MODEL ?? "gpt-4o-mini",
      messages: [{ role: "user", content: process.argv.slice(2).join(" ") || "Say hello" }],
    },
  },
  metadata,
  { deadline: Date.now() + 1000 * (process.env.TIMEOUT_SECONDS ?? 60) }, // bounds OpenAI's part, too
);

call.on("data", ({ chunk }) => {
  // call.cancel() would end the request to OpenAI.
  for (const choice of chunk.choices) process.stdout.write(choice.delta.content ?? "");
});
call.on("error", () => {}); // "status" tells it, too
call.on("status", (status) => {
  client.close();
  if (status.code !== grpc.status.OK) {
    console.error(reasonOf(status));
    process.exitCode = 1;
    return;
  }
  process.stdout.write("\n");
  for (const [name, value] of Object.entries(status.metadata.getMap())) {
    if (name.startsWith("x-keyturn-")) console.error(`${name}: ${value}`); // key, grant and lease
  }
});
