/** Scrapes as tests do it: every page that is looked at is held to its format first. */
import assert from "node:assert/strict";
import { type PageFormat, readPage } from "./openmetrics-validator.ts";

const accept: Readonly<Record<PageFormat, string>> = {
  openmetrics: "application/openmetrics-text; version=1.0.0",
  prometheus_text: "text/plain; version=0.0.4",
};

/** The page as text. @throws when it breaks a rule of its format */
export async function scrapePage(url: string | URL, format: PageFormat = "prometheus_text"): Promise<string> {
  const response = await fetch(url, { headers: { accept: accept[format] } });
  const page = await response.text();
  assert.equal(response.status, 200, page);
  readPage(page, format);
  return page;
}
