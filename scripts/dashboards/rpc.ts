/** What is asked of the API: rate, errors, duration, by method. */
import {
  grpcServerCallActive,
  grpcServerCallDuration,
  grpcServerRejected,
  grpcServerRequestSize,
  grpcServerResponseSize,
  grpcServerStreamActive,
  httpServerRequestDuration,
} from "../../src/gen/telemetry/metrics.ts";
import { type DashboardSpec, labelVariable, type Row } from "./dashboard.ts";
import { uids } from "./links.ts";
import { heatmap, stat, table, timeSeries } from "./panels.ts";
import { buckets, failed, failureRatio, labelName, legend, quantile, rate, rateOfSum, select, sum } from "./promql.ts";

const chosen = { "rpc.method": "$method" } as const;
const METHOD = legend("rpc.method");
const byMethod = ["rpc.method"] as const;

export function rpcDashboard(): DashboardSpec {
  return {
    uid: uids.rpc,
    title: "Blixard / RPC",
    description:
      "Calls to the API as its nodes served them. What the caller did wrong (not found, invalid) is an answer, not an error; errors are what the node could not do.",
    variables: [
      labelVariable({
        name: "method",
        label: "Method",
        metric: grpcServerCallDuration,
        of: "rpc.method",
        where: 'job=~"$job", instance=~"$instance"',
      }),
    ],
    rows: [overall(), methods(), load(), others()],
  };
}

function overall(): Row {
  return {
    question: "Does the API answer?",
    panels: [
      stat({
        title: "Calls",
        description: "Per second, of the chosen methods.",
        unit: "reqps",
        queries: [{ expr: sum([], rate(grpcServerCallDuration, chosen)) }],
      }),
      stat({
        title: "Failed",
        description: "Share of calls that the node could not serve.",
        unit: "percentunit",
        decimals: 2,
        steps: [
          [0.001, "orange"],
          [0.01, "red"],
        ],
        queries: [{ expr: failureRatio(grpcServerCallDuration, [], chosen) }],
      }),
      stat({
        title: "99th percentile",
        description:
          "Time of a call, streams included: a watch lasts as long as its caller likes. Choose methods to leave them out.",
        unit: "s",
        queries: [{ expr: quantile(0.99, grpcServerCallDuration, [], chosen) }],
      }),
      stat({
        title: "Calls under way",
        description: "Being served now, streams included.",
        queries: [{ expr: sum([], select(grpcServerCallActive, chosen)) }],
      }),
      stat({
        title: "Refused",
        description: "Before a handler ran, per second. By reason below.",
        unit: "reqps",
        steps: [[0.1, "orange"]],
        queries: [{ expr: sum([], rate(grpcServerRejected)) }],
      }),
      stat({
        title: "Streams",
        description: "Open streams of the chosen methods: watches, logs, consoles.",
        queries: [{ expr: sum([], select(grpcServerStreamActive, chosen)) }],
      }),
    ],
  };
}

