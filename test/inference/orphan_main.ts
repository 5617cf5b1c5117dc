/** A node that asks its worker for something and prints the worker's pid; the test kills it. */
import { answerOf, asking, question } from "./backend_contract.ts";
import { FakeBackend, realBackend } from "./local_fixture.ts";

const [engine, state] = Deno.args;
const fake = engine === "fake_worker" ? new FakeBackend() : undefined;
const backend = fake?.backend ?? await realBackend();
const model = fake === undefined ? "arkling" : "fake";

await answerOf(backend.infer(question(model, "Hello", { max_tokens: 1 }), asking()));
await Deno.stdout.write(new TextEncoder().encode(`${backend.loaded()[0]?.pid}\n`));
while (state === "busy") await answerOf(backend.infer(question(model, "#slow=5", { max_tokens: 900 }), asking()));
