import assert from "node:assert/strict";
import { test } from "node:test";
import { backOff } from "../protocol.js";
import { Socket } from "../socket.js";

/** A WebSocket in memory. */
class Wire {
  readyState = 1;
  sent = [];
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose();
  }
  say(message) {
    this.onmessage({ data: JSON.stringify(message) });
  }
}

function opened() {
  const wire = new Wire();
  const heard = [];
  const on = { message: (m) => heard.push(m.type), closed: () => heard.push("closed") };
  const socket = new Socket("ws://x/ws", on, () => wire);
  wire.onopen();
  return { wire, socket, heard };
}

test("answers find their request in any order", async () => {
  const { wire, socket, heard } = opened();
  const [one, two] = [socket.request("view"), socket.request("mute")];
  wire.say({ type: "speakers", sequence: 1, active: null, speaking: [] });
  wire.say({ type: "done", request: wire.sent[1].id });
  wire.say({ type: "error", request: wire.sent[0].id, code: "not_found", reason: "no such slot" });
  assert.equal((await two).type, "done");
  await assert.rejects(one, { name: "ServerError", code: "not_found" });
  assert.deepEqual(heard, ["speakers"]);
  socket.close();
});

test("a lost socket rejects what waits and says so once", async () => {
  const { wire, socket, heard } = opened();
  const waiting = socket.request("offer", { sdp: "" });
  wire.close();
  await assert.rejects(waiting, { name: "ConnectionLost" });
  await assert.rejects(socket.request("view"), { name: "ConnectionLost" });
  assert.deepEqual(heard, ["closed"]);
});

test("a server that cannot be reached rejects `opened`", async () => {
  const wire = new Wire();
  const socket = new Socket("ws://x/ws", { message() {}, closed() {} }, () => wire);
  wire.close();
  await assert.rejects(socket.opened, { name: "ConnectionLost" });
});

test("waits before reconnecting grow, are spread, and stay under eight seconds", () => {
  assert.ok(backOff(0, () => 0) >= 250 && backOff(0, () => 0.999) <= 500);
  assert.ok(backOff(3, () => 0) > backOff(1, () => 0));
  assert.ok(backOff(30, () => 0.999) <= 8000);
});
