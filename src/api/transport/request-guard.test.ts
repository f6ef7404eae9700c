import assert from "node:assert/strict";
import { test } from "node:test";
import { refuseRequest, type GuardedRequest } from "./request-guard.ts";

const policy = { allowedHosts: ["Node-1.example"], tokenFile: "/data/token" };
const good: GuardedRequest = {
  host: "127.0.0.1:7001",
  origin: undefined,
  service: "blixard.v1.VmService",
  hasToken: true,
};
const refusal = (change: Partial<GuardedRequest>): string | undefined =>
  refuseRequest({ ...good, ...change }, policy)?.code;

test("a caller with the token may call the node by an address, as localhost or by an allowed name", () => {
  for (const host of [
    "127.0.0.1:7001",
    "127.0.0.1",
    "[::1]:7001",
    "localhost:7001",
    "LOCALHOST",
    "node-1.example:80",
  ]) {
    assert.equal(refusal({ host }), undefined, host);
  }
});

test("a web page cannot have its own name resolved to the node", () => {
  for (const host of [
    "evil.example",
    "evil.example:7001",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "",
    "a b",
    "[::1",
    "u@127.0.0.1",
    "127.0.0.1:7001:1",
  ]) {
    assert.equal(refusal({ host }), "PERMISSION_DENIED", host);
  }
  assert.equal(refusal({ host: undefined }), "PERMISSION_DENIED");
});

test("a web page of another origin is refused, even with the token; the node's own is not", () => {
  assert.equal(refusal({ origin: "http://127.0.0.1:7001" }), undefined);
  for (const origin of ["http://evil.example", "https://127.0.0.1:7001", "http://127.0.0.1:8080", "null", ""]) {
    assert.equal(refusal({ origin }), "PERMISSION_DENIED", origin);
  }
});

test("without the token only health answers", () => {
  assert.equal(refusal({ hasToken: false }), "UNAUTHENTICATED");
  assert.equal(refusal({ hasToken: false, service: "grpc.reflection.v1.ServerReflection" }), "UNAUTHENTICATED");
  assert.equal(refusal({ hasToken: false, service: "" }), "UNAUTHENTICATED");
  assert.equal(refusal({ hasToken: false, service: "grpc.health.v1.Health" }), undefined);
});
