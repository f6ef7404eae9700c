/** Every shipped configuration passes the Collector's own `validate`, on the oldest and the newest that there is. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { type BackendName, useBackend } from "#test/stack/support/backends.ts";

const folder = join(import.meta.dirname, "../../deploy/otel-collector");
const files = globSync(join(folder, "*.yaml"))
  .filter((file) => basename(file) !== "builder.yaml")
  .toSorted();

/** What an operator exports; digits alone with quotes of their own, as otlp.yaml has it. */
const environment: Readonly<Record<string, string>> = {
  AWS_REGION: "eu-central-1",
  DD_API_KEY: "0123456789abcdef0123456789abcdef",
  DD_SITE: "datadoghq.eu",
  GRAFANA_CLOUD_BASIC_AUTH: "MTIzNDU2OnRva2Vu",
  GRAFANA_CLOUD_OTLP_ENDPOINT: "https://otlp-gateway-prod-us-central-0.grafana.net/otlp",
  OTLP_API_KEY: "3f9c01e7",
  OTLP_ENDPOINT: "collector.example:4317",
  OTLP_TENANT: '"42"',
};

/** Datadog's components are in one Collector only; without them that one has all that the others have. */
const collectors: readonly { readonly name: BackendName; readonly hasDatadog: boolean }[] = [
  { name: "collector-oldest", hasDatadog: false },
  { name: "collector", hasDatadog: false },
  { name: "collector-datadog", hasDatadog: true },
];

describe("the Collector's configurations", () => {
  for (const { name, hasDatadog } of collectors) {
    for (const file of files.filter((path) => hasDatadog || basename(path) !== "datadog.yaml")) {
      it(`${basename(file)} loads on ${name}`, async (context) => {
        const collector = useBackend(context, name);
        if (collector === undefined) return;
        assert.equal(await validate(collector, file, environment), "");
      });
    }

    it(`with a mistake does not load on ${name}`, async (context) => {
      const collector = useBackend(context, name);
      if (collector === undefined) return;
      const mistaken = readFileSync(join(folder, "otlp.yaml"), "utf8").replace("limit_mib", "limit_gib");
      assert.match(await validate(collector, `yaml:${mistaken}`, environment), /limit_gib/);
    });
  }

  it("say in their first lines every variable that they need", () => {
    for (const file of files) {
      const text = readFileSync(file, "utf8");
      const head = /^(?:#.*\n)*/.exec(text)?.[0] ?? "";
      const needed = new Set([...text.matchAll(/\$\{env:(\w+)\}/g)].map(([, variable = ""]) => variable));
      assert.deepEqual(
        [...needed].filter((variable) => !head.includes(`${variable}=`)),
        [],
        basename(file),
      );
    }
  });
});

/** What it says when it refuses; empty when it does not. */
function validate(collector: string, config: string, env: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve) => {
    execFile(collector, ["validate", "--config", config], { env, timeout: 120_000 }, (error, stdout, stderr) => {
      resolve(error === null ? "" : `${error.message}\n${stdout}${stderr}`);
    });
  });
}
