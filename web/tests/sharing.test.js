import assert from "node:assert/strict";
import { test } from "node:test";
import { Sharing } from "../sharing.js";

const track = () => ({ stopped: 0, onended: null, stop() { this.stopped += 1; } });

/** What a peer connection would send. */
class FakePeer {
  sent = new Map();
  async publish(source, what) {
    const fresh = !this.sent.has(source);
    this.sent.set(source, what);
    return fresh;
  }
  withdraw(source) {
    return this.sent.delete(source);
  }
}
const MAY = new Set(["screen", "screen_audio"]);

test("a screen comes and goes with an offer each, and nothing is offered twice", async () => {
  const [peer, sharing] = [new FakePeer(), new Sharing(() => undefined)];
  assert.equal(await sharing.apply(peer, MAY), false);
  sharing.start({ screen: track(), screen_audio: null });
  assert.equal(await sharing.apply(peer, MAY), true);
  assert.equal(await sharing.apply(peer, MAY), false);
  assert.deepEqual([...peer.sent.keys()], ["screen"]);
  sharing.stop();
  assert.equal(await sharing.apply(peer, MAY), true);
  assert.equal(peer.sent.size, 0);
});

test("what the browser's own button ends is stopped once, and told once", () => {
  let changes = 0;
  const [sharing, screen, sound] = [new Sharing(() => (changes += 1)), track(), track()];
  sharing.start({ screen, screen_audio: sound });
  screen.onended();
  sharing.stop();
  assert.deepEqual([changes, screen.stopped, sound.stopped, sharing.on], [2, 1, 1, false]);
});

test("another screen in its place stops the first without ending the sharing", () => {
  const [sharing, first, second] = [new Sharing(() => undefined), track(), track()];
  sharing.start({ screen: first, screen_audio: null });
  sharing.start({ screen: second, screen_audio: null });
  assert.deepEqual([first.stopped, second.stopped, sharing.on], [1, 0, true]);
});

test("without the right to it nothing of a screen is sent", async () => {
  const [peer, sharing] = [new FakePeer(), new Sharing(() => undefined)];
  sharing.start({ screen: track(), screen_audio: track() });
  assert.equal(await sharing.apply(peer, new Set(["camera"])), false);
  assert.equal(peer.sent.size, 0);
});
