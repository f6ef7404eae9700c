/** A client of @grpc/grpc-js for any service of ours: what a stranger's program would use. */
import {
  fromBinary,
  toBinary,
  type DescService,
  type MessageShape,
  type DescMessage,
  create,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  Client,
  credentials,
  Metadata,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ServiceError,
} from "@grpc/grpc-js";

export interface GrpcMethod<I extends DescMessage, O extends DescMessage> {
  readonly name: string;
  readonly parent: DescService;
  readonly input: I;
  readonly output: O;
}

export interface GrpcClient extends Disposable {
  unary<I extends DescMessage, O extends DescMessage>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<MessageShape<O>>;
  serverStream<I extends DescMessage, O extends DescMessage>(
    method: GrpcMethod<I, O>,
    request: MessageInitShape<I>,
  ): ClientReadableStream<MessageShape<O>>;
  bidi<I extends DescMessage, O extends DescMessage>(
    method: GrpcMethod<I, O>,
  ): ClientDuplexStream<MessageShape<I>, MessageShape<O>>;
}

/** @param target `unix:PATH` or `host:port` */
export function createGrpcClient(target: string, metadata: Readonly<Record<string, string>> = {}): GrpcClient {
  const client = new Client(target, credentials.createInsecure());
  const pathOf = (method: { readonly name: string; readonly parent: DescService }): string =>
    `/${method.parent.typeName}/${method.name}`;
  const metadataOf = (more: Readonly<Record<string, string>> = {}): Metadata => {
    const values = new Metadata();
    for (const [key, value] of Object.entries({ ...metadata, ...more })) values.set(key, value);
    return values;
  };
  const serialize =
    <D extends DescMessage>(schema: D) =>
    (message: MessageShape<D>): Buffer =>
      Buffer.from(toBinary(schema, message));
  const deserialize =
    <D extends DescMessage>(schema: D) =>
    (bytes: Buffer): MessageShape<D> =>
      fromBinary(schema, bytes);

  return {
    unary: (method, request, more) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          pathOf(method),
          serialize(method.input),
          deserialize(method.output),
          create(method.input, request),
          metadataOf(more),
          (error: ServiceError | null, answer) => {
            if (error !== null) reject(error);
            else if (answer === undefined) reject(new Error("no answer"));
            else resolve(answer);
          },
        );
      }),
    serverStream: (method, request) =>
      client.makeServerStreamRequest(
        pathOf(method),
        serialize(method.input),
        deserialize(method.output),
        create(method.input, request),
        metadataOf(),
      ),
    bidi: (method) =>
      client.makeBidiStreamRequest(pathOf(method), serialize(method.input), deserialize(method.output), metadataOf()),
    [Symbol.dispose]: () => client.close(),
  };
}
