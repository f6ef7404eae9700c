/** A failure that set-up explains in one message instead of a stack. Exit code 2: the owner of the machine
 * must act; 3: a step failed. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {number} [exitCode]
   */
  constructor(message, exitCode = 3) {
    super(message);
    this.name = "SetupError";
    this.exitCode = exitCode;
  }
}
