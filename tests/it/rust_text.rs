//! Cuts Rust source text into tokens, as far as reading imports needs them.

/// Cuts a source text into names, `::` and single characters. Comments, literals, lifetimes, white space and what is under
/// `#[cfg(test)]` are left out.
pub fn code_tokens(text: &str) -> Vec<&str> {
    without_tests(&tokens(text))
}

/// True where a token is a name or a keyword.
pub fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = comment_length(rest).or_else(|| literal_length(rest));
        let length = match first {
            _ if rest.starts_with("::") => 2,
            _ if is_name(rest) => name_length(rest),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(skipped.unwrap_or(length));
        tokens.extend((skipped.is_none() && !first.is_whitespace()).then_some(token));
        rest = after;
    }
    tokens
}

fn name_length(text: &str) -> usize {
    text.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(text.len())
}

fn comment_length(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    // Block comments may hold others.
    let (mut depth, mut at) = (0, 0);
    while let Some(pair) = text.as_bytes().get(at..at + 2) {
        match pair {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return Some(at);
        }
    }
    Some(text.len())
}

/// The length of a string, a raw string, a character or a lifetime.
fn literal_length(text: &str) -> Option<usize> {
    let prefixed = text.trim_start_matches(['b', 'c', 'r']);
    let prefix = text.len() - prefixed.len();
    let hashes = prefixed.len() - prefixed.trim_start_matches('#').len();
    if text[..prefix].ends_with('r') && prefixed[hashes..].starts_with('"') {
        let end = format!("\"{}", &prefixed[..hashes]);
        let body = prefix + hashes + 1;
        return Some(text[body..].find(&end).map_or(text.len(), |at| body + at + end.len()));
    }
    if prefix > 1 {
        return None;
    }
    let quote = prefixed.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    let is_lifetime =
        quote == '\'' && prefixed[1..].starts_with(|next: char| next != '\\') && prefixed.chars().nth(2) != Some('\'');
    if is_lifetime {
        return Some(prefix + 1 + name_length(&prefixed[1..]));
    }
    let mut is_escaped = false;
    let end = prefixed[1..].find(|next: char| {
        let ends = next == quote && !is_escaped;
        is_escaped = next == '\\' && !is_escaped;
        ends
    });
    Some(end.map_or(text.len(), |end| prefix + 1 + end + 1))
}

/// Leaves out each item under `#[cfg(test)]`: up to a `;`, or to the end of its first block.
fn without_tests<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    const CFG_TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(token) = rest.first() {
        if rest.starts_with(&CFG_TEST) {
            rest = &rest[CFG_TEST.len()..];
            let mut depth = 0;
            while let Some((token, after)) = rest.split_first() {
                rest = after;
                depth += i32::from(matches!(*token, "{" | "(" | "[")) - i32::from(matches!(*token, "}" | ")" | "]"));
                if depth == 0 && matches!(*token, ";" | "}") {
                    break;
                }
            }
            continue;
        }
        kept.push(*token);
        rest = &rest[1..];
    }
    kept
}
