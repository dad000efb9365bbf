//! A headless Chromium, driven through its own driver.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities;
use thirtyfour::prelude::*;

use ingot_test_support::eventually_async;
use ingot_test_support::registry_server::Server;

/// The sizes pages are looked at in: a laptop, a phone, and what is between.
pub(crate) const LAPTOP: (u32, u32) = (1280, 800);
pub(crate) const PHONE: (u32, u32) = (360, 780);
pub(crate) const TABLET: (u32, u32) = (800, 1000);

/// The driver, which is killed when it is dropped, and a browser.
pub(crate) struct Browser {
    process: Child,
    pub driver: WebDriver,
}

/// Whether there is a browser. Without one the test is skipped, and fails where CI is set.
pub(crate) fn there_is_a_browser() -> bool {
    let missing = ["chromedriver", "chromium"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_err());
    match missing {
        None => true,
        Some(name) => {
            ingot_test_support::missing(format_args!("there is no {name} here"));
            false
        }
    }
}

impl Browser {
    /// Starts one, with JavaScript or without.
    pub(crate) async fn start(javascript: bool) -> Browser {
        // The driver's client needs TLS set up, though it speaks without; this does that.
        let _ = ingot_sdk::http::client();
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("chromedriver can be run");
        let output = process.stdout.take().expect("its output is piped");
        let mut lines = BufReader::new(output).lines().map_while(Result::ok);
        let port: u16 = lines
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            })
            .expect("chromedriver says its port");
        // What it prints from now on must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut wanted = DesiredCapabilities::chrome();
        for arg in [
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--lang=en-US",
        ] {
            wanted.add_arg(arg).expect("an option");
        }
        wanted.accept_insecure_certs(true).expect("an option");
        if !javascript {
            let settings = json!({ "profile.managed_default_content_settings.javascript": 2 });
            wanted.add_experimental_option("prefs", settings).expect("an option");
        }
        let url = format!("http://127.0.0.1:{port}");
        let driver = WebDriver::new(url, wanted).await.expect("the browser starts");
        let browser = Browser { process, driver };
        browser.size(LAPTOP, "light").await;
        browser
    }

    /// Ends it.
    pub(crate) async fn end(mut self) {
        let _ = self.driver.clone().quit().await;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Sets the window's size and whether the system is light or dark.
    pub(crate) async fn size(&self, (width, height): (u32, u32), scheme: &str) {
        let phone = width < 600;
        self.cdp(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone }),
        )
        .await;
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.expect("the browser does it")
    }

    /// Goes to a page of a server.
    pub(crate) async fn open(&self, server: &Server, path: &str) {
        let url = format!("{}{path}", server.url());
        self.driver.goto(url).await.expect("the page can be opened");
    }

    /// Signs in with a server's one-time link.
    pub(crate) async fn sign_in(&self, link: &str) {
        self.driver.goto(link).await.expect("the page can be opened");
        self.press("Sign in as admin").await;
        self.wait_for("h1", "Buckets").await;
    }

    /// The element of a selector.
    pub(crate) async fn find(&self, css: &str) -> WebElement {
        let found = self.driver.find(By::Css(css.to_owned())).await;
        match found {
            Ok(found) => found,
            Err(_) => panic!("there is no {css} in {}", self.text("body").await),
        }
    }

    /// What an element shows.
    pub(crate) async fn text(&self, css: &str) -> String {
        let element = self.driver.find(By::Css(css.to_owned())).await;
        element.unwrap_or_else(|_| panic!("there is no {css}")).text().await.expect("its text")
    }

    /// Clicks on the element of a selector.
    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.expect("it can be clicked");
    }

    /// The path and the query of the page that is shown.
    pub(crate) async fn path(&self) -> String {
        let url = self.driver.current_url().await.expect("an address");
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", url.path())
    }

    /// Presses a button of this text.
    pub(crate) async fn press(&self, text: &str) {
        let path = format!("//button[normalize-space()={text:?}]");
        let button = self.driver.find(By::XPath(path)).await;
        let Ok(button) = button else {
            panic!("there is no button {text:?} in {}", self.text("body").await)
        };
        button.click().await.expect("it can be pressed");
    }

    /// Follows a link of this text.
    pub(crate) async fn follow(&self, text: &str) {
        let path = format!("//a[normalize-space()={text:?}]");
        let link = self.driver.find(By::XPath(path)).await;
        let Ok(link) = link else {
            panic!("there is no link {text:?} in {}", self.text("body").await)
        };
        link.click().await.expect("it can be followed");
    }

    /// Waits until an element has a text.
    pub(crate) async fn wait_for(&self, css: &str, text: &str) {
        eventually_async(format!("{css} has {text:?}"), async || {
            let element = self.driver.find(By::Css(css.to_owned())).await;
            let element = element.map_err(|error| error.to_string())?;
            let shown = element.text().await.unwrap_or_default();
            if shown.contains(text) { Ok(()) } else { Err(shown) }
        })
        .await;
    }

    /// A picture of the whole page, as PNG.
    pub(crate) async fn picture(&self, (width, _): (u32, u32), scheme: &str) -> Vec<u8> {
        use base64::Engine as _;
        self.size((width, 200), scheme).await;
        let metrics = self.cdp("Page.getLayoutMetrics", json!({})).await;
        let height =
            metrics["cssContentSize"]["height"].as_f64().expect("a height").ceil().min(1600.0);
        let shot = self
            .cdp(
                "Page.captureScreenshot",
                json!({
                    "format": "png",
                    "captureBeyondViewport": true,
                    "clip": { "x": 0, "y": 0, "width": width, "height": height, "scale": 1 },
                }),
            )
            .await;
        let data = shot["data"].as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(data).expect("a picture")
    }
}
