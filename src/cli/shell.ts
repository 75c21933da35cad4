/** Words as shells read them, in the lines that a command prints to be typed. */

/** A text between single quotes, as sh, bash and zsh read it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** One word of a line: in quotes where a shell would see more in it, or an option. */
export const word = (text: string): string => (/^[\w./:@%+=,][\w./:@%+=,-]*$/.test(text) ? text : quoted(text));
