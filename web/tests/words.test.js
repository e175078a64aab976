import assert from "node:assert/strict";
import { test } from "node:test";
import { entrance, shareLink, socketUrl } from "../entry.js";
import { MediaLost, ServerError } from "../wire.js";
import { deviceWords, errorWords, initials, refusedWords } from "../words.js";

test("every way a device fails has its own words, and an unknown one is named", () => {
  const names = ["NotAllowedError", "NotFoundError", "NotReadableError", "OverconstrainedError", "InsecureContext"];
  assert.equal(new Set(names.map((name) => deviceWords(name, "camera").title)).size, names.length);
  assert.match(deviceWords("InsecureContext", "camera").text, /https/);
  assert.match(deviceWords("OddError", "camera").text, /OddError/);
});

test("a full room, lost media and an unknown code are told apart", () => {
  const full = new ServerError({ type: "error", request: 1, code: "room_full", reason: "40 of 40" });
  assert.match(errorWords(full).title, /full/);
  assert.match(errorWords(new MediaLost()).text, /firewall/);
  const other = new ServerError({ type: "error", request: 1, code: "new_code", reason: "its own words" });
  assert.equal(errorWords(other).text, "its own words");
});

test("who is not let in is also told what the server says, and other failures keep to our words", () => {
  const said = (/** @type {string} */ code) =>
    errorWords(new ServerError({ type: "error", request: 1, code, reason: "nobody new can come in at the moment" })).text;
  for (const code of ["unauthorized", "forbidden", "room_full"]) {
    assert.match(said(code), /The server says: nobody new can come in at the moment\.$/);
  }
  assert.doesNotMatch(said("internal"), /nobody new/);
});

test("what this browser cannot send is named", () => {
  assert.match(refusedWords(["camera"]).title, /your camera$/);
  assert.match(refusedWords(["screen", "screen_audio"]).title, /your screen and sound$/);
});

test("initials are letters of first and last name, whatever the script", () => {
  assert.deepEqual(["Ana Maria Torres", "bo", "", "Łukasz Żak"].map(initials), ["AT", "B", "?", "ŁŻ"]);
});

test("the address says room, name and camera size, and nonsense falls back", () => {
  const here = entrance("http://localhost:8080/?room=R&name=N&join=1&width=640&height=x");
  assert.deepEqual([here.room, here.name, here.join, here.width, here.height], ["R", "N", true, 640, 540]);
});

test("a grant in the fragment names room and person, and is never in the shared link", () => {
  const claims = Buffer.from(JSON.stringify({ room: "Räume", name: "Zoë" })).toString("base64url");
  const here = entrance(`https://x.example/?room=other#token=h.${claims}.s`);
  assert.deepEqual([here.room, here.name], ["Räume", "Zoë"]);
  assert.equal(shareLink(`https://x.example/?name=N&join=1#token=h.${claims}.s`, "a b"), "https://x.example/?room=a+b");
  assert.equal(entrance("https://x.example/#token=garbage").room, "");
});

test("a secure page speaks to a secure socket", () => {
  assert.equal(socketUrl("https://x.example/join?room=1#t"), "wss://x.example/ws");
  assert.equal(socketUrl("http://localhost:8080/"), "ws://localhost:8080/ws");
});
