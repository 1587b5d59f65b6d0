/** What the page shows. Text goes in as text, never as markup: names and labels come from a file. */

import type { Classification, Manifest, Problem, ProblemKind, Verification } from "./engine";
import { frameGeometry } from "./engine/geometry";
import type { Percentiles } from "./times";

const SHOWN_SCORES = 5;

/** An element of the page by its id. */
export function $<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

/** Show one of the things that can stand in the camera's place. */
export function stand(what: "loading" | "start" | "picture" | "trouble"): void {
  for (const id of ["loading", "start", "picture", "trouble"]) $(id).hidden = id !== what;
  $("result").hidden = what !== "picture";
  $("app").classList.toggle("early", hasNoModel());
}

const TITLES: Record<ProblemKind, string> = {
  insecure: "This page was opened over plain http",
  browser: "This browser cannot run the classifier",
  bundle: "The bundle is damaged",
  version: "The bundle is newer than this page",
  camera: "The camera does not work",
  denied: "The camera was not allowed",
  network: "The page did not load completely",
};

/** Show what is wrong, and a button where trying again may help. */
export function showProblem(problem: Problem, again: (() => void) | null): void {
  $("trouble").dataset.kind = problem.kind;
  $("trouble-title").textContent = TITLES[problem.kind];
  $("trouble-text").textContent = problem.message;
  const button = $<HTMLButtonElement>("trouble-button");
  button.hidden = again === null;
  button.onclick = again;
  $("app").classList.toggle("failed", hasNoModel());
  stand("trouble");
}

/** Show what the bundle says of itself. */
export function showModel(manifest: Manifest, sizeBytes: number, form: string): void {
  const { width, height, color, resize } = manifest.preprocess;
  const { accuracy, images, data, parameters, macs, tflite_bytes: model } = manifest.measured;
  document.title = manifest.name;
  $("name").textContent = manifest.name;
  pairs($("facts"), [
    ["accuracy", accuracy === null ? "not measured" : `${percent(accuracy)} of ${count(images)} held-out images (${data})`],
    ["size", `${bytes(sizeBytes)} bundle, ${bytes(model)} of it models`],
    ["input", `${width} × ${height} ${color === "rgb" ? "RGB" : "grey"}, ${resize}`],
    ["form", form === "fused" ? "fused: one model" : "staged: embedding, similarity, head"],
    ...(parameters === null ? [] : [["parameters", count(parameters)] as const]),
    ...(macs === null ? [] : [["work", `${count(macs)} multiply-accumulates per image`] as const]),
  ]);
  $("labels-summary").textContent = `${manifest.labels.length} labels`;
  $("labels").textContent = manifest.labels.join(" · ");
  $("panel").hidden = false;
}

/** Fit the view to a frame of a size, and frame the part that the model looks at where it is not all. */
export function showFrame(width: number, height: number, manifest: Manifest, mirrored: boolean): void {
  const [left, top, wide, high] = frameGeometry([width, height], manifest.preprocess).source;
  const guide = $("guide");
  const shares = { left: left / width, top: top / height, width: wide / width, height: high / height };
  for (const [name, share] of Object.entries(shares)) guide.style.setProperty(`--${name}`, `${100 * share}%`);
  guide.hidden = wide === width && high === height;
  $("camera").style.setProperty("--ratio", String(width / height));
  $("video").classList.toggle("mirrored", mirrored);
}

/** Show one classification. */
export function showClassification(result: Classification, manifest: Manifest): void {
  $("label").textContent = result.unknown ? "unknown" : result.label;
  $("score").textContent = result.unknown ? `closest: ${result.label}` : percent(result.score);
  const best = Array.from(result.scores, (score, i) => [manifest.labels[i], score] as const)
    .sort((one, other) => other[1] - one[1])
    .slice(0, SHOWN_SCORES);
  $("scores-count").textContent = manifest.labels.length > SHOWN_SCORES ? `${SHOWN_SCORES} of ${manifest.labels.length}` : "";
  const rows = fitted($("scores"), best.length, scoreRow);
  best.forEach(([label, score], i) => {
    const [name, share, track] = rows[i].children as unknown as [HTMLElement, HTMLElement, HTMLElement];
    name.textContent = label;
    share.textContent = percent(score);
    (track.firstElementChild as HTMLElement).style.setProperty("--share", `${100 * score}%`);
  });
  $("scores-card").hidden = false;
}

/** Show medians and 95th percentiles of the stages, and classifications per second. */
export function showTimes(times: readonly Percentiles[], perSecond: number): void {
  $("rate").textContent = Number.isFinite(perSecond) ? `${perSecond.toFixed(1)} per second` : "";
  const longest = Math.max(...times.map((time) => time.median), 1e-6);
  const rows = fitted($("times"), times.length, timeRow);
  times.forEach(({ stage, median, p95 }, i) => {
    const [name, track, middle, high] = rows[i].children as unknown as [HTMLElement, HTMLElement, HTMLElement, HTMLElement];
    name.textContent = stage;
    (track.firstElementChild as HTMLElement).style.setProperty("--share", `${(100 * median) / longest}%`);
    middle.textContent = milliseconds(median);
    high.textContent = milliseconds(p95);
  });
  $("times-card").hidden = false;
}

/** Show whether this phone computes what the workstation did. */
export function showVerification(outcome: Verification): void {
  $("verify-text").textContent = outcome.passed
    ? `This phone computes what the workstation did: ${outcome.frames} frames, every stage.`
    : "This phone computes something else than the workstation did; its labels cannot be trusted.";
  const list = $("checks");
  list.replaceChildren();
  for (const check of outcome.checks) {
    const value = element("dd", check.passed ? "" : "failed", `${check.passed ? "✓" : "✗"} ${difference(check.difference)}`);
    list.append(element("dt", "", `${check.form} ${check.stage}`), value);
  }
}

function hasNoModel(): boolean {
  return $("panel").hidden !== false;
}

function pairs(list: HTMLElement, entries: readonly (readonly [string, string])[]): void {
  list.replaceChildren(...entries.flatMap(([term, text]) => [element("dt", "", term), element("dd", "", text)]));
}

function fitted(list: HTMLElement, length: number, make: () => HTMLElement): HTMLCollection {
  while (list.children.length > length) list.lastElementChild?.remove();
  while (list.children.length < length) list.append(make());
  return list.children;
}

function scoreRow(): HTMLElement {
  return holding("li", [element("span", "name"), element("span", "share"), bar("div")]);
}

function timeRow(): HTMLElement {
  return holding("div", [element("dt"), bar("dd"), element("dd"), element("dd", "p95")]);
}

function bar(tag: string): HTMLElement {
  const track = holding(tag, [element("div", "fill")]);
  track.className = "track";
  return track;
}

function holding(tag: string, children: HTMLElement[]): HTMLElement {
  const parent = element(tag);
  parent.append(...children);
  return parent;
}

function element(tag: string, className = "", text = ""): HTMLElement {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function percent(share: number): string {
  return Number.isNaN(share) ? "not a number" : `${(100 * share).toFixed(share > 0.9995 ? 0 : 1)} %`;
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 9.95 ? 2 : value < 99.5 ? 1 : 0)} ms`;
}

function difference(value: number): string {
  return value === 0 ? "equal" : value < 1e-3 ? value.toExponential(1) : value.toPrecision(2);
}

function bytes(size: number): string {
  return size < 1e6 ? `${(size / 1e3).toFixed(1)} kB` : `${(size / 1e6).toFixed(2)} MB`;
}

function count(number: number): string {
  return number.toLocaleString("en");
}
