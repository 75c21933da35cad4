/**
 * The page of two rival claims on a network, for an expert who has to explain to a court which of
 * them prevails: who claims what with which files, which marks are where, what was there when,
 * which rule decided, how sure that is and what stays open.
 */

import { formatBytes, formatCount, formatPValue, prose } from "./format";
import { type Html, html } from "./html";
import { checkJudgment, type JudgedFile, type JudgmentRecord } from "./judgment-record";
import { openPoints, questions } from "./judgment-rules";
import { fileName, glossary, grid, page, panel, program, section, table } from "./page";
import { timeline } from "./timeline";
import { stampedBy } from "./verdict";

type Judged = JudgmentRecord["judgment"];

const NAMES = ["A", "B"] as const;
const TONES: Readonly<Record<Judged["ruling"], string>> = {
  A: "good",
  B: "good",
  "same owner": "good",
  independent: "good",
  disputed: "warn",
  neither: "bad",
};

/** `A`, or `A (ACME GmbH)`. */
function called({ parties }: JudgmentRecord, i: number): string {
  const name = parties[i]!.name;
  return name === "" || name === NAMES[i] ? NAMES[i]! : `${NAMES[i]} (${name})`;
}

function title(r: JudgmentRecord): string {
  const { ruling, rule } = r.judgment;
  const [winner, loser] = ruling === "B" ? [1, 0] : [0, 1];
  if (ruling === "same owner") return "Both claims are of one owner";
  if (ruling === "independent") return "These are two networks of two owners";
  if (ruling === "disputed") return "Nothing that was handed in decides between the two";
  if (ruling === "neither") return "Neither claim holds together";
  if (rule === "own mark") return `${called(r, winner)} prevails: the other claim falls`;
  if (rule === "dates") return `${called(r, winner)} was there first`;
  return `${called(r, loser)} has a network that is made from ${called(r, winner)}’s`;
}

function summary(r: JudgmentRecord): Html {
  const { judgment: j } = r;
  const badge = ["A", "B"].includes(j.ruling) ? `${j.ruling} prevails` : j.ruling;
  const whose =
    j.suspect &&
    html`<p>The accused network is made from ${
      { A: "A’s file.", B: "B’s file.", both: "both files.", neither: "neither file." }[j.suspect]
    }</p>`;
  return html`<p class="kicker">@pan/core · two claims on one network · judged ${prose(r.judgedAt.slice(0, 16).replace("T", " "))}</p>
    <span class="badge ${TONES[j.ruling]}">Ruling: ${badge}</span>
    <h1>${title(r)}</h1>
    <div class="summary"><div><p class="lead">${prose(j.sentence)}</p>${whose}
      <p class="note">A claim of ownership is a secret from which a pattern in a network’s weights follows, its <em>mark</em>, and a signed, dated
      statement of the file that bears it. Anybody can put a mark of their own into a copy; nobody can put one into a file that
      lies committed already. So the judge looks for each party’s mark in the other’s file.</p></div>
    ${
      j.reasons.length > 0 &&
      html`<div class="reasons ${TONES[j.ruling]}"><strong>What was noted</strong>
        <ul>${j.reasons.map((line) => html`<li>${prose(line)}</li>`)}</ul></div>`
    }</div>`;
}

const fileRow = (what: string, file: JudgedFile): (string | Html)[] => [
  html`${what}<span class="about">${fileName(file.name)}, ${formatBytes(file.bytes)}</span><span class="about">SHA-256 <code>${file.sha256}</code></span>`,
];

function party(r: JudgmentRecord, i: number): Html {
  const { released, commitment, credential } = r.parties[i]!;
  const statement = r.judgment.statements[i]!;
  return panel(html`<h3>${called(r, i)}</h3>
    <p>${statement === "" ? "The claim could not be read." : html`The claim says: <bdi class="quoted">${statement}</bdi>`}</p>
    ${table(
      `Files of ${NAMES[i]}`,
      [{ head: "Handed in" }],
      [
        fileRow("Network, as committed to", released),
        fileRow("Commitment, signed", commitment),
        fileRow("Credential: opens the claim, not to be published", credential),
      ],
    )}`);
}

