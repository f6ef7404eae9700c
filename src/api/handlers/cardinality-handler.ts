/** TelemetryService's cardinality: who costs how many series on this node, and what more would cost. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { TelemetryService } from "#gen/api/blixard/v1/telemetry_pb.ts";
import type { CardinalityForecast, CardinalityReader } from "../ports.ts";

export interface CardinalityHandlerOptions {
  readonly cardinality: CardinalityReader;
}

const DEFAULT_ADDITIONAL_VMS = 1_000;
const DEFAULT_ADDITIONAL_ATTRIBUTE_VALUES = 10;

export function createCardinalityHandler({
  cardinality,
}: CardinalityHandlerOptions): Pick<ServiceImpl<typeof TelemetryService>, "getCardinality"> {
  return {
    getCardinality(request) {
      const { metrics, series, samples, vms, forecast } = cardinality.read({
        additionalVms: request.additionalVms || DEFAULT_ADDITIONAL_VMS,
        additionalAttributeValues: request.additionalAttributeValues || DEFAULT_ADDITIONAL_ATTRIBUTE_VALUES,
      });
      return {
        metrics: metrics.map((metric) => ({
          ...metric,
          overflows: BigInt(metric.overflows),
          attributes: [...metric.attributes],
          forecast: forecastToMessage(metric.forecast),
        })),
        series: BigInt(series),
        samples: BigInt(samples),
        vms,
        forecast: forecastToMessage(forecast),
      };
    },
  };
}

function forecastToMessage(forecast: CardinalityForecast) {
  const { seriesWithAdditionalVms, seriesWithAdditionalAttribute, vmsUntilLimit } = forecast;
  return {
    seriesWithAdditionalVms: BigInt(seriesWithAdditionalVms),
    seriesWithAdditionalAttribute: BigInt(seriesWithAdditionalAttribute),
    ...(vmsUntilLimit === undefined ? {} : { vmsUntilLimit: BigInt(vmsUntilLimit) }),
  };
}
