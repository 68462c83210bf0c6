//! The web pages that may speak to a listener through a browser, as `httpOrigins` lists them.
//!
//! Decision: what no browser would ever say of a page is refused where it is written, because it
//! would keep out the page that is meant without a word.

use router_core::limits::{HTTP_ORIGINS, SERVER_NAME_BYTES};

/// The origins in `*`, `null` or `SCHEME://HOST[:PORT]`, separated by commas, in lower case.
///
/// # Errors
/// The first that cannot be meant.
pub fn http_origins(text: &str) -> Result<Vec<String>, String> {
    let items = text.split(',').map(str::trim);
    let items = items.filter(|item| !item.is_empty());
    let origins = items.map(origin).collect::<Result<Vec<_>, _>>()?;
    if origins.len() > HTTP_ORIGINS {
        return Err(format!("more than {HTTP_ORIGINS} origins in httpOrigins"));
    }
    Ok(origins)
}

fn origin(item: &str) -> Result<String, String> {
    if matches!(item, "*" | "null") {
        return Ok(item.to_owned());
    }
    let odd = |why: &str| Err(format!("origin '{item}': {why}"));
    let Some((scheme, place)) = item.split_once("://") else {
        return odd("SCHEME://HOST[:PORT], * or null is wanted");
    };
    if item.len() > SERVER_NAME_BYTES {
        return odd("it is too long");
    }
    if scheme.is_empty() || place.is_empty() || place.starts_with(':') {
        return odd("it needs a scheme and a host");
    }
    if place.contains(['/', '?', '#', '@']) {
        return odd("it ends with the host or its port: no path, not even a slash");
    }
    if place.contains('*') || item.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return odd("it is compared as it stands: no pattern and no blank");
    }
    Ok(item.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_say_them() {
        let read = http_origins(" https://Console.example, http://[::1]:3000,null,* ,");
        let expected = ["https://console.example", "http://[::1]:3000", "null", "*"];
        assert_eq!(read.unwrap(), expected);
        assert_eq!(http_origins(""), Ok(Vec::new()));
    }

    #[test]
    fn what_no_browser_would_say_is_refused_and_named() {
        for text in [
            "console.example",
            "https://console.example/",
            "https://*.example",
            "https://",
            "https://:80",
            "https://user@h",
            "https://a b",
        ] {
            let refused = http_origins(&format!("http://ok,{text}")).unwrap_err();
            assert!(refused.contains(text), "{refused}");
        }
        let many = "http://h,".repeat(HTTP_ORIGINS + 1);
        assert!(http_origins(&many).is_err());
    }
}
