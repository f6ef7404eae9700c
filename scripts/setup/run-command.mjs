import { spawn } from "node:child_process";
import { SetupError } from "./setup-error.mjs";

const SHOWN_OUTPUT_LINES = 25;

/**
 * Runs a command and gives its stdout; a failure shows the end of what it wrote.
 * @param {string[]} argv
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<string>}
 */
export async function runCommand(argv, options = {}) {
  const result = await tryCommand(argv, options);
  if (result.code === 0) return result.stdout;
  const output = (result.stdout + result.stderr).trimEnd().split("\n").slice(-SHOWN_OUTPUT_LINES);
  throw new SetupError(`\`${argv.join(" ")}\` failed (${result.code ?? result.signal}):\n  ${output.join("\n  ")}`);
}

/**
 * @param {string[]} argv
 * @param {{ cwd?: string, env?: Record<string, string> }} [options]
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string }>}
 */
export function tryCommand(argv, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(argv[0] ?? "", argv.slice(1), {
      cwd: options.cwd,
      env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive", ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (/** @type {string} */ text) => (stdout += text));
    child.stderr.setEncoding("utf8").on("data", (/** @type {string} */ text) => (stderr += text));
    child.on("error", (error) => resolve({ code: 127, signal: null, stdout, stderr: `${stderr}${error.message}` }));
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
}
