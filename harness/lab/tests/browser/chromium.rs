//! A headless Chromium that is told what to do over a pair of pipes, by its DevTools protocol.

use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a page may take until it is there.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names by which Chromium is known.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// The Chromium of this machine.
pub(crate) fn found() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let places =
        std::env::split_paths(&path).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// A running browser with one page. Ends with the value.
pub(crate) struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    number: u64,
    /// What the page did that it was not asked for: errors, requests, dialogs.
    pub(crate) heard: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium with a profile of its own and a page of 1440 by 900.
    pub(crate) fn start(chromium: &Path) -> io::Result<Self> {
        let profile = tempfile::tempdir()?;
        // It reads commands from descriptor 3 and answers on 4, which a shell can give it.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 1>/dev/null 2>/dev/null 0</dev/null"])
            .arg(chromium)
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"])
            .args(["--no-first-run", "--disable-dev-shm-usage", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(to), Some(from)) = pipes else {
            return Err(io::Error::other("chromium has no pipes"));
        };
        let from = BufReader::new(from);
        let (session, heard) = (None, Vec::new());
        let mut browser = Self { child, to, from, session, number: 0, heard, _profile: profile };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", attach)?;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.ask(&format!("{domain}.enable"), json!({}))?;
        }
        let size = json!({ "width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        browser.ask("Emulation.setDeviceMetricsOverride", size)?;
        Ok(browser)
    }

    /// Asks for something and gives the answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> io::Result<Value> {
        self.number += 1;
        let mut message = json!({ "id": self.number, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(message.to_string().as_bytes())?;
        self.to.write_all(&[0])?;
        self.to.flush()?;
        loop {
            let mut answer = Vec::new();
            self.from.read_until(0, &mut answer)?;
            if answer.pop().is_none() {
                return Err(io::Error::other("chromium has gone"));
            }
            let mut answer: Value = serde_json::from_slice(&answer)?;
            if answer["id"] != self.number {
                self.heard.push(answer);
            } else if answer["error"].is_null() {
                return Ok(answer["result"].take());
            } else {
                return Err(io::Error::other(format!("{method}: {}", answer["error"])));
            }
        }
    }

    /// Opens a file and waits until the page says that it is ready.
    pub(crate) fn open(&mut self, page: &Path) -> io::Result<()> {
        self.heard.clear();
        let url = format!("file://{}", page.display());
        self.ask("Page.navigate", json!({ "url": url }))?;
        let until = Instant::now() + PATIENCE;
        let ready = "document.readyState === 'complete' && (document.documentElement.dataset.ready \
                     || (document.getElementById('trouble') || {}).textContent) || ''";
        while self.value(ready)?.as_str().is_none_or(str::is_empty) {
            if Instant::now() > until {
                return Err(io::Error::other("the page is not ready"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The value of an expression in the page, once it is there.
    pub(crate) fn value(&mut self, expression: &str) -> io::Result<Value> {
        let wanted =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut told = self.ask("Runtime.evaluate", wanted)?;
        if told["exceptionDetails"].is_null() {
            return Ok(told["result"]["value"].take());
        }
        Err(io::Error::other(format!("{expression}: {}", told["exceptionDetails"])))
    }

    /// Clicks into the middle of the element that a selector finds.
    pub(crate) fn click(&mut self, selector: &str) -> io::Result<()> {
        let place = format!(
            "(() => {{ const box = document.querySelector({selector:?}).getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.value(&place)?;
        self.click_at(place[0].as_f64().unwrap_or(0.0), place[1].as_f64().unwrap_or(0.0))
    }

    /// Clicks at a place of the window.
    pub(crate) fn click_at(&mut self, x: f64, y: f64) -> io::Result<()> {
        for what in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if what == "mouseMoved" { "none" } else { "left" };
            let event = json!({ "type": what, "x": x, "y": y, "button": button, "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Presses a key, such as `j` or `Escape`.
    pub(crate) fn press(&mut self, key: &str) -> io::Result<()> {
        let mut down = json!({ "type": "keyDown", "key": key });
        if key.chars().count() == 1 {
            down["text"] = json!(key);
        }
        self.ask("Input.dispatchKeyEvent", down)?;
        self.ask("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key }))?;
        Ok(())
    }

    /// Types a text into what has the focus.
    pub(crate) fn type_in(&mut self, text: &str) -> io::Result<()> {
        self.ask("Input.insertText", json!({ "text": text })).map(drop)
    }

    /// Says which colours the machine prefers: `dark` or `light`.
    pub(crate) fn prefer(&mut self, scheme: &str) -> io::Result<()> {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features })).map(drop)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        let _ = self.ask("Browser.close", json!({}));
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
