// Vercel's AI SDK with its provider for Anthropic.

import { createAnthropic } from "@ai-sdk/anthropic";
import { URL } from "./common.mjs";
import { vercelTests } from "./vercel.mjs";

vercelTests(
  (apiKey, name) => createAnthropic({ apiKey, baseURL: URL + "/v1" })(name),
  (upstream) => `claude-sonnet-4-5-${upstream}-json`, // a name that it knows to have structured output
);
