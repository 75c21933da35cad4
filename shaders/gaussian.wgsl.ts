/**
 * The standard normal distribution, as WGSL has no erf, and what stands for it in GELU's
 * approximation.
 */

/**
 * WGSL: Φ(x) = ½ (1 + erf(x/√2)), off by at most 1.2e-7; NaN may give any number.
 *
 * Below 1.5 the Taylor series of Φ − ½. Beyond, the tail 1 − Φ is exp(−x²/2) times a polynomial in
 * t = 1 / (1 + 0.42 |x|), fitted to 6e-8 of itself from 1.45 to 20: so a small Φ keeps its digits,
 * and from 20 on it is 0 in f32 anyway.
 */
export const GAUSSIAN = /* wgsl */ `
fn gaussian(x: vec4f) -> vec4f {
  let z = -0.5 * x * x;
  let series = 1.0 + z * (1.0 / 3.0 + z * (1.0 / 10.0 + z * (1.0 / 42.0 + z * (1.0 / 216.0 + z * (1.0 / 1320.0
    + z * (1.0 / 9360.0 + z * (1.0 / 75600.0 + z * (1.0 / 685440.0 + z * (1.0 / 6894720.0 + z / 76204800.0)))))))));
  let a = min(abs(x), vec4f(20.0));
  let t = 1.0 / (1.0 + 0.42 * a);
  let scaled = t * (0.1675623405 + t * (0.1673520752 + t * (0.1405669465 + t * (0.0617704200 + t * (0.0708124902
    + t * (-0.1875148730 + t * 0.0803821137))))));
  let tail = exp(-0.5 * a * a) * scaled;
  return select(select(1.0 - tail, tail, x < vec4f()), 0.5 + 0.3989422804 * x * series, a < vec4f(1.5));
}`;

/**
 * WGSL: u = 2√(2/π) (x + 0.044715 x³), with which ½ (1 + tanh(u/2)) = 1 / (1 + e⁻ᵘ) loses no digits
 * to the 1; and the derivative of x / (1 + e⁻ᵘ).
 */
export const GELU_TANH = /* wgsl */ `
fn cubic(x: vec4f) -> vec4f { return x * (1.5957691216 + 0.0713548163 * x * x); }
fn geluTanhSlope(x: vec4f) -> vec4f {
  // Beyond 30 the function is x or 0, and no square overflows.
  let c = clamp(x, vec4f(-30.0), vec4f(30.0));
  let gate = 1.0 / (1.0 + exp(-cubic(c)));
  return gate + x * (gate * (1.0 - gate) * (1.5957691216 + 0.2140644488 * c * c));
}`;
