import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorDetailSchema } from "#gen/api/blixard/v1/common_pb.ts";
import { CheckOutcome } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { FakeCliIo } from "#test/support/fake-cli-io.ts";
import { FakeNode } from "#test/support/fake-node.ts";
import { runCli } from "../../run-cli.ts";
import { exitCodeOf } from "./doctor.ts";
import { wrap } from "./doctor-view.ts";

interface Check {
  readonly target?: string;
  readonly signal?: string;
  readonly step: string;
  readonly outcome: CheckOutcome;
  readonly message?: string;
  readonly finding?: string;
  readonly fix?: string;
}

const well: Check = { step: "connect", outcome: CheckOutcome.OK, message: "connected to port 4318" };
const refused = (signal: string): Check => ({
  signal,
  step: "authenticate",
  outcome: CheckOutcome.FAILED,
  message: "the destination refuses us: HTTP 401",
  finding: "credentials_refused",
  fix: "Give the right token or password in [observability.tracing].",
});

function doctorNode(checks: readonly Check[], outcome: CheckOutcome): Promise<FakeNode> {
  return FakeNode.start({
    telemetry: {
      diagnoseTelemetry: async function* () {
        for (const check of checks) {
          yield { event: { case: "check", value: { target: "http://collector:4318", ...check } } };
        }
        yield { event: { case: "diagnosis", value: { outcome, ok: 1, failed: 2, traceId: "ab".repeat(16) } } };
      },
    },
  });
}

test("telemetry doctor groups checks by what they are about, and tells each fix once", async () => {
  await using node = await doctorNode([well, refused("traces"), refused("logs")], CheckOutcome.FAILED);
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["telemetry", "doctor"], io), 1);
  const lines = io.output.split("\n");
  assert.equal(lines[0], "http://collector:4318");
  assert.match(lines[1] ?? "", /^ {2}ok +connect +connected to port 4318$/);
  assert.match(lines[2] ?? "", /^ {2}failed +authenticate +traces +the destination refuses us: HTTP 401$/);
  assert.match(lines[3] ?? "", /^ +credentials_refused: Give the right token/);
  assert.match(lines[5] ?? "", /^ +credentials_refused: as above$/);
  assert.match(io.output, /\nfailed: 1 ok, 0 warnings, 2 failed, 0 skipped\.\n$/, "no canary arrived");
});

test("telemetry doctor says where to look for the canaries that arrived", async () => {
  await using node = await doctorNode([well, { ...well, step: "acknowledge" }], CheckOutcome.OK);
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["telemetry", "doctor"], io), 0);
  assert.match(io.output, /\nok: .*\. The canaries' trace is (ab){16}\.\n$/);
});

test("telemetry doctor fits a terminal and colours it; a pipe and NO_COLOR get none", async () => {
  await using node = await doctorNode([well, refused("traces")], CheckOutcome.FAILED);
  const io = new FakeCliIo({ environment: node.environment, terminal: true, columns: 70 });
  await runCli(["telemetry", "doctor"], io);
  assert.match(io.output, /\u001B\[31mfailed/);
  for (const line of io.output
    .replaceAll(/\u001B\[\d+m/g, "")
    .split("\n")
    .slice(0, -3)) {
    assert.ok(line.length <= 70, line);
  }
  const plain = new FakeCliIo({ environment: { ...node.environment, NO_COLOR: "1" }, terminal: true, columns: 70 });
  await runCli(["telemetry", "doctor"], plain);
  assert.doesNotMatch(plain.output, /\u001B/);
});

test("telemetry doctor -o json is one object a line", async () => {
  await using node = await doctorNode([well, refused("traces")], CheckOutcome.FAILED);
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["telemetry", "doctor", "-o", "json"], io), 1);
  const lines = io.output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, Record<string, unknown>>);
  assert.equal(lines.length, 3);
  assert.equal(lines[1]?.["check"]?.["finding"], "credentials_refused");
  assert.equal(lines[2]?.["diagnosis"]?.["outcome"], "CHECK_OUTCOME_FAILED");
});

test("the exit code of telemetry doctor tells who is to act", async () => {
  assert.equal(exitCodeOf([]), 0);
  assert.equal(exitCodeOf(["egress_blocked", "deadline_exceeded"]), 1);
  assert.equal(exitCodeOf(["page_invalid"]), 3);
  assert.equal(exitCodeOf(["deadline_exceeded"]), 4);
  await using warned = await doctorNode(
    [{ step: "send", outcome: CheckOutcome.WARNING, finding: "signal_unsupported", fix: "…" }],
    CheckOutcome.WARNING,
  );
  assert.equal(await runCli(["telemetry", "doctor"], new FakeCliIo({ environment: warned.environment })), 0);
  const nobody = new FakeCliIo({ environment: { BLIXARD_DATA_DIR: "/nowhere/at/all" } });
  assert.equal(await runCli(["telemetry", "doctor"], nobody), 3);
});

