// Reads an AsyncAPI document as everybody else would, its examples included: node asyncapi.mjs FILE

import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const [file] = process.argv.slice(2);
const parser = new Parser();
const { document, diagnostics } = await parser.parse(await readFile(file, "utf8"));
// Of severities 0 is an error and 1 a warning; what is less is advice.
const wrong = diagnostics.filter(({ severity }) => severity <= 1);
for (const { code, message, path } of wrong) {
  console.error(`${path.join(".")}: ${message} (${code})`);
}
if (!document || wrong.length > 0) {
  process.exit(1);
}
console.log(
  `AsyncAPI ${document.version()}: ${document.channels().length} channels, ${document.operations().length} operations, ${document.messages().length} messages`,
);
