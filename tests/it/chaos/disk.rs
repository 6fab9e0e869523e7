//! A disk as the log describes it, and what a power cut may leave of it by the letter of POSIX.
//!
//! Durable is what a sync that has ended covers. Of a file, any part of the rest may be there: nothing, its first
//! writes, or some blocks of 4 KiB of any age. Of a directory, the first of the changes that were not synced.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use cohobate::conversation::Dice;

use super::recorder::Event;

const BLOCK_BYTES: usize = 4_096;

/// Files and directories below a directory, by inode. An inode that is used again is another node.
#[derive(Clone)]
pub struct RecordedDisk {
    nodes: Vec<Node>,
    by_inode: HashMap<u64, usize>,
}

/// What is durable, and the changes since.
#[derive(Clone)]
struct Node {
    durable: Content,
    changes: Vec<Change>,
    /// How many changes a sync covers that has begun, by thread.
    syncing: HashMap<u32, usize>,
}

#[derive(Clone)]
enum Content {
    File(Vec<u8>),
    Directory(BTreeMap<String, usize>),
}

#[derive(Clone)]
enum Change {
    Write {
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate(usize),
    /// Names that begin or cease to mean a node, at once.
    Names(Vec<(String, Option<usize>)>),
}

/// How much of what was not synced survives: of the names in directories, and of the data in files.
#[derive(Clone, Copy, Debug)]
pub struct Survival {
    names: Share,
    data: Share,
}

#[derive(Clone, Copy, Debug)]
enum Share {
    Nothing,
    Everything,
    /// Drawn for each directory or file.
    Part,
}

impl Survival {
    /// The disk as the running system sees it.
    pub const EVERYTHING: Self = Self { names: Share::Everything, data: Share::Everything };
    /// What a program may rely on.
    pub const NOTHING: Self = Self { names: Share::Nothing, data: Share::Nothing };

    pub fn draw(dice: &mut Dice) -> Self {
        let mut share = || [Share::Nothing, Share::Everything, Share::Part, Share::Part][dice.below(4)];
        Self { names: share(), data: share() }
    }
}

impl RecordedDisk {
    /// What is below a directory now, all of it durable. The directory itself is the first node.
    pub fn of(directory: &Path) -> Self {
        let mut disk = Self { nodes: Vec::new(), by_inode: HashMap::new() };
        disk.add_tree(directory);
        disk
    }

    fn add_tree(&mut self, path: &Path) -> usize {
        let metadata = fs::metadata(path).unwrap();
        if metadata.is_file() {
            return self.add(metadata.ino(), Content::File(fs::read(path).unwrap()));
        }
        let node = self.add(metadata.ino(), Content::Directory(BTreeMap::new()));
        for entry in fs::read_dir(path).unwrap().map(|entry| entry.unwrap()) {
            let (name, child) = (entry.file_name().into_string().unwrap(), self.add_tree(&entry.path()));
            let Content::Directory(names) = &mut self.nodes[node].durable else { unreachable!() };
            names.insert(name, child);
        }
        node
    }

