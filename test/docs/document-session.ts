/**
 * Someone who follows a document, step by step, in a checkout: writes its files,
 * starts its node, types its commands. The documents say the defaults (ports, data
 * directory); here these are other ones, put in their place.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { findCacheDir, toolFolders } from "../../scripts/setup/cache-dir.mjs";
import { importDemoImage } from "#test/support/demo-image.ts";
import { freePort } from "#test/support/free-port.ts";
import { type OtlpReceiver, startOtlpReceiver } from "#test/support/otlp-receiver.ts";
import { TestNode } from "#test/support/test-node.ts";

const repositoryDir = resolve(import.meta.dirname, "../..");
const COMMAND_TIMEOUT_MS = 120_000;

export class DocumentSession implements AsyncDisposable {
  readonly receiver: OtlpReceiver;
  readonly #node: TestNode;
  readonly #publishedPort: number;
  #started = false;

  private constructor(node: TestNode, receiver: OtlpReceiver, publishedPort: number) {
    this.#node = node;
    this.receiver = receiver;
    this.#publishedPort = publishedPort;
  }

  static async open(): Promise<DocumentSession> {
    const receiver = await startOtlpReceiver({});
    const node = await TestNode.prepare({
      toml: "",
      environment: {
        BLIXARD_NODE__BIND: "127.0.0.1:0",
        BLIXARD_OBSERVABILITY__METRICS__HTTP_SERVER__BIND: "127.0.0.1:0",
        BLIXARD_OBSERVABILITY__TRACING__OTLP_ENDPOINT: receiver.grpcEndpoint,
      },
    });
    // A checkout, as far as documents use one, whose other files are ours.
    await mkdir(join(node.directory, "bin"));
    for (const name of ["bin/blixard", "images", "node_modules"]) {
      await symlink(join(repositoryDir, name), join(node.directory, name));
    }
    return new DocumentSession(node, receiver, await freePort());
  }

  async write(name: string, text: string): Promise<void> {
    await writeFile(join(this.#node.directory, name), text);
  }

  /** `bin/blixard node run …`: the first time, or again after the daemon was killed. */
  async start(command: string): Promise<void> {
    assert.match(command, /^bin\/blixard node run( --config blixard\.toml)?\n$/);
    if (this.#started) await this.#node.endDaemon("SIGKILL");
    this.#started = true;
    await this.#node.startDaemon();
  }

  /** A running node with the demo image, for documents that do not begin with one. */
  async ensureStarted(): Promise<void> {
    if (this.#started) return;
    await this.start("bin/blixard node run\n");
    await importDemoImage(this.#node);
  }

  /** @throws AssertionError with all output when a command fails */
  async run(script: string): Promise<string> {
    // What a document tells its reader to install is in the tests' cache.
    const path = [process.env["PATH"], ...toolFolders(findCacheDir(process.env))].join(":");
    const child = spawn("bash", ["-euo", "pipefail", "-c", await this.#localise(script)], {
      cwd: this.#node.directory,
      env: {
        ...process.env,
        PATH: path,
        BLIXARD_DATA_DIR: this.#node.dataDirectory,
        RUN: await this.#node.runDirectory(),
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    }
    const timer = setTimeout(() => child.kill("SIGKILL"), COMMAND_TIMEOUT_MS);
    await once(child, "close");
    clearTimeout(timer);
    assert.equal(child.exitCode, 0, `${script}\n${output}`);
    return output;
  }

  async #localise(script: string): Promise<string> {
    const runDirectory = await this.#node.runDirectory();
    const { api, metrics } = await this.#node.endpoints().catch(() => ({ api: undefined, metrics: undefined }));
    return script
      .replaceAll("/run/blixard/36a508e6", runDirectory)
      .replaceAll("/var/lib/blixard", this.#node.dataDirectory)
      .replaceAll(/(?:localhost|127\.0\.0\.1):9090/g, (own) => (metrics === undefined ? own : new URL(metrics).host))
      .replaceAll(/(?:localhost|127\.0\.0\.1):7001/g, (own) => api?.tcp ?? own)
      .replaceAll("8080", String(this.#publishedPort));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]();
    await this.receiver[Symbol.asyncDispose]();
  }
}
