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
  ["an info of ours", "openmetrics", '# TYPE a info\n# HELP a A.\na_info{v="1"} 1\na_info{v="2"} 1\n# EOF\n'],
  [
    "a stateset",
    "openmetrics",
    '# TYPE a stateset\na{a="on",x="1"} 1\na{a="off",x="1"} 0\na{a="on",x="2"} 0\na{a="off",x="2"} 0\n# EOF\n',
  ],
  ["an unknown", "openmetrics", "# TYPE a unknown\na -1\n# EOF\n"],
  ["NaN of a gauge", "openmetrics", "# TYPE a gauge\na NaN\n# EOF\n"],
  [
    "exemplars",
    "openmetrics",
    '# TYPE a counter\na_total 1 # {trace_id="x"} 0.5 1700000000.5\n# TYPE b histogram\nb_bucket{le="1.0"} 1 # {} 1\nb_bucket{le="+Inf"} 2 # {t="\\" # {"} 1.5 3\nb_sum 3\nb_count 2\n# EOF\n',
  ],
  [
    "a histogram below zero",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="-1.0"} 1\na_bucket{le="+Inf"} 2\n# EOF\n',
  ],
  [
    "a gauge histogram",
    "openmetrics",
    '# TYPE a gaugehistogram\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 2\na_gsum 3\na_gcount 2\n# EOF\n',
  ],
  [
    "a summary",
    "openmetrics",
    '# TYPE a summary\na{quantile="0.5"} 1\na{quantile="0.99"} 2\na_sum 3\na_count 2\n# EOF\n',
  ],
  ["when something began to count", "openmetrics", "# TYPE a counter\na_total 1\na_created 1700000000.5\n# EOF\n"],
  ["an empty page of the old format", "prometheus_text", ""],
  ["an untyped of the old format", "prometheus_text", "# TYPE a untyped\na 2\n"],
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
  ["a timestamp", "openmetrics", "# TYPE a gauge\na 1 1700000000\n# EOF\n"],
  ["a lone surrogate", "openmetrics", '# TYPE a gauge\na{x="\ud800"} 1\n# EOF\n'],
  ["a reserved label", "openmetrics", '# TYPE a gauge\na{__name__="1"} 1\n# EOF\n'],
  [
    "a series that comes back",
    "openmetrics",
    '# TYPE a counter\na_total{x="1"} 1\na_total{x="2"} 1\na_created{x="1"} 1\n# EOF\n',
  ],
  ["an info that is not 1", "openmetrics", '# TYPE a info\na_info{v="1"} 2\n# EOF\n'],
  ["an info's TYPE with _info", "openmetrics", '# TYPE a_info info\na_info{v="1"} 1\n# EOF\n'],
  ["an info in the old format", "prometheus_text", '# TYPE a info\na_info{v="1"} 1\n'],
  ["a unit of an info", "openmetrics", "# TYPE a_bytes info\n# UNIT a_bytes bytes\na_bytes_info 1\n# EOF\n"],
  [
    "a unit of a stateset",
    "openmetrics",
    '# TYPE a_bytes stateset\n# UNIT a_bytes bytes\na_bytes{a_bytes="x"} 1\n# EOF\n',
  ],
  ["a state of 2", "openmetrics", '# TYPE a stateset\na{a="on"} 2\n# EOF\n'],
  ["a state without its label", "openmetrics", '# TYPE a stateset\na{b="on"} 1\n# EOF\n'],
  [
    "states of two things mixed",
    "openmetrics",
    '# TYPE a stateset\na{a="on",x="1"} 1\na{a="on",x="2"} 0\na{a="off",x="1"} 0\n# EOF\n',
  ],
  ["a stateset in the old format", "prometheus_text", '# TYPE a stateset\na{a="on"} 1\n'],
  ["unknown in the old format", "prometheus_text", "# TYPE a unknown\na 1\n"],
  ["untyped in the new format", "openmetrics", "# TYPE a untyped\na 1\n# EOF\n"],
  ["an exemplar on a gauge", "openmetrics", "# TYPE a gauge\na 1 # {} 1\n# EOF\n"],
  [
    "an exemplar on a sum",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="+Inf"} 1\na_sum 1 # {} 1\na_count 1\n# EOF\n',
  ],
  ["an exemplar on _created", "openmetrics", "# TYPE a counter\na_total 1\na_created 1 # {} 1\n# EOF\n"],
  ["an exemplar in the old format", "prometheus_text", "# TYPE a_total counter\na_total 1 # {} 1\n"],
  ["an exemplar without braces", "openmetrics", "# TYPE a counter\na_total 1 # 1\n# EOF\n"],
  ["an exemplar without a value", "openmetrics", '# TYPE a counter\na_total 1 # {t="1"}\n# EOF\n'],
  ["a long exemplar", "openmetrics", `# TYPE a counter\na_total 1 # {t="${"x".repeat(128)}"} 1\n# EOF\n`],
  ["an exemplar with a bad time", "openmetrics", "# TYPE a counter\na_total 1 # {} 1 now\n# EOF\n"],
  [
    "an exemplar above its bucket",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="1.0"} 1 # {} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n# EOF\n',
  ],
  [
    "an exemplar below its bucket",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 1 # {} 1\na_sum 1\na_count 1\n# EOF\n',
  ],
  [
    "a sum with buckets below zero",
    "openmetrics",
    '# TYPE a histogram\na_bucket{le="-1.0"} 1\na_bucket{le="+Inf"} 2\na_sum 1\na_count 2\n# EOF\n',
  ],
  ["half a count", "openmetrics", '# TYPE a histogram\na_bucket{le="+Inf"} 1.5\na_sum 1\na_count 1.5\n# EOF\n'],
  [
    "_count of a gauge histogram",
    "openmetrics",
    '# TYPE a gaugehistogram\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n# EOF\n',
  ],
  [
    "a negative sum of a gauge histogram",
    "openmetrics",
    '# TYPE a gaugehistogram\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 1\na_gsum -1\na_gcount 1\n# EOF\n',
  ],
  ["a quantile above 1", "openmetrics", '# TYPE a summary\na{quantile="1.5"} 1\n# EOF\n'],
  ["no quantile", "openmetrics", "# TYPE a summary\na 1\n# EOF\n"],
  ["a counter that is NaN", "openmetrics", "# TYPE a counter\na_total NaN\n# EOF\n"],
  [
    "a family named like another",
    "prometheus_text",
    '# TYPE a histogram\na_bucket{le="+Inf"} 2\na_sum 3\na_count 2\n# TYPE a_count gauge\na_count{x="1"} 1\n',
  ],
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
