/**
 * Another camera or microphone in the middle of a call.
 *
 * @typedef {import("./call.js").Device} Device
 */
import { listDevices } from "./devices.js";
import { button, element } from "./dom.js";

/** @type {[Device, MediaDeviceKind][]} */
const KINDS = [["camera", "videoinput"], ["microphone", "audioinput"]];

export class DeviceMenu {
  #toggle = button("devices-toggle");
  #box = element("devices", HTMLElement);
  #inUse;
  #choose;

  /**
   * @param {(device: Device) => string} inUse  the id of the device in use, "" = none or any
   * @param {(device: Device, id: string) => Promise<void>} choose
   */
  constructor(inUse, choose) {
    this.#inUse = inUse;
    this.#choose = choose;
    this.#toggle.onclick = () => (this.#box.hidden ? void this.#open() : this.close());
    this.#box.onkeydown = (event) => {
      if (event.key !== "Escape") return;
      this.close();
      this.#toggle.focus();
    };
    for (const [device] of KINDS) {
      const list = element(`call-${device}`, HTMLSelectElement);
      list.onchange = () => void this.#chosen(device, list);
    }
    // One that is plugged in shows up at once.
    if (navigator.mediaDevices) navigator.mediaDevices.ondevicechange = () => void this.#fill();
  }

  close() {
    this.#box.hidden = true;
    this.#toggle.setAttribute("aria-expanded", "false");
  }

  async #open() {
    await this.#fill();
    this.#box.hidden = false;
    this.#toggle.setAttribute("aria-expanded", "true");
    element("call-camera", HTMLSelectElement).focus();
  }

  /** @param {Device} device @param {HTMLSelectElement} list */
  async #chosen(device, list) {
    list.disabled = true;
    await this.#choose(device, list.value);
    list.disabled = false;
    await this.#fill(); // what is really in use, should the choice have failed
  }

  async #fill() {
    for (const [device, kind] of KINDS) {
      const found = await listDevices(kind);
      const choices = found.map(({ deviceId, label }, index) => new Option(label || `${device} ${index + 1}`, deviceId));
      const list = element(`call-${device}`, HTMLSelectElement);
      list.replaceChildren(...(choices.length ? choices : [new Option(`No ${device} found`, "")]));
      list.value = this.#inUse(device) || (found[0]?.deviceId ?? "");
    }
  }
}
