import assert from "node:assert/strict";
import { test } from "node:test";
import { Roster } from "../roster.js";

const joined = {
  type: "joined", request: 1, participant: "me", room: "r", resume: "k", sequence: 3, ice_servers: [],
  may_publish: ["camera"], speaker: null,
  participants: [
    { participant: "me", name: "Me", role: "", tracks: [] },
    { participant: "a", name: "Ana", role: "", tracks: [{ source: "camera", muted: false }] },
  ],
};

test("the roster leaves me out and follows who comes, publishes, mutes and goes", () => {
  const roster = new Roster();
  roster.reset(joined);
  assert.deepEqual([...roster.people.keys()], ["a"]);
  const b = { type: "participant", sequence: 4, event: "joined", participant: "b", name: "Bo", role: "" };
  assert.equal(roster.apply(b), "Bo joined");
  roster.apply({ type: "track", sequence: 5, event: "published", participant: "b", source: "camera" });
  assert.deepEqual(roster.pictures().map(({ participant }) => participant), ["a", "b"]);
  roster.apply({ type: "track", sequence: 6, event: "muted", participant: "a", source: "camera" });
  assert.deepEqual(roster.pictures().map(({ participant }) => participant), ["b"]);
  assert.equal(roster.apply({ ...b, event: "left" }), "Bo left");
  assert.deepEqual(roster.pictures(), []);
});

test("who speaks is wanted first", () => {
  const roster = new Roster();
  roster.reset(joined);
  roster.apply({ type: "participant", sequence: 4, event: "joined", participant: "b", name: "Bo", role: "" });
  roster.apply({ type: "track", sequence: 5, event: "published", participant: "b", source: "camera" });
  roster.apply({ type: "speakers", sequence: 6, active: "b", speaking: ["b"] });
  assert.equal(roster.pictures()[0].participant, "b");
});
