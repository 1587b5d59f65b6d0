/** The phone's cameras: one at a time, its newest frame, and what its failures mean. */

import { Problem, reason, type Frame } from "./engine";

/** Where a camera looks: away from the person, or at them. */
export type Facing = "environment" | "user";

/** A running camera. */
export class Camera {
  private readonly canvas = document.createElement("canvas");
  private readonly context: CanvasRenderingContext2D;

  private constructor(
    private readonly video: HTMLVideoElement,
    private readonly stream: MediaStream,
    /** Where it really looks; null where the camera does not say. */
    readonly facing: Facing | null,
  ) {
    this.canvas.width = video.videoWidth;
    this.canvas.height = video.videoHeight;
    // Read back at every frame: kept in ordinary memory, since fetching it from the graphics processor takes longer.
    this.context = this.canvas.getContext("2d", { willReadFrequently: true, alpha: false }) as CanvasRenderingContext2D;
  }

  /**
   * Start a camera and wait for its first frame.
   *
   * @param onEnd Told when it stops by itself, as when it is unplugged or taken by another app.
   * @throws Problem: there is none, it was not allowed, or it does not start.
   */
  static async start(video: HTMLVideoElement, facing: Facing, onEnd: (problem: Problem) => void): Promise<Camera> {
    const stream = await open(facing);
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", () => onEnd(new Problem("camera", "The camera stopped. Another app may have taken it. Start it again.")));
    video.srcObject = stream;
    try {
      await video.play();
    } catch (error) {
      track.stop();
      throw problemOf(error);
    }
    const looks = track.getSettings().facingMode;
    return new Camera(video, stream, looks === "environment" || looks === "user" ? looks : null);
  }

  /** Wait for a frame that was not seen yet. */
  newFrame(): Promise<void> {
    return new Promise((resolve) => {
      if ("requestVideoFrameCallback" in this.video) this.video.requestVideoFrameCallback(() => resolve());
      else requestAnimationFrame(() => resolve());
    });
  }

  /** The camera's current frame in full, `rgba`. */
  read(): Frame {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
    this.context.drawImage(this.video, 0, 0);
    return { data: this.context.getImageData(0, 0, width, height).data, width, height, order: "rgba" };
  }

  stop(): void {
    this.stream.getTracks().forEach((track) => track.stop());
    this.video.srcObject = null;
  }
}

/** Number of cameras, which browsers tell once one was allowed. */
export async function countCameras(): Promise<number> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput").length;
}

/** Whether the camera may be used without asking; false where the browser does not say. */
export async function isAllowed(): Promise<boolean> {
  try {
    return (await navigator.permissions.query({ name: "camera" as PermissionName })).state === "granted";
  } catch {
    return false; // Firefox knows no such permission; the button asks
  }
}

async function open(facing: Facing): Promise<MediaStream> {
  try {
    const video = { facingMode: { ideal: facing }, width: { ideal: 640 }, height: { ideal: 480 } };
    return await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    throw problemOf(error);
  }
}

function problemOf(error: unknown): Problem {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") {
    return new Problem("denied", "This page may not use the camera. Allow it in the browser's settings of this site (the sign beside the address), and in the phone's settings for the browser, then try again.", error);
  }
  if (name === "NotFoundError" || name === "OverconstrainedError") {
    return new Problem("camera", "This page needs a camera. Received: none. Connect one, or open the page on a phone.", error);
  }
  if (name === "NotReadableError" || name === "AbortError") {
    return new Problem("camera", "The camera must be free. Received: one that is in use or does not start. Close other apps that use it, then try again.", error);
  }
  return new Problem("camera", `The camera must start. Received: ${reason(error)}. Load the page again.`, error);
}
