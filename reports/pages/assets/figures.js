"use strict";
// Every figure of the page lies in it as data; it is drawn when the reader comes near it, and all are before printing.
const Figures = {
  config: { responsive: true, displayModeBar: false },
  drawn: new Map(),
  data(id) { return JSON.parse(document.getElementById(id).textContent); },
  draw(place) {
    if (!Figures.drawn.has(place)) {
      const figure = Figures.data(place.dataset.figure);
      Figures.drawn.set(place, Plotly.newPlot(place, figure.data, figure.layout, Figures.config));
    }
    return Figures.drawn.get(place);
  },
  // Figures that show the same against several things: one place, and buttons or a list that names what is wanted.
  show(place, id) {
    place.dataset.figure = id;
    const figure = Figures.data(id);
    Figures.drawn.set(place, Plotly.react(place, figure.data, figure.layout, Figures.config));
    return Figures.drawn.get(place);
  },
};

for (const choice of document.querySelectorAll("select[data-shows]")) {
  const follow = () => {
    const place = document.getElementById(choice.dataset.shows);
    place.closest("figure").querySelector("figcaption").textContent = choice.selectedOptions[0].dataset.caption;
    Figures.show(place, choice.value);
  };
  if (choice.selectedIndex > 0) follow();  // what a browser remembers of an earlier visit
  choice.addEventListener("change", follow);
}

const near = new IntersectionObserver((seen) => {
  for (const one of seen.filter((entry) => entry.isIntersecting)) {
    near.unobserve(one.target);
    Figures.draw(one.target);
  }
}, { rootMargin: "300px" });
for (const place of document.querySelectorAll(".plot")) near.observe(place);
addEventListener("beforeprint", () => document.querySelectorAll(".plot").forEach((place) => Figures.draw(place)));
