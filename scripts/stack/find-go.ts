import { findExecutable, splitPath } from "../setup/host.mjs";
import { tryCommand } from "../setup/run-command.mjs";

const OLDEST_GO = { major: 1, minor: 26 };

/** Where Go's own archive unpacks to; its instructions leave it to the user to put that on the PATH. */
const WELL_KNOWN_FOLDER = "/usr/local/go/bin";

export interface Go {
  readonly path: string;
  /** As it says itself: `1.26.3`. */
  readonly version: string;
}

export interface FindGoOptions {
  /** The value of PATH. */
  readonly path: string;
  /** Default: where Go's archive unpacks to. */
  readonly wellKnownFolder?: string;
}

/** @throws Error that says what to install, when there is no Go or only an older one */
export async function findGo({ path, wellKnownFolder = WELL_KNOWN_FOLDER }: FindGoOptions): Promise<Go> {
  const refused: string[] = [];
  for (const folder of new Set([...splitPath(path), wellKnownFolder])) {
    const file = findExecutable("go", [folder]);
    if (file === undefined) continue;
    // GOTOOLCHAIN=local: what is asked is what is here, not what it would download.
    const { stdout } = await tryCommand([file, "version"], { env: { GOTOOLCHAIN: "local" } });
    const version = parseGoVersion(stdout);
    if (version !== undefined && isNewEnough(version)) return { path: file, version };
    refused.push(`${file} is ${version === undefined ? "no Go that tells its version" : `Go ${version}`}`);
  }
  const found = refused.length === 0 ? "none is on PATH" : refused.join("; ");
  throw new Error(
    `the programs of the test stack are built with Go ${OLDEST_GO.major}.${OLDEST_GO.minor} or newer: ${found}, ` +
      `nor is one in ${wellKnownFolder}. Install it from https://go.dev/dl/ and run this again.`,
  );
}

/** From what `go version` prints. */
export function parseGoVersion(text: string): string | undefined {
  return /^go version (?:\S+ )?go(\d+\.\d+(?:\.\d+)?)/.exec(text.trim())?.[1];
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST_GO.major || (major === OLDEST_GO.major && minor >= OLDEST_GO.minor);
}
