/**
 * Builds programs of the test stack by hand, and says where they are:
 *
 *   node_modules/.bin/node scripts/stack/main.ts                    all
 *   node_modules/.bin/node scripts/stack/main.ts collector jaeger   these
 */
import { ensureProgram } from "./ensure-program.ts";
import { PROGRAM_NAMES, type ProgramName } from "./programs.ts";

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !isProgramName(name));
if (unknown.length > 0) {
  process.stderr.write(`unknown: ${unknown.join(", ")} (there are ${PROGRAM_NAMES.join(", ")})\n`);
  process.exitCode = 2;
} else {
  for (const name of wanted.length > 0 ? wanted.filter(isProgramName) : PROGRAM_NAMES) {
    const { version, path } = await ensureProgram(name);
    process.stdout.write(`${name} ${version} ${path}\n`);
  }
}

function isProgramName(name: string): name is ProgramName {
  return (PROGRAM_NAMES as readonly string[]).includes(name);
}
