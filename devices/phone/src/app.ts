/** The page: load the bundle beside it, start a camera, classify its newest frame, over and over. */

import { Camera, countCameras, isAllowed, type Facing } from "./camera";
import { Bundle, Classifier, hasSimd, loadRuntime, Problem, reason, verify, type Classification, type Frame } from "./engine";
import { keepOffline } from "./offline";
import { StageTimes } from "./times";
import { $, showClassification, showFrame, showModel, showProblem, showTimes, showVerification, stand } from "./view";

const BUNDLE = "model.edge";
const TIMES_EVERY_MS = 250;
const OTHER: Record<Facing, Facing> = { environment: "user", user: "environment" };

/** Sent to `document` after every classification, for whoever builds upon the page: the result, and the frame it is of. */
export interface Classified {
  readonly result: Classification;
  readonly frame: Frame;
}

class App {
  private camera: Camera | null = null;
  private facing: Facing = "environment";
  private starting = false;

  private constructor(
    private readonly bundle: Bundle,
    private readonly classifier: Classifier,
  ) {}

  static async load(): Promise<App> {
    checkBrowser();
    const [content] = await Promise.all([download(BUNDLE), loadRuntime("litert")]);
    const bundle = await Bundle.open(content);
    const classifier = await Classifier.load(bundle);
    await classifier.warmUp();
    return new App(bundle, classifier);
  }

  async begin(): Promise<void> {
    showModel(this.bundle.manifest, this.bundle.sizeBytes, this.classifier.form);
    $("start-button").onclick = () => void this.start();
    $("switch").onclick = () => void this.start(OTHER[this.facing]);
    $("verify").onclick = () => void this.check();
    $("reload").onclick = () => location.reload();
    stand("start");
    if (await isAllowed()) await this.start();
    await keepOffline((text) => ($("offline").textContent = text), () => ($("update").hidden = false));
  }

  /** Start a camera, in place of the one that runs. */
  private async start(facing: Facing = this.facing): Promise<void> {
    if (this.starting) return;
    this.starting = true;
    this.camera?.stop();
    this.camera = null;
    $("loading-text").textContent = "Starting the camera…";
    stand("loading");
    try {
      const camera = await Camera.start($<HTMLVideoElement>("video"), facing, (problem) => this.fail(problem));
      [this.camera, this.facing] = [camera, camera.facing ?? facing];
      $("switch").hidden = (await countCameras()) < 2;
      $("switch-text").textContent = this.facing === "environment" ? "Front" : "Back";
      stand("picture");
      void keepAwake();
      void this.classify(camera).catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
    this.starting = false;
  }

  private fail(error: unknown): void {
    this.camera?.stop();
    this.camera = null;
    $("switch").hidden = true;
    showProblem(asProblem(error), () => void this.start());
  }

  private async classify(camera: Camera): Promise<void> {
    const times = new StageTimes(["capture", ...this.classifier.stages]);
    let [shown, count, size] = [performance.now(), 0, ""];
    while (this.camera === camera) {
      await camera.newFrame();
      if (this.camera !== camera) return;
      const begun = performance.now();
      const frame = camera.read();
      const capture = performance.now() - begun;
      const result = await this.classifier.classify(frame);
      times.record([capture, ...result.milliseconds]);
      count++;
      if (size !== `${frame.width}×${frame.height}`) {
        size = `${frame.width}×${frame.height}`;
        showFrame(frame.width, frame.height, this.bundle.manifest, this.facing === "user");
      }
      showClassification(result, this.bundle.manifest);
      const now = performance.now();
      if (now - shown >= TIMES_EVERY_MS) {
        showTimes(times.summary(), (1000 * count) / (now - shown));
        [shown, count] = [now, 0];
      }
      document.dispatchEvent(new CustomEvent<Classified>("classified", { detail: { result, frame } }));
    }
  }

  private async check(): Promise<void> {
    const button = $<HTMLButtonElement>("verify");
    button.disabled = true;
    $("verify-text").textContent = "Comparing…";
    try {
      showVerification(await verify(this.bundle));
    } catch (error) {
      $("verify-text").textContent = reason(error);
    }
    button.disabled = false;
  }
}

/** A screen that goes dark takes the camera with it; where the phone would rather save its battery, it may. */
async function keepAwake(): Promise<void> {
  await navigator.wakeLock?.request("screen").catch(() => undefined);
}

function checkBrowser(): void {
  if (!isSecureContext || !navigator.mediaDevices?.getUserMedia) {
    throw new Problem(
      "insecure",
      `Browsers give the camera only to pages loaded over https, or from the device itself (localhost). Received: ${location.origin}. ` +
        "Run: edge-sdk phone serve BUNDLE --tls, and open the address that it prints.",
    );
  }
  if (!hasSimd()) {
    throw new Problem(
      "browser",
      "This page needs WebAssembly with SIMD: Chrome 105, Firefox 113, Safari 16.4 or newer. Received: a browser without it. Update the browser.",
    );
  }
}

async function download(name: string): Promise<Uint8Array> {
  try {
    const answer = await fetch(name);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  } catch (error) {
    throw new Problem("network", `The bundle must be beside this page. Received: no ${name} (${reason(error)}). Build the page again, or reconnect to its server.`, error);
  }
}

function asProblem(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem("network", `The page must load completely. Received: ${reason(error)}. Load it again.`, error);
}

async function main(): Promise<void> {
  try {
    await (await App.load()).begin();
  } catch (error) {
    showProblem(asProblem(error), null);
  }
}

void main();
