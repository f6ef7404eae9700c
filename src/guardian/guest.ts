/** One guest process with its console, its channels and its companions, from the start to the report of its end. */
import { type FileHandle, open } from "node:fs/promises";
import { isAlive, type ProcessIdentity } from "#process/identity.ts";
import { endProcess } from "#process/kill-ladder.ts";
import { type ChildHandle, type SpawnOptions, spawnProcess } from "#process/spawn.ts";
import { createGuestChannel, type GuestChannel } from "./guest-channel.ts";
import { guestEnvironment } from "./orphan-sweep.ts";
import type { ExitReason, GuestCommand, GuestExit } from "./protocol.ts";
import type { SerialHub } from "./serial-hub.ts";

export interface Guest {
  readonly identity: ProcessIdentity;
  /** Resolves when it is gone with its companions and its last words are read. */
  readonly exited: Promise<GuestExit>;
  /** Resolves when its console's output is in the log: at its exit or a little later. */
  readonly drained: Promise<void>;
  channel(name: string): GuestChannel | undefined;
  /** Ends it; the first reason given is the one reported. */
  end(reason: ExitReason, graceMs: number): void;
}

export interface StartGuestOptions {
  readonly command: GuestCommand;
  readonly stateDir: string;
  readonly hub: SerialHub;
  readonly now: () => number;
}

/** @throws BlixardError TOOL_MISSING, INTERNAL; nothing of it runs then */
export async function startGuest(options: StartGuestOptions): Promise<Guest> {
  const { command } = options;
  const companions: ChildHandle[] = [];
  const files: FileHandle[] = [];
  try {
    for (const path of command.files) files.push(await open(path, "r"));
    for (const companion of command.companions) {
      companions.push(await spawnMember(companion.argv, options, { extra: ["pipe"] }));
    }
    const links = companions.map((companion) => companion.extra[0] ?? ("ignore" as const));
    const child = await spawnMember(command.argv, options, {
      stdin: "pipe",
      stdout: "pipe",
      extra: [...command.channels.map(() => "pipe" as const), ...links, ...files.map((file) => file.fd)],
    });
    for (const link of links) if (link !== "ignore") link.destroy();
    return superviseGuest(child, companions, options);
  } catch (error) {
    for (const companion of companions) companion.kill("SIGKILL");
    throw error;
  } finally {
    for (const file of files) await file.close();
  }
}

function spawnMember(
  argv: readonly string[],
  options: StartGuestOptions,
  descriptors: Pick<SpawnOptions, "stdin" | "stdout" | "extra">,
): Promise<ChildHandle> {
  const [command = "", ...args] = argv;
  return spawnProcess({
    command,
    args,
    cwd: options.command.workingDir,
    environment: guestEnvironment(options.stateDir),
    ...descriptors,
    umask: 0o077,
    parentDeathSignal: "KILL",
  });
}

function superviseGuest(child: ChildHandle, companions: readonly ChildHandle[], options: StartGuestOptions): Guest {
  const { command, hub } = options;
  const channels = new Map<string, GuestChannel>();
  for (const [index, name] of command.channels.entries()) {
    const stream = child.extra[index];
    if (stream !== undefined) channels.set(name, createGuestChannel(stream));
  }
  const hasConsole = child.stdout !== undefined && child.stdin !== undefined;
  const drained = hasConsole ? hub.attachGuest(command.instanceId, child.stdout, child.stdin) : Promise.resolve();
  let reason: ExitReason = "";

  async function watchExit(): Promise<GuestExit> {
    const status = await child.ended;
    const timeMs = options.now();
    for (const channel of channels.values()) channel.finish();
    for (const companion of companions) companion.kill("SIGKILL");
    await child.exited;
    await Promise.all(companions.map((companion) => companion.ended));
    hub.detachGuest(command.instanceId);
    return {
      code: status.code,
      signal: status.signal,
      timeMs,
      reason,
      stderrTail: [child, ...companions]
        .map((member) => member.stderrTail())
        .join("")
        .slice(-4096),
      channelTails: Object.fromEntries([...channels].map(([name, channel]) => [name, channel.tail()])),
    };
  }

  return {
    identity: child.identity,
    exited: watchExit(),
    drained,
    channel: (name) => channels.get(name),
    end(why, graceMs) {
      if (!isAlive(child.identity)) return;
      if (reason === "") reason = why;
      void endProcess(child.identity, { graceMs, exited: child.ended });
    },
  };
}
