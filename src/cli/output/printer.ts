/** Results on stdout, in the form that `-o` asks for. Messages for people go to stderr, never here. */
import type { DescMessage, JsonValue, MessageShape } from "@bufbuild/protobuf";
import type { CliIo } from "../io.ts";
import { chooseStyle, type Style } from "./style.ts";
import type { TableLayout } from "./table.ts";

export const outputFormats = ["table", "json", "yaml"] as const;
export type OutputFormat = (typeof outputFormats)[number];

export class Printer {
  readonly format: OutputFormat;
  readonly style: Style;
  readonly #io: CliIo;

  constructor(format: OutputFormat, io: CliIo) {
    this.format = format;
    this.style = chooseStyle(io.stdout, io.environment);
    this.#io = io;
  }

  get layout(): TableLayout {
    return { width: this.#io.stdout.isTerminal ? this.#io.stdout.columns : undefined, style: this.style };
  }

  /** One RPC response: as proto3 JSON or YAML, or the lines that `forPeople` makes. */
  async message<D extends DescMessage>(
    schema: D,
    message: MessageShape<D>,
    forPeople: (layout: TableLayout) => readonly string[],
  ): Promise<void> {
    if (this.format === "table") await this.lines(forPeople(this.layout));
    else await this.json(await toProtoJson(schema, message));
  }

  /** One message of a stream: JSON on one line, YAML as a document, or lines for people. */
  async streamed<D extends DescMessage>(
    schema: D,
    message: MessageShape<D>,
    forPeople: () => readonly string[],
  ): Promise<void> {
    if (this.format === "table") await this.lines(forPeople());
    else if (this.format === "json") await this.lines([JSON.stringify(await toProtoJson(schema, message))]);
    else await this.#io.stdout.write(`---\n${await toYaml(await toProtoJson(schema, message))}`);
  }

  async json(value: JsonValue): Promise<void> {
    if (this.format === "yaml") await this.#io.stdout.write(await toYaml(value));
    else await this.lines([JSON.stringify(value, undefined, 2)]);
  }

  async lines(lines: readonly string[]): Promise<void> {
    if (lines.length > 0) await this.#io.stdout.write(`${lines.join("\n")}\n`);
  }
}

async function toYaml(value: JsonValue): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value);
}

async function toProtoJson<D extends DescMessage>(schema: D, message: MessageShape<D>): Promise<JsonValue> {
  const { toJson } = await import("@bufbuild/protobuf");
  return toJson(schema, message);
}
