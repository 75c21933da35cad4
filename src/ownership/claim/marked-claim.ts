import type { CredentialInfo } from "../../models/credential";
import type { DerivedClaim } from "./derive";

/** Bits that follow from a claim, and the credential that holds it. */
export interface BitsOfClaim {
  readonly info: CredentialInfo;
  readonly derived: Pick<DerivedClaim, "bits">;
}

/** A claim, and the credential that holds it. */
export interface MarkedClaim extends BitsOfClaim {
  readonly derived: DerivedClaim;
}