test("telemetry doctor says so when another one runs, when the node dies meanwhile, and when it hangs", async () => {
  const busy = { code: "TOO_MANY_REQUESTS", fault: "user", hint: "Wait until it is done." };
  await using node = await FakeNode.start({
    telemetry: {
      // Refused before anything is said.
      diagnoseTelemetry: async function* () {
        yield* [];
        throw new ConnectError("another diagnosis runs on this node", Code.ResourceExhausted, undefined, [
          { desc: ErrorDetailSchema, value: busy },
        ]);
      },
    },
  });
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["telemetry", "doctor"], io), 1);
  assert.match(io.errors, /another diagnosis runs on this node/);
  await using ended = await FakeNode.start({
    telemetry: {
      diagnoseTelemetry: async function* () {
        yield { event: { case: "check", value: { target: "node", ...well } } };
      },
    },
  });
  const cut = new FakeCliIo({ environment: ended.environment });
  assert.equal(await runCli(["telemetry", "doctor"], cut), 3);
  await using late = await FakeNode.start({
    telemetry: {
      diagnoseTelemetry: async function* () {
        yield* [];
        throw new ConnectError("too late", Code.DeadlineExceeded);
      },
    },
  });
  assert.equal(await runCli(["telemetry", "doctor"], new FakeCliIo({ environment: late.environment })), 4);
});

test("telemetry doctor passes on its time", async () => {
  let seconds: bigint | undefined;
  await using node = await FakeNode.start({
    telemetry: {
      diagnoseTelemetry: async function* ({ timeout }) {
        seconds = timeout?.seconds;
        yield { event: { case: "diagnosis", value: {} } };
      },
    },
  });
  await runCli(["telemetry", "doctor", "--timeout", "2m"], new FakeCliIo({ environment: node.environment }));
  assert.equal(seconds, 120n);
});

test("lines are broken at spaces, and a long word stays whole", () => {
  assert.deepEqual(wrap("one two three", 7), ["one two", "three"]);
  assert.deepEqual(wrap("see http://collector.example:4318/ there", 10), [
    "see",
    "http://collector.example:4318/",
    "there",
  ]);
});

function cardinalityNode(): Promise<FakeNode> {
  return FakeNode.start({
    telemetry: {
      getCardinality: ({ additionalVms }) => ({
        series: 2_905n,
        samples: 2_960n,
        vms: 100,
        forecast: {
          seriesWithAdditionalVms: 31_905n,
          seriesWithAdditionalAttribute: 29_050n,
          vmsUntilLimit: 20n,
        },
        metrics: [
          {
            name: "blixard.vm.cpu.time",
            series: 2_000,
            limit: 2_400,
            samples: 2_000,
            perVm: true,
            forecast: {
              seriesWithAdditionalVms: 2_000n + 20n * BigInt(additionalVms),
              seriesWithAdditionalAttribute: 20_000n,
              vmsUntilLimit: 19n,
            },
          },
          {
            name: "blixard.vm.uptime",
            series: 900,
            limit: 2_400,
            samples: 900,
            perVm: true,
            forecast: { seriesWithAdditionalVms: 9_900n, seriesWithAdditionalAttribute: 9_000n, vmsUntilLimit: 166n },
          },
          {
            name: "blixard.a",
            series: 5,
            limit: 5,
            samples: 60,
            overflows: 7n,
            forecast: { seriesWithAdditionalVms: 5n },
          },
        ],
      }),
    },
  });
}

test("telemetry cardinality shows who costs what, and warns of limits that are near or broken", async () => {
  await using node = await cardinalityNode();
  const io = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["telemetry", "cardinality", "--vms", "10"], io), 0);
  assert.match(io.output, /^METRIC +SERIES +LIMIT +SHARE +SAMPLES +OVERFLOW +PER VM +\+10 VMS +×10 VALUES +VMS LEFT$/m);
  assert.match(io.output, /^blixard\.vm\.cpu\.time +2000 +2400 +83 % +2000 +yes +2200 +20000 +19$/m);
  assert.match(io.output, /^blixard\.a +5 +5 +100 % +60 +7 +0$/m);
  assert.match(io.output, /2905 series, 2960 samples on the page, of 3 metrics with 100 VMs\./);
  assert.match(io.output, /20 more VMs fit before a limit is reached/);
  assert.match(io.errors, /warning: blixard\.vm\.cpu\.time has 2000 of at most 2400 series/);
  assert.match(io.errors, /warning: blixard\.vm\.uptime would need 9900 series with 10 more VMs; its limit is 2400/);
  assert.match(io.errors, /warning: blixard\.a has reached its limit of 5: 7 times one more was merged/);
});

test("telemetry cardinality sorts as asked, and is one message as JSON and YAML", async () => {
  await using node = await cardinalityNode();
  const order = async (...options: string[]) => {
    const io = new FakeCliIo({ environment: node.environment });
    assert.equal(await runCli(["telemetry", "cardinality", "-o", "json", ...options], io), 0);
    const { metrics } = JSON.parse(io.output) as { metrics: { name: string }[] };
    return metrics.map(({ name }) => name.replace("blixard.", ""));
  };
  assert.deepEqual(await order(), ["vm.cpu.time", "vm.uptime", "a"]);
  assert.deepEqual(await order("--sort", "name"), ["a", "vm.cpu.time", "vm.uptime"]);
  assert.deepEqual(await order("--sort", "share"), ["a", "vm.cpu.time", "vm.uptime"]);
  const yaml = new FakeCliIo({ environment: node.environment });
  assert.equal(await runCli(["telemetry", "cardinality", "-o", "yaml"], yaml), 0);
  assert.match(yaml.output, /^ {2}- name: blixard\.vm\.cpu\.time$/m);
  assert.equal(await runCli(["telemetry", "cardinality", "--vms", "none"], new FakeCliIo()), 2);
  assert.equal(await runCli(["telemetry", "cardinality", "--vms", "0"], new FakeCliIo()), 2);
});
