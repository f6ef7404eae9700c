import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type PageFormat, readPage } from "./openmetrics-validator.ts";

const good: readonly [name: string, format: PageFormat, page: string][] = [
  ["an empty page", "openmetrics", "# EOF\n"],
  [
    "a counter",
    "openmetrics",
    '# TYPE a_seconds counter\n# UNIT a_seconds seconds\n# HELP a_seconds A.\na_seconds_total{x="1"} 2\n# EOF\n',
  ],
  ["a gauge with escapes", "openmetrics", '# TYPE a gauge\na{x="\\"\\\\\\n"} +Inf\na{x="é,}="} -1.5e+3\n# EOF\n'],
  [
    "a histogram",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 2\na_sum 3\na_count 2\n# EOF\n',
  ],
  ["an info", "openmetrics", '# TYPE target info\ntarget_info{a="b"} 1\n# EOF\n'],
  ["a counter of the old format", "prometheus_text", "# TYPE a_total counter\n# HELP a_total A.\na_total 2\n"],
];

const bad: readonly [name: string, format: PageFormat, page: string][] = [
  ["no EOF", "openmetrics", "# TYPE a gauge\na 1\n"],
  ["no last line feed", "openmetrics", "# EOF"],
  ["a line after EOF", "openmetrics", "# EOF\n# EOF\n"],
  ["EOF in the old format", "prometheus_text", "# EOF\n"],
  ["an empty line", "openmetrics", "# TYPE a gauge\n\na 1\n# EOF\n"],
  ["a carriage return", "openmetrics", "# TYPE a gauge\r\na 1\n# EOF\n"],
  ["a sample without TYPE", "openmetrics", "a 1\n# EOF\n"],
  ["HELP before TYPE", "openmetrics", "# HELP a A.\n# TYPE a gauge\na 1\n# EOF\n"],
  [
    "UNIT after HELP",
    "openmetrics",
    "# TYPE a_bytes gauge\n# HELP a_bytes A.\n# UNIT a_bytes bytes\na_bytes 1\n# EOF\n",
  ],
  ["UNIT in the old format", "prometheus_text", "# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 1\n"],
  ["a unit that is no suffix", "openmetrics", "# TYPE a gauge\n# UNIT a bytes\na 1\n# EOF\n"],
  ["a family twice", "openmetrics", "# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na 2\n# EOF\n"],
  ["interleaved families", "openmetrics", '# TYPE a gauge\na 1\n# TYPE b gauge\nb 1\na{x="1"} 1\n# EOF\n'],
  ["a series twice", "openmetrics", '# TYPE a gauge\na{x="1",y="2"} 1\na{y="2",x="1"} 1\n# EOF\n'],
  ["a label twice", "openmetrics", '# TYPE a gauge\na{x="1",x="2"} 1\n# EOF\n'],
  ["a bad label name", "openmetrics", '# TYPE a gauge\na{x.y="1"} 1\n# EOF\n'],
  ["a raw quote", "openmetrics", '# TYPE a gauge\na{x="""} 1\n# EOF\n'],
  ["an unknown escape", "openmetrics", '# TYPE a gauge\na{x="\\t"} 1\n# EOF\n'],
  ["a bad value", "openmetrics", "# TYPE a gauge\na 0x1\n# EOF\n"],
  ["no value", "openmetrics", "# TYPE a gauge\na \n# EOF\n"],
  ["a counter without _total", "openmetrics", "# TYPE a counter\na 1\n# EOF\n"],
  ["a counter's TYPE with _total", "openmetrics", "# TYPE a_total counter\na_total 1\n# EOF\n"],
  ["a falling counter", "openmetrics", "# TYPE a counter\na_total -1\n# EOF\n"],
  [
    "a bare le",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n# EOF\n',
  ],
  ["no +Inf", "openmetrics", '# TYPE a histogram\na_bucket{le="1.0"} 1\na_sum 1\na_count 1\n# EOF\n'],
  [
    "falling buckets",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n# EOF\n',
  ],
  [
    "bounds out of order",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="2.0"} 1\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n# EOF\n',
  ],
  ["a wrong _count", "openmetrics", '# TYPE a histogram\na_bucket{le="+Inf"} 2\na_sum 3\na_count 3\n# EOF\n'],
  ["no _sum", "openmetrics", '# TYPE a histogram\na_bucket{le="+Inf"} 2\na_count 2\n# EOF\n'],
  [
    "a family named like another's sample",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="+Inf"} 2\na_sum 3\na_count 2\n# TYPE a_created gauge\na_created 1\n# EOF\n',
  ],
];

describe("the reader of metric pages", () => {
  for (const [name, format, page] of good) test(`accepts ${name}`, () => assert.ok(readPage(page, format)));
  for (const [name, format, page] of bad) test(`refuses ${name}`, () => assert.throws(() => readPage(page, format)));
  test("gives labels as they were before escaping", () => {
    const [family] = readPage('# TYPE a gauge\na{x="\\"\\\\\\n,}"} 1\n# EOF\n', "openmetrics");
    assert.equal(family?.samples[0]?.labels.get("x"), '"\\\n,}');
  });
});
