// Paints and reads the pictures of tests/media.py inside a page. The layout must stay alike in both.
// Plain script on purpose: it is put into pages by the tests and hangs everything on window.stentorTest.
(() => {
  const COLUMNS = 10, BLOCK_ROWS = 6, BITS = 20, CHECK_SALT = 0b1010, DARK = 96, LIGHT = 160;
  const check = (word) => ((word ^ (word >> 4) ^ (word >> 8) ^ (word >> 12)) & 15) ^ CHECK_SALT;

  function paint(context, width, height, hue, source, number) {
    // hsv(hue, 0.75, 0.8) of media.py, written as hsl.
    context.fillStyle = `hsl(${hue} 60% 50%)`;
    context.fillRect(0, 0, width, height);
    const plain = ((source & 15) << 12) | (number & 4095);
    const word = (plain << 4) | check(plain);
    const blockWidth = width / COLUMNS, blockHeight = height / BLOCK_ROWS;
    for (let index = 0; index < BITS; index++) {
      context.fillStyle = (word >> (BITS - 1 - index)) & 1 ? "#fff" : "#000";
      context.fillRect((index % COLUMNS) * blockWidth, Math.floor(index / COLUMNS) * blockHeight, blockWidth + 1, blockHeight + 1);
    }
    context.fillStyle = "#e6e6e6";
    context.fillRect(((number * width) / 40) % (width - blockHeight), 2.5 * blockHeight, blockHeight, blockHeight);
  }

  // One canvas for all reading: 160 x 90 is small enough to be read many times a second.
  const WIDTH = 160, HEIGHT = 90;
  const canvas = document.createElement("canvas");
  canvas.width = WIDTH;
  canvas.height = HEIGHT;
  const context = canvas.getContext("2d", { willReadFrequently: true });

  function mean(pixels, x, y, reach) {
    const sum = [0, 0, 0];
    let count = 0;
    for (let row = y - reach; row < y + reach; row++)
      for (let column = x - reach; column < x + reach; column++, count++)
        for (let channel = 0; channel < 3; channel++) sum[channel] += pixels[(row * WIDTH + column) * 4 + channel];
    return sum.map((value) => value / count);
  }

  function painted(pixels) {
    let word = 0;
    for (let index = 0; index < BITS; index++) {
      const x = Math.floor(((index % COLUMNS) + 0.5) * (WIDTH / COLUMNS));
      const y = Math.floor((Math.floor(index / COLUMNS) + 0.5) * (HEIGHT / BLOCK_ROWS));
      const [r, g, b] = mean(pixels, x, y, 3);
      const level = 0.299 * r + 0.587 * g + 0.114 * b;
      if (level > DARK && level < LIGHT) return null;
      word = (word << 1) | (level >= LIGHT ? 1 : 0);
    }
    const plain = word >> 4;
    return (word & 15) === check(plain) ? { source: plain >> 12, number: plain & 4095 } : null;
  }

  // What a <video> shows now: the mean colour of its lower part and the painted id, null where unreadable.
  function read(video) {
    if (!video.videoWidth) return { width: 0, height: 0, colour: null, painted: null };
    context.drawImage(video, 0, 0, WIDTH, HEIGHT);
    const pixels = context.getImageData(0, 0, WIDTH, HEIGHT).data;
    return {
      width: video.videoWidth, height: video.videoHeight,
      colour: mean(pixels, WIDTH / 2, Math.floor((5 * HEIGHT) / 6), 10), painted: painted(pixels),
    };
  }

  let audio = null;
  const ears = new Map(); // track id -> analyser
  function hear(track) {
    audio ??= new AudioContext();
    if (!ears.has(track.id)) {
      const analyser = new AnalyserNode(audio, { fftSize: 16384, smoothingTimeConstant: 0 });
      audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
      ears.set(track.id, analyser);
    }
    return ears.get(track.id);
  }

  // The strongest frequency of a track in Hz, or null in near silence. The first call only starts to listen.
  function tone(track) {
    return strongest(hear(track));
  }

  function strongest(analyser) {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    let best = 0;
    for (let index = 1; index < bins.length; index++) if (bins[index] > bins[best]) best = index;
    return bins[best] > -70 ? (best * audio.sampleRate) / analyser.fftSize : null;
  }

  // The strongest frequency of each of a track's two channels; the first call only starts to listen.
  const pairs = new Map(); // track id -> two analysers
  function channels(track) {
    audio ??= new AudioContext();
    if (!pairs.has(track.id)) {
      const split = new ChannelSplitterNode(audio, { numberOfOutputs: 2 });
      audio.createMediaStreamSource(new MediaStream([track])).connect(split);
      const ears = [0, 1].map((channel) => {
        const analyser = new AnalyserNode(audio, { fftSize: 16384, smoothingTimeConstant: 0 });
        split.connect(analyser, channel);
        return analyser;
      });
      pairs.set(track.id, ears);
    }
    return pairs.get(track.id).map(strongest);
  }

  // performance.now() of the first decoded picture of another that its tile shows; null before. Noted when it happens:
  // whoever asks later must not measure his own asking.
  let firstFrameAt = null;
  document.addEventListener("loadeddata", ({ target }) => {
    const look = () => {
      if (firstFrameAt !== null || !target.dataset?.mid) return;
      if (target.closest(".tile.shown")) firstFrameAt = performance.now();
      else setTimeout(look, 5);
    };
    look();
  }, true);
  const firstFrame = () => firstFrameAt;

  window.stentorTest = Object.assign(window.stentorTest ?? {}, { paint, read, tone, channels, hear, firstFrame });
})();
