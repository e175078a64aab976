import assert from "node:assert/strict";
import { test } from "node:test";
import { layout, NARROWEST, TILE_WIDTH_MIN, WIDEST } from "../layout.js";

test("no tiles or no stage give an empty grid", () => {
  assert.equal(layout(0, 800, 600).columns, 0);
  assert.equal(layout(3, 0, 600).columns, 0);
});

test("a tile is never wider than 16:9 nor narrower than 4:3, and the grid fits unless it scrolls", () => {
  for (const [width, height] of [[1280, 680], [360, 520], [800, 300], [2560, 1300]]) {
    for (let count = 1; count <= 41; count++) {
      const grid = layout(count, width, height, 8);
      assert.ok(grid.columns * grid.rows >= count);
      assert.ok(grid.width / grid.height <= WIDEST + 0.05 && grid.width / grid.height >= NARROWEST - 0.05);
      assert.ok(grid.columns * grid.width + (grid.columns - 1) * 8 <= width);
      assert.ok(grid.scrolls || grid.rows * grid.height + (grid.rows - 1) * 8 <= height);
    }
  }
});

test("two people stand side by side on a wide screen and one above the other on a phone", () => {
  assert.equal(layout(2, 1280, 680).columns, 2);
  assert.equal(layout(2, 360, 520).columns, 1);
});

test("many tiles on a phone scroll rather than become illegible", () => {
  const grid = layout(40, 360, 500);
  assert.equal(grid.scrolls, true);
  assert.ok(grid.width >= TILE_WIDTH_MIN);
});
