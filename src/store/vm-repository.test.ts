import assert from "node:assert/strict";
import { test } from "node:test";
import { createImageRepository } from "./image-repository.ts";
import { createMemoryKeyValueStore } from "./memory/memory-key-value-store.ts";
import { anImage, aCreateVm } from "#test/support/store-fixtures.ts";
import { createVmRepository } from "./vm-repository.ts";

test("a VM that was created is found by its id and by its name", async () => {
  const store = createMemoryKeyValueStore();
  await createImageRepository(store).create(anImage());
  const vms = createVmRepository(store);
  const { vm, changed } = await vms.create(aCreateVm());
  assert.equal(changed, true);
  assert.deepEqual(await vms.get(vm.value.id), vm);
  assert.deepEqual(await vms.getByName("web-1"), vm);
  await store.close();
});