/** Files that belong to neither party. */
function others({ suspect, base, roots }: JudgmentRecord): Html[] {
  const rows = [
    ...(suspect ? [fileRow("The network that both claim", suspect)] : []),
    ...(base ? [fileRow("A network that was public before both", base)] : []),
    ...roots.map((root) => fileRow("Root of a time-stamping authority that the judge trusts", root)),
  ];
  return rows.length > 0 ? [panel(table("Other files", [{ head: "Given to the judge" }], rows), true)] : [];
}

/** Which marks are where, and how alike the files are. */
function evidence({ judgment: { marks, relations } }: JudgmentRecord): Html {
  const where = [
    ["A’s mark in A’s file", marks.aInA],
    ["A’s mark in B’s file", marks.aInB],
    ["B’s mark in B’s file", marks.bInB],
    ["B’s mark in A’s file", marks.bInA],
  ] as const;
  const row = (what: string, hits: number, count: number, needed: number, p: number): (string | Html)[] => [
    what,
    `${formatCount(hits)} of ${formatCount(count)}`,
    needed <= count ? formatCount(needed) : "more than there are",
    formatPValue(p),
    hits >= needed ? html`<span class="held">there</span>` : html`<span class="open">not there</span>`,
  ];
  const rows = where.flatMap(([what, mark]) => {
    const of = (["bits", "triggers"] as const).flatMap((part) => {
      const h = mark?.[part];
      return h ? [row(`${what}, ${part}`, h.hits, h.count, h.needed, h.pValue)] : [];
    });
    return of.length > 0 ? of : [[what, "not read", "–", "–", "–"]];
  });
  const alike = [relations.byA, relations.byB].flatMap((r, i) =>
    r
      ? [
          [
            `Channels that the files share, as ${NAMES[i]}’s claim knows them`,
            `${formatCount(r.agreements)} of ${formatCount(r.channels)}`,
            formatCount(r.needed),
            formatPValue(r.pValue),
            r.related ? html`<span class="held">related</span>` : html`<span class="open">not found related</span>`,
          ],
        ]
      : [],
  );
  const numeric = ["Found", "Needed", "By chance"].map((head) => ({ head, kind: "number" as const }));
  return panel(
    html`<div class="data"><h3>Marks in the committed files, read as they stand</h3>${table("Marks and relation", [{ head: "Test" }, ...numeric, { head: "So" }], [...rows, ...alike])}</div>
    <p class="note">“By chance” is the probability that a claim finds as many in a network that was there before it and has nothing to do with it. “Needed”
      is what a mark has to reach: it leaves room for a forger who tries 2⁸⁰ claims and keeps the best.</p>`,
    true,
  );
}

function dates(r: JudgmentRecord): Html {
  const { dated } = r.judgment.facts;
  const events = NAMES.map((_, i) => ({
    time: dated[i]?.time ?? null,
    what: `${called(r, i)}: the commitment to ${r.parties[i]!.released.name} was signed and there`,
    who: stampedBy(dated[i] ?? null),
  }));
  const asked = r.judgment.rule === "dates";
  return panel(
    html`<h3>What was there when</h3>${timeline(events)}<p class="note">${
      asked
        ? "The ruling goes by these dates."
        : "The ruling does not go by these dates: it would be the same if they were the other way round."
    }</p>`,
    true,
  );
}

function rules({ judgment }: JudgmentRecord): Html {
  const words = { passed: "Decides nothing", decided: "Decides", unasked: "Not asked" } as const;
  return panel(
    html`<ol class="questions">${questions(judgment).map(
      ({ question, answer, state }) =>
        html`<li class="${state}"><p>${question}</p><p><strong>${words[state]}.</strong> ${prose(answer)}</p></li>`,
    )}</ol>`,
    true,
  );
}

function sure({ judgment: { rule, ruling }, falsePositiveRate }: JudgmentRecord): Html {
  const rate = formatPValue(falsePositiveRate);
  const mark = html`That a network which was there before a claim, and has nothing to do with it, bears its mark has a probability of
    <strong>${rate}</strong> at most, even if 2⁸⁰ claims were tried.`;
  const alike = html`That two files are found related although nothing connects them has a probability of <strong>${rate}</strong> at most,
    where what is behind a channel has nothing to do with what is in front of it, as in independent initial weights. How much training
    ties the two is measured, not proved.`;
  const stamp = "A stamp is right as far as its authority is, and whoever has the authority’s key.";
  const by = {
    "own mark": [mark],
    parent: ["Both claims are signed with one key: whoever has it is the owner of both."],
    "one mark crosses": [mark],
    unrelated: [
      alike,
      "Files that are not found related may be: heavy retraining and distillation hide where a network is from.",
    ],
    dates: ruling === "disputed" ? [alike] : [mark, alike, stamp],
  }[rule];
  return panel(html`<h3>How sure it is</h3><ul class="open-points">${by.map((line) => html`<li>${line}</li>`)}</ul>`);
}

