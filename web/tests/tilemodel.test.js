import assert from "node:assert/strict";
import { test } from "node:test";
import { Roster } from "../roster.js";
import { tilesOf } from "../tilemodel.js";

const camera = { participant: "p1", source: "camera" };

/** @param {object} change */
function seen(change = {}, tracks = [{ source: "camera", muted: false }]) {
  const roster = new Roster();
  const participants = [{ participant: "p1", name: "Ada", role: "", tracks }];
  roster.reset({ participant: "me", participants, speaker: null });
  return {
    roster, name: "Ben", local: { camera: null, microphone: null }, on: { microphone: true }, waiting: false,
    mayModerate: false,
    slots: [{ mid: "5", kind: "video", track: "track 5" }], slotStates: new Map(),
    assigned: new Map([["5", camera]]), manual: null, ...change,
  };
}
const carries = (participant, reason = "") => new Map([["5", { mid: "5", participant, source: "camera", height: 0, reason }]]);

test("a tile shows its picture only while the server says that its slot carries that very person", () => {
  const [right] = tilesOf(seen({ slotStates: carries("p1") }));
  assert.deepEqual([right.shown, right.words, right.track], [true, "", "track 5"]);
  for (const slotStates of [carries("p2"), carries(null, "waiting_for_key_frame"), new Map()]) {
    const [tile] = tilesOf(seen({ slotStates }));
    assert.equal(tile.shown, false);
    assert.notEqual(tile.words, "");
  }
});

test("a missing picture says why: muted, no slot, or nothing was sent at all", () => {
  const muted = seen({}, [{ source: "camera", muted: true }]);
  assert.equal(tilesOf(muted)[0].words, "Camera is off");
  assert.match(tilesOf(seen({ assigned: new Map() }))[0].words, /too many/);
  assert.doesNotMatch(tilesOf(seen({ assigned: new Map(), waiting: true }))[0].words, /too many/);
  assert.equal(tilesOf(seen({}, []))[0].words, "");
});

test("who shares the screen has two tiles, and I am always last", () => {
  const sharing = seen({}, [{ source: "camera", muted: false }, { source: "screen", muted: false }]);
  assert.deepEqual(tilesOf(sharing).map(({ name }) => name), ["Ada (screen)", "Ada", "Ben (you)"]);
  assert.equal(new Set(tilesOf(sharing).map(({ key }) => key)).size, 3);
});

test("raw wishes give one tile a slot, named after what is in it", () => {
  const manual = new Map([["5", { mid: "5", show: camera }], ["6", { mid: "6", show: null }]]);
  const tiles = tilesOf(seen({ manual, slotStates: carries("p1") }));
  assert.deepEqual(tiles.map(({ key }) => key), ["slot/5", "self"]);
  assert.equal(tiles[0].name, "Ada");
});

test("I am silent without a microphone and while it is muted", () => {
  const microphone = { enabled: true };
  const self = (change) => tilesOf(seen(change)).at(-1);
  assert.equal(self({}).silent, true);
  assert.equal(self({ local: { camera: null, microphone } }).silent, false);
  assert.equal(self({ local: { camera: null, microphone }, on: { microphone: false } }).silent, true);
});

test("a moderator has a menu on the cameras of others, on no screen and not on himself", () => {
  const tiles = tilesOf(seen({ mayModerate: true }));
  assert.deepEqual(tiles.map(({ self, source, moderated }) => moderated === (!self && source === "camera")), tiles.map(() => true));
  assert.ok(tiles.some(({ moderated }) => moderated));
  assert.ok(tilesOf(seen({})).every(({ moderated }) => !moderated));
});
