/**
 * Say in an offer that its audio slots play stereo (RFC 7587): Chromium decodes music to mono otherwise. What we publish
 * stays as it is: there the same word would ask the server to have our microphone in stereo.
 * @param {string} sdp  of an offer
 * @returns {string}
 */
export function playsStereo(sdp) {
  const sections = sdp.split(/^(?=m=)/m);
  return sections.map((section) => (/^m=audio [^]*^a=recvonly/m.test(section) ? stereo(section) : section)).join("");
}

/** @param {string} section */
function stereo(section) {
  const opus = /^a=rtpmap:(\d+) opus\/48000\/2/im.exec(section)?.[1];
  const fmtp = new RegExp(`^a=fmtp:${opus} (?!(?:.*[;\\s])?stereo=).*`, "m");
  return opus ? section.replace(fmtp, (line) => `${line};stereo=1`) : section;
}
