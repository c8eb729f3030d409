// What bench/dashboard measures inside the page: when a canvas was drawn on, and when frames end.
window.bench = (() => {
  const drawImage = CanvasRenderingContext2D.prototype.drawImage;
  const requestFrame = window.requestAnimationFrame.bind(window);
  let input, drawn, ended;
  let isInFrame = false;
  window.requestAnimationFrame = (call) =>
    requestFrame((now) => {
      isInFrame = true;
      call(now);
      isInFrame = false;
    });
  CanvasRenderingContext2D.prototype.drawImage = function (...given) {
    drawImage.apply(this, given);
    noteDrawing();
  };
  const setSource = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src").set;
  Object.defineProperty(HTMLImageElement.prototype, "src", {
    ...Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src"),
    set(value) {
      setSource.call(this, value);
      if (this.className === "grid") noteDrawing();
    },
  });
  const hidden = Object.getOwnPropertyDescriptor(HTMLElement.prototype, "hidden");
  Object.defineProperty(HTMLElement.prototype, "hidden", {
    ...hidden,
    set(value) {
      hidden.set.call(this, value);
      // The whole grid below the canvas is shown again.
      if (value && this.localName === "canvas") noteDrawing();
    },
  });
  addEventListener("input", (event) => (input ??= event.timeStamp), true);

  /** The first drawing after the event; what is posted from within a frame arrives when that frame has ended. */
  function noteDrawing() {
    if (input === undefined || drawn !== undefined) return;
    drawn = performance.now();
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => (ended ??= performance.now());
    if (isInFrame) port2.postMessage(undefined);
    else requestFrame(() => port2.postMessage(undefined));
  }

  const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  const percentile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))];

  return {
    arm() {
      input = drawn = ended = undefined;
    },

    async shown() {
      for (let waited = 0; ended === undefined && waited < 10_000; waited += 4) await pause(4);
      return ended === undefined ? 10_000 : ended - input;
    },

    opening() {
      const [page] = performance.getEntriesByType("navigation");
      const resources = performance.getEntriesByType("resource");
      const isImage = ({ initiatorType, name }) => initiatorType === "img" || initiatorType === "image" || /\.(png|jpg|svg)$/.test(name) || name.includes("/artifacts/");
      const weight = (entries) => entries.reduce((sum, { transferSize }) => sum + transferSize, 0) / 1000;
      const paint = performance.getEntriesByName("first-contentful-paint")[0];
      return {
        "first paint, ms": paint.startTime,
        "kB before images": weight([page, ...resources.filter((each) => !isImage(each))]),
        "kB of scripts": weight(resources.filter(({ name }) => name.includes(".js") && !name.includes(".json"))),
        "kB of the timeline as data": weight(resources.filter(({ name }) => name.endsWith("timeline.json"))),
        "requests": resources.length + 1,
      };
    },

    async together(runs) {
      const base = document.querySelector("script[type=module]").src;
      const { ThumbnailStore } = await import(new URL("../../timeline/scripts/thumbnails.js", base));
      const { readTimeline } = await import(new URL("../../timeline/scripts/frames.js", base));
      const players = await Promise.all(
        runs.map(async (run) => {
          const frames = readTimeline(await (await fetch(`${run}/timeline.json`)).json());
          const store = new ThumbnailStore(run, () => undefined);
          store.take(frames);
          const canvas = document.createElement("canvas");
          canvas.style.width = "128px";
          document.body.prepend(canvas);
          return { frames, store, canvas };
        }),
      );
      for (const { store } of players) store.want(0);
      await pause(3000);
      const intervals = [];
      let late = 0;
      let last;
      const count = players[0].frames.length;
      for (let index = 0; index < count; index += 1) {
        const now = await new Promise(requestAnimationFrame);
        if (last !== undefined) intervals.push(now - last);
        last = now;
        for (const { store, canvas } of players) {
          if (!store.draw(canvas, index)) late += 1;
          store.want(index);
        }
      }
      for (const { store, canvas } of players) {
        store.close();
        canvas.remove();
      }
      const mean = intervals.reduce((a, b) => a + b) / intervals.length;
      return {
        "frames a second": 1000 / mean,
        "ms between frames, p95": percentile(intervals, 0.95),
        "grids drawn in their frame, %": 100 - (100 * late) / (count * players.length),
      };
    },

    watchFrames() {
      const seen = { intervals: [], tasks: [] };
      let last = performance.now();
      const tick = (now) => {
        seen.intervals.push(now - last);
        last = now;
        requestAnimationFrame(tick);
      };
      requestAnimationFrame(tick);
      new PerformanceObserver((list) => seen.tasks.push(...list.getEntries().map(({ duration }) => duration))).observe({ type: "longtask" });
      this.seen = seen;
    },

    frames() {
      const { intervals, tasks } = this.seen;
      return {
        "ms between frames, p50": percentile(intervals, 0.5),
        "ms between frames, p95": percentile(intervals, 0.95),
        "tasks of more than 50 ms": tasks.length,
        "longest task, ms": Math.max(0, ...tasks),
      };
    },
  };
})();
