/**
 * Functions that WGSL has in name only: `log` may be off by half a percent near 1, `tanh` gives 0
 * for small numbers, and `pow` is defined for x > 0 alone, where it is off by the exponent times
 * the error of a logarithm. These are right to a few units in the last place, `power` to 2⁻¹⁶ of
 * results near the ends of the range.
 */

/**
 * WGSL: `∞`, which cannot be a constant; and the greatest number.
 */
const LIMITS = /* wgsl */ `
const MOST = vec4f(3.4028234e38);
fn infinity() -> vec4f { var bits = vec4u(0x7f800000u); return bitcast<vec4f>(bits); }`;

/**
 * WGSL: x = 2^e · m for finite x > 0, with m from √½ to √2, and log m = 2 · atanh s by its series,
 * s = (m − 1) / (m + 1).
 */
const LOGARITHM_PARTS = /* wgsl */ `
struct Parts { e: vec4f, log_m: vec4f }
fn parts(x: vec4f) -> Parts {
  let tiny = x < vec4f(1.1754944e-38);
  let bits = bitcast<vec4i>(select(x, x * 16777216.0, tiny));
  let e = (bits - vec4i(0x3f3504f3)) >> vec4u(23u);
  let m = bitcast<vec4f>(bits - (e << vec4u(23u)));
  let s = (m - 1.0) / (m + 1.0);
  let z = s * s;
  let series = z * (1.0 / 3.0 + z * (1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0))));
  return Parts(vec4f(e) - select(vec4f(), vec4f(24.0), tiny), 2.0 * s + 2.0 * s * series);
}`;

/** WGSL: ln x for x ≥ 0; anything for others. */
export const LOGARITHM = /* wgsl */ `
${LIMITS}
${LOGARITHM_PARTS}
fn logarithm(x: vec4f) -> vec4f {
  let split = parts(x);
  // ln 2 in two pieces: the first times e is exact.
  let finite = split.e * 0.693359375 + (split.log_m - split.e * 2.12194440e-4);
  return select(select(finite, x, x > MOST), -infinity(), x == vec4f());
}`;

/** WGSL: tanh x, by its series below ½. */
export const TANH = /* wgsl */ `
fn hyperbolic(x: vec4f) -> vec4f {
  let a = min(abs(x), vec4f(15.0));
  let z = a * a;
  let series = z * (-1.0 / 3.0 + z * (2.0 / 15.0 + z * (-17.0 / 315.0 + z * (62.0 / 2835.0 + z * (-1382.0 / 155925.0
    + z * (21844.0 / 6081075.0 + z * (-929569.0 / 638512875.0)))))));
  let far = 1.0 - 2.0 / (exp(2.0 * a) + 1.0);
  return select(select(far, -far, x < vec4f()), x * (1.0 + series), a < vec4f(0.5));
}`;

/**
 * WGSL: xᵉ as PyTorch has it. Whole exponents up to 64 are products; e = ±½ is a root; otherwise
 * 2^(e · log₂ x), with the exact part of e · log₂ x apart from the rest. NaN for finite x < 0 and a
 * fraction as e, 1 for x = 1 or e = 0 whatever the other is; an odd whole e keeps the sign.
 */
export const POWER = /* wgsl */ `
${LIMITS}
${LOGARITHM_PARTS}
fn product(a: vec4f, n: u32) -> vec4f {
  var result = vec4f(1.0);
  var base = a;
  for (var k = n; k > 0u; k >>= 1u) {
    if ((k & 1u) == 1u) { result *= base; }
    base *= base;
  }
  return result;
}
fn exponential(f: vec4f, k: vec4f) -> vec4f {
  let r = f * 0.69314718;
  let y = 1.0 + r * (1.0 + r / 2.0 * (1.0 + r / 3.0 * (1.0 + r / 4.0 * (1.0 + r / 5.0 * (1.0 + r / 6.0 * (1.0 + r / 7.0))))));
  // 2ᵏ in two factors, as it may lie outside the range where the result does not.
  let whole = vec4i(clamp(k, vec4f(-252.0), vec4f(252.0)));
  let lower = whole / 2;
  return y * bitcast<vec4f>((lower + 127) << vec4u(23u)) * bitcast<vec4f>((whole - lower + 127) << vec4u(23u));
}
fn general(a: vec4f, e: f32) -> vec4f {
  let split = parts(a);
  let log2_m = split.log_m * 1.44269504;
  let high = bitcast<f32>(bitcast<u32>(e) & 0xfffff000u);
  let first = high * split.e;
  let k = round(first);
  let rest = (first - k) + ((e - high) * split.e + e * log2_m);
  let more = round(rest);
  let t = e * (split.e + log2_m);
  let ends = select(vec4f(), infinity(), vec4<bool>(e > 0.0) == (a > vec4f(1.0)));
  let beyond = (abs(t) > vec4f(300.0)) | (a == vec4f()) | (a > MOST);
  return select(select(exponential(rest - more, k + more), ends, beyond), vec4f(1.0), a == vec4f(1.0));
}
fn power(x: vec4f, e: f32) -> vec4f {
  let a = abs(x);
  let n = abs(e);
  let whole = n == floor(n);
  var y: vec4f;
  var invalid = isNan(x);
  if (whole && n <= 64.0) {
    // Whichever way round, neither a product nor its reciprocal leaves the range where the result does not.
    let first = (a < vec4f(1.0)) & vec4<bool>(e < 0.0);
    let p = product(select(a, 1.0 / a, first), u32(n));
    y = select(p, 1.0 / p, (a >= vec4f(1.0)) & vec4<bool>(e < 0.0));
    invalid &= vec4<bool>(e != 0.0);
  } else if (n == 0.5) {
    let root = sqrt(x);
    y = select(root, 1.0 / root, vec4<bool>(e < 0.0));
    invalid |= x < vec4f();
  } else {
    y = general(a, e);
    invalid |= (x < vec4f()) & (a <= MOST) & vec4<bool>(!whole);
    invalid |= (x != vec4f(1.0)) & vec4<bool>((bitcast<u32>(n) & 0x7fffffffu) > 0x7f800000u);
  }
  let odd = whole && n < 16777216.0 && (u32(n) & 1u) == 1u;
  let negative = bitcast<vec4u>(x) & vec4u(select(0u, 0x80000000u, odd));
  return bitcast<vec4f>(select(bitcast<vec4u>(y) | negative, vec4u(0x7fc00000u), invalid));
}`;
