// Words of a page that are too faint (WCAG 2.2, 1.4.3): 4.5 to 1, or 3 to 1 for large ones. Plain script: it is put into
// pages by the tests. Words over pictures and of controls that are off are not judged.
(() => {
  const parts = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\d.]+/g).map(Number);
    return { rgb: [red, green, blue], alpha };
  };
  const linear = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.map((value) => linear(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const over = (top, under) => top.rgb.map((value, at) => value * top.alpha + under[at] * (1 - top.alpha));

  // What lies behind an element, null where that is a picture.
  function ground(element) {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none" || at.querySelector(":scope > video, :scope > img.picture")) return null;
      const layer = parts(style.backgroundColor);
      layers.push(layer);
      if (layer.alpha === 1) break;
    }
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    return layers.reduceRight((under, layer) => over(layer, under), dark ? [0, 0, 0] : [255, 255, 255]);
  }

  window.stentorFaint = () => {
    const found = new Map();
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      const words = node.textContent.trim();
      if (!words || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
      if (element.closest("option, script, style, :disabled, [aria-hidden=true]")) continue;
      const box = element.getBoundingClientRect();
      if (box.width < 2 || box.height < 2 || box.bottom < 0) continue;
      const under = ground(element);
      if (!under) continue;
      const style = getComputedStyle(element);
      const [light, dark] = [luminance(over(parts(style.color), under)), luminance(under)].sort((a, b) => b - a);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const ratio = (light + 0.05) / (dark + 0.05);
      if (ratio < (large ? 3 : 4.5)) found.set(words.slice(0, 40), Number(ratio.toFixed(2)));
    }
    return Object.fromEntries(found);
  };
})();
