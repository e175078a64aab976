import assert from "node:assert/strict";
import { test } from "node:test";
import { assign, changedWishes, slotsNeeded, wishedHeight } from "../slots.js";

const camera = (participant) => ({ participant, source: "camera" });

test("who has a slot keeps it when others come and go", () => {
  const first = assign([camera("a"), camera("b"), camera("c")], ["1", "2", "3"], new Map());
  const then = assign([camera("d"), camera("c"), camera("a")], ["1", "2", "3"], first);
  assert.deepEqual(then.get("1"), camera("a"));
  assert.deepEqual(then.get("3"), camera("c"));
  assert.deepEqual(then.get("2"), camera("d"));
});

test("where slots are few the most wanted get them", () => {
  const before = new Map([["1", camera("late")]]);
  const now = assign([camera("speaker"), camera("late")], ["1"], before);
  assert.deepEqual([...now], [["1", camera("speaker")]]);
});

test("slots grow in steps and end at 40", () => {
  assert.deepEqual([0, 9, 10, 13, 14, 100].map(slotsNeeded), [9, 9, 13, 13, 17, 40]);
});

test("the wished height follows the tile and never is 0, which would mean no limit", () => {
  assert.equal(wishedHeight(0, 1), 30);
  assert.ok(wishedHeight(100, 1) >= 133 && wishedHeight(100, 1) < 270);
  assert.ok(wishedHeight(100, 2) > wishedHeight(100, 1));
});

test("only changed wishes are said, and the height of an empty slot is no change", () => {
  const sent = new Map([["1", { mid: "1", show: camera("a"), max_height: 180 }]]);
  const same = { mid: "1", show: camera("a"), max_height: 180 };
  const empty = { mid: "2", show: null, max_height: 180 };
  const larger = { mid: "1", show: camera("a"), max_height: 360 };
  assert.deepEqual(changedWishes([same, empty], sent), []);
  assert.deepEqual(changedWishes([larger, empty], sent), [larger]);
});
