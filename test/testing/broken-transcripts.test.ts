import { brokenTranscripts } from "./broken-transcripts.js";
import { catches } from "./catches.js";

catches(brokenTranscripts);
