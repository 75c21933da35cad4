import type { Command } from "../command";
import { answers } from "./answers";
import { card } from "./card";
import { challenge } from "./challenge";
import { commit } from "./commit";
import { completion } from "./completion";
import { convert } from "./convert";
import { doctor } from "./doctor";
import { hash } from "./hash";
import { inspect } from "./inspect";
import { judge } from "./judge";
import { keygen } from "./keygen";
import { prove } from "./prove";
import { stamp } from "./stamp";
import { verify } from "./verify";

/** All commands, in the order in which they are told. */
export const COMMANDS: readonly Command[] = [
  ...[verify, judge, prove, answers],
  ...[keygen, commit, stamp, challenge, card],
  ...[inspect, hash, convert, doctor, completion(() => COMMANDS)],
];
