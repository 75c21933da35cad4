/** VitePress's own look, and what it lacks for formulas. */
import theme from "vitepress/theme";
import "./style.css";

export default theme;
