import assert from "node:assert/strict";
import { test } from "node:test";
import { Muting } from "../muting.js";

const muted = (source) => ({ type: "track", sequence: 1, event: "muted", participant: "p1", source });

test("the echo of our own request is no order, and the same event without a request is one", async () => {
  let answer = () => undefined;
  const muting = new Muting(() => new Promise((resolve) => (answer = resolve)));
  const said = muting.say("microphone", false);
  assert.equal(muting.ordered(muted("microphone")), null);
  assert.equal(muting.ordered(muted("camera")), "camera");
  answer();
  await said;
  assert.equal(muting.ordered(muted("microphone")), "microphone");
});

test("a refused request is told and leaves nothing under way", async () => {
  const muting = new Muting(() => Promise.reject(new Error("forbidden")));
  await assert.rejects(muting.say("camera", false), /forbidden/);
  assert.equal(muting.ordered(muted("camera")), "camera");
});

test("nobody turns us on, and a screen is not turned off this way", () => {
  const muting = new Muting(() => Promise.resolve());
  assert.equal(muting.ordered({ ...muted("camera"), event: "unmuted" }), null);
  assert.equal(muting.ordered(muted("screen")), null);
});