    fn add(&mut self, inode: u64, durable: Content) -> usize {
        self.nodes.push(Node { durable, changes: Vec::new(), syncing: HashMap::new() });
        self.by_inode.insert(inode, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Follows an event. What is not below the directory is not followed.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Create { parent, inode, name } => self.add_named(*parent, *inode, name, Content::File(Vec::new())),
            Event::MakeDirectory { parent, inode, name } => {
                self.add_named(*parent, *inode, name, Content::Directory(BTreeMap::new()));
            }
            Event::Write { inode, offset, bytes } => {
                self.change(*inode, Change::Write { offset: *offset as usize, bytes: bytes.clone() });
            }
            Event::Truncate { inode, length } => self.change(*inode, Change::Truncate(*length as usize)),
            Event::Remove { parent, name } => self.change(*parent, Change::Names(vec![(name.clone(), None)])),
            Event::Link { inode, parent, name } => {
                let node = self.by_inode.get(inode).copied();
                self.change(*parent, Change::Names(vec![(name.clone(), node)]));
            }
            Event::Rename { from, to, swaps, from_name, to_name } => {
                let moved = self.named(*from, from_name);
                let other = if *swaps { self.named(*to, to_name) } else { None };
                let (old, new) = ((from_name.clone(), other), (to_name.clone(), moved));
                if from == to {
                    self.change(*from, Change::Names(vec![old, new]));
                } else {
                    self.change(*from, Change::Names(vec![old]));
                    self.change(*to, Change::Names(vec![new]));
                }
            }
            Event::SyncBegin { inode, thread } => {
                if let Some(node) = self.node(*inode) {
                    node.syncing.insert(*thread, node.changes.len());
                }
            }
            Event::SyncEnd { inode, thread } => {
                if let Some(node) = self.node(*inode) {
                    let covered = node.syncing.remove(thread).unwrap_or(0);
                    node.make_durable(covered);
                }
            }
            Event::Send { .. } | Event::Print { .. } => {}
        }
    }

    fn node(&mut self, inode: u64) -> Option<&mut Node> {
        self.by_inode.get(&inode).map(|node| &mut self.nodes[*node])
    }

    fn change(&mut self, inode: u64, change: Change) {
        if let Some(node) = self.node(inode) {
            node.changes.push(change);
        }
    }

    fn add_named(&mut self, parent: u64, inode: u64, name: &str, content: Content) {
        if self.by_inode.contains_key(&parent) {
            let node = self.add(inode, content);
            self.change(parent, Change::Names(vec![(name.to_owned(), Some(node))]));
        }
    }

    fn named(&mut self, parent: u64, name: &str) -> Option<usize> {
        let node = self.node(parent)?;
        match node.after(node.changes.len()) {
            Content::Directory(names) => names.get(name).copied(),
            Content::File(_) => None,
        }
    }

    /// Writes what the power cut leaves to an empty directory.
    pub fn cut(&self, to: &Path, survival: Survival, dice: &mut Dice) {
        self.write_node(0, to, survival, dice);
    }

    fn write_node(&self, node: usize, path: &Path, survival: Survival, dice: &mut Dice) {
        match self.nodes[node].surviving(survival, dice) {
            Content::File(bytes) => fs::write(path, bytes).unwrap(),
            Content::Directory(names) => {
                fs::create_dir_all(path).unwrap();
                for (name, child) in names {
                    self.write_node(child, &path.join(name), survival, dice);
                }
            }
        }
    }
}

impl Node {
    /// The content after the first of the changes.
    fn after(&self, count: usize) -> Content {
        let mut content = self.durable.clone();
        self.changes[..count].iter().for_each(|change| change.apply(&mut content));
        content
    }

    fn make_durable(&mut self, count: usize) {
        self.durable = self.after(count);
        self.changes.drain(..count);
        // Another thread's sync may have begun earlier than this one.
        self.syncing.values_mut().for_each(|covered| *covered = covered.saturating_sub(count));
    }

    fn surviving(&self, survival: Survival, dice: &mut Dice) -> Content {
        let is_file = matches!(self.durable, Content::File(_));
        match if is_file { survival.data } else { survival.names } {
            Share::Nothing => self.durable.clone(),
            Share::Everything => self.after(self.changes.len()),
            Share::Part if is_file && dice.below(2) == 0 => self.blocks_of_any_age(dice),
            Share::Part => self.first_changes(dice),
        }
    }

    /// The first of the changes; of the next one, if it is a write, the beginning.
    fn first_changes(&self, dice: &mut Dice) -> Content {
        let count = dice.below(self.changes.len() + 1);
        let mut content = self.after(count);
        if let Some(Change::Write { offset, bytes }) = self.changes.get(count) {
            let part = bytes[..dice.below(bytes.len() + 1)].to_vec();
            Change::Write { offset: *offset, bytes: part }.apply(&mut content);
        }
        content
    }

