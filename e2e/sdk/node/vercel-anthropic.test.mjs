// Vercel's AI SDK with its provider for Anthropic.

import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { Output, generateText } from "ai";
import { ANA, KEY, Person, URL, each } from "./common.mjs";
import { vercelTests } from "./vercel.mjs";

const model = (apiKey, name) => createAnthropic({ apiKey, baseURL: URL + "/v1" })(name);

vercelTests(
  model,
  (upstream) => `claude-sonnet-4-5-${upstream}-json`, // a name that it knows to have structured output
);

// For a model that it does not know it makes the schema a tool, and the model call it.
each("structured_by_tool", async (c) => {
  const r = await generateText({
    model: model(KEY, c.model("json-tool")),
    prompt: c.say(),
    maxRetries: 0,
    headers: c.headers,
    output: Output.object({ schema: Person }),
  });
  assert.deepEqual(r.output, ANA);
});
