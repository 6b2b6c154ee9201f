//! The bundler of the build script, on small pages.

use std::fs;
use std::path::PathBuf;

#[path = "../../src/platform/bundle.rs"]
mod bundler;

/// A folder with the files of a page, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("ws-echo-bundle-{test}-{}", std::process::id()));
        fs::create_dir_all(folder.join("part")).unwrap();
        for (name, content) in files {
            fs::write(folder.join(name), content).unwrap();
        }
        Self(folder)
    }

    fn bundle(&self) -> Result<bundler::Page, String> {
        bundler::bundle(&self.0, "1.2.3", |text| text.len().to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const DOCUMENT: (&str, &str) = (
    "index.html",
    "<meta name=\"generator\" content=\"ws-echo\">\n  <link rel=\"stylesheet\" href=\"a.css\">\n  \
     <link rel=\"stylesheet\" href=\"b.css\">\n  <script type=\"module\" src=\"main.js\"></script>\n<p>text</p>\n",
);

#[test]
fn bundle_joins_modules_behind_those_that_they_import() {
    let folder = Folder::new(
        "joins",
        &[
            DOCUMENT,
            ("a.css", "/* A comment. */\na {}\n"),
            ("b.css", "b {}\n"),
            (
                "main.js",
                "// Begins.\nimport { a,\n  b as c } from \"./part/one.js\";\nimport { two } from \"./two.js\";\nrun(a, c, two);\n",
            ),
            (
                "part/one.js",
                "import { two } from \"../two.js\";\n/**\n * Text.\n */\nexport const a = two;\nexport async function b() {}\n",
            ),
            ("two.js", "const local = 1;\nexport const two = local;\n"),
        ],
    );
    let page = folder.bundle().unwrap();
    let two = "const two_module = (() => {\nconst local = 1;\nconst two = local;\nreturn { two };\n})();\n";
    let one = "const part_one_module = (() => {\nconst { two } = two_module;\nconst a = two;\nasync function b() {}\n\
               return { a, b };\n})();\n";
    let main = "const main_module = (() => {\nconst { a,  b: c } = part_one_module;\nconst { two } = two_module;\n\
                run(a, c, two);\nreturn {  };\n})();\n";
    assert_eq!(page.script, [two, one, main].concat());
    assert_eq!(page.style, "a {}\nb {}\n");
    let tag = page.script.len();
    assert_eq!(
        page.document,
        format!(
            "<meta name=\"generator\" content=\"ws-echo 1.2.3\">\n<style>a {{}}\nb {{}}\n</style>\n\
             <script type=\"module\" src=\"page.js?{tag}\"></script>\n<p>text</p>\n"
        )
    );
}

#[test]
fn bundle_fails_at_what_it_does_not_support() {
    for (test, module, problem) in [
        ("star", "import * as all from \"./x.js\";\n", "the bundler does not support `import * as all"),
        ("default", "export default 1;\n", "the bundler does not support `export default 1;`"),
        ("list", "export { a };\n", "the bundler does not support `export { a };`"),
        ("circle", "import { a } from \"./main.js\";\n", "html/main.js: the module imports itself"),
        ("missing", "import { a } from \"./none.js\";\n", "html/part/none.js: "),
    ] {
        let main = ("main.js", "import { x } from \"./part/x.js\";\n");
        let module = module.replace("./main.js", "../main.js");
        let folder = Folder::new(test, &[DOCUMENT, main, ("part/x.js", &module)]);
        let error = folder.bundle().map(|page| page.script).unwrap_err();
        assert!(error.contains(problem), "{test}: {error}");
    }
}
