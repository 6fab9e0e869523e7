//! The two forms of an address: a URL, and `name=value` pairs. Nothing here knows a parameter's meaning.
//!
//! An error never quotes what might be a part of a password.

use super::AddressError;

/// Names and values, in the order of the text.
pub type Pairs = Vec<(String, String)>;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
const ENCODE: &str = "in a password, write `/` as %2F, `@` as %40, `:` as %3A and `%` as %25";

/// True if the text is a URL of PostgreSQL.
pub fn is_url(text: &str) -> bool {
    SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

/// Returns the parameters that a text names.
pub fn pairs(text: &str) -> Result<Pairs, AddressError> {
    match SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        Some(rest) => of_url(rest),
        None => of_words(text),
    }
}

fn of_url(text: &str) -> Result<Pairs, AddressError> {
    let mut pairs = Pairs::new();
    let mut rest = text;
    if let Some(end) = rest.find(['@', '/']).filter(|end| rest[*end..].starts_with('@')) {
        let (user, password) = rest[..end].split_once(':').unwrap_or((&rest[..end], ""));
        add(&mut pairs, "user", user)?;
        add(&mut pairs, "password", password)?;
        rest = &rest[end + 1..];
    }
    // What stands before it may be a part of a password: nothing of it must be taken for a name that is shown.
    if rest.contains('@') {
        return Err(AddressError::new("the address has an `@` that is not encoded", ENCODE));
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (hosts, ports) = hosts(&rest[..end])?;
    add(&mut pairs, "host", &hosts)?;
    add(&mut pairs, "port", &ports)?;
    rest = &rest[end..];
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    add(&mut pairs, "dbname", path.strip_prefix('/').unwrap_or(path))?;
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err(AddressError::new("a parameter after `?` has no `=`", "write ?name=value&name=value"));
        };
        // What JDBC and several hosts write for it.
        if (name, value) == ("ssl", "true") {
            pairs.push(("sslmode".to_owned(), "require".to_owned()));
        } else {
            pairs.push((decoded(name)?, decoded(value)?));
        }
    }
    Ok(pairs)
}

/// Returns a URL without its password, and the password; `None` where it has none.
pub fn password_apart(text: &str) -> Option<(String, String)> {
    let scheme = SCHEMES.iter().find(|scheme| text.starts_with(**scheme))?;
    let (mut kept, mut rest, mut password) = ((*scheme).to_owned(), &text[scheme.len()..], None);
    if let Some(end) = rest.find(['@', '/']).filter(|end| rest[*end..].starts_with('@'))
        && let Some((user, word)) = rest[..end].split_once(':')
    {
        kept.push_str(user);
        (rest, password) = (&rest[end..], Some(word));
    }
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    kept.push_str(place);
    let mut mark = '?';
    for part in query.split('&').filter(|part| !part.is_empty()) {
        if let Some(word) = part.strip_prefix("password=") {
            password = Some(word);
            continue;
        }
        kept.push(mark);
        kept.push_str(part);
        mark = '&';
    }
    Some((kept, decoded(password.filter(|word| !word.is_empty())?).ok()?))
}

/// Splits `host:port,host:port` into two lists.
fn hosts(text: &str) -> Result<(String, String), AddressError> {
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for part in text.split(',') {
        let (host, port) = match part.strip_prefix('[') {
            Some(rest) => {
                let Some((host, behind)) = rest.split_once(']') else {
                    return Err(AddressError::new("an IPv6 address has no closing `]`", "write [::1]:5432"));
                };
                (host, behind.strip_prefix(':').unwrap_or(behind))
            }
            None => part.split_once(':').unwrap_or((part, "")),
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AddressError::new("the port is not a number", ENCODE));
        }
        hosts.push(host);
        ports.push(port);
    }
    let ports = if ports.iter().all(|port| port.is_empty()) { String::new() } else { ports.join(",") };
    Ok((hosts.join(","), ports))
}

