// Draws a table's numbers as lines (uPlot). The table stays: it is what a screen reader and a keyboard get. Only reads.
"use strict";

const inks = ["#1d4ed8", "#15803d", "#b45309", "#b91c1c", "#6d28d9", "#0e7490", "#9d174d", "#4b5563", "#92400e"];
const bright = ["#93c5fd", "#86efac", "#fcd34d", "#fca5a5", "#c4b5fd", "#67e8f9", "#f9a8d4", "#d1d5db", "#fdba74"];
const dashes = [[], [6, 3], [2, 3], [10, 4, 2, 4], [14, 4], [4, 2, 4, 8], [1, 4], [8, 8], [12, 3, 3, 3]];

function numbersOf(table) {
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent.trim())).reverse();
  const days = rows.map((row) => Date.parse(`${row[0]}T12:00:00Z`) / 1000);
  // What is told as "<11" or not told is a gap, not a zero.
  const series = heads.slice(1).map((_, at) => rows.map((row) => (row[at + 1] === "" || Number.isNaN(Number(row[at + 1])) ? null : Number(row[at + 1]))));
  return { heads: heads.slice(1), days, series };
}

function draw(place) {
  const { heads, days, series } = numbersOf(document.getElementById(place.dataset.table));
  if (days.length < 2) return;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const ink = getComputedStyle(document.body).color, faint = dark ? "#3a4250" : "#d7dbe2";
  const axis = { stroke: ink, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint } };
  const day = (at) => new Date(at * 1000).toLocaleDateString(document.documentElement.lang, { month: "short", day: "numeric", timeZone: "UTC" });
  const lines = heads.map((label, at) => ({
    label, stroke: at === heads.length - 1 ? ink : (dark ? bright : inks)[at % inks.length], width: 2, dash: dashes[at % dashes.length], points: { size: 5 }, spanGaps: false,
  }));
  const size = () => ({ width: place.clientWidth, height: Math.min(320, Math.max(200, place.clientWidth / 2.6)) });
  const options = {
    ...size(), legend: { live: false }, cursor: { drag: { x: false, y: false } },
    axes: [{ ...axis, values: (_, ticks) => ticks.map(day) }, { ...axis, size: 48 }],
    scales: { y: { range: (_, least, most) => [0, Math.max(1, most * 1.08)] } },
    series: [{ value: (_, at) => day(at) }, ...lines],
  };
  const chart = new uPlot(options, [days, ...series], place), watch = new ResizeObserver(() => chart.setSize(size()));
  watch.observe(place);
  // Evening falls: the colours of the page change under what is drawn.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { watch.disconnect(); chart.destroy(); draw(place); }, { once: true });
}

for (const place of document.querySelectorAll(".chart")) draw(place);
