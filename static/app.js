// The dashboard works as links and forms. This adds what needs a script: copying, times that tick, and on pages with a
// socket the live list. Nothing here is a framework; each module owns one concern.

import { startCopying } from "./js/copy.js";
import { startForms } from "./js/forms.js";
import { startInspector } from "./js/inspector.js";
import { startRegions } from "./js/regions.js";
import { startTimes } from "./js/time.js";
import { startURLs } from "./js/urls.js";

startTimes();
startCopying();
startInspector();
startURLs();
startRegions();
startForms(); // the last to hear of a form: what another module takes is not sent
