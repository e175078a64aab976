import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const page = readFileSync(new URL("../index.html", import.meta.url), "utf8");

test("every module is named in the page, so that all load at once and not one level of imports after another", () => {
  const modules = readdirSync(new URL("..", import.meta.url)).filter((name) => name.endsWith(".js"));
  const named = [...page.matchAll(/(?:src|rel="modulepreload" href)="([a-z]+\.js)"/g)].map(([, name]) => name);
  assert.deepEqual(named.sort(), modules.sort());
});
