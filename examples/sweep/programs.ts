/** The examples that a sweep can run: where they are, and who reads their options. */

interface Program {
  /** From the root of the clone. */
  script: string;
  /**
   * Reads the options as the program will, so that a plan is refused before anything runs.
   * Imported only when it is asked for: the attacks bring half of the package along.
   */
  reader: () => Promise<{ readSettings: (args: string[]) => unknown }>;
  /** Whether it goes on from a checkpoint by `--resume`; attacks take over what is there. */
  trains: boolean;
  /** Whether the attacks can read the data that its networks were trained on. */
  attacked: boolean;
}

export const PROGRAMS = {
  cifar10: {
    script: "examples/cifar10.ts",
    reader: () => import("../cifar10/settings"),
    trains: true,
    attacked: true,
  },
  modelnet40: {
    script: "examples/modelnet40.ts",
    reader: () => import("../modelnet40/settings"),
    trains: true,
    attacked: true,
  },
  photos: { script: "examples/photos.ts", reader: () => import("../photos/settings"), trains: true, attacked: false },
  attacks: {
    script: "examples/attacks.ts",
    reader: () => import("../attacks/settings"),
    trains: false,
    attacked: false,
  },
} as const satisfies Record<string, Program>;

export type ProgramName = keyof typeof PROGRAMS;
export const PROGRAM_NAMES = Object.keys(PROGRAMS) as ProgramName[];

export const isProgram = (name: unknown): name is ProgramName =>
  typeof name === "string" && Object.hasOwn(PROGRAMS, name);
