//! What is no plug-in is refused with a reason.

use crate::compile::{compile_text, trial};
use dextape_plugin::Plugin;
use libtest_mimic::Trial;
use std::path::Path;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("loading::no_such_file", || {
            refused(Path::new("/nonexistent.so"), "No such file or directory");
            Ok(())
        }),
        Trial::test("loading::no_library", || {
            let folder = tempfile::tempdir().unwrap();
            let text = folder.path().join("text.so");
            fs_err::write(&text, "no library").unwrap();
            refused(&text, "text.so");
            Ok(())
        }),
        trial("loading::no_dext", "g++", || {
            let library = compile_text("int something = 1;\n");
            refused(
                &library.library,
                "it has no dext: DEXTAPE_DEXT in one of its sources says which",
            );
        }),
        trial("loading::another_version", "g++", || {
            let library = compile_text(
                "#include <stdint.h>\n\
                 extern \"C\" const uint32_t dextape_plugin_version;\n\
                 const uint32_t dextape_plugin_version = 9;\n",
            );
            let reason = "it has version 9 of the interface, and this is version 1: compile it with the \
                          headers of this dextape";
            refused(&library.library, reason);
        }),
        trial("loading::a_short_table", "g++", || {
            let library = compile_text(&table("DEXTAPE_PLUGIN_VERSION, 16"));
            refused(&library.library, "its table is of another version: ");
        }),
        trial("loading::an_empty_table", "g++", || {
            let library = compile_text(&table("DEXTAPE_PLUGIN_VERSION, sizeof table"));
            refused(&library.library, "its table has empty places");
        }),
    ]
}

/// A plug-in whose table holds this and no more.
fn table(begins: &str) -> String {
    format!(
        "#include <dextape/plugin.h>\n\
         #pragma GCC diagnostic ignored \"-Wmissing-field-initializers\"\n\
         extern \"C\" const uint32_t dextape_plugin_version;\n\
         const uint32_t dextape_plugin_version = DEXTAPE_PLUGIN_VERSION;\n\
         static dextape_plugin_table table = {{{begins}}};\n\
         extern \"C\" const dextape_plugin_table *dextape_plugin(const dextape_host *) {{ return &table; }}\n"
    )
}

#[track_caller]
fn refused(library: &Path, reason: &str) {
    let said = Plugin::load(library).unwrap_err().to_string();
    assert!(said.starts_with(&format!("load the plug-in {}: ", library.display())), "{said}");
    assert!(said.contains(reason), "{said}");
}
