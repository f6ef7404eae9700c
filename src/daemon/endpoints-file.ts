/** `endpoints.json` in the run directory: where a ready node listens. Present only while it serves. */
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ENDPOINTS_FILE, type Endpoints } from "#config/paths.ts";

export interface EndpointsFile {
  remove(): Promise<void>;
}

export async function writeEndpointsFile(runDirectory: string, endpoints: Endpoints): Promise<EndpointsFile> {
  const path = join(runDirectory, ENDPOINTS_FILE);
  await writeFile(`${path}.new`, `${JSON.stringify(endpoints, null, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
  return { remove: () => rm(path, { force: true }) };
}
