// What the tests of all SDKs share: the gateway to call, and a name for each call.
//
// The gateway, its keys and the simulated providers behind it are set up by the Go test in the
// folder above, which also reads the results and checks what the providers received.

import assert from "node:assert/strict";
import test from "node:test";
import { z } from "zod";

export const URL = process.env.BREAKWATER_URL;
export const KEY = process.env.BREAKWATER_KEY;
export const LIMITED_KEY = process.env.BREAKWATER_LIMITED_KEY; // may use the chat models only
const SDK = process.env.BREAKWATER_SDK; // the name of this run

// What testdata/replies.yaml says.
export const TEXT = "The harbour is calm today.";
export const ANA = { name: "Ana", age: 31, tags: ["sailor", 'née "Silva"'] };
export const RETRY_AFTER = "7";

export const IMAGE_URL = "https://images.example/harbour.png";

// A picture of one pixel.
export const PNG_BASE64 =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

// More than the gateway's limits.max_body.
export const TOO_LONG = "wave ".repeat(300_000);

export const WEATHER = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};

export const Person = z.object({ name: z.string(), age: z.int(), tags: z.array(z.string()) });

// A call, or a conversation, and the upstream that answers it.
class Case {
  constructor(upstream, name) {
    this.upstream = upstream;
    this.id = `${SDK}/${upstream}/${name}`;
    // The id goes with the call as its request id; with that the Go test finds its log line.
    this.headers = { "X-Request-Id": this.id.replaceAll("/", ".") };
  }

  model(behaviour) {
    return `${this.upstream}-${behaviour}`;
  }

  // A model that nobody else calls: rate limits have an effect on later calls.
  own(behaviour) {
    return `${behaviour}-${SDK}`;
  }

  say(text = "How is the sea?") {
    return `${text} [${this.id}]`;
  }
}

// each runs a test against both kinds of upstream.
export function each(name, f) {
  for (const upstream of ["openai", "anthropic"]) {
    test(`${upstream}/${name}`, () => f(new Case(upstream, name)));
  }
}

// broken checks a text that a failure cut off.
export function broken(text) {
  assert.ok(text !== "" && text !== TEXT && TEXT.startsWith(text), `got ${JSON.stringify(text)}`);
}

// caught returns what f throws.
export async function caught(f) {
  try {
    await f();
  } catch (e) {
    return e;
  }
  assert.fail("nothing was thrown");
}

// collect returns all that an asynchronous iterator yields.
export async function collect(items) {
  const out = [];
  for await (const item of items) out.push(item);
  return out;
}
