/** deploy/compose.yaml and the container file: what they name is there, under the names the shipped configurations use. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { loadConfig } from "#config/config.ts";

const deployDir = join(import.meta.dirname, "../../deploy");

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly network_mode?: string;
  readonly pid?: string;
  readonly networks?: { readonly default: { readonly aliases: readonly string[] } };
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const read = (path: string): string => readFileSync(join(deployDir, path), "utf8");
const compose = parse(read("compose.yaml"), { merge: true }) as Compose;
const services = Object.entries(compose.services);

/** Where each service listens, as its image's documentation says or its configuration here. */
const listening: Readonly<Record<string, readonly number[]>> = {
  blixard: [7001, 9090],
  "otel-collector": [4317, 4318, 8889, 13133],
  jaeger: [4317, 4318, 16686],
  tempo: [3200, 4317, 4318],
  loki: [3100],
  prometheus: [9090],
  grafana: [3000],
};

describe("the compose file", () => {
  test("pins every image that is not built here to one version", () => {
    for (const [name, { image }] of services) {
      if (image === "blixard:local") continue;
      assert.match(image, /^[a-z0-9./-]+:v?\d+\.\d+\.\d+$/, name);
    }
  });

  test("mounts files that are there, read-only, and volumes that it declares", () => {
    const used = new Set<string>();
    for (const [name, { volumes = [] }] of services) {
      for (const volume of volumes) {
        const [source = "", , mode] = volume.replace(/\$\{\w+:-(.*?)\}/, "$1").split(":");
        if (source.startsWith(".")) {
          assert.ok(existsSync(join(deployDir, source)), `${name} mounts ${source}`);
          assert.equal(mode, "ro", `${name} cannot change ${source}`);
        } else {
          assert.ok(source in compose.volumes, `${name} uses the volume ${source}`);
          used.add(source);
        }
      }
    }
    assert.deepEqual([...used].toSorted(), Object.keys(compose.volumes).toSorted());
  });

  test("publishes ports to this machine alone, each once, of those that services listen on", () => {
    const published = new Set<string>();
    for (const [name, { ports = [] }] of services) {
      for (const port of ports) {
        const [, host = "", inside = ""] = /^127\.0\.0\.1:(\d+):(\d+)$/.exec(port) ?? [];
        assert.ok(host !== "" && !published.has(host), `${name} publishes ${port}`);
        published.add(host);
        assert.ok(listening[hostNameOf(name)]?.includes(Number(inside)), `${name} publishes ${port}`);
      }
    }
  });

  test("has a service for every address in the shipped configurations, which listens there", () => {
    const files = globSync(
      "{otel-collector,prometheus,grafana/provisioning,tempo,loki,compose}/**/*.{yaml,yml,json,toml}",
      {
        cwd: deployDir,
      },
    );
    const addressed = new Set<string>();
    for (const file of files) {
      for (const { host, port } of addressesIn(read(file))) {
        const ports = listening[host];
        if (ports === undefined) continue;
        assert.ok(ports.includes(port), `${file}: ${host} does not listen on ${port}`);
        addressed.add(host);
      }
      for (const host of hostsOfUrls(read(file)))
        assert.ok(host in listening || isOutside(host), `${file}: no service is called ${host}`);
    }
    for (const host of ["blixard", "otel-collector", "jaeger", "tempo", "loki", "prometheus"])
      assert.ok(addressed.has(host), `no configuration speaks of ${host}`);
    const names = services.flatMap(([name, { networks }]) => [name, ...(networks?.default.aliases ?? [])]);
    for (const host of Object.keys(listening)) assert.ok(names.includes(host), `${host} is a service`);
  });

  test("keeps node and guardian apart, in one network and one world of processes", () => {
    const { blixard, "blixard-guardian": guardian } = compose.services;
    assert.ok(blixard !== undefined && guardian !== undefined);
    assert.equal(blixard.network_mode, "service:blixard-guardian");
    assert.equal(blixard.pid, "service:blixard-guardian");
    assert.equal(blixard.environment?.["BLIXARD_RUNTIME__GUARDIAN"], "service");
    assert.deepEqual(blixard.volumes, guardian.volumes);
    assert.deepEqual(guardian.networks?.default.aliases, ["blixard"]);
    assert.equal(blixard.image, guardian.image);
  });

  test("gives the node a configuration that it takes, and that sends each signal one way", async () => {
    const host = { hostName: "blixard", isRoot: false, workingDirectory: "/" };
    const { config, warnings } = await loadConfig(join(deployDir, "compose/blixard.toml"), {
      environment: {},
      flags: {},
      host,
    });
    // Only containers beside it reach that address, and this machine.
    const others = warnings.filter((warning) => !warning.startsWith("observability.metrics.http_server.bind:"));
    assert.deepEqual(others, []);
    assert.equal(config.observability.metrics.otlpEnabled, false);
    assert.deepEqual(config.observability.metrics.httpServer.bind, { host: "0.0.0.0", port: 9090 });
    assert.equal(config.node.id, "blixard");
  });

  test("has no secrets", () => {
    assert.doesNotMatch(read("compose.yaml"), /password\s*[:=]|token\s*[:=]|secret\s*[:=]|api_?key/i);
  });
});

describe("the container file", () => {
  const text = read("Containerfile");

  test("copies what there is, and the ignore file lets it through", () => {
    const ignored = read("Containerfile.dockerignore").split("\n");
    for (const [, sources = ""] of text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
      for (const source of sources.split(" ")) {
        assert.ok(existsSync(join(deployDir, "..", source)), source);
        assert.ok(ignored.includes(`!${source}`), `${source} is not let through`);
      }
    }
  });

  test("ends as a user without rights, with a health check that asks whether the node serves", () => {
    const last = text.slice(text.lastIndexOf("\nFROM "));
    assert.match(last, /^USER blixard$/m);
    assert.match(last, /^HEALTHCHECK [^]*\/readyz/m);
    assert.match(last, /^LABEL org\.opencontainers\.image\.title=/m);
    assert.match(last, /^EXPOSE 7001 9090$/m);
  });
});

/** The node's service is its guardian's, as far as the network goes. */
function hostNameOf(service: string): string {
  return service === "blixard-guardian" ? "blixard" : service;
}

function addressesIn(text: string): { host: string; port: number }[] {
  return [...withoutComments(text).matchAll(/(?<![\w.-])([a-z][a-z0-9-]*):(\d{2,5})(?!\d|\.)/g)].map(
    ([, host = "", port]) => ({ host, port: Number(port) }),
  );
}

function hostsOfUrls(text: string): string[] {
  return [...withoutComments(text).matchAll(/https?:\/\/([a-z0-9.-]+)/g)].map(([, host = ""]) => host);
}

function withoutComments(text: string): string {
  return text.replaceAll(/(^|\s)#.*$/gm, "");
}

/** Of the world, or named by a variable. */
function isOutside(host: string): boolean {
  return host.includes(".") || host === "localhost" || host === "";
}