fn add(pairs: &mut Pairs, name: &str, value: &str) -> Result<(), AddressError> {
    if !value.is_empty() {
        pairs.push((name.to_owned(), decoded(value)?));
    }
    Ok(())
}

fn decoded(text: &str) -> Result<String, AddressError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte != 0 => bytes.push(byte),
            _ => return Err(AddressError::new("a `%` is not followed by two hexadecimal digits", ENCODE)),
        }
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| AddressError::new("the address is not UTF-8 once it is decoded", ENCODE))
}

/// Reads `name = value` pairs. A value with spaces is in single quotes; a backslash escapes the next character.
fn of_words(text: &str) -> Result<Pairs, AddressError> {
    const QUOTE: &str = "put a value with spaces in single quotes, and write \\' and \\\\ in it";
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|character: char| character == '=' || character.is_whitespace()).unwrap_or(rest.len());
        let name = &rest[..end];
        let Some(value) = rest[end..].trim_start().strip_prefix('=') else {
            let message = format!("`=` is missing after the parameter number {}", pairs.len() + 1);
            return Err(AddressError::new(message, QUOTE));
        };
        let (value, behind) = word(value.trim_start()).ok_or_else(|| {
            AddressError::new(format!("the value number {} has no closing quote", pairs.len() + 1), QUOTE)
        })?;
        pairs.push((name.to_owned(), value));
        rest = behind.trim_start();
    }
    Ok(pairs)
}

/// Reads one value; returns it and what follows.
fn word(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let is_quoted = text.starts_with('\'');
    let mut characters = text.char_indices().skip(usize::from(is_quoted));
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.extend(characters.next().map(|(_, character)| character)),
            '\'' if is_quoted => return Some((value, &text[at + 1..])),
            _ if !is_quoted && character.is_whitespace() => return Some((value, &text[at..])),
            _ => value.push(character),
        }
    }
    (!is_quoted).then_some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match pairs(text) {
            Ok(pairs) => pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn a_url_is_read_as_libpq_does() {
        let cases = [
            ("postgres://", ""),
            ("postgresql://localhost", "host=localhost"),
            ("postgres://me@h:5433/db", "user=me host=h port=5433 dbname=db"),
            ("postgres://me:a%40b%2F%3A@h/db", "user=me password=a@b/: host=h dbname=db"),
            ("postgres://me:a:b?c@h", "user=me password=a:b?c host=h"),
            ("postgres://h1:1,h2,[::1]:3/db", "host=h1,h2,::1 port=1,,3 dbname=db"),
            ("postgres:///db?host=/run/x&port=7", "dbname=db host=/run/x port=7"),
            ("postgres://%2Frun%2Fx/db", "host=/run/x dbname=db"),
            ("postgres://h?sslmode=verify-full&options=-c%20a%3Db", "host=h sslmode=verify-full options=-c a=b"),
            ("postgres://h/?ssl=true", "host=h sslmode=require"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn pairs_are_read_as_libpq_does() {
        let cases = [
            ("", ""),
            ("host=h port = 5433 dbname=db", "host=h port=5433 dbname=db"),
            ("  password='a b\\'c\\\\' user=me", "password=a b'c\\ user=me"),
            ("options=-c\\ a=b user=''", "options=-c a=b user="),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_faulty_address_is_refused_without_quoting_it() {
        let cases = [
            "postgres://me:hunter2@x@h/db",
            "postgres://me:hunter2/x@h/db",
            "postgres://me:/hunter2@h/db",
            "postgres://me:?hunter2=x/@h/db",
            "postgres://me:hunter2%zz@h",
            "postgres://me:hunter2%ff@h",
            "postgres://me:hunter2@[::1/db",
            "postgres://me@h?hunter2",
            "password='hunter2",
            "password=a hunter2 user=b",
        ];
        for text in cases {
            let told = shown(text);
            assert!(told.starts_with("error: ") && !told.contains("hunter2"), "{text}: {told}");
        }
    }
}
