/**
 * The entry of the page: which screen stands, and how one leads to the next.
 *
 * For tests, `window.stentor` holds read-only hooks:
 *   call          the Call; null before the first join
 *   pc            the RTCPeerConnection, or null
 *   status        "connecting", "connected", "reconnecting" or "ended"
 *   me            my participant id
 *   participants  [{participant, name, role, tracks: {source: {muted}}}], without me
 *   active, speaking   the participant whose picture leads, and who speaks
 *   slots         {mid: {kind, participant, source, height, reason, element}}: what the server says each slot
 *                 carries, and the media element that plays it (video elements also stand in their tile)
 *   view(slots)   sends exactly these wishes and turns automatic views off; then one tile a slot; view(null) turns
 *                 them on again
 *   stats()       getStats() as a list of plain objects
 *
 * @typedef {import("./call.js").LocalTracks} LocalTracks
 * @typedef {import("./words.js").Words} Words
 * @typedef {import("./wire.js").SlotView} SlotView
 */
import { CallScreen } from "./callscreen.js";
import { openDevices } from "./devices.js";
import { button, element } from "./dom.js";
import { devToken, doorOf, entrance, roomsAddress, roomWords, shareLink, socketUrl } from "./entry.js";
import { PreJoin } from "./prejoin.js";

const SCREENS = ["prejoin", "call", "ended"];
const here = entrance(location.href);
const wanted = { camera: "", microphone: "", width: here.width, height: here.height, processing: here.processing };
/** @type {CallScreen | null} */
let screen = null;
/** Where who came by a control plane goes back to: a grant opens the room for a minute only. */
let door = "";

/** @param {string} name */
function show(name) {
  for (const id of SCREENS) element(id, HTMLElement).hidden = id !== name;
}

/** @param {Words} words */
function showEnd({ title, text }) {
  element("ended-title", HTMLElement).textContent = title;
  element("ended-text", HTMLElement).textContent = text;
  const back = element("back", HTMLAnchorElement);
  back.hidden = door === "";
  back.href = door || "#";
  button("again").hidden = door !== "";
  show("ended");
  (door ? back : button("again")).focus();
}

/**
 * @param {string} room
 * @param {string} name
 * @param {Promise<LocalTracks & {problem?: Words | null}>} devices
 */
function enter(room, name, devices) {
  show("call");
  document.title = room ? `${roomWords(room)} · Stentor` : "Stentor";
  const now = new CallScreen({
    url: socketUrl(location.href),
    grant: async () => here.token || devToken(room, name),
    name,
    wanted,
    link: here.token ? door : shareLink(location.href, room),
    ended: showEnd,
  });
  screen = now;
  void devices.then(({ camera, microphone, problem }) => {
    if (problem) now.notice({ ...problem, text: `${problem.text} You are in the call and can hear the others.` });
    else if (!camera && !microphone) {
      now.notice({ title: "You are listening only", text: "The others do not see or hear you." });
    }
  });
  void now.call.join(devices.then(({ camera, microphone }) => ({ camera, microphone })));
}

function ask() {
  show("prejoin");
  prejoin.start(here.room, here.name, here.token !== "");
}

const prejoin = new PreJoin(wanted, ({ room, name, tracks }) => {
  [here.room, here.name] = [room, name];
  wanted.camera = tracks.camera?.getSettings().deviceId ?? "";
  wanted.microphone = tracks.microphone?.getSettings().deviceId ?? "";
  enter(room, name, Promise.resolve(tracks));
});

button("again").onclick = ask;
// The others shall not look at a frozen picture until the server notices that we are gone.
addEventListener("pagehide", () => screen?.call.protocol.leave());
addEventListener("pageshow", (event) => event.persisted && location.reload());

Object.defineProperty(window, "stentor", {
  value: Object.freeze({
    get call() {
      return screen?.call ?? null;
    },
    get pc() {
      return screen?.call.protocol.peer?.pc ?? null;
    },
    get status() {
      return screen?.call.protocol.status ?? "connecting";
    },
    get me() {
      return screen?.call.roster.me ?? "";
    },
    get participants() {
      const people = [...(screen?.call.roster.people.values() ?? [])];
      return people.map(({ tracks, ...person }) => ({ ...person, tracks: Object.fromEntries(tracks) }));
    },
    get active() {
      return screen?.call.roster.active ?? null;
    },
    get speaking() {
      return [...(screen?.call.roster.speaking ?? [])];
    },
    get slots() {
      return screen?.slots() ?? {};
    },
    /** @param {SlotView[] | null} slots */
    view: (slots) => screen?.call.view(slots),
    stats: async () => {
      const report = await screen?.call.protocol.peer?.pc.getStats();
      /** @type {object[]} */
      const entries = [];
      report?.forEach((entry) => entries.push({ ...entry }));
      return entries;
    },
  }),
});

if (here.token) {
  void roomsAddress().then((rooms) => {
    door = doorOf(rooms, here.room);
    screen?.setLink(door);
  });
}
if (here.join && (here.token || (here.room && here.name))) enter(here.room, here.name, openDevices(wanted));
else ask();
