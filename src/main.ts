/** Entry: arguments → run, nothing else. */
import { createProcessIo } from "#cli/io.ts";
import { runCli } from "#cli/run-cli.ts";

process.exitCode = await runCli(process.argv.slice(2), createProcessIo());
