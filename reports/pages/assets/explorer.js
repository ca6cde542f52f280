"use strict";
// The reader's questions: what is this network, which one under a limit, how do these compare.
const Explorer = (() => {
  const found = Figures.data("networks");
  const rowOf = new Map(found.key.map((key, row) => [key, row]));
  const onFront = new Set(found.front);
  const plot = document.getElementById("front"), axis = document.getElementById("axis");
  const limit = document.getElementById("limit"), taken = document.getElementById("taken");
  const pins = document.getElementById("pins");
  const MOST_PINS = 4, SHOWN = 0.0005;  // half of a figure's last digit, as a share
  const FLAGGED = "* its latency failed a check of its own: pin it to see why, and measure again before relying on it.";
  let pinned = [];

  // Everything that came from a run goes into the page as text, never as HTML.
  function element(kind, text = "", name = "") {
    const made = document.createElement(kind);
    if (text) made.textContent = text;
    if (name) made.className = name;
    return made;
  }
  const isBeside = (row) => found.key[row].startsWith("b");
  const symbol = (metric) => found.metrics[metric][1];
  const label = (metric) => found.metrics[metric][0];
  const amount = (metric, row) => `${found.shown[metric][row]} ${symbol(metric)}`.trim();
  // Half of the 95% interval; where its noise is known from below only, it is at least that.
  const spread = (row) => (found.error[row] === null ? "" : ` \u00b1 ${found.error[row].toFixed(2)}`);
  const meant = found.atLeast ? "\u00b1: 95% interval, at least" : "\u00b1: 95% interval";
  const texts = (row) => found.stages[row].map((place) => found.texts[place]);

  function drawing(row) {
    const holder = element("div", "", "drawing");
    holder.innerHTML = Network.svg(texts(row), found.stem[row], found.head[row], found.px[row], found.down[row]);
    const key = element("p", "", "key help");
    key.innerHTML = Network.key(texts(row));
    holder.append(key);
    return holder;
  }

  function title(row) {
    const place = isBeside(row) ? "published network" : onFront.has(found.key[row]) ? "on the front" : "";
    const made = element("h3", found.name[row]);
    made.append(" ", element("code", found.id[row]), " ", element("span", place, "help"));
    return made;
  }

  function figures(row) {
    const list = element("dl");
    for (const metric of Object.keys(found.metrics)) {
      list.append(element("dt", label(metric)));
      list.append(element("dd", metric === "top1"
        ? `${found.shown.top1[row]}${spread(row)} %` : amount(metric, row)));
    }
    if (found.error[row] !== null) list.append(element("dt", ""), element("dd", meant, "help"));
    return list;
  }

  function certificate(row) {
    const list = element("dl"), latency = found.latency[row];
    const say = (term, text) => list.append(element("dt", term), element("dd", text));
    if (!latency) say("latency", "not measured");
    else {
      const [status, interval, calls, rounds, reasons] = latency;
      say("status", found.said[status].replaceAll("_", " "));
      if (interval) say("95% interval", `${interval} ms`);
      if (calls) say("measured", `${calls} calls in ${rounds} rounds`);
      if (reasons.length) say("because", reasons.map((place) => found.said[place]).join("; "));
    }
    return list;
  }

  function curve(row) {
    const points = found.curve[row], wide = 240, high = 70;
    if (points.length < 2) return element("p", "No learning curve: fewer than two epochs.", "help");
    const last = points.at(-1)[0], first = points[0][0];
    const all = pinned.flatMap((other) => found.curve[other].map(([, y]) => y));
    const low = Math.min(...all), span = Math.max(...all) - low || 1;
    const at = ([x, y]) =>
      `${(((x - first) / (last - first || 1)) * wide).toFixed(1)},${(high - ((y - low) / span) * high + 4).toFixed(1)}`;
    const holder = element("div", "", "curve");
    const said = `top-1 from ${points[0][1]} % after epoch ${first} to ${points.at(-1)[1]} % after epoch ${last}`;
    holder.innerHTML = `<svg viewBox="-4 0 ${wide + 8} ${high + 8}" role="img" aria-label="${said}">` +
      `<polyline points="${points.map(at).join(" ")}" fill="none" stroke="#0072B2" stroke-width="2"/></svg>`;
    holder.append(element("p", said, "help"));
    return holder;
  }

  function exportCommand(row) {
    const holder = element("div", "", "copy"), to = element("select");
    to.ariaLabel = "export to";
    for (const target of found.targets) to.append(element("option", target));
    const path = found.run.startsWith("-") ? `./${found.run}` : found.run;
    const shell = /^[\w./:@%+,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
    const command = element("code");
    const write = () => {
      command.textContent = `python -m nas.export ${shell} --network ${found.id[row]} --to ${to.value}`;
    };
    const copy = element("button", "copy");
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command.textContent);
        copy.textContent = "copied";
      } catch {  // not allowed for a file in some browsers
        getSelection().selectAllChildren(command);
        copy.textContent = "selected: Ctrl+C";
      }
      setTimeout(() => { copy.textContent = "copy"; }, 2000);
    });
    to.addEventListener("change", write);
    write();
    holder.append(to, copy, element("pre"));
    holder.lastChild.append(command);
    return holder;
  }

  function section(heading, ...parts) {
    const made = element("div");
    made.append(element("h4", heading), ...parts);
    return made;
  }

  function showPins() {
    pins.replaceChildren();
    remember();
    if (!pinned.length) return mark();
    pins.append(element("h2", pinned.length > 1 ? "Pinned, side by side" : "Pinned"));
    const cards = element("div", "", "pins");
    for (const row of pinned) {
      const card = element("article", "", "card");
      card.dataset.key = found.key[row];
      const off = element("button", "unpin", "off");
      off.addEventListener("click", () => { pinned = pinned.filter((one) => one !== row); showPins(); });
      card.append(off, title(row), drawing(row), section("Figures", figures(row)),
        section("How its latency was measured", certificate(row)), section("Learning curve", curve(row)),
        section("Take it with you", exportCommand(row)));
      cards.append(card);
    }
    pins.append(cards);
    mark();
  }

  function pin(key) {
    const row = rowOf.get(key);
    if (row === undefined) return;
    if (!pinned.includes(row)) pinned = [...pinned, row].slice(-MOST_PINS);
    showPins();
  }

  // What is pinned or to be taken is circled in the figure.
  function mark() {
    const metric = axis.value, scale = found.metrics[metric][2];
    const rows = [...pinned, ...(Explorer.choice === null ? [] : [Explorer.choice])];
    const known = rows.filter((row) => found.values[metric][row] !== null && found.values.top1[row] !== null);
    const ring = {
      x: known.map((row) => found.values[metric][row] / scale), y: known.map((row) => found.values.top1[row]),
      mode: "markers", hoverinfo: "skip", showlegend: false, name: "ring",
      marker: { symbol: "circle-open", size: 20, color: "#D55E00", line: { width: 2.5 } },
    };
    if (!plot.data) return;
    const old = plot.data.findIndex((trace) => trace.name === "ring");
    if (old >= 0) Plotly.restyle(plot, { x: [ring.x], y: [ring.y] }, [old]);
    else Plotly.addTraces(plot, ring);
  }

  function take() {
    const metric = axis.value, scale = found.metrics[metric][2];
    const most = Number(limit.value) * scale * (1 + SHOWN);
    const values = found.values[metric], top1 = found.values.top1;
    const fits = found.key.map((_, row) => row).filter((row) =>
      !isBeside(row) && values[row] !== null && top1[row] !== null && values[row] <= most);
    Explorer.choice = fits.length ? fits.reduce((best, row) =>
      top1[row] > top1[best] || (top1[row] === top1[best] && values[row] < values[best]) ? row : best) : null;
    taken.replaceChildren();
    if (Explorer.choice === null) {
      taken.append(element("p", Number(limit.value) > 0 ? "None of the finished networks is so small."
        : `Type a number of ${symbol(metric)}.`));
    }
    else {
      const row = Explorer.choice, button = element("button", "pin it", "pin");
      button.addEventListener("click", () => pin(found.key[row]));
      const line = element("p");
      line.append(element("strong", `${found.shown.top1[row]}${spread(row)} %`), ` at ${amount(metric, row)}: `,
        element("code", found.id[row]), " ", button);
      taken.append(line);
      if (found.shown[metric][row].endsWith("*")) taken.append(element("p", FLAGGED, "help"));
      taken.append(drawing(row), exportCommand(row));
    }
    mark();
  }

  const tip = document.body.appendChild(element("div", "", "tip"));
  tip.hidden = true;
  function hover(event) {
    const row = rowOf.get(String(event.points[0].customdata));
    if (row === undefined) return;
    tip.replaceChildren(title(row), figures(row), drawing(row));
    tip.hidden = false;
    const { clientX, clientY } = event.event, space = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, clientX + 16 + space.width > innerWidth ? clientX - 16 - space.width : clientX + 16)}px`;
    tip.style.top = `${Math.max(4, Math.min(clientY + 16, innerHeight - space.height - 4))}px`;
  }

  // A page that is built anew while a run goes on comes back as the reader left it.
  const MEMORY = `nas ${location.pathname}`;
  function remember() {
    const kept = { axis: axis.value, limit: limit.value, pinned: pinned.map((row) => found.key[row]) };
    try { sessionStorage.setItem(MEMORY, JSON.stringify(kept)); } catch { /* not allowed here */ }
  }
  function remembered() {
    try { return JSON.parse(sessionStorage.getItem(MEMORY)) || {}; } catch { return {}; }
  }

  async function show() {
    document.getElementById("front-caption").textContent = axis.selectedOptions[0].dataset.caption;
    document.getElementById("limit-unit").textContent = `${symbol(axis.value)} ${label(axis.value)}`.trim();
    const values = found.values[axis.value], scale = found.metrics[axis.value][2];
    const given = found.limits[axis.value];
    const front = found.front.map((key) => values[rowOf.get(key)]).filter((value) => value !== null);
    front.sort((one, other) => one - other);
    const usual = given ?? front[Math.floor(front.length / 2)] ?? null;
    limit.value = usual === null ? "" : String(Number((usual / scale).toPrecision(4)));
    await Figures.show(plot, `front-${axis.value}`);
    plot.removeAllListeners("plotly_hover");
    plot.on("plotly_hover", hover);
    plot.on("plotly_unhover", () => { tip.hidden = true; });
    plot.removeAllListeners("plotly_click");
    plot.on("plotly_click", (event) => pin(String(event.points[0].customdata)));
    take();
  }

  axis.addEventListener("change", () => show().then(remember));
  limit.addEventListener("input", () => { take(); remember(); });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-key]");
    if (!button) return;
    pin(button.dataset.key);
    pins.scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  async function begin() {
    const kept = remembered();
    if ([...axis.options].some((option) => option.value === kept.axis)) axis.value = kept.axis;
    await show();
    if (kept.limit) {
      limit.value = kept.limit;
      take();
    }
    (kept.pinned || []).forEach(pin);
  }
  return { begin, choice: null };
})();
Explorer.begin();
