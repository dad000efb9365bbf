//! The page of `-report=FILE.html`, in a real browser: whether everybody can use it, also on a narrow
//! screen, and whether what programs put out stays text.

use ingot_test_support::{ingot, require, template};

use crate::accessible::findings;
use crate::browser::{Browser, LAPTOP, there_is_a_browser};

#[tokio::test]
async fn a_report_can_be_read_by_everybody_and_runs_nothing() {
    require!(there_is_a_browser());
    let dir = template(
        r#"
source "file" "good" {
  content = "abc"
  target  = "good.txt"
}
source "null" "bad" {
  communicator = "none"
}
build {
  sources = ["file.good", "null.bad"]
  provisioner "shell-local" {
    only   = ["null.bad"]
    inline = ["echo '<img src=x onerror=\"document.title=1\">' $(seq -s- 1 200)", "exit 3"]
  }
}
"#,
    );
    let run = ingot(dir.path(), &["build", "-report=r.html", "."]);
    assert_eq!(run.code, Some(1), "{}{}", run.stdout, run.stderr);
    let browser = Browser::start(true).await;
    let url = format!("file://{}", dir.path().join("r.html").display());
    browser.driver.goto(url).await.unwrap();
    let open = "document.querySelectorAll('details').forEach(one => one.open = true)";
    browser.driver.execute(open, Vec::new()).await.unwrap();
    let mut wrong = Vec::new();
    for size in [LAPTOP, (400, 800)] {
        for scheme in ["light", "dark"] {
            browser.size(size, scheme).await;
            wrong.extend(findings(&browser).await);
            let fits = "return document.documentElement.scrollWidth <= window.innerWidth";
            let fits = browser.driver.execute(fits, Vec::new()).await.unwrap();
            assert_eq!(fits.json(), &true, "{size:?}");
        }
    }
    let title = browser.driver.title().await.unwrap();
    let images = browser.driver.execute("return document.images.length", Vec::new()).await.unwrap();
    let text = browser.text("main").await;
    browser.end().await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(title.ends_with("failed"), "{title}");
    assert_eq!(images.json(), &0);
    assert!(text.contains("<img src=x onerror="), "{text}");
}
