import { describe, expect, it } from "vitest";
import { ArgumentError } from "../../src/errors";
import {
  constantLR,
  cosineLR,
  multiStepLR,
  oneCycleLR,
  type Schedule,
  stepLR,
  warmupLR,
} from "../../src/optim/schedules";

/**
 * Values printed by PyTorch 1.13's schedulers; they compute recursively, so the last bits differ.
 */
function expectLike(schedule: Schedule, base: number, at: readonly number[], torch: readonly number[]) {
  for (const [i, epoch] of at.entries()) {
    const difference = Math.abs(base * schedule(epoch) - torch[i]!);
    expect(difference, `epoch ${epoch}: ${base * schedule(epoch)} against ${torch[i]}`).toBeLessThan(1e-15);
  }
}

const upTo = (n: number) => Array.from({ length: n + 1 }, (_, i) => i);

describe("schedules against PyTorch", () => {
  it("StepLR(20, 0.7)", () => {
    expectLike(
      stepLR({ stepSize: 20, gamma: 0.7 }),
      0.001,
      [0, 19, 20, 39, 40, 60, 80],
      [0.001, 0.001, 0.0007, 0.0007, 0.00049, 0.000343, 0.00024009999999999998],
    );
  });

  it("MultiStepLR([3, 5, 5, 8]), in any order", () => {
    const torch = [
      0.01, 0.01, 0.01, 0.001, 0.001, 1.0000000000000003e-5, 1.0000000000000003e-5, 1.0000000000000003e-5,
      1.0000000000000004e-6, 1.0000000000000004e-6, 1.0000000000000004e-6,
    ];
    expectLike(multiStepLR({ milestones: [3, 5, 5, 8] }), 0.01, upTo(10), torch);
    expectLike(multiStepLR({ milestones: [8, 5, 3, 5] }), 0.01, upTo(10), torch);
  });

  it("CosineAnnealingLR(10)", () => {
    expectLike(
      cosineLR({ epochs: 10 }),
      0.1,
      upTo(10),
      [
        0.1, 0.09755282581475769, 0.09045084971874738, 0.07938926261462367, 0.06545084971874739, 0.05000000000000001,
        0.03454915028125264, 0.020610737385376353, 0.009549150281252635, 0.002447174185242324, 0,
      ],
    );
  });

  it("CosineAnnealingLR(10, eta_min=0.001)", () => {
    expectLike(
      cosineLR({ epochs: 10, etaMin: 0.01 }),
      0.1,
      upTo(10),
      [
        0.1, 0.09757729755661011, 0.0905463412215599, 0.07959536998847742, 0.0657963412215599, 0.0505,
        0.03520365877844011, 0.02140463001152259, 0.010453658778440109, 0.0034227024433899004, 0.001,
      ],
    );
  });

  it("SequentialLR([LinearLR(0.1, 1, 4), CosineAnnealingLR(8, eta_min=0.001)], [4])", () => {
    const torch = [
      0.010000000000000002, 0.03250000000000001, 0.055000000000000014, 0.07750000000000003, 0.1, 0.0962320368593087,
      0.0855017856687341, 0.06944282990207196, 0.0505, 0.03155717009792806, 0.0154982143312659, 0.004767963140691306,
      0.001,
    ];
    expectLike(cosineLR({ epochs: 12, etaMin: 0.01, warmup: 4, startFactor: 0.1 }), 0.1, upTo(12), torch);
    expectLike(warmupLR(cosineLR({ epochs: 8, etaMin: 0.01 }), { epochs: 4, startFactor: 0.1 }), 0.1, upTo(12), torch);
  });
});

describe("one cycle against PyTorch, whose peak is a step before its share of the steps", () => {
  it("OneCycleLR(0.1, total_steps=11)", () => {
    const torch = [
      0.0040000000000000036, 0.04223411137347358, 0.09602614247226175, 0.09797465678213016, 0.08844757247686304,
      0.07260870492975284, 0.05305827080875998, 0.03300580289872949, 0.015743251279950788, 0.0041045543206290865, 4e-7,
    ];
    expectLike(oneCycleLR({ epochs: 10, pctStart: (0.3 * 11 - 1) / 10 }), 0.1, upTo(10), torch);
  });

  it("OneCycleLR(0.1, total_steps=9, pct_start=0.5, div_factor=10, final_div_factor=100)", () => {
    const torch = [
      0.009999999999999995, 0.02694295891635698, 0.06501344202803415, 0.09554359905560886, 0.09698764640825613,
      0.07502500000000001, 0.041376273525536834, 0.011786080066207053, 0.0001,
    ];
    const options = { epochs: 8, pctStart: 3.5 / 8, divFactor: 10, finalDivFactor: 100 };
    expectLike(oneCycleLR(options), 0.1, upTo(8), torch);
  });
});

describe("schedules", () => {
  it("accept fractions of an epoch", () => {
    expect(stepLR({ stepSize: 2 })(1.99)).toBe(1);
    expect(multiStepLR({ milestones: [2.5], gamma: 0.5 })(2.5)).toBe(0.5);
    expect(cosineLR({ epochs: 3 })(1.5)).toBeCloseTo(0.5, 15);
    expect(warmupLR(constantLR(), { epochs: 1, startFactor: 0 })(0.25)).toBe(0.25);
  });

  it("stay at the end value", () => {
    expect(cosineLR({ epochs: 4, etaMin: 0.25 })(9)).toBe(0.25);
    expect(oneCycleLR({ epochs: 4, divFactor: 2, finalDivFactor: 4 })(9)).toBe(0.125);
    expect(constantLR()(1e6)).toBe(1);
  });

  it("do not follow later changes of the milestones given", () => {
    const milestones = [1];
    const schedule = multiStepLR({ milestones });
    milestones.push(2);
    expect(schedule(5)).toBe(0.1);
  });

  it("refuse what makes no sense", () => {
    expect(() => stepLR({ stepSize: 0 })).toThrow(ArgumentError);
    expect(() => stepLR({ stepSize: 1, gamma: Number.NaN })).toThrow(/gamma/);
    expect(() => multiStepLR({ milestones: [3, -1] })).toThrow(/milestones.*got -1/);
    expect(() => cosineLR({ epochs: 5, warmup: 5 })).toThrow(/below epochs \(5\)/);
    expect(() => cosineLR({ epochs: 5, etaMin: 2 })).toThrow(ArgumentError);
    expect(() => warmupLR(constantLR(), { epochs: 0 })).toThrow(ArgumentError);
    expect(() => oneCycleLR({ epochs: 5, pctStart: 1 })).toThrow(/pctStart.*between 0 and 1, got 1/);
    expect(() => oneCycleLR({ epochs: 5, divFactor: 0.5 })).toThrow(/divFactor/);
    for (const schedule of [
      stepLR({ stepSize: 1 }),
      multiStepLR({ milestones: [] }),
      cosineLR({ epochs: 1 }),
      oneCycleLR({ epochs: 1 }),
    ]) {
      expect(() => schedule(-1)).toThrow(ArgumentError);
      expect(() => schedule(Number.NaN)).toThrow(ArgumentError);
    }
  });
});
