import assert from "node:assert/strict";
import { test } from "node:test";
import { doorOf, roomWords } from "../entry.js";

test("who came by a control plane is led back to the door of his room", () => {
  assert.equal(doorOf("http://localhost:8090", "123456789"), "http://localhost:8090/join/123456789");
  assert.equal(doorOf("https://meet.example/rooms", "987654321"), "https://meet.example/rooms/join/987654321");
});

test("nobody is led to what is no door", () => {
  for (const rooms of ["", "javascript:alert(1)//", "data:text/html,x", "//evil.test", 7]) {
    assert.equal(doorOf(/** @type {string} */ (rooms), "123456789"), "");
  }
  for (const room of ["", "12345678", "1234567890", "023456789", "12345678a", "../../x", "hello"]) {
    assert.equal(doorOf("http://localhost:8090", room), "");
  }
});

test("the number of a room is shown as people read it out, and a name stays", () => {
  assert.equal(roomWords("123456789"), "123 456 789");
  assert.equal(roomWords("hello"), "hello");
  assert.equal(roomWords("1234567890"), "1234567890");
});
