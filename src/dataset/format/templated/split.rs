//! Splits a text at the markers of a family.

use super::families::Family;
use super::mark::{Kind, Layout};
use super::search::{self, AROUND, Found, Searched};
use crate::dataset::role::SourceRole;

/// A part of a text, between two markers.
#[derive(Debug)]
pub struct Part<'a> {
    /// The marker that starts it. None for words before the first message.
    pub opened_by: Option<Kind>,
    /// The name that stands in the marker.
    pub name: &'a str,
    /// Its text, without what the template adds.
    pub text: &'a str,
    /// The marker that ends it. None at the end of the text.
    pub closed_by: Option<Kind>,
}

/// Splits a text. The family is the one of the first marker.
pub fn split(text: &str) -> Result<(Vec<Part<'_>>, &'static Searched), String> {
    // A text that begins with a marker and has no other of its family only begins with a word.
    let best = best_of(text, &search::first_families(text)).filter(|(best, _)| !(best.doubts.0 && best.doubts.1));
    let best = best.or_else(|| best_of(text, &search::all_families(text)));
    let (best, family) = best.ok_or_else(|| "`text` has no marker of a known chat template".to_owned())?;
    best.fault.map_or(Ok((best.parts, family)), Err)
}

/// Splits a text by every layout of these families, and returns the least doubtful attempt.
fn best_of<'a>(
    text: &'a str,
    families: &[(&'static Searched, Vec<Found>)],
) -> Option<(Splitter<'a>, &'static Searched)> {
    let attempts = families.iter().flat_map(|(family, found)| {
        family.family.layouts.iter().map(move |layout| (Splitter::run(text, family.family, found, *layout), *family))
    });
    attempts.min_by_key(|(attempt, _)| attempt.doubts)
}

/// How doubtful it is that a text is of a family and layout: has it no end marker, no user or no answer, where does it begin,
/// and how often does something else stand around a marker. The least doubtful attempt is the right one.
type Doubts = (bool, bool, usize, usize);

/// Splits by one family and layout.
struct Splitter<'a> {
    text: &'a str,
    layout: Layout,
    is_paired: bool,
    /// The message that is being read: its marker, the name in it, and where its text starts.
    open: Option<(Kind, &'a str, usize)>,
    parts: Vec<Part<'a>>,
    doubts: Doubts,
    fault: Option<String>,
}

impl<'a> Splitter<'a> {
    fn run(text: &'a str, family: &Family, found: &[Found], layout: Layout) -> Self {
        let has = |wanted: fn(Kind) -> bool| found.iter().any(|found| wanted(found.mark.1));
        let has_ends = has(|kind| kind == Kind::End);
        let has_user = has(|kind| matches!(kind, Kind::Open(SourceRole::User) | Kind::Named(_)));
        let has_answer = has(|kind| matches!(kind, Kind::Open(SourceRole::Assistant) | Kind::Answer | Kind::Named(_)));
        let doubts =
            (family.needs_ends() && !has_ends, !has_user || !has_answer, found.first().map_or(0, |found| found.at), 0);
        let mut splitter =
            Self { text, layout, is_paired: family.is_paired(), open: None, parts: Vec::new(), doubts, fault: None };
        let mut end = 0;
        for found in found {
            // A marker within the header of a message.
            if found.at < end {
                continue;
            }
            let closes = match found.mark.1 {
                Kind::Call => continue,
                Kind::Special => splitter.open.is_none(),
                _ => true,
            };
            if !closes {
                splitter.fail(|| format!("`{}` is left in a message", found.mark.0));
                continue;
            }
            splitter.close(end, found.at, found.mark.1, has_ends);
            end = splitter.start(found);
        }
        splitter.finish(end, has_ends);
        splitter
    }

    fn fail(&mut self, fault: impl FnOnce() -> String) {
        self.fault.get_or_insert_with(fault);
    }
}

impl<'a> Splitter<'a> {
    /// Ends what is being read at a marker of this kind.
    fn close(&mut self, from: usize, at: usize, closed_by: Kind, has_ends: bool) {
        let body = &self.text[from..at];
        let Some((kind, name, _)) = self.open.take() else { return self.outside(body) };
        let is_blank = body.trim().is_empty();
        let is_prefix = closed_by == Kind::Instructions || kind == Kind::Answer && closed_by != Kind::End;
        if is_blank && is_prefix {
            return;
        }
        if self.is_paired && closed_by == Kind::Open(SourceRole::User) && !matches!(kind, Kind::Answer) {
            self.fail(|| "`[INST]` is left in a message".to_owned());
        }
        let whole = body;
        let body = if has_ends { body } else { search::without_tail(body) };
        self.doubts.3 += usize::from(body.len() < whole.len()) * 2;
        let text = self.strip(body, self.layout.around(kind).1, self.layout.around(closed_by).0);
        self.parts.push(Part { opened_by: Some(kind), name, text, closed_by: Some(closed_by) });
    }

    /// Ends what is being read at the end of the text. A marker without words is a generation prompt, and no message.
    fn finish(&mut self, from: usize, has_ends: bool) {
        let body = &self.text[from..];
        let Some((kind, name, _)) = self.open.take() else { return self.outside(body) };
        let body = search::without_tail(body);
        if is_prompt(body) {
            return;
        }
        let body = body.strip_prefix(self.layout.around(kind).1).unwrap_or(body);
        let end = if has_ends { "" } else { self.layout.open.0 };
        let text = body.strip_suffix(end).unwrap_or(body);
        self.parts.push(Part { opened_by: Some(kind), name, text, closed_by: None });
    }

    /// Words before the first message are instructions. Words between messages are a fault.
    fn outside(&mut self, body: &'a str) {
        let words = search::without_head(search::without_tail(body)).trim();
        if words.is_empty() {
            return;
        }
        if self.parts.is_empty() {
            self.parts.push(Part { opened_by: None, name: "", text: words, closed_by: None });
        } else {
            let shown: String = words.chars().take(40).collect();
            self.fail(|| format!("`{shown}` stands between two messages"));
        }
    }

    /// Starts what a marker starts, and returns where its text begins.
    fn start(&mut self, found: &Found) -> usize {
        let (mut name, mut end) = ("", found.end);
        match found.mark.1 {
            Kind::Named(closers) => match header(&self.text[end..], closers) {
                Some((role, length)) => (name, end) = (role, end + length),
                None => self.fail(|| format!("a `{}` has no role", found.mark.0)),
            },
            Kind::End | Kind::ToolsEnd | Kind::Special => return end,
            _ => {}
        }
        self.open = Some((found.mark.1, name, end));
        end
    }

    /// Removes the template's white space, and counts where it is another one.
    fn strip(&mut self, body: &'a str, after: &str, before: &str) -> &'a str {
        let mut text = body;
        if !body.trim().is_empty() {
            let start = text.strip_prefix(after);
            text = start.unwrap_or(text);
            let end = text.strip_suffix(before);
            text = end.unwrap_or(text);
            let words = text.trim_end();
            let odd = [
                start.is_none(),
                end.is_none(),
                text.starts_with(char::is_whitespace),
                words.len() < text.len(),
                AROUND.iter().any(|token| words.ends_with(token)),
            ];
            self.doubts.3 += odd.into_iter().filter(|is_odd| *is_odd).count();
            return text;
        }
        text = text.strip_prefix(after).unwrap_or(text);
        text.strip_suffix(before).unwrap_or(text)
    }
}

/// Reads the name of the role, and returns it with the length of the header.
fn header<'a>(text: &'a str, closers: &[&str]) -> Option<(&'a str, usize)> {
    const LONGEST: usize = 120;
    let limit = text.char_indices().nth(LONGEST).map_or(text.len(), |(at, _)| at);
    let close = closers.iter().filter_map(|closer| Some((text[..limit].find(closer)?, closer.len()))).min();
    let (end, length) = close.unwrap_or_else(|| (text[..limit].find(['<', ' ']).unwrap_or(limit), 0));
    let name = text[..end].trim();
    (!name.is_empty()).then_some((name, end + length))
}

/// True for what a template writes before an answer that is still to come.
fn is_prompt(text: &str) -> bool {
    let words = text.trim();
    let openings = ["<think>", "</think>", "<|channel>thought", "<channel|>"];
    openings.iter().fold(words, |words, opening| words.strip_prefix(opening).unwrap_or(words).trim_start()).is_empty()
}
