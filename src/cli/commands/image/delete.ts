/** `blixard image delete` */
import { create } from "@bufbuild/protobuf";
import { DeleteImageRequestSchema, DeleteImageResponseSchema, ImageService } from "#gen/api/blixard/v1/image_pb.ts";
import { anyText, defineCommand, option } from "../../command.ts";
import { nodeOptions } from "../../node-options.ts";
import { printable } from "../../output/text.ts";

export const imageDelete = defineCommand({
  description: "Refused while a VM uses it.",
  arguments: { image: { description: "Name of the image.", complete: "image" } },
  options: { operationId: option("ID", "The same id with the same request is done once.", anyText), ...nodeOptions },
  examples: [{ command: "blixard image delete demo", explanation: "Delete an image" }],
  run: async ({ node, printer, signal, trace }, { image }, { operationId = "" }) => {
    trace.setAttribute("blixard.image.name", image);
    const images = await node.client(ImageService);
    const response = await images.deleteImage(create(DeleteImageRequestSchema, { name: image, operationId }), {
      signal,
    });
    await printer.message(DeleteImageResponseSchema, response, () => [printable(`${image} is deleted`)]);
  },
});