const left = (r: JudgmentRecord): Html =>
  panel(
    html`<h3>What it leaves open</h3><ul class="open-points">${openPoints(r).map((line) => html`<li>${line}</li>`)}</ul>`,
  );

/** The same with the package’s own function. */
function again(r: JudgmentRecord): Html {
  const read = (name: string) => `await readFile(${JSON.stringify(name)})`;
  const rival = (i: number) => {
    const { credential, released, commitment } = r.parties[i]!;
    return `{
  credential: ${read(credential.name)},
  released: ${read(released.name)},
  commitment: (${read(commitment.name)}).toString(),
}`;
  };
  const options = [
    `roots: [${r.roots.map(({ name }) => read(name)).join(", ")}]`,
    ...(r.suspect ? [`suspect: ${read(r.suspect.name)}`] : []),
    ...(r.base ? [`base: ${read(r.base.name)}`] : []),
    `falsePositiveRate: ${r.falsePositiveRate}`,
  ];
  const text = `import { readFile } from "node:fs/promises";
import { judge } from "@pan/core/ownership";

const a = ${rival(0)};
const b = ${rival(1)};
console.log(await judge(a, b, { ${options.join(", ")} }));`;
  return panel(
    html`${program(text)}<p class="note">From the files alone, and the same for everybody who has them: nothing is drawn at random. Hold the digests
      above against the files first (<code>sha256sum</code>); both parties should have exchanged them before either opened a credential, so that
      neither could choose after having seen.</p>`,
    true,
  );
}

const WORDS: readonly (readonly [string, string])[] = [
  [
    "Claim",
    "A secret, a statement and a key, hashed together. Everything that is counted as a mark follows from that hash: nothing is left to choose afterwards.",
  ],
  [
    "Mark",
    "Bits that the signs of certain factors of a network spell, or answers to certain inputs, as the claim has them. For a network that was there before the claim, every bit is the toss of a coin.",
  ],
  ["Commitment", "A signed statement of the released file, by its digest, and of the claim that is in it."],
  [
    "Time stamp",
    "An authority’s signature over a digest and the time (RFC 3161): the commitment was there at the latest then.",
  ],
  [
    "Digest (SHA-256)",
    "A number that no two files share: who knows it recognises the file, and cannot make another for it.",
  ],
  [
    "Related",
    "The hidden channels of two networks agree in what is in front of them and in what is behind them, more often than chance has it: one is made from the other, or both from a third. It does not say which was first.",
  ],
];

/**
 * The page of a judgment as one self-contained HTML document: inline style, no script, nothing
 * loaded. It tells of digests and counts, and nothing that helps to claim.
 *
 * Raises {@link ArgumentError} if the record is incomplete or contradicts itself.
 */
export function renderJudgment(record: JudgmentRecord): string {
  checkJudgment(record);
  return page({
    title: `Ruling: ${record.judgment.ruling} · two claims on one network · @pan/core`,
    header: summary(record),
    main: [
      section(
        "parties",
        "Who claims what",
        "Both parties’ files by their digests: whoever has a file can tell whether it is the one meant here.",
        grid(party(record, 0), party(record, 1), ...others(record)),
      ),
      section(
        "evidence",
        "What was found",
        "A mark in a file shows that the file was made after the claim; dates say when each was there.",
        grid(evidence(record), dates(record)),
      ),
      section(
        "rules",
        "How it was decided",
        "Five questions, in this order; the first that decides ends it.",
        grid(rules(record)),
      ),
      section(
        "bounds",
        "How far it goes",
        "What it is right about, and what it says nothing of.",
        grid(sure(record), left(record)),
      ),
      section(
        "reproduce",
        "Check it",
        "A program for Node. Bits need no graphics card; claims with triggers run the network.",
        grid(again(record)),
      ),
      section("glossary", "Words used", "In plain terms.", glossary(WORDS)),
    ],
    footer: html`<p>Drawn from one judgment with @pan/core, of ${record.judgedAt}. This page loads nothing from the network.</p>`,
  });
}
