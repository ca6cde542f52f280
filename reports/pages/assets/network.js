"use strict";
// A network as a drawing: one bar a layer, as high as it has channels (logarithmic), coloured by its block.
const Network = {
  colours: { ir: "#0072B2", ds: "#56B4E9", er: "#D55E00", cn: "#E69F00" },
  names: {
    ir: "MBConv", ds: "depthwise separable", er: "Fused-MBConv", cn: "fused, no expansion", dsa: "separable, no skip",
    basic: "basic residual", bottle: "bottleneck", preact: "pre-activation bottleneck", dense: "dense: growth, not width",
  },
  other: "#CC79A7",

  // "ir_r2_k3_s2_e6_c24_se0.25" as {block: "ir", r: 2, k: 3, s: 2, e: 6, c: 24, se: 0.25}
  parse(text) {
    const [block, ...parts] = text.split("_");
    const stage = { block };
    for (const part of parts) {
      const found = /^([a-z]+)([\d.]+)$/.exec(part);
      if (found) stage[found[1]] = Number(found[2]);
    }
    return stage;
  },

  svg(texts, stem, head, px, down) {
    const stages = texts.map(Network.parse);
    const columns = [{ c: stem, r: 1, label: "stem" }, ...stages, ...(head ? [{ c: head, r: 1, label: "head" }] : [])];
    const most = Math.log2(Math.max(...columns.map((one) => one.c)) + 1);
    const bar = 6, gap = 2, top = 14, high = 58;
    let x = 0, side = px, parts = "";
    for (const one of columns) {
      const count = Math.min(one.r, 12);
      const wide = Math.max(count * (bar + gap), 34);
      const tall = (high * Math.log2(one.c + 1)) / most;
      const colour = one.block ? Network.colours[one.block] || Network.other : "#999999";
      const from = x + (wide - count * (bar + gap)) / 2;
      if (one.s === 2 || one.label === "stem") side = Math.ceil(side / (one.s || down));
      for (let layer = 0; layer < count; layer++) {
        const left = from + layer * (bar + gap), mark = one.se ? 1 : 0;
        parts += `<rect x="${left}" y="${top + high - tall}" width="${bar}" height="${tall}" fill="${colour}"/>`;
        if (mark) parts += `<circle cx="${left + bar / 2}" cy="${top + high - tall - 4}" r="2" fill="${colour}"/>`;
      }
      const middle = x + wide / 2;
      const lines = one.block
        ? [`${one.c}`, `k${one.k} e${one.e}`, `${one.r} x`, one.s === 2 ? `${side} px` : ""]
        : [`${one.c}`, one.label, "", one.label === "stem" ? `${side} px` : ""];
      lines.forEach((line, row) => {
        parts += `<text x="${middle}" y="${top + high + 12 + 11 * row}" text-anchor="middle">${line}</text>`;
      });
      x += wide + 4;
    }
    const said = `${px} px; ` + texts.join(", ");
    return `<svg class="network" viewBox="0 0 ${x} ${top + high + 50}" role="img" aria-label="${said}">${parts}</svg>`;
  },

  key(texts) {
    const blocks = [...new Set(texts.map((text) => text.split("_")[0]))];
    const se = texts.some((text) => text.includes("_se")) ? "<span>dot: squeeze-and-excitation</span>" : "";
    return blocks.map((block) =>
      `<span><i style="background:${Network.colours[block] || Network.other}"></i>${Network.names[block] || block}</span>`
    ).join("") + se;
  },
};
