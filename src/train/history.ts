/** Mean losses over a stretch of training steps; the private ones are 0 for a plain network. */
export interface StepRecord {
  /** Number of the stretch's last step, from 1. */
  step: number;
  /** Sum of the three below. */
  loss: number;
  publicLoss: number;
  privateLoss: number;
  signLoss: number;
}

/** What one epoch came to. */
export interface EpochRecord {
  /** From 1. */
  epoch: number;
  /** Mean training loss. */
  loss: number;
  /** Test accuracies, where there are test images. */
  public?: number;
  private?: number;
  /** Signature bits that the signs of γ match, of how many. */
  bitsMatched: number;
  bits: number;
  seconds: number;
}

/** A run so far: losses by stretches of steps, findings by epochs. */
export interface History {
  steps: StepRecord[];
  epochs: EpochRecord[];
}
