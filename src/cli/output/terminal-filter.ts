/** What a guest prints must not steer the terminal of who reads it. */

/** Bytes in, text out: lines, tabs and printable characters only. Characters may be split between calls. */
export function createTerminalFilter(): (data: Uint8Array) => string {
  const decoder = new TextDecoder();
  let inSequence = "";
  return (data) => {
    const text = inSequence + decoder.decode(data, { stream: true });
    // An escape sequence that is not complete yet waits for the rest; a hopeless one is given up.
    const start = text.lastIndexOf("\u001B");
    const complete =
      start === -1 || text.length - start > MAXIMUM_SEQUENCE_LENGTH || ESCAPE_SEQUENCE_AT_START.test(text.slice(start));
    inSequence = complete ? "" : text.slice(start);
    return (complete ? text : text.slice(0, start)).replaceAll(ESCAPE_SEQUENCE, "").replaceAll(CONTROL, "");
  };
}

const MAXIMUM_SEQUENCE_LENGTH = 256;
// CSI …, OSC … (to BEL or ST), and two-character sequences.
const SEQUENCE = String.raw`\u001B(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001B]*(?:\u0007|\u001B\\)|[ -/]*[0-Z\\^-~])`;
const ESCAPE_SEQUENCE = new RegExp(SEQUENCE, "g");
const ESCAPE_SEQUENCE_AT_START = new RegExp(`^${SEQUENCE}`);
const CONTROL = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g;
