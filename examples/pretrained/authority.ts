/**
 * A time-stamp authority for demonstrations: OpenSSL 3, which stamps any date it is told. Scripts
 * that make committed files use it; nobody should trust a root of its making.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bundle, bundleSignature, withTimestamp } from "@pan/core/signing";

/** An authority of time stamps that lives as long as this run: OpenSSL's, of any date. */
export class Authority {
  private constructor(private readonly folder: string) {}

  static async open(): Promise<Authority> {
    const made = new Authority(await mkdtemp(join(tmpdir(), "pan-example-")));
    await made.#write(
      "ca.cnf",
      `[req]\ndistinguished_name = dn\n[dn]\n[root]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign\n` +
        `[tsa]\nkeyUsage = critical, digitalSignature\nextendedKeyUsage = critical, timeStamping\n`,
    );
    for (const [name, subject] of [
      ["root", "Example stamps root"],
      ["tsa", "Example stamps"],
    ]) {
      made.#openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", `${name}.key`);
      made.#openssl(
        ...["req", "-new", "-config", "ca.cnf", "-key", `${name}.key`, "-subj", `/O=Demonstration/CN=${subject}`],
        ...["-out", `${name}.csr`],
      );
    }
    // `x509 -req` of OpenSSL 3.0 counts days from the day of making: stamps of earlier dates need
    // `ca`.
    const span = ["-startdate", "20260101000000Z", "-enddate", "20991231235959Z"];
    await made.#write("index.txt", "");
    await made.#write("serial", "1000\n");
    await made.#write(
      "db.cnf",
      "[ca]\ndefault_ca = any\n[any]\ndir = .\ndatabase = index.txt\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\n" +
        "policy = names\nunique_subject = no\n[names]\norganizationName = optional\ncommonName = supplied\n",
    );
    const signed = (name: string, ...by: string[]) =>
      made.#openssl(
        ...["ca", "-batch", "-notext", "-config", "db.cnf", "-extfile", "ca.cnf", "-extensions", name, ...by, ...span],
        ...["-in", `${name}.csr`, "-out", `${name}.pem`],
      );
    signed("root", "-selfsign", "-keyfile", "root.key");
    signed("tsa", "-cert", "root.pem", "-keyfile", "root.key");
    return made;
  }

  root = (): Promise<Buffer> => readFile(join(this.folder, "root.pem"));

  async stamp(bundle: Bundle, iso: string): Promise<Bundle> {
    const imprint = createHash("sha256").update(bundleSignature(bundle)).digest("hex");
    await this.#write(
      "tst.cnf",
      "asn1 = SEQUENCE:tst\n[tst]\nversion = INTEGER:1\npolicy = OID:1.2.3.4.1\nimprint = SEQUENCE:imprint\nserial = INTEGER:7\n" +
        `time = GENERALIZEDTIME:${iso.replace(/\D/g, "")}Z\naccuracy = SEQUENCE:accuracy\n[accuracy]\nseconds = INTEGER:1\n` +
        `[imprint]\ndigest = SEQUENCE:sha256\nvalue = FORMAT:HEX,OCTETSTRING:${imprint}\n[sha256]\nname = OID:sha256\nnone = NULL\n`,
    );
    this.#openssl("asn1parse", "-genconf", "tst.cnf", "-noout", "-out", "tst.der");
    this.#openssl(
      ...["cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-econtent_type", "1.2.840.113549.1.9.16.1.4"],
      ...["-md", "sha256", "-cades", "-signer", "tsa.pem", "-inkey", "tsa.key", "-in", "tst.der"],
      ...["-outform", "DER", "-out", "stamp.der"],
    );
    return withTimestamp(bundle, await readFile(join(this.folder, "stamp.der")));
  }

  close = (): Promise<void> => rm(this.folder, { recursive: true });

  #write = (name: string, text: string) => writeFile(join(this.folder, name), text);

  #openssl(...args: string[]): void {
    execFileSync("openssl", args, { cwd: this.folder, stdio: ["ignore", "ignore", "pipe"] });
  }
}
