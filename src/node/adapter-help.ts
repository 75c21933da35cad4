/** What a person can type to get a WebGPU adapter, and the error that says so. */
import { AdapterNotFoundError } from "../errors";

/** Which adapter to take; `"auto"` is the first of the others that works, in this order. */
export type AdapterChoice = "auto" | "hardware" | "lavapipe" | "swiftshader";

/** One adapter that was tried, and why it is not to be had. */
export interface FailedAttempt {
  readonly adapter: string;
  readonly reason: string;
}

/** What the advice depends on. */
export interface HelpContext {
  readonly platform: NodeJS.Platform;
  readonly arch: string;
  /** Text of `/etc/os-release`; empty where there is none. */
  readonly osRelease: string;
  /** Whether the process may install system packages without `sudo`. */
  readonly root: boolean;
  /**
   * False in a `worker_threads` worker, where setting environment variables does not reach native
   * code.
   */
  readonly mainThread: boolean;
  /** Whether the code runs in a clone of the repository, where `npm run setup` exists. */
  readonly clone: boolean;
}

/** Installs Dawn's Node binding. */
export const INSTALL_WEBGPU = "npm install webgpu";
/** Brings SwiftShader as an npm package: needs no root rights. */
export const INSTALL_SWIFTSHADER = "npm install --save-dev @sparticuz/chromium@147.0.0";

/**
 * The error that lists every attempt with its reason, then the commands that help on this system.
 */
export function adapterNotFound(attempts: readonly FailedAttempt[], help: readonly string[]): AdapterNotFoundError {
  const lines = [
    "No WebGPU adapter was found. Expected one that Dawn accepts; tried, in this order:",
    ...attempts.map(({ adapter, reason }) => `  - ${adapter}: ${reason}`),
    "What helps here:",
    ...help.map((line) => `  - ${line}`),
  ];
  return new AdapterNotFoundError(lines.join("\n"));
}

/** The commands that bring the chosen adapter to this system, the easiest first. */
export function adapterHelp(choice: AdapterChoice, context: HelpContext): string[] {
  const { platform, arch, clone } = context;
  const anyOther = 'leave the choice to `adapter: "auto"` with PAN_ADAPTER unset, which takes what there is';
  if (platform === "darwin") {
    return [
      "a graphics processor with Metal on macOS 12 or later; many virtual machines have none",
      ...forced(choice, anyOther),
    ];
  }
  if (platform === "win32") {
    return ["a graphics driver with Direct3D 12 or Vulkan, from the maker of the card", ...forced(choice, anyOther)];
  }
  if (platform !== "linux") return [`Linux, macOS or Windows, or a browser: Dawn has no adapters for ${platform}`];
  const help: string[] = [];
  if (!context.mainThread) {
    help.push(
      `drivers are chosen for the whole process: call \`await dawn({ adapter: "${choice}" })\` on the main thread first, start the worker with \`env: SHARE_ENV\`, or set VK_DRIVER_FILES before the process starts`,
    );
  }
  if (choice === "hardware")
    return [...help, "the Vulkan driver of the graphics card, from its maker or from Mesa", anyOther];
  if (choice !== "lavapipe" && arch === "x64") {
    help.push(`the embedded SwiftShader, no root rights needed: ${clone ? "npm run setup" : INSTALL_SWIFTSHADER}`);
  }
  const mesa = mesaCommand(context);
  if (choice !== "swiftshader" && mesa !== null)
    help.push(`Mesa's software adapter lavapipe, which is faster: ${mesa}`);
  return [...help, ...forced(choice, anyOther)];
}

const forced = (choice: AdapterChoice, help: string) => (choice === "auto" ? [] : [help]);

/**
 * The command that installs a lavapipe new enough for Dawn, or null where the distribution has
 * none.
 */
function mesaCommand({ osRelease, root }: HelpContext): string | null {
  const field = (name: string) => new RegExp(`^${name}="?([^"\n]*)"?$`, "m").exec(osRelease)?.[1] ?? "";
  const family = [field("ID"), ...field("ID_LIKE").split(" ")];
  const version = Number.parseFloat(field("VERSION_ID"));
  const sudo = root ? "" : "sudo ";
  const apt = (from: string) => `${sudo}apt-get update && ${sudo}apt-get install -y ${from}mesa-vulkan-drivers`;

  // Debian 12 ships Mesa 22.3, which Dawn refuses; its backports have a newer one. Older releases
  // have none at all.
  if (field("ID") === "debian" && version === 12) {
    // The suite is taken from where this system takes Debian itself.
    const site = "$(apt-get indextargets --format '$(SITE)' 'Codename: bookworm' | head -n 1)";
    const list = "/etc/apt/sources.list.d/bookworm-backports.list";
    return `echo "deb ${site} bookworm-backports main" | ${sudo}tee ${list} && ${apt("-t bookworm-backports ")}`;
  }
  if ((field("ID") === "debian" && version < 12) || (field("ID") === "ubuntu" && version < 22)) return null;
  if (family.includes("debian") || family.includes("ubuntu")) return apt("");
  if (family.includes("fedora") || family.includes("rhel")) return `${sudo}dnf install -y mesa-vulkan-drivers`;
  if (family.includes("arch")) return `${sudo}pacman -S --noconfirm vulkan-icd-loader vulkan-swrast`;
  if (family.includes("suse") || family.includes("opensuse"))
    return `${sudo}zypper install -y libvulkan1 libvulkan_lvp`;
  if (field("ID") === "alpine")
    return "none on Alpine, whose C library Dawn's binary does not support: use a glibc image (node:20-bookworm)";
  return "install your distribution's Mesa Vulkan drivers (Mesa 23 or later)";
}
