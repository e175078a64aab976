import assert from "node:assert/strict";
import { test } from "node:test";
import { playsStereo } from "../stereo.js";

const section = (direction, fmtp = "minptime=10;useinbandfec=1") =>
  ["m=audio 9 UDP/TLS/RTP/SAVPF 111 63", `a=${direction}`, "a=rtpmap:111 opus/48000/2", `a=fmtp:111 ${fmtp}`,
    "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", ""].join("\r\n");
const head = "v=0\r\na=group:BUNDLE 0\r\n";
const video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 x=1\r\n";

test("slots play stereo, and the microphone is not asked for in stereo", () => {
  const offered = head + section("sendonly") + video + section("recvonly") + section("inactive");
  const stereo = section("recvonly", "minptime=10;useinbandfec=1;stereo=1");
  assert.equal(playsStereo(offered), head + section("sendonly") + video + stereo + section("inactive"));
});

test("what says itself whether it plays stereo is left alone", () => {
  for (const fmtp of ["stereo=1;useinbandfec=1", "useinbandfec=1;stereo=0"]) {
    assert.equal(playsStereo(head + section("recvonly", fmtp)), head + section("recvonly", fmtp));
  }
  const declared = section("recvonly", "sprop-stereo=1");
  assert.equal(playsStereo(declared), section("recvonly", "sprop-stereo=1;stereo=1"));
});

test("a section without Opus is left alone", () => {
  const other = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=recvonly\r\na=rtpmap:0 PCMU/8000\r\n";
  assert.equal(playsStereo(other), other);
});
