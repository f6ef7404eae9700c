/** Services of deploy/compose.yaml, as commands for programs that are here instead of their images. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { parse } from "yaml";

const deployDir = resolve(import.meta.dirname, "../../../deploy");

export interface ComposeService {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly volumes: readonly ComposeVolume[];
}

export interface ComposeVolume {
  /** Of a file or folder that is shipped: its path. Absent: a volume for what the service keeps. */
  readonly source?: string;
  /** In the container. */
  readonly target: string;
}

/** @param variables what the file takes of its caller's environment */
export function readComposeService(name: string, variables: Readonly<Record<string, string>> = {}): ComposeService {
  const { services } = parse(readFileSync(`${deployDir}/compose.yaml`, "utf8"), { merge: true }) as ComposeFile;
  const service = services[name];
  if (service === undefined) throw new Error(`deploy/compose.yaml has no service ${name}`);
  const expand = (text: string): string =>
    text.replaceAll(
      /\$\{(\w+):-([^}]*)\}/g,
      (_, variable: string, fallback: string) => variables[variable] ?? fallback,
    );
  return {
    command: (service.command ?? []).map(expand),
    environment: service.environment ?? {},
    volumes: (service.volumes ?? []).map((volume) => {
      const [source = "", target = ""] = expand(volume).split(":");
      return source.startsWith(".") ? { source: resolve(deployDir, source), target } : { target };
    }),
  };
}

interface ComposeFile {
  readonly services: Readonly<
    Record<
      string,
      { readonly command?: string[]; readonly environment?: Record<string, string>; readonly volumes?: string[] }
    >
  >;
}
