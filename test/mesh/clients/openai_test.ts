import * as six from "openai";
import * as seven from "openai7";
import { type OpenAiModule, openAiTests } from "./openai_client.ts";

openAiTests("6.49.0", six as unknown as OpenAiModule);
openAiTests("7.55.0", seven as unknown as OpenAiModule);
