use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::message::Message;

/// The messages of a question: the beginning of a list that is shared with the walk that asks it.
///
/// A clone copies nothing. A walk adds to its list in place where nothing else holds it; else the list is copied first. So a
/// turn of a long conversation does not copy the turns before it, where each question is dropped before the next one is made.
#[derive(Clone, Default)]
pub struct Messages {
    list: Arc<List>,
    count: usize,
}

#[derive(Clone, Default)]
struct List {
    messages: Vec<Arc<Message>>,
    /// Side by side, since every fingerprint reads all of them.
    digests: Vec<[u8; 32]>,
    /// What the messages up to each one come to.
    sums: Vec<Sum>,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    identity: u64,
    bytes: u64,
}

impl Messages {
    /// Adds a message at the end.
    pub fn push(&mut self, message: Arc<Message>) {
        let sum = self.sum().with(&message);
        if Arc::get_mut(&mut self.list).is_none() {
            let (digests, sums) = (self.list.digests[..self.count].to_vec(), self.list.sums[..self.count].to_vec());
            self.list = Arc::new(List { messages: self.to_vec(), digests, sums });
        }
        let list = Arc::make_mut(&mut self.list);
        list.messages.truncate(self.count);
        list.digests.truncate(self.count);
        list.sums.truncate(self.count);
        list.digests.push(message.digest().0);
        list.messages.push(message);
        list.sums.push(sum);
        self.count += 1;
    }

    /// Keeps the first `count` messages.
    pub fn truncate(&mut self, count: usize) {
        self.count = self.count.min(count);
    }

    /// Returns the first `count` messages.
    #[must_use]
    pub fn first_ones(&self, count: usize) -> Self {
        Self { list: Arc::clone(&self.list), count: self.count.min(count) }
    }

    /// Returns a number that depends on all messages, for comparisons within one run.
    pub fn identity(&self) -> u64 {
        self.sum().identity
    }

    /// Returns the bytes of each message's digest, in order.
    pub fn digests(&self) -> &[u8] {
        self.list.digests[..self.count].as_flattened()
    }

    /// Returns the length of all words together.
    pub fn content_bytes(&self) -> u64 {
        self.sum().bytes
    }

    fn sum(&self) -> Sum {
        self.count.checked_sub(1).map_or_else(Sum::default, |last| self.list.sums[last])
    }
}

impl Sum {
    fn with(self, message: &Message) -> Self {
        // Odd, so that no bit of an earlier message is lost.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        Self {
            identity: self.identity.wrapping_mul(FACTOR).wrapping_add(message.digest().prefix()),
            bytes: self.bytes + message.content().len() as u64,
        }
    }
}

impl Deref for Messages {
    type Target = [Arc<Message>];

    fn deref(&self) -> &[Arc<Message>] {
        &self.list.messages[..self.count]
    }
}

impl Extend<Arc<Message>> for Messages {
    fn extend<T: IntoIterator<Item = Arc<Message>>>(&mut self, messages: T) {
        messages.into_iter().for_each(|message| self.push(message));
    }
}

impl FromIterator<Arc<Message>> for Messages {
    fn from_iter<T: IntoIterator<Item = Arc<Message>>>(messages: T) -> Self {
        let mut list = Self::default();
        list.extend(messages);
        list
    }
}

impl From<Vec<Arc<Message>>> for Messages {
    fn from(messages: Vec<Arc<Message>>) -> Self {
        messages.into_iter().collect()
    }
}

impl IntoIterator for Messages {
    type Item = Arc<Message>;
    type IntoIter = std::vec::IntoIter<Arc<Message>>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(&self[..]).into_iter()
    }
}

impl<'a> IntoIterator for &'a Messages {
    type Item = &'a Arc<Message>;
    type IntoIter = std::slice::Iter<'a, Arc<Message>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Messages {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Role;

    #[test]
    fn a_list_grows_in_place_and_what_is_shared_stays_as_it_was() {
        let said = |text: &str| Message::new(Role::User, text);
        let mut list: Messages = ["one", "two"].map(said).into_iter().collect();
        let asked = list.clone();
        assert_eq!(list.as_ptr(), asked.as_ptr());
        list.push(said("three!"));
        let digests: Vec<u8> = list.iter().flat_map(|message| message.digest().0).collect();
        assert_eq!((list.digests(), asked.digests()), (&digests[..], &digests[..64]));
        assert_eq!((asked.len(), list.len(), asked.content_bytes(), list.content_bytes()), (2, 3, 6, 12));
        let place = list.as_ptr();
        for text in ["four", "five"] {
            let first = list.first_ones(2);
            assert_eq!((&first, first.as_ptr(), first.identity()), (&asked, place, asked.identity()));
            drop(first);
            list.truncate(2);
            list.push(said(text));
            assert_eq!((list.len(), list[2].content(), list.as_ptr()), (3, text, place));
        }
        let turned: Messages = ["two", "one"].map(said).into_iter().collect();
        assert_ne!(turned.identity(), asked.identity());
        assert_eq!((Messages::default().identity(), list.first_ones(9).len()), (0, 3));
    }

    #[test]
    fn lists_are_equal_where_their_messages_are() {
        let list = |texts: &[&str]| -> Messages { texts.iter().map(|text| Message::new(Role::User, *text)).collect() };
        assert_eq!(list(&["one", "two"]), list(&["one", "two"]));
        assert_ne!(list(&["one", "two"]), list(&["one"]));
        assert_ne!(list(&["one", "two"]), list(&["one", "three"]));
        assert_eq!(format!("{:?}", list(&["one"])), "[user: \"one\"]");
        let texts: Vec<String> =
            list(&["one", "two"]).into_iter().map(|message| message.content().to_owned()).collect();
        assert_eq!(texts, ["one", "two"]);
    }
}
