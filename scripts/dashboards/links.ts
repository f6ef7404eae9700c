/** From one dashboard to another, with the time and the choice of nodes kept. */
import { labelName, type Label } from "./promql.ts";
import type { Link } from "./panels.ts";

export const uids = {
  fleet: "blixard-fleet",
  node: "blixard-node",
  vm: "blixard-vm",
  consensus: "blixard-consensus",
  rpc: "blixard-rpc",
  peers: "blixard-peers",
  telemetry: "blixard-telemetry",
} as const;

/** To the node of the series, or of the row. */
export function nodeLink(at: "series" | "row"): Link {
  return { title: "Open this node", url: url(uids.node, "job", { node: valueOf("blixard.node.id", at) }) };
}

/** To the VM of the series, or of the row. */
export function vmLink(at: "series" | "row"): Link {
  return { title: "Open this VM", url: url(uids.vm, "job,node", { vm: valueOf("blixard.vm.name", at) }) };
}

/** To another dashboard with the same choice. */
export function dashboardLink(title: string, uid: string): Link {
  return { title, url: url(uid, "job,node", {}) };
}

function url(uid: string, kept: string, set: Readonly<Record<string, string>>): string {
  const parameters = [
    "var-datasource=${datasource}",
    ...kept.split(",").map((name) => `\${${name}:queryparam}`),
    ...Object.entries(set).map(([name, value]) => `var-${name}=${value}`),
    "${__url_time_range}",
  ];
  return `/d/${uid}?${parameters.join("&")}`;
}

function valueOf(label: Label, at: "series" | "row"): string {
  return at === "series" ? `\${__field.labels.${labelName(label)}}` : "${__value.text}";
}
