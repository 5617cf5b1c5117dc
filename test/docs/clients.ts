/** Asks what a client would ask that was given a configuration of the documentation. */
import assert from "node:assert/strict";

/** A model as a client knows it. */
interface Target {
  /** Base URL of OpenAI's API. */
  base: string;
  /** Its name there. */
  model: string;
  /** The key that is sent. */
  key: string;
  /** What it is for. */
  embeds: boolean;
}

type Json = Record<string, unknown>;

/** What each client's configuration has of models. */
const CLIENTS = { litellm, continue: continueModels, zed, opencode } as const;

/** Whether there is a reader for a client's configuration. */
export function isClient(name: string): name is keyof typeof CLIENTS {
  return Object.hasOwn(CLIENTS, name);
}

/** Finds the models of a configuration in the node's list, and has each one answer. Throws an Error with a sentence. */
export async function askAsClient(client: keyof typeof CLIENTS, configuration: unknown): Promise<void> {
  const targets = CLIENTS[client](configuration as Json);
  assert.ok(targets.length > 0, `The configuration for ${client} names no model`);
  for (const { base, model, key, embeds } of targets) {
    assert.match(base, /^http:\/\/127\.[\d.]+:8910\/v1\/?$/, `${client} would ask ${base}, where no node is`);
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const url = base.replace(/\/$/, "");
    const listed = await fetch(`${url}/models`, { headers });
    assert.equal(listed.status, 200, `${url}/models answers ${listed.status}: ${await listed.clone().text()}`);
    const { data } = await listed.json() as { data: { id: string }[] };
    assert.ok(data.some(({ id }) => id === model), `There is no model ${model} at ${url}, which ${client} would ask`);
    const response = embeds
      ? await fetch(`${url}/embeddings`, { method: "POST", headers, body: JSON.stringify({ model, input: ["a"] }) })
      : await fetch(`${url}/chat/completions`, {
        method: "POST",
        headers,
        body: JSON.stringify({ model, stream: true, max_tokens: 4, messages: [{ role: "user", content: "Hello" }] }),
      });
    const answer = await response.text();
    assert.equal(response.status, 200, `${model} at ${url} answers ${response.status}: ${answer}`);
    if (!embeds) assert.match(answer, /^data: \[DONE\]$/m, `The answer of ${model} at ${url} is not whole`);
  }
}

/** LiteLLM calls servers with OpenAI's API `openai/MODEL`. */
function litellm({ model_list }: Json): Target[] {
  return (model_list as { model_name: string; litellm_params: Record<string, string> }[]).map((one) => {
    assert.equal(typeof one.model_name, "string", "Each entry of LiteLLM has a model_name");
    const { model = "", api_base = "", api_key = "" } = one.litellm_params;
    assert.match(model, /^openai\//, `LiteLLM needs the prefix openai/ before ${model}`);
    assert.ok(api_key !== "", "LiteLLM needs some api_key for a server with OpenAI's API");
    return { base: api_base, model: model.slice("openai/".length), key: api_key, embeds: false };
  });
}

/** https://docs.continue.dev/reference: `apiBase` ends with `/v1`, and roles say what a model is for. */
function continueModels({ name, version, schema, models }: Json): Target[] {
  assert.ok(name && version && schema === "v1", "Continue needs name, version and schema: v1");
  return (models as Record<string, string | string[]>[]).map((one) => {
    assert.equal(one.provider, "openai", "The provider of Continue for a server with OpenAI's API is openai");
    assert.ok(typeof one.name === "string", "Each model of Continue has a name");
    const embeds = Array.isArray(one.roles) && one.roles.includes("embed");
    return { base: String(one.apiBase), model: String(one.model), key: String(one.apiKey), embeds };
  });
}

/** Zed's `language_models.openai_compatible`, one entry for each server; its key is in Zed's keychain. */
function zed({ language_models }: Json): Target[] {
  const servers = (language_models as { openai_compatible: Record<string, Json> }).openai_compatible;
  return Object.values(servers).flatMap(({ api_url, available_models }) =>
    (available_models as { name: string; max_tokens: number }[]).map(({ name, max_tokens }) => {
      assert.ok(Number.isInteger(max_tokens), "Zed needs max_tokens for each model");
      return { base: String(api_url), model: name, key: "any", embeds: false };
    })
  );
}

/** opencode's `provider`, with the package for servers with OpenAI's API. */
function opencode({ provider }: Json): Target[] {
  return Object.values(provider as Record<string, Json>).flatMap(({ npm, options, models }) => {
    assert.equal(npm, "@ai-sdk/openai-compatible");
    const { baseURL, apiKey = "any" } = options as Record<string, string>;
    return Object.keys(models as Json).map((model) => ({ base: baseURL ?? "", model, key: apiKey, embeds: false }));
  });
}
