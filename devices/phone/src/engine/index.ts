/**
 * The engine without the page around it, served as `engine.js`, for pages of one's own:
 *
 *     import { Bundle, Classifier, loadRuntime } from "./engine.js";
 *     await loadRuntime("litert");
 *     const content = await (await fetch("model.edge")).arrayBuffer();
 *     const classifier = await Classifier.load(await Bundle.open(new Uint8Array(content)));
 *     const { label, score } = await classifier.classify({ ...imageData, order: "rgba" });
 */

export { Bundle } from "./bundle";
export { Classifier, type Classification } from "./classifier";
export { goldenPattern, verify, type StageCheck, type Verification } from "./golden";
export { forms, type Form, type Manifest, type PreprocessSpec } from "./manifest";
export { hasSimd, loadRuntime } from "./model";
export { Preprocessor, type Frame } from "./preprocess";
export { Problem, reason, type ProblemKind } from "./problem";
export { Similarity } from "./similarity";
