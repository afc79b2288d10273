import { brokenClaims } from "./broken-claims.js";
import { brokenClosing } from "./broken-closing.js";
import { catches } from "./catches.js";

catches([...brokenClosing, ...brokenClaims]);
