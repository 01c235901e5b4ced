// Vercel's AI SDK with its provider for OpenAI, over chat completions.

import { createOpenAI } from "@ai-sdk/openai";
import { URL } from "./common.mjs";
import { vercelTests } from "./vercel.mjs";

vercelTests(
  (apiKey, name) => createOpenAI({ apiKey, baseURL: URL + "/v1" }).chat(name),
  (upstream) => upstream + "-json",
);