    /// Each block as it was after some of the changes, and the length too. A block beyond its file's end is zeros.
    fn blocks_of_any_age(&self, dice: &mut Dice) -> Content {
        let mut aged = || match self.after(dice.below(self.changes.len() + 1)) {
            Content::File(bytes) => bytes,
            Content::Directory(_) => Vec::new(),
        };
        let length = aged().len();
        let mut mixed = vec![0; length];
        for block in mixed.chunks_mut(BLOCK_BYTES).enumerate().map(|(number, block)| (number * BLOCK_BYTES, block)) {
            let (start, block) = block;
            let age = aged();
            let there = age.get(start..).unwrap_or_default();
            let count = there.len().min(block.len());
            block[..count].copy_from_slice(&there[..count]);
        }
        Content::File(mixed)
    }
}

impl Change {
    fn apply(&self, content: &mut Content) {
        match (self, content) {
            (Self::Write { offset, bytes }, Content::File(file)) => {
                if !bytes.is_empty() {
                    file.resize(file.len().max(offset + bytes.len()), 0);
                    file[*offset..offset + bytes.len()].copy_from_slice(bytes);
                }
            }
            (Self::Truncate(length), Content::File(file)) => file.resize(*length, 0),
            (Self::Names(changed), Content::Directory(names)) => {
                for (name, node) in changed {
                    match node {
                        Some(node) => drop(names.insert(name.clone(), *node)),
                        None => drop(names.remove(name)),
                    }
                }
            }
            _ => panic!("a file's change in a directory, or the other way round"),
        }
    }
}

/// The suite itself: what a sync covers, and nothing else, is there after the worst cut.
#[test]
fn a_name_and_its_data_are_durable_once_both_are_synced() {
    let (directory, thread) = (tempfile::tempdir().unwrap(), 1);
    fs::create_dir(directory.path().join("before")).unwrap();
    let (root, file) = (fs::metadata(directory.path().join("before")).unwrap().ino(), 1);
    let sync = |inode| [Event::SyncBegin { inode, thread }, Event::SyncEnd { inode, thread }];
    let write = |offset, bytes: &[u8]| Event::Write { inode: file, offset, bytes: bytes.to_vec() };
    let [file_begin, file_end] = sync(file);
    let [root_begin, root_end] = sync(root);
    let create = Event::Create { parent: root, inode: file, name: "a".to_owned() };
    let (from_name, to_name) = ("a".to_owned(), "b".to_owned());
    let rename = Event::Rename { from: root, to: root, swaps: false, from_name, to_name };
    // Each with what the worst cut after it leaves: the file's name and its text.
    let steps = [
        (create, None),
        (write(0, b"one"), None),
        (file_begin.clone(), None),
        // After the sync has begun: it need not cover this.
        (write(3, b"two"), None),
        (file_end.clone(), None),
        (root_begin.clone(), None),
        (root_end.clone(), Some(("a", "one"))),
        (file_begin, Some(("a", "one"))),
        (file_end, Some(("a", "onetwo"))),
        (rename, Some(("a", "onetwo"))),
        (root_begin, Some(("a", "onetwo"))),
        (root_end, Some(("b", "onetwo"))),
    ];
    let mut disk = RecordedDisk::of(&directory.path().join("before"));
    for (number, (event, left)) in steps.iter().enumerate() {
        disk.apply(event);
        let after = directory.path().join(number.to_string());
        disk.cut(&after, Survival::NOTHING, &mut Dice::new("no choice", b""));
        let text = |name: &str| fs::read_to_string(after.join(name)).ok();
        let expected = |name| left.filter(|(left, _)| *left == name).map(|(_, text)| text.to_owned());
        assert_eq!((text("a"), text("b")), (expected("a"), expected("b")), "after {event:?}");
    }
}
