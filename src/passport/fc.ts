import { fcWorkgroupBytes, passportFcGradKernel, passportFcKernel } from "../../shaders/passport-fc.wgsl";
import type { Device } from "../gpu/device";
import { record, type Tensor } from "../tensor/tensor";

/** Invocations of the workgroup, and the channels up to which it is enough. */
const HARDWARE = { lanes: 256, channels: 512 };
/** Where a workgroup is one core's work: measured, from 384 channels on the layers are faster. */
const SOFTWARE = { lanes: 8, channels: 256 };

const formFor = ({ caps }: Device) => (caps.adapter === "hardware" ? HARDWARE : SOFTWARE);

/** Whether {@link passportFc} takes so many channels and hidden values. */
export const fitsPassportFc = (device: Device, channels: number, hidden: number): boolean =>
  channels <= formFor(device).channels && fcWorkgroupBytes(hidden) <= device.caps.maxWorkgroupStorage;

/**
 * The FC of a passport in one launch, and one for its gradients:
 *
 *     rows = act(raw · A) · B,   act(x) = x where x > 0, else slope · x
 *
 * Shapes: raw [2, O], a [O, H], b [H, O] → [2, O]. Only for sizes of {@link fitsPassportFc}.
 */
export function passportFc(raw: Tensor, a: Tensor, b: Tensor, slope: number): Tensor {
  const { device } = raw;
  const [channels, hidden] = a.shape as [number, number];
  const lanes = Math.min(formFor(device).lanes, device.caps.maxInvocations);
  const spec = { channels, hidden, lanes };
  const [rows, inner] = [raw.newEmpty([2, channels]), raw.newEmpty([2, hidden])];
  const given = { raw: raw.buffer, a: a.buffer, b: b.buffer };
  device.run(passportFcKernel, spec, { ...given, hidden: inner.buffer, rows: rows.buffer }, { slope });
  const input = raw.requiresGrad;
  const weights = a.requiresGrad || b.requiresGrad;
  record("passportFc", rows, [raw, a, b], [raw, inner, a, b], (sr, si, sa, sb) => (d, sumSoFar) => {
    const sum = input ? sumSoFar(0) : null;
    const draw = input ? (sum ?? d.newEmpty(sr.shape)) : null;
    const [da, db] = weights ? [d.newEmpty(sa.shape), d.newEmpty(sb.shape)] : [null, null];
    const buffers = {
      ...{ d: d.buffer, hidden: si.buffer, raw: sr.buffer, a: sa.buffer, b: sb.buffer },
      ...{ draw: (draw ?? d).buffer, da: (da ?? d).buffer, db: (db ?? d).buffer },
    };
    device.run(passportFcGradKernel, { ...spec, input, weights }, buffers, { slope, adds: sum ? 1 : 0 });
    return [sum ? null : draw, da, db];
  });
  inner.dispose();
  return rows;
}
