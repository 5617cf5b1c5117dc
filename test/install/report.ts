import type { NewUserPath } from "./new_user.ts";

/** The way in lines: each command with its machine, its seconds and what was answered to it. */
export function report({ steps, answeredBy }: NewUserPath): string {
  const lines = steps.map(({ machine, command, answers, seconds }) =>
    `${seconds.toFixed(1).padStart(6)} s  ${machine.padEnd(9)} $ ${command}${
      answers.length === 0 ? "" : `\n${" ".repeat(22)}(${answers.join(", ")})`
    }`
  );
  const sum = steps.reduce((total, { seconds }) => total + seconds, 0);
  return [...lines, `${sum.toFixed(1).padStart(6)} s, ${steps.length} commands; answered by ${answeredBy}`].join("\n");
}
