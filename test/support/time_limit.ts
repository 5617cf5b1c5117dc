/**
 * No test runs for ever: `deno task test` loads this before each file. A test that is not over in time ends its file with
 * what was open in the process and what its nodes said last, so that whoever reads CI's record can tell what it waited for.
 */
import { witnesses } from "./late_witnesses.ts";

/** How long one test may take, in minutes: the slowest takes one on two busy cores. Long forms take as long as they take. */
const MINUTES = 8;

/** Counts each kind of what is open: sockets, processes, timers are not among them. */
function openResources(): string {
  // deno-lint-ignore no-explicit-any
  const { core } = (Deno as any)[(Deno as any).internal];
  const kinds = Object.values<string>(core.resources());
  return Object.entries(Object.groupBy(kinds, (kind) => kind)).map(([kind, all]) => `${kind} ${all?.length}`).join(
    ", ",
  );
}

if (Deno.env.get("ARK_LONG") === undefined) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  Deno.test.beforeEach(() => {
    timer = setTimeout(() => {
      const known = [`Open: ${openResources()}`, ...[...witnesses].map((say) => say())].join("\n");
      throw new Error(`A test did not end in ${MINUTES} minutes: the first one that is "cancelled" below. ${known}`);
    }, MINUTES * 60_000);
  });
  Deno.test.afterEach(() => clearTimeout(timer));
}
