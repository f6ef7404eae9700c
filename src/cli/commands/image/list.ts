/** `blixard image list` */
import { create } from "@bufbuild/protobuf";
import {
  ImageFileRole,
  ImageService,
  ListImagesRequestSchema,
  ListImagesResponseSchema,
  type Image,
} from "#gen/api/blixard/v1/image_pb.ts";
import { approximateSize } from "#model/quantity.ts";
import { defineCommand } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { enumText } from "../../output/enum-text.ts";
import { renderTable, type TableLayout } from "../../output/table.ts";
import { ageText } from "../../output/time.ts";

export const imageList = defineCommand({
  arguments: {},
  options: { ...nodeOptions },
  examples: [{ command: "blixard image list", explanation: "All images" }],
  readOnly: true,
  run: async ({ node, io, printer, signal }) => {
    const images = await node.client(ImageService);
    const all = create(ListImagesResponseSchema);
    let pageToken = "";
    do {
      const page = await images.listImages(create(ListImagesRequestSchema, { pageToken }), { signal });
      all.images.push(...page.images);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    await printer.message(ListImagesResponseSchema, all, (layout) => imageTable(all.images, io.now(), layout));
  },
});

function imageTable(images: readonly Image[], nowMs: number, layout: TableLayout): readonly string[] {
  if (images.length === 0) return ["There are no images. `blixard image import` brings one."];
  return renderTable(
    [
      { title: "NAME", value: (image) => image.name },
      { title: "DIGEST", value: (image) => image.digest.replace(/^sha256:/, "").slice(0, 12) },
      { title: "FILES", value: (image) => image.files.map(({ role }) => enumText(ImageFileRole, role)).join(" ") },
      { title: "SIZE", align: "right", value: (image) => approximateSize(Number(image.sizeBytes)) },
      { title: "AGENT", value: (image) => (image.guestAgent ? "yes" : "no") },
      { title: "USED BY", value: (image) => image.usedBy.join(" ") },
      { title: "AGE", align: "right", value: (image) => ageText(image.createTime, nowMs) },
    ],
    images,
    layout,
  );
}
