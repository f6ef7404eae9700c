/**
 * A node for tests of the CLI: the real services on a real unix socket, answered
 * by what the test says. It remembers the calls and the spans handed in.
 */
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ConnectRouter, Interceptor, ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ENDPOINTS_FILE, resolveRunDirectory } from "#config/paths.ts";
import { ClusterService } from "#gen/api/blixard/v1/cluster_pb.ts";
import { ImageService } from "#gen/api/blixard/v1/image_pb.ts";
import { NodeService } from "#gen/api/blixard/v1/node_pb.ts";
import { type Span, TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import { VmService } from "#gen/api/blixard/v1/vm_pb.ts";

export interface FakeServices {
  readonly vms?: Partial<ServiceImpl<typeof VmService>>;
  readonly images?: Partial<ServiceImpl<typeof ImageService>>;
  readonly nodes?: Partial<ServiceImpl<typeof NodeService>>;
  readonly cluster?: Partial<ServiceImpl<typeof ClusterService>>;
  readonly telemetry?: Partial<ServiceImpl<typeof TelemetryService>>;
}

export interface RecordedCall {
  /** `blixard.v1.VmService/CreateVm` */
  readonly method: string;
  readonly headers: Headers;
}

export class FakeNode implements AsyncDisposable {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly socketPath: string;
  /** What a CLI needs to find this node by its data directory. */
  readonly environment: Readonly<Record<string, string>>;
  readonly calls: RecordedCall[] = [];
  readonly spans: Span[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #server: Http2Server;

  private constructor(directory: string, services: FakeServices) {
    this.directory = directory;
    this.dataDirectory = join(directory, "data");
    this.environment = { BLIXARD_NODE__RUN_DIR: join(directory, "run"), BLIXARD_DATA_DIR: this.dataDirectory };
    this.socketPath = join(resolveRunDirectory(this.dataDirectory, this.environment), "api.sock");
    this.#server = createServer(connectNodeAdapter({ routes: (router) => this.#addRoutes(router, services) }));
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
    });
  }

  static async start(services: FakeServices): Promise<FakeNode> {
    const node = new FakeNode(await mkdtemp(join(tmpdir(), "blixard-fake-")), services);
    await mkdir(dirname(node.socketPath), { recursive: true });
    node.#server.listen(node.socketPath);
    await once(node.#server, "listening");
    const endpoints = {
      nodeId: "node-1",
      pid: process.pid,
      startTime: "1",
      api: { unix: node.socketPath, tcp: "127.0.0.1:1" },
    };
    await writeFile(join(dirname(node.socketPath), ENDPOINTS_FILE), JSON.stringify(endpoints));
    return node;
  }

  /** Ends every connection, as a crash would; the node goes on listening. */
  dropConnections(): void {
    for (const session of this.#sessions) session.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.dropConnections();
    this.#server.close();
    await rm(this.directory, { recursive: true, force: true });
  }

  #addRoutes(router: ConnectRouter, services: FakeServices): void {
    const record: Interceptor = (next) => (request) => {
      this.calls.push({ method: `${request.service.typeName}/${request.method.name}`, headers: request.header });
      return next(request);
    };
    const options = { interceptors: [record] };
    router.service(VmService, services.vms ?? {}, options);
    router.service(ImageService, services.images ?? {}, options);
    router.service(NodeService, services.nodes ?? {}, options);
    router.service(ClusterService, services.cluster ?? {}, options);
    const recordSpans: ServiceImpl<typeof TelemetryService>["recordSpans"] = ({ spans }) => {
      this.spans.push(...spans);
      return { accepted: spans.length };
    };
    router.service(TelemetryService, { recordSpans, ...services.telemetry }, options);
  }
}
