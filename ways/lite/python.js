// Python behind the first page: a worker that replays a token with this site's own Python and p2plab, and asks nobody else.
import { loadPyodide } from "./static/pyodide/pyodide.mjs";

const started = (async () => {
  const python = await loadPyodide({ indexURL: new URL("./static/pyodide/", import.meta.url).href, packages: ["p2plab"] });
  const open = python.runPython(`
from p2plab.core.errors import P2PError
from p2plab.views.links import opened

def answer(token):
    try:
        return opened(token), ""
    except P2PError as error:
        return "", str(error)

answer
`);
  postMessage({ ready: true });
  return open;
})();

// One at a time, in the order in which they came.
let last = Promise.resolve();
onmessage = ({ data }) => {
  last = last.then(async () => {
    try {
      const pair = (await started)(data.token);
      const [run, error] = pair.toJs();
      pair.destroy();
      postMessage({ run, error });
    } catch (error) {
      postMessage({ error: `Python did not start behind this page: ${error}` });
    }
  });
};
