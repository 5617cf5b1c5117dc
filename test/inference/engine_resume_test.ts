import { engineResumeContract } from "./engine_resume_contract.ts";

engineResumeContract("native");
engineResumeContract("addon");
