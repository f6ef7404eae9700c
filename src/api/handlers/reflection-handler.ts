/** gRPC's server reflection: clients learn services and messages from the node itself. */
import { create, createRegistry, fromBinary, toBinary, type DescFile, type DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, type ServiceImpl } from "@connectrpc/connect";
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
  type ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "#gen/grpc/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflectionRequestSchema as OldRequestSchema,
  ServerReflectionResponseSchema as OldResponseSchema,
  type ServerReflection as OldServerReflection,
} from "#gen/grpc/grpc/reflection/v1alpha/reflection_pb.ts";

export interface ReflectionHandler {
  readonly v1: ServiceImpl<typeof ServerReflection>;
  /** The same messages under their older name, which most clients still ask for. */
  readonly v1alpha: ServiceImpl<typeof OldServerReflection>;
}

export function createReflectionHandler(services: readonly DescService[]): ReflectionHandler {
  const answer = createAnswers(services);
  const respond = (request: ServerReflectionRequest): ServerReflectionResponse =>
    create(ServerReflectionResponseSchema, {
      validHost: request.host,
      originalRequest: request,
      messageResponse: answer(request.messageRequest),
    });

  return {
    v1: {
      async *serverReflectionInfo(requests) {
        for await (const request of requests) yield respond(request);
      },
    },
    v1alpha: {
      async *serverReflectionInfo(requests) {
        for await (const old of requests) {
          const request = fromBinary(ServerReflectionRequestSchema, toBinary(OldRequestSchema, old));
          yield fromBinary(OldResponseSchema, toBinary(ServerReflectionResponseSchema, respond(request)));
        }
      },
    },
  };
}

type Question = ServerReflectionRequest["messageRequest"];
type Answer = ServerReflectionResponse["messageResponse"];

function createAnswers(services: readonly DescService[]): (question: Question) => Answer {
  const files = new Map<string, DescFile>();
  for (const service of services) collectFiles(service.file, files);
  const registry = createRegistry(...files.values());
  const serviceNames = services.map((service) => service.typeName).toSorted();

  return (question) => {
    switch (question.case) {
      case "listServices":
        return listing(serviceNames);
      case "fileByFilename":
        return fileAnswer(files.get(question.value), question.value);
      case "fileContainingSymbol":
        return fileAnswer(fileOfSymbol(registry, question.value), question.value);
      case "fileContainingExtension":
      case "allExtensionNumbersOfType":
        return notFound("there are no extensions");
      default:
        return failure(Code.InvalidArgument, "the request asks nothing");
    }
  };
}

function collectFiles(file: DescFile, files: Map<string, DescFile>): void {
  if (files.has(file.proto.name)) return;
  files.set(file.proto.name, file);
  for (const dependency of file.dependencies) collectFiles(dependency, files);
}

/** Types and services by their names; methods by their service's. */
function fileOfSymbol(registry: ReturnType<typeof createRegistry>, symbol: string): DescFile | undefined {
  const name = symbol.replace(/^\./, "");
  return (registry.get(name) ?? registry.getService(name.slice(0, Math.max(0, name.lastIndexOf(".")))))?.file;
}

/** The file and everything it imports, so that one answer is enough. */
function fileAnswer(file: DescFile | undefined, asked: string): Answer {
  if (file === undefined) return notFound(`the node does not know ${JSON.stringify(asked.slice(0, 128))}`);
  const files = new Map<string, DescFile>();
  collectFiles(file, files);
  return {
    case: "fileDescriptorResponse",
    value: {
      $typeName: "grpc.reflection.v1.FileDescriptorResponse",
      fileDescriptorProto: [...files.values()].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto)),
    },
  };
}

function listing(names: readonly string[]): Answer {
  return {
    case: "listServicesResponse",
    value: {
      $typeName: "grpc.reflection.v1.ListServiceResponse",
      service: names.map((name) => ({ $typeName: "grpc.reflection.v1.ServiceResponse", name })),
    },
  };
}

const notFound = (message: string): Answer => failure(Code.NotFound, message);

function failure(errorCode: Code, errorMessage: string): Answer {
  return {
    case: "errorResponse",
    value: { $typeName: "grpc.reflection.v1.ErrorResponse", errorCode, errorMessage },
  };
}