function methods(): Row {
  return {
    question: "Which method is slow, or fails?",
    panels: [
      timeSeries({
        title: "Rate, by method",
        description: "Calls that ended, per second.",
        unit: "reqps",
        queries: [{ expr: sum(byMethod, rate(grpcServerCallDuration, chosen)), legend: METHOD }],
      }),
      timeSeries({
        title: "Errors, by method",
        description: "Share of calls that failed.",
        unit: "percentunit",
        steps: [[0.01, "red"]],
        queries: [{ expr: failureRatio(grpcServerCallDuration, byMethod, chosen), legend: METHOD }],
      }),
      timeSeries({
        title: "Duration, 95th percentile, by method",
        description: "Points are traces: the slow step is in there.",
        unit: "s",
        queries: [{ expr: quantile(0.95, grpcServerCallDuration, byMethod, chosen), legend: METHOD, exemplars: true }],
      }),
      heatmap({
        title: "Duration",
        description: "All calls of the chosen methods; each point is a trace.",
        unit: "s",
        width: 12,
        expr: buckets(grpcServerCallDuration, chosen),
      }),
      timeSeries({
        title: "Errors, by status",
        description:
          "Status codes of calls that failed, per second. UNAVAILABLE and DEADLINE_EXCEEDED: see the consensus. INTERNAL: our fault, the trace says where.",
        unit: "reqps",
        width: 12,
        queries: [
          {
            expr: sum(["rpc.status_code"], rate(grpcServerCallDuration, { ...chosen, ...failed })),
            legend: legend("rpc.status_code"),
          },
        ],
        emptyUntil: ["a call has failed", "no failed calls"],
      }),
      table({
        title: "Methods",
        description: "All at once; sort by what worries you.",
        labels: { [labelName("rpc.method")]: "Method" },
        sortBy: "Calls /s",
        columns: [
          { title: "Calls /s", unit: "reqps", decimals: 2, expr: sum(byMethod, rate(grpcServerCallDuration, chosen)) },
          {
            title: "Failed",
            unit: "percentunit",
            decimals: 2,
            steps: [[0.01, "red"]],
            expr: failureRatio(grpcServerCallDuration, byMethod, chosen),
          },
          { title: "Median", unit: "s", expr: quantile(0.5, grpcServerCallDuration, byMethod, chosen) },
          { title: "p95", unit: "s", expr: quantile(0.95, grpcServerCallDuration, byMethod, chosen) },
          { title: "p99", unit: "s", expr: quantile(0.99, grpcServerCallDuration, byMethod, chosen) },
        ],
      }),
    ],
  };
}

function load(): Row {
  return {
    question: "Is somebody asking too much?",
    panels: [
      timeSeries({
        title: "Refused, by reason",
        description:
          "`auth` is a wrong or missing token, `overload` more than a node serves at once, `invalid` a request that breaks a limit, `shutting_down` a node that stops.",
        unit: "reqps",
        queries: [
          {
            expr: sum(["blixard.grpc.rejection_reason"], rate(grpcServerRejected)),
            legend: legend("blixard.grpc.rejection_reason"),
          },
        ],
      }),
      timeSeries({
        title: "Calls and streams under way, by method",
        description: "A stream that its caller forgot stays here.",
        queries: [{ expr: sum(byMethod, select(grpcServerCallActive, chosen)), legend: METHOD }],
      }),
      timeSeries({
        title: "Bytes",
        description: "Messages received and sent, before compression. Imports of images are the large ones.",
        unit: "Bps",
        queries: [
          { expr: sum([], rateOfSum(grpcServerRequestSize, chosen)), legend: "received" },
          { expr: sum([], rateOfSum(grpcServerResponseSize, chosen)), legend: "sent" },
        ],
      }),
    ],
  };
}

function others(): Row {
  const by = ["http.route", "http.response.status_code"] as const;
  return {
    question: "Who else asks? (metrics page and health, over HTTP)",
    panels: [
      timeSeries({
        title: "HTTP requests",
        description:
          "To the metrics listener, by route and status. 401 is a scraper with wrong credentials, 503 one too many at once.",
        unit: "reqps",
        width: 12,
        queries: [{ expr: sum(by, rate(httpServerRequestDuration)), legend: legend(...by) }],
        emptyUntil: ["somebody scrapes: nodes whose metrics only go out by OTLP have none", "nobody scrapes"],
      }),
      timeSeries({
        title: "HTTP requests: 95th percentile",
        description: "Time of a request, until its last byte. Near the scrape timeout, metrics get lost.",
        unit: "s",
        width: 12,
        queries: [{ expr: quantile(0.95, httpServerRequestDuration, ["http.route"]), legend: legend("http.route") }],
        emptyUntil: ["somebody scrapes: nodes whose metrics only go out by OTLP have none", "nobody scrapes"],
      }),
    ],
  };
}
