import assert from "node:assert/strict";
import { encodeTokenIds } from "@ark/node/protocol";
import { promptIds } from "../../src/inference/worker/resumption.ts";
import { engineResumeContract } from "./engine_resume_contract.ts";

engineResumeContract("native");
engineResumeContract("addon");

Deno.test("A prompt without tokens has no ids to tell, and the worker says nothing that its node does not understand", () => {
  assert.equal(promptIds({ ids: true }, []), undefined);
  assert.equal(promptIds({}, [1]), undefined);
  assert.equal(promptIds({ ids: true }, [1]), encodeTokenIds([1]));
});
