/** How each listener knows its callers. */
import type { Secret } from "#model/secret.ts";
import type { ListenerView } from "../call/dispatcher.ts";
import { isAuthorized } from "./bearer-token.ts";
import type { HttpRequest } from "./http-front.ts";
import { refuseRequest, type GuardPolicy } from "./request-guard.ts";

/** Whoever can open the socket owns the node. */
export function createSocketView(): ListenerView {
  return { identify: () => ({ caller: { listener: "unix", authenticated: true }, refusal: undefined }) };
}

export function createTcpView(token: Secret, policy: GuardPolicy): ListenerView {
  return {
    identify(request, service) {
      const hasToken = isAuthorized(request.headers.authorization, token);
      const { origin } = request.headers;
      const error = refuseRequest({ host: hostOf(request), origin, service, hasToken }, policy);
      return {
        caller: { listener: "tcp", authenticated: hasToken },
        refusal: error === undefined ? undefined : { reason: "auth", error },
      };
    },
  };
}

function hostOf(request: HttpRequest): string | undefined {
  return "authority" in request ? request.authority : request.headers.host;
}
