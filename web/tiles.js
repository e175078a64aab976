/**
 * The stage: one list item a tile, one video element a track.
 *
 * @typedef {import("./tilemodel.js").Tile} Tile
 */
import { icon } from "./dom.js";
import { layout } from "./layout.js";
import { initials } from "./words.js";

/** CSS pixels; the same as in style.css */
const GAP = 8;

/**
 * A calm colour that stays with a person.
 * @param {string} text
 */
const hueOf = (text) => [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);

/** @type {[import("./wire.js").ModerateAction, string][]} */
const ACTIONS = [["mute", "Mute"], ["stop_video", "Stop video"], ["remove", "Remove from the room"]];

/** One tile of the page. */
class TileView {
  item = document.createElement("li");
  #avatar = document.createElement("div");
  #why = document.createElement("p");
  #name = document.createElement("span");
  #silent = icon("mic-off");
  #menu = document.createElement("details");
  #summary = document.createElement("summary");
  #participant = "";

  /** @param {(participant: string, action: import("./wire.js").ModerateAction) => void} onModerate */
  constructor(onModerate) {
    const label = document.createElement("div");
    this.item.className = "tile";
    this.#avatar.className = "avatar";
    this.#avatar.setAttribute("aria-hidden", "true");
    this.#why.className = "why";
    label.className = "label";
    label.append(this.#silent, this.#name);
    this.#summary.textContent = "⋯";
    this.#menu.className = "menu";
    const choices = document.createElement("div");
    choices.className = "choices";
    this.#menu.append(this.#summary, choices);
    for (const [action, words] of ACTIONS) {
      const choice = document.createElement("button");
      choice.type = "button";
      choice.textContent = words;
      choice.onclick = () => {
        this.#menu.open = false;
        onModerate(this.#participant, action);
      };
      choices.append(choice);
    }
    this.#menu.onkeydown = (event) => {
      if (event.key !== "Escape") return;
      this.#menu.open = false;
      this.#summary.focus();
    };
    this.item.append(this.#avatar, this.#why, label, this.#menu);
  }

  /**
   * @param {Tile} tile
   * @param {HTMLVideoElement | null} video
   */
  show(tile, video) {
    const { classList } = this.item;
    const states = /** @type {const} */ (["shown", "self", "speaking", "active"]);
    for (const name of states) classList.toggle(name, tile[name]);
    classList.toggle("screen-share", tile.source === "screen");
    this.#avatar.textContent = initials(tile.name.replace(/ \(.*\)$/u, ""));
    this.#avatar.style.setProperty("--hue", String(hueOf(tile.participant)));
    this.#why.textContent = tile.words;
    this.#name.textContent = tile.name;
    this.#participant = tile.participant;
    this.#menu.hidden = !tile.moderated;
    this.#summary.setAttribute("aria-label", `Moderate ${tile.name}`);
    this.#silent.toggleAttribute("hidden", !tile.silent);
    const said = [tile.name, tile.silent ? "microphone off" : "", tile.speaking ? "speaking" : "", tile.words];
    this.item.setAttribute("aria-label", said.filter(Boolean).join(", "));
    if (video) this.#hold(video, tile);
    else this.item.querySelector("video")?.remove();
  }

  /**
   * @param {HTMLVideoElement} video
   * @param {Tile} tile
   */
  #hold(video, tile) {
    if (video.parentElement !== this.item) {
      this.item.querySelector("video")?.remove();
      this.#avatar.after(video);
      video.play().catch(() => undefined); // a muted video may always play; it is refused only when it moves again
    }
    video.dataset.participant = tile.participant;
    video.dataset.source = tile.source;
    if (tile.mid !== null) video.dataset.mid = tile.mid;
    video.setAttribute("aria-hidden", "true"); // the tile itself is labelled
  }
}

export class Stage {
  /** @type {Map<string, TileView>} */
  #views = new Map();
  /** @type {Map<MediaStreamTrack, HTMLVideoElement>} */
  #videos = new Map();
  #list;
  #count = 0;
  #onTileHeight;
  #onModerate;

  /**
   * @param {HTMLElement} list
   * @param {(height: number) => void} onTileHeight  CSS pixels
   * @param {(participant: string, action: import("./wire.js").ModerateAction) => void} onModerate
   */
  constructor(list, onTileHeight, onModerate) {
    this.#list = list;
    this.#onTileHeight = onTileHeight;
    this.#onModerate = onModerate;
    this.resizes = new ResizeObserver(() => this.arrange());
    this.resizes.observe(list);
  }

  /**
   * The video element that plays this track, made when first asked for.
   * @param {MediaStreamTrack} track
   */
  video(track) {
    const known = this.#videos.get(track);
    if (known) return known;
    const video = document.createElement("video");
    video.muted = video.autoplay = video.playsInline = true;
    video.srcObject = new MediaStream([track]);
    this.#videos.set(track, video);
    return video;
  }

  /** @param {Tile[]} tiles */
  render(tiles) {
    const keys = new Set(tiles.map(({ key }) => key));
    for (const [key, view] of this.#views) {
      if (keys.has(key)) continue;
      view.item.remove();
      this.#views.delete(key);
    }
    this.#count = tiles.length;
    this.arrange();
    tiles.forEach((tile, index) => {
      const view = this.#views.get(tile.key) ?? new TileView(this.#onModerate);
      this.#views.set(tile.key, view);
      const there = this.#list.children[index] ?? null;
      if (there !== view.item) this.#list.insertBefore(view.item, there);
      view.show(tile, tile.track && this.video(tile.track));
    });
    for (const [track, video] of this.#videos) {
      if (track.readyState === "ended" && !video.isConnected) this.#videos.delete(track);
    }
  }

  /** Fit the tiles into the stage. */
  arrange() {
    const style = getComputedStyle(this.#list);
    const width = this.#list.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const grid = layout(this.#count, width, this.#list.clientHeight, GAP);
    this.#list.classList.toggle("scrolls", grid.scrolls);
    this.#list.style.setProperty("--tile-width", `${grid.width}px`);
    this.#list.style.setProperty("--tile-height", `${grid.height}px`);
    if (grid.height > 0) this.#onTileHeight(grid.height);
  }

  close() {
    this.resizes.disconnect();
    for (const video of this.#videos.values()) video.srcObject = null;
    this.#list.replaceChildren();
  }
}
