/**
 * What TypeDoc is told: every file of src/entry/ becomes a page in docs/api/, which Git ignores.
 * Types that no entry exports, those of options above all, are described beside what takes them.
 * The build ends at a warning, such as a link in a docstring that leads nowhere.
 */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Converter, ReflectionKind } from "typedoc";
import { sourceAddress } from "../../scripts/docs/repository.mjs";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Plugins are in this folder's packages, and TypeDoc runs in the root. */
const plugin = (name) => fileURLToPath(import.meta.resolve(name));

const template = sourceAddress("{path}#L{line}");

/** What a class has from its base is described there, and not once more in each layer. */
function withoutInherited(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    const members = project.getReflectionsByKind(ReflectionKind.ClassMember);
    for (const member of members) if (member.inheritedFrom) project.removeReflection(member);
  });
}

export default {
  plugin: [plugin("typedoc-plugin-markdown"), plugin("typedoc-plugin-missing-exports"), withoutInherited],
  name: "API",
  entryPoints: readdirSync(`${root}src/entry`).map((file) => `${root}src/entry/${file}`),
  tsconfig: `${root}tsconfig.json`,
  out: `${root}docs/api`,
  readme: "none",
  excludeInternal: true,
  excludePrivate: true,
  excludeProtected: true,
  excludeExternals: true,
  // `npm run typecheck` does it.
  skipErrorChecking: true,
  treatWarningsAsErrors: true,
  placeInternalsInOwningModule: true,
  disableGit: true,
  ...(template ? { sourceLinkTemplate: template } : { disableSources: true }),
  // typedoc-plugin-markdown
  router: "module",
  // The main entry is index.md.
  entryFileName: "entries",
  pageTitleTemplates: { module: ({ rawName }) => (rawName === "index" ? "@pan/core" : `@pan/core/${rawName}`) },
  hideBreadcrumbs: true,
  hidePageHeader: true,
  useCodeBlocks: true,
  parametersFormat: "table",
  interfacePropertiesFormat: "table",
  typeDeclarationFormat: "table",
};
