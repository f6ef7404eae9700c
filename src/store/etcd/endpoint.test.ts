import assert from "node:assert/strict";
import { test } from "node:test";
import { BlixardError, type ErrorCode } from "#model/errors.ts";
import { describeEndpoint, parseEtcdEndpoint, unixEndpoint } from "./endpoint.ts";

test("an endpoint of the configuration is read with its default port and its TLS", () => {
  const read = (text: string): string => describeEndpoint(parseEtcdEndpoint(text));
  assert.equal(read("http://127.0.0.1:2379"), "http://127.0.0.1:2379");
  assert.equal(read("http://etcd-1"), "http://etcd-1:2379");
  assert.equal(read("https://etcd-1/"), "https://etcd-1:2379");
  // The default ports of the schemes are ports like any other here.
  assert.equal(read("http://etcd-1:80"), "http://etcd-1:80");
  assert.equal(read("https://etcd-1:443"), "https://etcd-1:443");
  assert.equal(read("https://[::1]:12379"), "https://[::1]:12379");
  assert.deepEqual(parseEtcdEndpoint("https://[::1]"), { kind: "tcp", host: "::1", port: 2379, secure: true });
});

test("what is no endpoint is refused with an example", () => {
  for (const text of [
    "",
    "etcd-1:2379",
    "unix:///run/etcd",
    "http://user:secret@etcd-1",
    "http://etcd-1/v3",
    "http://etcd-1?x",
  ]) {
    assert.throws(() => parseEtcdEndpoint(text), hasCode("CONFIG_INVALID"), text);
  }
});

test("a socket's path must fit into a socket's address", () => {
  assert.equal(describeEndpoint(unixEndpoint("/run/blixard/a")), "unix:/run/blixard/a");
  assert.throws(() => unixEndpoint(`/${"x".repeat(107)}`), hasCode("DATA_DIRECTORY_UNUSABLE"));
});

function hasCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof BlixardError && error.code === code;
}
