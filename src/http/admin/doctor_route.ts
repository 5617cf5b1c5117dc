import { Hono } from "hono";

/** How bad something is that a doctor found. */
export type FindingLevel = "ok" | "warning" | "danger";

/** What a finding is about, in the order in which people are shown it. */
export type FindingGroup = "node" | "ports" | "network" | "exposure" | "peers" | "models" | "machine" | "data";

/** One thing that a doctor looked at. */
export interface Finding {
  /** What was looked at, such as `local-listener`. */
  check: string;
  /** What it is about; a doctor's list always says so. */
  group?: FindingGroup;
  /** How bad it is. */
  level: FindingLevel;
  /** What was found, in a sentence. */
  sentence: string;
  /** What it comes from, or what it means, in a sentence; absent where the sentence says it all. */
  why?: string;
  /** What to do about it, in a sentence; absent where there is nothing to do. */
  fix?: string;
}

/** What the doctor's route needs. */
export interface DoctorRouteOptions {
  /** Looks at the node. */
  doctor: {
    /** Everything as it is now, the worst first. */
    examine(): Promise<readonly Finding[]>;
    /** Who can reach the node. */
    exposure(): readonly Finding[];
  };
}

/** `GET /doctor`: what is exposed, what is wrong, and what to do about each. */
export function doctorRoute({ doctor }: DoctorRouteOptions): Hono {
  const app = new Hono();
  app.get("/", async ({ json }) => json({ findings: await doctor.examine() }));
  return app;
}

/** What others can reach that they should perhaps not, a sentence each. */
export function exposures({ doctor }: DoctorRouteOptions): string[] {
  return doctor.exposure().filter(({ level }) => level !== "ok").map(({ sentence }) => sentence);
}
