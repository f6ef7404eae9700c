/** `deploy/grafana/dashboards/*.json`: what `npm run generate` writes and `generate --check` holds against the files. */
import type { GeneratedFiles } from "../generate/output.ts";
import { consensusDashboard } from "./consensus.ts";
import { buildDashboard } from "./dashboard.ts";
import { fleetDashboard } from "./fleet.ts";
import { nodeDashboard } from "./node.ts";
import { peersDashboard } from "./peers.ts";
import { rpcDashboard } from "./rpc.ts";
import { telemetryDashboard } from "./telemetry.ts";
import { vmDashboard } from "./vm.ts";

export const dashboardsFolder = "deploy/grafana/dashboards";

export function generateDashboards(): GeneratedFiles {
  const specs = [
    fleetDashboard(),
    nodeDashboard(),
    vmDashboard(),
    consensusDashboard(),
    rpcDashboard(),
    peersDashboard(),
    telemetryDashboard(),
  ];
  return new Map(
    specs.map((spec) => [
      `${dashboardsFolder}/${spec.uid}.json`,
      `${JSON.stringify(buildDashboard(spec), undefined, 2)}\n`,
    ]),
  );
}
