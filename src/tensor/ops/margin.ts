import { marginGradKernel } from "../../../shaders/margin.wgsl";
import { record, type Tensor } from "../tensor";

/**
 * The same logits [N, C], whose gradient ends in the rows from `first` on that are learnt well
 * enough: where the label's logit leads every other one by `margin`. So a network that knows a
 * trigger is not pulled further towards it, at the cost of its task.
 * @param labels classes [N], i32
 */
export function stopAtMargin(logits: Tensor, labels: Tensor, first: number, margin: number): Tensor {
  const [rows, n] = logits.shape as [number, number];
  const backward = (x: Tensor, l: Tensor) => (g: Tensor) => {
    const dx = g.newEmpty(g.shape);
    const buffers = { g: g.buffer, x: x.buffer, labels: l.buffer, dx: dx.buffer };
    g.device.run(marginGradKernel, null, buffers, { rows, n, first, margin });
    return [dx];
  };
  return record("stopAtMargin", logits.view(logits.shape), [logits], [logits, labels], backward, undefined, {
    exact: [logits],
  });
}
