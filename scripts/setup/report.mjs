/**
 * @typedef {object} Report
 * @property {(text: string) => void} line one line, with the time since set-up began
 * @property {(text: string) => void} plain one line as it is
 * @property {(text: string) => void} fail a message for stderr
 */

/**
 * @param {NodeJS.WritableStream} output
 * @returns {Report}
 */
export function createReport(output) {
  output.on("error", () => {}); // whoever read our lines has gone; the work goes on
  return {
    line: (text) => void output.write(`[setup ${process.uptime().toFixed(1)} s] ${text}\n`),
    plain: (text) => void output.write(`${text}\n`),
    fail: (text) => void process.stderr.write(`[setup] ${text}\n`),
  };
}
