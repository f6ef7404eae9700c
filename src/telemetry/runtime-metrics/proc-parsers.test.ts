import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseCounters, parseDiskstats, parseMeminfo, parseMounts, parseNetDev, parseStat } from "./proc-parsers.ts";

describe("files under /proc", () => {
  test("/proc/stat: seconds by mode, both kinds of interrupt together", () => {
    const text = "cpu  100 200 300 400 500 600 700 800 900 1000\ncpu0 1 2 3 4\nintr 5\nprocesses 4242\n";
    assert.deepEqual(parseStat(text), {
      cpu: { user: 1, nice: 2, system: 3, idle: 4, iowait: 5, interrupt: 13, steal: 8 },
      processesCreated: 4242,
    });
  });

  test("/proc/meminfo: bytes", () => {
    const meminfo = parseMeminfo("MemTotal:       16384 kB\nHugePages_Total:       2\nActive(anon):   1 kB\n");
    assert.deepEqual(
      [...meminfo],
      [
        ["MemTotal", 16_777_216],
        ["HugePages_Total", 2],
        ["Active(anon)", 1_024],
      ],
    );
  });

  test("/proc/vmstat and /proc/self/io: numbers by name", () => {
    assert.deepEqual(
      [...parseCounters("pgfault 12\npgmajfault 3\n")],
      [
        ["pgfault", 12],
        ["pgmajfault", 3],
      ],
    );
    assert.deepEqual(
      [...parseCounters("read_bytes: 7\nwrite_bytes: 8\n")],
      [
        ["read_bytes", 7],
        ["write_bytes", 8],
      ],
    );
  });

  test("/proc/diskstats: sectors become bytes, milliseconds seconds", () => {
    const [disk] = parseDiskstats("   8       0 sda 10 1 20 3000 40 5 60 7000 8 9000 10000 0 0 0 0\n   8 1\n");
    assert.deepEqual(disk, {
      device: "sda",
      reads: 10,
      readBytes: 10_240,
      readSeconds: 3,
      writes: 40,
      writtenBytes: 30_720,
      writeSeconds: 7,
      busySeconds: 9,
    });
  });

  test("/proc/net/dev: both directions, without the two lines of headings", () => {
    const text = [
      "Inter-|   Receive                                                |  Transmit",
      " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed",
      "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
      "",
    ].join("\n");
    assert.deepEqual(parseNetDev(text), [
      {
        name: "eth0",
        receive: { bytes: 1, packets: 2, errors: 3, dropped: 4 },
        transmit: { bytes: 9, packets: 10, errors: 11, dropped: 12 },
      },
    ]);
  });

  test("/proc/self/mounts: spaces in paths come back", () => {
    assert.deepEqual(parseMounts("/dev/sda1 /mnt/a\\040b ext4 ro,relatime 0 0\ntmpfs /run tmpfs rw 0 0\n"), [
      { device: "/dev/sda1", mountpoint: "/mnt/a b", type: "ext4", mode: "ro" },
      { device: "tmpfs", mountpoint: "/run", type: "tmpfs", mode: "rw" },
    ]);
  });

  test("no text, however odd, makes a parser throw", () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom("cpu", "cpu  x y", "  8 0 sda", "eth0:", "MemTotal: kB", "a b", "processes"),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.join("\n");
        for (const parse of [parseStat, parseMeminfo, parseCounters, parseDiskstats, parseNetDev, parseMounts])
          parse(text);
      }),
    );
  });
});
