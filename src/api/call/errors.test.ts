import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorDetailSchema, type ErrorDetail } from "#gen/api/blixard/v1/common_pb.ts";
import { BlixardError, errorCodes, withContext, type ErrorCode } from "#model/errors.ts";
import { statusNameOf, toConnectError } from "./errors.ts";

function detailOf(error: ConnectError): ErrorDetail {
  const [detail] = error.findDetails(ErrorDetailSchema);
  assert.ok(detail);
  return create(ErrorDetailSchema, detail);
}

test("every code of the table reaches the wire with its own status, code and fault", () => {
  for (const code of Object.keys(errorCodes) as ErrorCode[]) {
    const error = toConnectError(
      new BlixardError(code, "what went wrong", { hint: "what to do", field: "spec.vcpus" }),
    );
    assert.equal(statusNameOf(error), errorCodes[code].grpc);
    const { code: sent, hint, field, fault } = detailOf(error);
    assert.deepEqual(
      { sent, hint, field, fault },
      { sent: code, hint: "what to do", field: "spec.vcpus", fault: errorCodes[code].fault },
    );
  }
});

test("the cause chain is told, outermost first, without repeating the message", () => {
  const root = new BlixardError("STORE_UNAVAILABLE", "etcd does not answer", { cause: new Error("ECONNREFUSED") });
  const error = toConnectError(withContext(root, "cannot create VM web-1"));
  assert.equal(error.rawMessage, "cannot create VM web-1");
  assert.deepEqual(detailOf(error).causes, ["etcd does not answer", "ECONNREFUSED"]);
});

test("an error that nobody expected tells the caller nothing of its insides", () => {
  const error = toConnectError(new TypeError("cannot read /srv/.ssh of undefined"));
  assert.equal(error.code, Code.Internal);
  assert.doesNotMatch(JSON.stringify([error.rawMessage, detailOf(error)]), /ssh|undefined|errors.test/);
  assert.equal(detailOf(error).code, "INTERNAL");
});

test("what Connect calls internal although the request is to blame becomes INVALID_ARGUMENT", () => {
  for (const message of ["parse binary: premature EOF", "protocol error: missing input message for unary method"]) {
    const error = toConnectError(new ConnectError(message, Code.Internal));
    assert.equal(error.code, Code.InvalidArgument);
    assert.equal(detailOf(error).code, "INVALID_ARGUMENT");
  }
  assert.equal(
    detailOf(toConnectError(new ConnectError("too large", Code.ResourceExhausted))).code,
    "REQUEST_TOO_LARGE",
  );
});

test("however long an error's texts are, its metadata stays small enough for any client", () => {
  let error = new BlixardError("INTERNAL", "x".repeat(100_000), { hint: "y".repeat(100_000) });
  for (let depth = 0; depth < 50; depth++) error = withContext(error, `${depth} ${"z".repeat(10_000)}`);
  const sent = toConnectError(error);
  assert.ok(JSON.stringify(detailOf(sent)).length + sent.rawMessage.length < 6_000);
});

test("cancelled and timed-out work is told apart", () => {
  const abort = new AbortController();
  abort.abort();
  assert.equal(toConnectError(abort.signal.reason).code, Code.Canceled);
  assert.equal(toConnectError(new DOMException("late", "TimeoutError")).code, Code.DeadlineExceeded);
});
