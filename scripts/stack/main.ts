/**
 * Builds programs of the test stack by hand, and says where they are:
 *
 *   node_modules/.bin/node scripts/stack/main.ts                                 all
 *   node_modules/.bin/node scripts/stack/main.ts collector jaeger                these
 *   node_modules/.bin/node scripts/stack/main.ts --record-checksums collector    after a Collector's recipe was changed
 */
import { parseArgs } from "node:util";
import { ensureProgram } from "./ensure-program.ts";
import { PROGRAM_NAMES, type ProgramName } from "./programs.ts";
import { recordChecksums } from "./record-checksums.ts";

process.exitCode = await main();

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { "record-checksums": { type: "boolean", default: false } },
  });
  const unknown = positionals.filter((name) => !isProgramName(name));
  if (unknown.length > 0) {
    process.stderr.write(`unknown: ${unknown.join(", ")} (there are ${PROGRAM_NAMES.join(", ")})\n`);
    return 2;
  }
  const names = positionals.length > 0 ? positionals.filter(isProgramName) : PROGRAM_NAMES;
  for (const name of names) {
    if (values["record-checksums"]) {
      await recordChecksums(name, (line) => process.stderr.write(`${name}: ${line}\n`));
    } else {
      const { version, path } = await ensureProgram(name);
      process.stdout.write(`${name} ${version} ${path}\n`);
    }
  }
  return 0;
}

function isProgramName(name: string): name is ProgramName {
  return (PROGRAM_NAMES as readonly string[]).includes(name);
}
