//! The page for people says what the schema says.

/// To write the page anew: `WRITE_DOCS=1 cargo test -p management page`.
#[test]
fn the_page_of_entities_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/management.md");
    let page = management::docs_markdown();
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(path, &page).expect("the page can be written");
    }
    let committed = std::fs::read_to_string(path).expect("the page is there");
    assert!(
        committed == page,
        "docs/management.md is out of date: WRITE_DOCS=1 writes it anew"
    );
}
